"""Every fault at every call, and every pair: depth first, from each state once.

Between two invocations a world is plain data. So it is forked there, and what was explored from one world is not
explored again from another that is the same.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.simulation import invariants
from tests.simulation.deployment import Deployment
from tests.simulation.faults import Fault
from tests.simulation.fingerprint import fingerprint
from tests.simulation.invariants import Violation
from tests.simulation.logs import listening
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.simulation import Simulation

Plan = tuple[tuple[int, Fault], ...]  # which call meets which fault


@dataclass
class Result:
    """What was explored, and the first plan that breaks an invariant."""

    scenario: str
    histories: int = 0  # plans: no fault, each single one, …
    calls: int = 0
    states: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    without: frozenset[Fault] = frozenset()
    whole: bool = True  # nothing was left out
    violation: Violation | None = None
    plan: Plan = ()

    @property
    def replay(self) -> str:
        """Return how to see the violating history again."""
        return ",".join([self.scenario, *(f"{call}={fault}" for call, fault in self.plan)])

    def goes_on(self, enough: Callable[[], bool]) -> bool:
        """Tell whether to explore more; what is left out then is remembered."""
        if self.violation is None and enough():
            self.whole = False
        return self.violation is None and self.whole


def explore(
    name: str,
    faults: int,
    deployment: Deployment | None = None,
    enough: Callable[[], bool] = lambda: False,
    without: frozenset[Fault] = frozenset(),
) -> Result:
    """Explore a scenario with up to so many faults; stop at the first violation, or when `enough` returns True.

    `without` leaves out some faults, such as those that make a history long.
    """
    result = Result(name, histories=1, without=without)
    explored: dict[str, int] = {}
    with listening() as logged:
        todo: list[tuple[Simulation, Plan]] = [(SCENARIOS[name].simulation(deployment or Deployment(), logged), ())]
        while todo and result.goes_on(enough):
            simulation, plan = todo.pop()
            left = faults - len(plan)
            if not _new(simulation, left, explored):
                continue
            result.states += 1
            if not invariants.at_rest(simulation.world):
                todo += _follow(result, simulation, plan, left, enough)
            else:
                _judge(result, plan, simulation.rest)
    return result


def replay(name: str, plan: Plan, deployment: Deployment | None = None) -> tuple[Simulation, Violation | None]:
    """Run one history from its beginning."""
    with listening() as logged:
        simulation = SCENARIOS[name].simulation(deployment or Deployment(), logged)
        simulation.plan = dict(plan)
        try:
            simulation.rest()
        except Violation as violation:
            return simulation, violation
    return simulation, None


def read_plan(text: str) -> tuple[str, Plan]:
    """Read what Result.replay wrote."""
    name, *steps = text.split(",")
    if name not in SCENARIOS:
        raise ValueError(f"there is no scenario {name!r}; there are: {', '.join(SCENARIOS)}")
    pairs = [step.partition("=") for step in steps]
    return name, tuple((int(call), Fault(fault)) for call, _, fault in pairs)


def _new(simulation: Simulation, left: int, explored: dict[str, int]) -> bool:
    """Tell whether this world was not explored before with as many faults left."""
    mark = f"{fingerprint(simulation.world)} {sorted(simulation.idle.items())}"
    if explored.get(mark, -1) >= left:
        return False
    explored[mark] = left
    return True


def _follow(
    result: Result, before: Simulation, plan: Plan, left: int, enough: Callable[[], bool]
) -> Iterator[tuple[Simulation, Plan]]:
    """Yield what the next event leads to: with no fault, with each fault at each call, and with more of them."""
    todo = [(plan, before.calls)]
    while todo and result.goes_on(enough):
        tried, first = todo.pop()
        simulation = before.fork()
        simulation.plan = dict(tried)
        if _judge(result, tried, simulation.until_nobody_lives):
            yield simulation, tried
        result.calls += simulation.calls - before.calls
        if tried != plan:
            result.histories += 1
            result.faults[tried[-1][1]] += 1
        if len(tried) - len(plan) < left:
            offered = [(n, fault) for n, fault in simulation.offered if n >= first and fault not in result.without]
            todo += [((*tried, (n, fault)), n + 1) for n, fault in offered[::-1]]


def _judge(result: Result, plan: Plan, run: Callable[[], None]) -> bool:
    """Run; note the violation where there is one."""
    try:
        run()
    except Violation as violation:
        result.violation, result.plan = violation, plan
        return False
    return True
