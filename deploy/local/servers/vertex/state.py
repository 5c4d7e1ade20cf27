"""All custom jobs, and their states: QUEUED → PENDING → RUNNING → SUCCEEDED, FAILED, CANCELLED."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.local.servers.vertex.behaviour import Behaviour
from deploy.local.servers.vertex.errors import ApiError, invalid_argument, not_found
from deploy.local.servers.vertex.faults import Faults
from deploy.local.servers.vertex.filters import compile_filter
from deploy.local.servers.vertex.jobs import ENDED as ENDED
from deploy.local.servers.vertex.jobs import Job as Job
from deploy.local.servers.vertex.jobs import location
from deploy.local.servers.vertex.machines import Machines
from deploy.local.servers.vertex.quota import CreateQuota
from deploy.local.servers.vertex.rules import check
from deploy.local.servers.vertex.shortages import Shortages, stockout

MAX_PAGE = 100
_HAVE_AN_ERROR = ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
_HAVE_AN_END_TIME = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


class VertexState:
    """All jobs of all projects and regions; `start` runs each created job."""

    def __init__(self, start: Callable[["VertexState", Job], None] | None = None) -> None:
        self.behaviour = Behaviour()
        self.machines = Machines(self.behaviour)
        self.quota = CreateQuota(self.behaviour)
        self.build_logs: Path | None = None  # the folder of Cloud Build's build logs
        self.faults = Faults()
        self.shortages = Shortages()
        self.requests = dict.fromkeys(("create", "get", "list", "cancel", "delete"), 0)
        # of the metadata store: the schemas of experiments and their runs, by name
        self.contexts: dict[str, str] = {}
        self._start = start
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(time.time_ns())  # 19 digits; a restart repeats none
        self._lock = threading.RLock()

    def create(self, parent: str, message: Any) -> Job:
        """Accept a job and start it, or raise ApiError."""
        check(parent, message, self.behaviour)
        self.shortages.check(parent, message)
        self.quota.take(parent)
        job = self.add(parent, message)
        if self._start:
            job.runs = True
            self._start(self, job)
        return job

    def add(self, parent: str, message: Any, state: str = "JOB_STATE_QUEUED") -> Job:
        """Add a job without running it, for tests and benchmarks."""
        with self._lock:
            now = datetime.now(UTC)
            job = Job(
                f"{parent}/customJobs/{next(self._numbers)}",
                message,
                now,
                self.behaviour,
                state,
                update_time=now,
            )
            self._jobs[job.name] = job
            return job

    def get(self, name: str) -> Job:
        """Return a job or raise ApiError (404)."""
        with self._lock:
            if name not in self._jobs:
                raise not_found(name)
            return self._jobs[name]

    def jobs(self) -> list[Job]:
        """Return all jobs, newest first."""
        with self._lock:
            return list(self._jobs.values())[::-1]

    def page(self, parent: str, wanted: str, size: int, token: str) -> tuple[list[Job], str]:
        """Return one page of a listing, newest first, and the token of the next page."""
        matches = compile_filter(wanted)
        if size < 0:
            raise invalid_argument("page_size must not be negative.")
        size = min(size or MAX_PAGE, MAX_PAGE)
        found = list(itertools.islice(self._older(parent, matches, token), size + 1))
        page = found[:size]
        return page, page[-1].name.rpartition("/")[2] if len(found) > size else ""

    def _older(self, parent: str, matches: Callable[[Job], bool], token: str) -> Iterator[Job]:
        if token and not token.isdecimal():
            raise invalid_argument("page_token does not come from an earlier answer.")
        for job in self.jobs():
            number = job.name.rpartition("/")[2]
            if (
                job.parent == parent
                and job.listed
                and (not token or int(number) < int(token))
                and matches(job)
            ):
                yield job

    def cancel(self, name: str) -> None:
        """Cancel a job; raise ApiError if it has ended."""
        job = self.get(name)
        with self._lock:
            if job.state in ENDED:
                message = f"The CustomJob is in state {job.state} and cannot be cancelled: {name}."
                raise ApiError(400, "FAILED_PRECONDITION", message)
            self.move(job, "JOB_STATE_CANCELLING")
            job.stop.set()
            if not job.runs and not self.behaviour.cancelling_seconds:  # no runner ends it
                self.move(job, "JOB_STATE_CANCELLED", "The job was cancelled.")

    def delete(self, name: str) -> None:
        """Delete a job that has ended."""
        job = self.get(name)
        if job.state not in ENDED:
            raise ApiError(400, "FAILED_PRECONDITION", f"The CustomJob has not ended: {name}.")
        self.forget(name)

    def forget(self, name: str) -> None:
        """Remove a job in any state, as a deletion in the console does."""
        with self._lock:
            job = self._jobs.pop(name)
            job.stop.set()

    def force(self, name: str, state: str, error: str = "") -> None:
        """Set any state, also an unknown one."""
        job = self.get(name)
        with self._lock:
            self._enter(job, state, error)

    def preempt(self, name: str) -> None:
        """Take a running job's machines away, as Google does with Spot VMs."""
        job = self.get(name)
        self.force(name, "JOB_STATE_FAILED", stockout(location(job)))
        job.stop.set()

    def take_internal_error(self) -> bool:
        """Return whether the next job fails before its container runs, and count it."""
        with self._lock:
            if self.behaviour.internal_errors < 1:
                return False
            self.behaviour.internal_errors -= 1
            return True

    def move(self, job: Job, state: str, error: str = "") -> None:
        """Change a job's state; an ended job never changes, and a CANCELLING job can only end."""
        with self._lock:
            if job.state not in ENDED and (job.state != "JOB_STATE_CANCELLING" or state in ENDED):
                self._enter(job, state, error)

    def _enter(self, job: Job, state: str, error: str) -> None:
        """Set a state with its times and its error."""
        now = datetime.now(UTC)
        job.state, job.update_time, job.moved = state, now, time.monotonic()
        job.error = error if state in _HAVE_AN_ERROR else ""
        has_end_time = state in (ENDED if self.behaviour.end_time_always else _HAVE_AN_END_TIME)
        job.end_time = now if has_end_time else None
        if state == "JOB_STATE_RUNNING" and job.start_time is None:
            job.start_time = now
