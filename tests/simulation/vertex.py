"""Vertex AI as the simulation has it: CustomJobs, and a listing that may lag."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.core.jobstate import phase_of
from shared.core.ports import CustomJobCall, FoundJob, Job

LAG = timedelta(minutes=3)  # how old a job can be and still be missing from a listing
NO_END_TIME = ("JOB_STATE_EXPIRED", "JOB_STATE_PARTIALLY_SUCCEEDED")  # it is documented for the others only
PAGE = 2  # jobs a page, so that a page is not all


@dataclass
class Vertex:
    """All jobs by name; `deleted` ones are out of everybody's sight."""

    jobs: dict[str, Job] = field(default_factory=dict)
    run_ids: dict[str, str] = field(default_factory=dict)  # per job, from its container's environment
    images: dict[str, str] = field(default_factory=dict)  # per job, what it runs
    deleted: frozenset[str] = frozenset()
    unasked: frozenset[str] = frozenset()  # jobs that no attempt of ours created
    lags: bool = False  # for the call under way

    def fork(self) -> "Vertex":
        """Return a Vertex AI of its own that is in the same state."""
        return Vertex(dict(self.jobs), dict(self.run_ids), dict(self.images), self.deleted, self.unasked, self.lags)

    def create(self, call: CustomJobCall, now: datetime) -> Job:
        """Create a job."""
        labels: Mapping[str, str] = call.constructor["labels"]
        container = call.constructor["worker_pool_specs"][0]["container_spec"]
        env = container["env"]
        name = f"{call.parent}/customJobs/{len(self.jobs) + 1}"
        secrets = frozenset(one["value"] for one in env if one["name"] == "WANDB_API_KEY")
        identity = (labels["launch_key"], int(labels["launch_attempt"]))
        job = Job(name, *identity, "JOB_STATE_PENDING", now, secrets=secrets)
        self.jobs[name] = job
        self.images[name] = container["image_uri"]
        self.run_ids[name] = next(one["value"] for one in env if one["name"] == "WANDB_RUN_ID")
        return job

    def reveal(self, key: str, now: datetime) -> None:
        """Show a running job of a launch's first attempt, long after two look-ups have found none."""
        newest = max((job for job in self.jobs.values() if job.key == key), key=lambda job: job.attempt)
        name = f"{newest.name.rpartition('/')[0]}/{len(self.jobs) + 1}"
        self.jobs[name] = Job(name, key, 1, "JOB_STATE_RUNNING", now, started_at=now)
        self.run_ids[name], self.images[name] = "", self.images[newest.name]
        self.unasked |= {name}

    def find(self, parent: str, labels: Mapping[str, str], now: datetime) -> FoundJob | None:
        """Find the newest job with these labels."""
        attempt = labels.get("launch_attempt")
        for job in reversed(self._seen(parent, now)):
            if job.key == labels["launch_key"] and attempt in (None, str(job.attempt)):
                return FoundJob(job.name, job.attempt)
        return None

    def page(self, parent: str, start: int, now: datetime) -> tuple[list[Job], int]:
        """Return a page of the jobs that have not ended; and where the next one starts."""
        wanted = [job for job in self._seen(parent, now)[::-1] if not phase_of(job.state).ended]
        more = start + PAGE if start + PAGE < len(wanted) else 0
        return wanted[start : start + PAGE], more

    def get(self, name: str) -> Job | None:
        """Return one job."""
        return None if name in self.deleted else self.jobs.get(name)

    def put(self, name: str, state: str, now: datetime, error: str = "") -> None:
        """Put a job into a state; one that has ended stays as it is."""
        job = self.jobs[name]
        if not phase_of(job.state).ended:
            ended_at = now if phase_of(state).ended and state not in NO_END_TIME else None
            started_at = now if state == "JOB_STATE_RUNNING" else job.started_at
            self.jobs[name] = replace(
                job, state=state, started_at=started_at, ended_at=ended_at, updated_at=now, error=error
            )

    def say(self, name: str, error: str) -> None:
        """Write why a job failed, as Vertex AI does about a minute later."""
        self.jobs[name] = replace(self.jobs[name], error=error)

    def delete(self, name: str, now: datetime) -> None:
        """Delete a job, as somebody in the console may; it ends."""
        self.put(name, "JOB_STATE_CANCELLED", now)
        self.deleted |= {name}

    def alive(self, key: str = "") -> list[Job]:
        """Return the jobs, of this launch or of all, that have not ended."""
        return [job for job in self.jobs.values() if key in ("", job.key) and not phase_of(job.state).ended]

    def _seen(self, parent: str, now: datetime) -> list[Job]:
        hidden = now - LAG if self.lags else now + LAG
        jobs = self.jobs.values()
        return [
            j for j in jobs if j.name.startswith(parent + "/") and j.name not in self.deleted and j.created_at <= hidden
        ]
