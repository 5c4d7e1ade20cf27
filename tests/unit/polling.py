"""A poll with fakes around it, for the tests of what it does."""

from dataclasses import dataclass, field
from typing import Any

from functions.poll.drain import Poll, PollLimits
from functions.poll.report import Report
from shared.core.budget import Budget
from shared.core.cadence import Cadence, Intervals, Mode
from shared.core.message import Queue
from shared.core.traffic import Traffic
from tests.fakes import FakeClock, FakePublisher, FakeWandb, InMemoryAgentBook, InMemoryLedger

A, B = Queue(entity="team", name="a"), Queue(entity="team", name="b")


@dataclass
class Scene:
    """A poll with fakes around it."""

    clock: FakeClock = field(default_factory=FakeClock)
    wandb: FakeWandb = field(default_factory=FakeWandb)
    ledger: InMemoryLedger = field(default_factory=InMemoryLedger)
    agents: InMemoryAgentBook = field(default_factory=InMemoryAgentBook)
    publisher: FakePublisher = field(default_factory=FakePublisher)
    holders: int = 0
    cadence: Cadence = field(default_factory=lambda: Cadence(mode=Mode.NEVER))
    traffic: Traffic = field(default_factory=Traffic)
    busy: bool = False  # W&B answers 429 to each pop

    def poll(self, *, woken: bool = False, **changed: object) -> Report:
        """Call poll once."""
        limits = {"queues": (A, B), "max_jobs": -1, "connections": 1, **changed}
        self.holders += 1
        parts = (self.wandb, self.ledger, self.agents, self.publisher, self.clock, PollLimits(**limits))  # type: ignore[arg-type]
        poll = Poll(*parts, wait=self.clock.pass_, cadence=self.cadence, intervals=Intervals(self.cadence))
        return poll.run(f"poll-{self.holders}", self.budget(), woken=woken)

    def budget(self, seconds: float = 55) -> Budget:
        """Return the budget of an invocation that begins now, which only this scene's clock spends."""
        return Budget(seconds, lambda: self.clock().timestamp())

    def states(self) -> list[str]:
        """Return the items' states in W&B."""
        return [item.state for item in self.wandb.items.values()]


def scheduler(sweep: str) -> dict[str, Any]:
    """Return the run spec of a sweep's scheduler."""
    command = {"entry_point": ["wandb", "scheduler", sweep]}
    kind = {"uri": "placeholder-uri-scheduler", "resource": "local-process"}
    return {**kind, "entity": "team", "project": "cats", "run_id": sweep, "overrides": command}
