"""Long histories at random: Hypothesis chooses word by word, and makes a history that goes wrong as short as it can."""

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.simulation.deployment import Deployment
from tests.simulation.history import History
from tests.simulation.invariants import Violation
from tests.simulation.logs import listening
from tests.simulation.scripts import ENDLESS, SCRIPTS
from tests.simulation.simulation import Simulation

_number = st.integers(0, 5)
_nth = st.integers(0, 11)
_ending = st.sampled_from([script for script in SCRIPTS if script not in ENDLESS])

CHANGES = [
    *("wandb.pop", "wandb.ack", "wandb.fail", "wandb.warn"),
    *("ledger.write", "ledger.delete", "vertex.create", "vertex.cancel", "topic.publish", "build.create"),
]


@dataclass
class Explored:
    """What random histories have seen."""

    histories: int = 0
    calls: int = 0
    faults: int = 0

    def add(self, simulation: Simulation) -> None:
        """Count a history."""
        self.histories += 1
        self.calls += simulation.calls
        self.faults += simulation.faults.total()


class LongHistory(RuleBasedStateMachine):
    """Each rule says one word; in the end nothing more goes wrong, and all has to come to rest."""

    deployment = Deployment()
    explored = Explored()

    def __init__(self) -> None:
        super().__init__()
        self.listening = listening()
        self.history = History(self.deployment, self.listening.__enter__())

    def say(self, word: str) -> None:
        """Let it be done; where something is wrong then, show the whole history and how to see it again."""
        try:
            self.history.do(word)
        except Violation as violation:
            trace = "\n".join(self.history.simulation.lines())
            words = ",".join(self.history.words)
            replay = f".venv/bin/python -m tests.simulation --replay '{words}'"
            raise Violation(violation.name, f"{violation.detail}\n{trace}\nSee it again:\n  {replay}") from violation

    @initialize(scripts=st.lists(st.sampled_from(list(SCRIPTS)), max_size=3))
    def begin(self, scripts: list[str]) -> None:
        """Begin with some items on the queue."""
        for script in scripts:
            self.say(f"item:{script}")

    @rule(steps=st.integers(1, 40))
    def calm(self, steps: int) -> None:
        """For a while nothing goes wrong."""
        self.say(f"calm:{steps}")

    @rule(number=_number)
    def go(self, number: int) -> None:
        """One of those that live goes on."""
        self.say(f"go:{number}")

    @rule(number=_number, nth=_nth)
    def go_wrong(self, number: int, nth: int) -> None:
        """The next call of one of those that live meets one of the faults that it can meet."""
        if faults := self.history.faults(number):
            self.say(f"go:{number}:{faults[nth % len(faults)]}")

    @rule(steps=st.integers(1, 12), number=_number, nth=_nth)
    def go_wrong_soon(self, steps: int, number: int, nth: int) -> None:
        """The same, some steps later."""
        self.say(f"calm:{steps}")
        self.go_wrong(number, nth)

    @rule(name=st.sampled_from(CHANGES), nth=_nth)
    def change_goes_wrong(self, name: str, nth: int) -> None:
        """A call that changes something outside meets a fault, before long."""
        self.say(f"until:{name}")
        self.go_wrong(0, nth)

    @rule()
    def time(self) -> None:
        """Time passes, while functions work or not."""
        self.say("time")

    @rule(verb=st.sampled_from(["poll", "status"]))
    def call(self, verb: str) -> None:
        """Cloud Scheduler calls once more than it should."""
        self.say(f"call:{verb}")

    @rule(
        script=st.sampled_from(list(SCRIPTS)),
        kind=st.sampled_from(["item", "other", "job", "code", "swept", "scheduler"]),
    )
    def enqueue(self, kind: str, script: str) -> None:
        """Somebody puts an item on the queue."""
        self.say(f"{kind}:{script}")

    @rule(script=_ending, kind=st.sampled_from(["request", "request-on-queue"]))
    def request(self, script: str, kind: str) -> None:
        """Another system publishes a request."""
        self.say(f"{kind}:{script}")

    @rule(what=st.sampled_from(["stop", "stop", "remove", "compete", "delete"]), number=_number)
    def somebody(self, what: str, number: int) -> None:
        """Somebody does something to an item or its job."""
        self.say(f"{what}:{number}")

    @rule(system=st.sampled_from(["wandb", "vertex", "ledger", "topic", "events", "build"]), minutes=st.integers(1, 12))
    def outage(self, system: str, minutes: int) -> None:
        """A system is out of order for a while."""
        self.say(f"outage:{system}:{minutes}")

    @rule()
    def stop_polling(self) -> None:
        """Somebody tells our agent on W&B's page to stop polling, or to go on."""
        self.say("stop-polling")

    @rule()
    def bad_builds(self) -> None:
        """From now on, builds fail, or do not any more."""
        self.say("bad-builds")

    @rule()
    def sweep_ends(self) -> None:
        """The sweep is over."""
        self.say("sweep-ends")

    def teardown(self) -> None:
        """Let nothing more go wrong."""
        try:
            if not self.history.simulation.broken:
                self.say("rest")
        finally:
            self.history.simulation.end()
            self.explored.add(self.history.simulation)
            self.listening.__exit__(None, None, None)


def run_at_random(
    histories: int, number: int | None = None, *, deployment: Deployment | None = None, shorten: bool = True
) -> Explored:
    """Run so many histories: of this number's choice or, without one, the same at each time.

    Raises:
        Violation: with the history, made as short as it can be in a minute or a few, if that is wanted.
    """

    class Machine(LongHistory):
        explored = Explored()

    if deployment:
        Machine.deployment = deployment
    choice: dict[str, Any] = {"derandomize": True} if number is None else {}
    how = settings(
        max_examples=histories,
        stateful_step_count=60,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink) if shorten else (Phase.generate,),
        **choice,
    )
    run_state_machine_as_test(Machine if number is None else seed(number)(Machine), settings=how)
    return Machine.explored
