"""A submit with fakes around it, for the tests of what it does with a message."""

from dataclasses import dataclass, field
from typing import Any

from functions.submit.launch import Policy, Submit
from shared.core.building import Recipe
from shared.core.errors import Reject
from shared.core.jobsource import JobSource
from shared.core.launch import Launch
from shared.core.message import Queue, Request, Ticket
from shared.core.opening import from_item
from shared.core.ports import CustomJobCall
from tests.fakes import FakeBuilds, FakeClock, FakeJobs, FakeQueueConfigs, FakeSweeps, FakeVertex, InMemoryLedger
from tests.fakes.clock import PLENTY

QUEUE = Queue(entity="team", name="vertex")


def labels(launch: Launch) -> dict[str, str]:
    """Return the labels that a job is found by."""
    return {"launch_key": launch.key, "launch_attempt": str(launch.entry.attempt)}


@dataclass
class Scene:
    """A submit with fakes around it."""

    clock: FakeClock = field(default_factory=FakeClock)
    ledger: InMemoryLedger = field(default_factory=InMemoryLedger)
    refusal: Reject | None = None
    warnings: tuple[str, ...] = ()
    rendered: list[tuple[Any, JobSource | None]] = field(default_factory=list)
    resource_args: list[Any] = field(default_factory=list)
    recipe: Recipe | None = None

    def __post_init__(self) -> None:
        self.vertex = FakeVertex(self.clock)
        self.jobs = FakeJobs()
        self.queues = FakeQueueConfigs()
        self.sweeps = FakeSweeps()
        self.builds = FakeBuilds()
        self.submit = Submit(
            self.ledger,
            self.vertex,
            self.jobs,
            self.queues,
            self.sweeps,
            self._render,
            labels,
            self.clock,
            Policy(),
            images=self.builds,
        )

    def _render(self, launch: Launch, job: JobSource | None) -> CustomJobCall:
        self.rendered.append((launch.run_spec.get("job"), job))
        self.resource_args.append(launch.run_spec.get("resource_args"))
        if self.refusal:
            raise self.refusal
        return CustomJobCall("p", "us-central1", {"labels": labels(launch)}, {}, self.warnings, self.recipe)

    def open(self, item: str = "item-1", **changes: Any) -> Ticket:
        """Write a launch down, as poll does, and return its ticket."""
        spec = {"entity": "team", "project": "Cats", **changes}
        launch = self.ledger.write(from_item(item, QUEUE, spec, self.clock()))
        return Ticket(launch_key=launch.key)

    def deliver(self, message: Ticket | Request) -> str:
        """Deliver a message."""
        return self.submit.launch(message, PLENTY)

    def launch(self, ticket: Ticket) -> Launch:
        """Return what the ledger has."""
        return self.ledger.open[ticket.launch_key]
