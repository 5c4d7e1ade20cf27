"""List our jobs in Vertex AI: all regions side by side, and a region of many jobs in parts."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from itertools import pairwise

from functions.status.report import Report
from shared.core.budget import Budget
from shared.core.jobstate import PHASES, phase_of
from shared.core.launch import Entry, State
from shared.core.ports import CustomJobs, Job, Span
from shared.core.threads import threads

log = logging.getLogger(__name__)

SKEW = timedelta(minutes=5)  # the largest difference between our clock and Vertex AI's
PART = 1000  # launches of one part: ten calls, one after the other
ALONE = 100  # launches whose missing jobs are got one by one; more are found by another listing


@dataclass(slots=True)
class Listing:
    """The jobs that Vertex AI shows, and the regions whose listing is incomplete."""

    jobs: dict[str, Job] = field(default_factory=dict)
    unlisted: dict[str, Exception] = field(default_factory=dict)

    def job_of(self, entry: Entry) -> Job | None:
        """Return the job that a launch has recorded."""
        return self.jobs.get(_place(entry.job_name)) if entry.job_name else None

    def living(self) -> Mapping[str, Sequence[Job]]:
        """Return the jobs that have not ended, by launch key."""
        found: dict[str, list[Job]] = defaultdict(list)
        for job in self.jobs.values():
            if not phase_of(job.state).ended:
                found[job.key].append(job)
        return found

    def add(self, job: Job) -> None:
        """Keep a job."""
        if PHASES.get(job.state) is None or job.state == "JOB_STATE_UNSPECIFIED":
            _warn_of_unknown_state(job.state)
        self.jobs[_place(job.name)] = job


def list_jobs(
    custom_jobs: CustomJobs,
    parents: Sequence[str],
    entries: Sequence[Entry],
    report: Report,
    budget: Budget,
    connections: int,
) -> Listing:
    """List the jobs that have not ended, of these regions and of the launches' regions.

    It takes at most half of the time: the other half is for acting. A failed page affects only its
    region; the jobs of its other pages are facts.
    """
    listing, reserve = Listing(), budget.left / 2
    submitted: dict[str, list[Entry]] = {parent: [] for parent in parents}
    for entry in entries:
        if entry.state is State.SUBMITTED:
            submitted.setdefault(entry.parent, []).append(entry)

    def list_(parent: str, span: Span | None) -> None:
        budget.require(f"listing {parent}", reserve)
        for job in custom_jobs.list_jobs(parent, span):
            listing.add(job)
            budget.require(f"listing {parent}", reserve)

    def list_part(part: tuple[str, Span | None]) -> None:
        parent, span = part
        try:
            list_(parent, span)
        except Exception as exc:  # noqa: BLE001 - a region's failure affects that region only
            listing.unlisted.setdefault(parent, exc)

    def list_ended(parent: str) -> None:
        missing = [entry for entry in submitted[parent] if listing.job_of(entry) is None]
        if len(missing) <= ALONE or parent in listing.unlisted:
            return
        oldest = min(entry.opened_at for entry in missing) - SKEW
        try:
            list_(parent, Span(oldest, ended=True))
        except Exception as exc:  # noqa: BLE001 - the jobs that it has not shown are got by name
            report.failed(f"{parent}: jobs that have ended", exc)

    parts = [(parent, span) for parent in submitted for span in _spans(submitted[parent])]
    with threads(connections) as pool:
        list(pool.map(list_part, parts))
        list(pool.map(list_ended, submitted))
    for parent, exc in sorted(listing.unlisted.items()):
        report.failed(parent, exc)
    report.jobs_listed = len(listing.jobs)
    return listing


def _spans(entries: Sequence[Entry]) -> Iterator[Span | None]:
    """Yield the spans of time in which these launches' jobs were created; None for all times."""
    times = sorted(entry.submitted_at or entry.opened_at for entry in entries)
    cuts = [None, *(moment.replace(microsecond=0) for moment in times[PART::PART]), None]
    for since, before in pairwise(cuts):
        yield Span(since, before) if since or before else None


def _place(job_name: str) -> str:
    """Return a job's name without its project, which may be an id or a number."""
    return job_name.partition("/locations/")[2] or job_name


@cache
def _warn_of_unknown_state(state: str) -> None:
    """Log once that this version does not know a JobState."""
    log.warning("status.unknown_job_state", extra={"fields": {"state": state}})
