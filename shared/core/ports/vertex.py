"""Vertex AI's CustomJobs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.core.budget import Budget
from shared.core.building import Ensured, Recipe


@dataclass(frozen=True, slots=True)
class CustomJobCall:
    """The arguments of one CustomJob: `CustomJob(**constructor)`, then `.submit(**submit)`.

    `recipe` describes the image, if this deployment builds it. `own_variables` are the names of the
    variables that the deployment has set in each container.
    """

    project: str
    location: str
    constructor: Mapping[str, Any] = field(repr=False)
    submit: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()
    recipe: Recipe | None = None
    own_variables: frozenset[str] = frozenset()

    @property
    def parent(self) -> str:
        """Return the job's project and region as a resource name."""
        return f"projects/{self.project}/locations/{self.location}"

    def running(self, built: Ensured) -> "CustomJobCall":
        """Return the call with its built image by digest, wherever the recipe's name stands."""
        if self.recipe is None:
            return self
        constructor = _replaced(self.constructor, self.recipe.image, built.image)
        for pool in constructor["worker_pool_specs"] if built.context else ():
            container = pool["container_spec"]
            if command := container.get("command"):
                container["command"] = built.command(command)
        return replace(self, constructor=constructor, warnings=(*self.warnings, *built.warnings))


def _replaced(value: Any, old: str, new: str) -> Any:
    """Return a value in which each text that is `old` is `new`."""
    if isinstance(value, Mapping):
        return {key: _replaced(each, old, new) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_replaced(each, old, new) for each in value)
    return new if value == old else value


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A CustomJob that was found by its labels; `attempt` is one of them."""

    name: str
    attempt: int


class Compute(Protocol):
    """Vertex AI, as submit uses it."""

    def create(self, call: CustomJobCall, budget: Budget) -> str:
        """Create the CustomJob and return its resource name.

        Checks the budget immediately before it sends the create.

        Raises:
            OutOfTime: nothing was sent.
            Reject, Capacity, Denied, Retry: no job was created.
            OutcomeUnknown: there may be a job.
        """

    def find(self, parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        """Return the newest job with all these labels, or None.

        Raises:
            Retry, Denied: Vertex AI gives no answer.
            Reject: the parent is malformed.
        """


@dataclass(frozen=True, slots=True)
class Job:
    """A CustomJob; `key` and `attempt` are its labels, `max_wait` its max_wait_duration.

    `started_at` is when it first ran: a preempted job may be pending again. `secrets` are the
    values of its variables that no text may show.
    """

    name: str
    key: str
    attempt: int
    state: str
    created_at: datetime
    ended_at: datetime | None = None
    error: str = ""
    max_wait: timedelta = timedelta(0)
    started_at: datetime | None = None
    updated_at: datetime | None = None
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class Span:
    """The jobs created since a time and before another; None: any time. `ended`: ended ones too."""

    since: datetime | None = None
    before: datetime | None = None
    ended: bool = False


class CustomJobs(Protocol):
    """Vertex AI, as status uses it. Raises Retry, Denied."""

    def list_jobs(self, parent: str, span: Span | None = None) -> Iterator[Job]:
        """Yield our jobs of a region, 100 a call; without a span, all that have not ended."""

    def get_job(self, name: str) -> Job | None:
        """Return one job, or None if it was deleted."""

    def cancel_job(self, name: str) -> None:
        """Request a job's cancellation. Safe to repeat; does nothing if the job has ended."""
