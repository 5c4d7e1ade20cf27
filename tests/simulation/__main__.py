"""`python -m tests.simulation`: explore for as long as is asked, or show one history again."""

import argparse
import random
import sys
import time
from collections.abc import Callable

from tests.simulation.bugs import BUGS
from tests.simulation.deployment import Deployment
from tests.simulation.history import History
from tests.simulation.invariants import Violation
from tests.simulation.logs import listening
from tests.simulation.machine import run_at_random
from tests.simulation.scenarios import SCENARIOS, SHORT
from tests.simulation.simulation import Simulation
from tests.simulation.systematic import Result, explore, read_plan, replay

BATCH = 25  # random histories


class Totals:
    """What was explored in all."""

    def __init__(self, seconds: float) -> None:
        self.began, self.seconds = time.monotonic(), seconds
        self.histories = self.calls = self.faults = 0

    @property
    def passed(self) -> float:
        """Return how many seconds have passed."""
        return time.monotonic() - self.began

    def over(self) -> bool:
        """Tell whether the time is over."""
        return self.passed >= self.seconds

    def add(self, what: str, histories: int, calls: int, faults: int) -> None:
        """Count, and show how far it has come."""
        self.histories += histories
        self.calls += calls
        self.faults += faults
        _say(f"{self.passed:6.0f} s  {what:<46} {histories:>7,} histories {calls:>10,} calls {faults:>8,} faults")


def main(arguments: list[str] | None = None) -> int:
    """Explore, or show a history; 0 where every invariant holds, 1 where one is broken."""
    parser = _parser()
    options = parser.parse_args(arguments)
    deployment = BUGS[options.bug].deployment if options.bug else Deployment()
    if options.replay:
        try:
            simulation, violation = _again(options.replay, deployment)
        except ValueError as exc:
            parser.error(f"--replay {options.replay}: {exc}")
        _say(*simulation.lines())
        return 1 if violation else 0
    totals = Totals(options.seconds)
    number = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    _say(f"{len(SCENARIOS)} scenarios; long histories from seed {number}")
    broken = _explore(totals, deployment, number)
    _say(f"{totals.histories:,} histories, {totals.calls:,} calls that cross a port, {totals.faults:,} faults")
    _say(f"VIOLATED {broken}" if broken else "0 violations: every invariant holds in each of them")
    return 1 if broken else 0


def _explore(totals: Totals, deployment: Deployment, number: int) -> str:
    """Explore each single fault, then pairs and long histories in turn until the time is over; return the violation."""
    for name in SHORT:
        if broken := _systematic(totals, name, 1, deployment, totals.over):
            return broken
    pairs = iter(SHORT)
    while not totals.over():
        until = totals.passed + max(10, totals.seconds / 20)
        if (name := next(pairs, "")) and (
            broken := _systematic(totals, name, 2, deployment, lambda u=until: totals.over() or totals.passed > u)  # type: ignore[misc]
        ):
            return broken
        until = totals.passed + max(10, totals.seconds / 20)
        while not totals.over() and totals.passed < until:
            try:
                found = run_at_random(BATCH, number, deployment=deployment, shorten=False)
            except Violation as violation:
                _say(f"VIOLATED {violation}", "Looking for a shorter one, for five minutes at the most …")
                return _shorter(violation, number, deployment)
            totals.add(f"long histories, seed {number}", found.histories, found.calls, found.faults)
            number += 1
    return ""


def _shorter(violation: Violation, number: int, deployment: Deployment) -> str:
    """Return a violation with a history that is made as short as it can be."""
    try:
        run_at_random(BATCH, number, deployment=deployment)
    except Violation as shorter:
        return str(shorter)
    return str(violation)


def _systematic(totals: Totals, name: str, faults: int, deployment: Deployment, enough: Callable[[], bool]) -> str:
    result = explore(name, faults, deployment, enough)
    what = f"{name}: every {'fault' if faults == 1 else 'pair of faults'}{'' if result.whole else ', for a while'}"
    totals.add(what, result.histories, result.calls, result.faults.total())
    return _described(result, deployment) if result.violation else ""


def _described(result: Result, deployment: Deployment) -> str:
    simulation, violation = replay(result.scenario, result.plan, deployment)
    planted = next((f"--bug '{name}' " for name, bug in BUGS.items() if bug.deployment is deployment), "")
    again = f"  .venv/bin/python -m tests.simulation {planted}--replay '{result.replay}'"
    return "\n".join([str(violation), *simulation.lines(), "See it again:", again])


def _again(text: str, deployment: Deployment) -> tuple[Simulation, Violation | None]:
    """Do a history again, whichever kind it is."""
    if text.partition(",")[0] in SCENARIOS:
        return replay(*read_plan(text), deployment)
    with listening() as logged:
        history = History(deployment, logged)
        try:
            for word in text.split(","):
                history.do(word)
        except Violation as violation:
            return history.simulation, violation
        finally:
            history.simulation.end()
    return history.simulation, None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description="Run poll, submit and status in a world of their own, with everything going wrong that can: each "
        "fault at each call, pairs of faults, and long histories at random. Exit code 1 where an invariant is broken.",
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long to explore (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="where the long histories begin; without it, anywhere")
    parser.add_argument("--replay", metavar="HISTORY", help="show one history step by step, as a violation names it")
    parser.add_argument("--bug", choices=BUGS, metavar="BUG", help=f"plant a mistake: {'; '.join(BUGS)}")
    return parser


def _say(*lines: str) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201 - a command prints


if __name__ == "__main__":
    sys.exit(main())
