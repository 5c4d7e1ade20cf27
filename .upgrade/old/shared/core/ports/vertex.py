"""Vertex AI's CustomJobs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.core.budget import Budget
from shared.core.building import Recipe


@dataclass(frozen=True, slots=True)
class CustomJobCall:
    """The arguments of one CustomJob: `CustomJob(**constructor)`, then `.submit(**submit)`.

    `recipe` describes the image, if this deployment builds it.
    """

    project: str
    location: str
    constructor: Mapping[str, Any] = field(repr=False)
    submit: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()
    recipe: Recipe | None = None

    @property
    def parent(self) -> str:
        """Return the job's project and region as a resource name."""
        return f"projects/{self.project}/locations/{self.location}"


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


class CustomJobs(Protocol):
    """Vertex AI, as status uses it. Raises Retry, Denied."""

    def list_jobs(self, parent: str, created_since: datetime | None = None) -> Iterator[Job]:
        """Yield our jobs of a region that have not ended, 100 a call.

        With `created_since`, yield all jobs that were created since then.
        """

    def get_job(self, name: str) -> Job | None:
        """Return one job, or None if it was deleted."""

    def cancel_job(self, name: str) -> None:
        """Request a job's cancellation. Safe to repeat; does nothing if the job has ended."""
