"""Vertex AI in memory: refused or lost creates, and jobs in any state."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.core.budget import Budget
from shared.core.jobstate import phase_of
from shared.core.ports import CustomJobCall, FoundJob, Job, Span
from tests.fakes.clock import FakeClock


@dataclass
class FakeVertex:
    """Implements Compute and Jobs; the next creates raise `next_errors`, before or (`lost`) after their effect."""

    clock: FakeClock
    jobs: dict[str, Job] = field(default_factory=dict)
    calls: list[CustomJobCall] = field(default_factory=list)
    next_errors: list[Exception] = field(default_factory=list)
    lost: bool = False
    unreachable: Exception | None = None
    cancelled: list[str] = field(default_factory=list)
    listings: int = 0
    gets: int = 0

    def create(self, call: CustomJobCall, budget: Budget) -> str:
        """Create a job, or raise the next error."""
        budget.require("the create call")
        error = self.next_errors.pop(0) if self.next_errors else None
        if error and not self.lost:
            raise error
        self.calls.append(call)
        name = f"{call.parent}/customJobs/{len(self.calls)}"
        labels: Mapping[str, Any] = call.constructor["labels"]
        attempt = int(labels["launch_attempt"])
        self.jobs[name] = Job(name, labels["launch_key"], attempt, "JOB_STATE_PENDING", self.clock())
        if error:
            raise error
        return name

    def find(self, parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        """Return the newest job of a key and, if given, of an attempt."""
        self._reach()
        attempt = labels.get("launch_attempt")
        for job in reversed(self.jobs.values()):
            if job.name.startswith(parent) and job.key == labels["launch_key"] and attempt in (None, str(job.attempt)):
                return FoundJob(job.name, job.attempt)
        return None

    def list_jobs(self, parent: str, span: Span | None = None) -> Iterator[Job]:
        """Yield a region's jobs without an end, or those of a span."""
        self._reach()
        self.listings += 1
        span = span or Span()
        for job in list(self.jobs.values())[::-1]:
            after = span.since is None or job.created_at >= span.since
            before = span.before is None or job.created_at < span.before
            if job.name.startswith(parent + "/") and after and before and (span.ended or not job.ended_at):
                yield replace(job, secrets=frozenset())

    def get_job(self, name: str) -> Job | None:
        """Return one job, or None."""
        self._reach()
        self.gets += 1
        return self.jobs.get(name)

    def cancel_job(self, name: str) -> None:
        """Record the cancel; a test ends the job."""
        self._reach()
        self.cancelled.append(name)

    def put(self, name: str, state: str, error: str = "", **changes: Any) -> None:
        """Set a job's state, as Vertex AI does."""
        ended = self.clock() if phase_of(state).ended else None
        self.jobs[name] = replace(self.jobs[name], state=state, error=error, ended_at=ended, **changes)

    def _reach(self) -> None:
        if self.unreachable:
            raise self.unreachable


@dataclass
class FakeJobLogs:
    """Implements JobLogs: the output of each job or build."""

    logs: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, datetime]] = field(default_factory=list)

    def tail(self, job_name: str, since: datetime) -> str:
        """Return the output of a job."""
        self.asked.append((job_name, since))
        return self.logs.get(job_name, "")

    def tail_of_build(self, build_name: str, since: datetime) -> str:
        """Return the output of a build."""
        return self.tail(build_name, since)
