"""A submit with fakes around it, for the tests of what it does with a message."""

from dataclasses import dataclass, field, replace
from typing import Any

from functions.submit.submit import Submit, SubmitTimings
from shared.config.requests import RequestLimits
from shared.core.building import Recipe
from shared.core.errors import Reject
from shared.core.intake import from_item
from shared.core.jobsource import JobSource
from shared.core.launch import Launch
from shared.core.message import Queue, Request, Ticket
from shared.core.ports import CustomJobCall
from shared.runspec.model import Draft
from shared.runspec.prepare import Preparation
from shared.runspec.render import ArgumentNames, DeploymentDefaults
from tests.fakes import (
    FakeBuilds,
    FakeClock,
    FakeJobs,
    FakeQueueConfigs,
    FakeSweeps,
    FakeVertex,
    InMemoryLedger,
    InMemoryPaceBook,
)
from tests.fakes.clock import PLENTY
from tests.unit.specs import NAMES, SITE

QUEUE = Queue(entity="team", name="vertex")
REQUESTS = RequestLimits(entities=("e", "team")).within("team", ["vertex"])


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
        self.paces = InMemoryPaceBook()
        self.jobs = FakeJobs()
        self.queues = FakeQueueConfigs()
        self.sweeps = FakeSweeps()
        self.builds = FakeBuilds()
        self.preparation = Preparation(
            self.queues, self.jobs, self.sweeps, SITE, NAMES, requests=REQUESTS, render=self._render
        )
        self.submit = Submit(
            self.ledger,
            self.paces,
            self.vertex,
            self.preparation.prepare,
            labels,
            self.clock,
            SubmitTimings(),
            images=self.builds,
            pause=self.clock.pass_,
        )

    def prepare_with(self, **changes: Any) -> None:
        """Let submit prepare jobs in another way: with a ladder, another renderer."""
        self.preparation = replace(self.preparation, **changes)
        self.submit = replace(self.submit, prepare=self.preparation.prepare)

    def _render(
        self, draft: Draft, site: DeploymentDefaults, names: ArgumentNames, job: JobSource | None
    ) -> CustomJobCall:
        self.rendered.append((draft.launch.run_spec.get("job"), job))
        self.resource_args.append(draft.launch.run_spec.get("resource_args"))
        if self.refusal:
            raise self.refusal
        constructor = {"labels": labels(draft.launch), "worker_pool_specs": []}
        return CustomJobCall("p", "us-central1", constructor, {}, self.warnings, self.recipe)

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
