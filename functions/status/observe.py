"""Observe what decides what is owed to a launch, outside the ledger: pages of jobs, hundreds of runs a query.

Nothing here is raised: what could not be asked is named in the report, and leaves only its own launches undecided.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import TypeVar

from functions.status.decisions import Observed
from functions.status.report import Report
from shared.core.budget import Budget
from shared.core.building import Build, Builds
from shared.core.errors import LaunchError, Retry
from shared.core.jobstate import PHASES, phase_of
from shared.core.launch import Entry, State
from shared.core.ports import Answers, Job, Jobs, RunTracker

log = logging.getLogger(__name__)
K = TypeVar("K")
V = TypeVar("V")

SKEW = timedelta(minutes=5)  # between our clock and Vertex AI's, at the most


@dataclass(slots=True)
class Listing:
    """The jobs that Vertex AI shows, by place and number, and the regions that were not listed to their end."""

    jobs: dict[str, Job] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)

    def job_of(self, entry: Entry) -> Job | None:
        """Return the job that a launch has recorded, whatever copies of it there are."""
        return self.jobs.get(_place(entry.job_name)) if entry.job_name else None

    def living(self) -> Mapping[str, Sequence[Job]]:
        """Return the jobs that have not ended, by launch key."""
        found: dict[str, list[Job]] = defaultdict(list)
        for job in self.jobs.values():
            if not phase_of(job.state).ended:
                found[job.key].append(job)
        return found


def list_jobs(
    jobs: Jobs, parents: Sequence[str], entries: Sequence[Entry], report: Report, budget: Budget
) -> Listing:
    """List each of these regions, and each where one of these launches has its job.

    It takes no more than half of the time: the other half is for what is owed.
    """
    listing, reserve = Listing(), budget.left / 2
    submitted = [entry for entry in entries if entry.state is State.SUBMITTED]
    for parent in sorted({*parents, *(entry.parent for entry in submitted)}):
        ours = {_place(entry.job_name): entry for entry in submitted if entry.parent == parent}
        try:
            for job in jobs.list_jobs(parent):
                _see(job, listing)
                budget.require(f"listing {parent}", reserve)
            missing = {place: entry for place, entry in ours.items() if place not in listing.jobs}
            _find_ended(
                jobs,
                parent,
                missing,
                listing,
                lambda: budget.require("listing what has ended", reserve),
            )
        except Exception as exc:  # noqa: BLE001 - a region's odd answer is that region's
            listing.unlisted.add(parent)
            report.failed(parent, exc)
    report.jobs_listed = len(listing.jobs)
    return listing


def _find_ended(
    jobs: Jobs,
    parent: str,
    missing: dict[str, Entry],
    listing: Listing,
    in_time: Callable[[], None],
) -> None:
    """Find the jobs that do not live any more: list back to the oldest of these launches, until each is found."""
    if not missing:
        return
    in_time()
    for job in jobs.list_jobs(parent, min(entry.opened_at for entry in missing.values()) - SKEW):
        if missing.pop(_place(job.name), None):
            _see(job, listing)
            if not missing:
                return
        in_time()


def get_builds(
    builds: Builds, entries: Sequence[Entry], report: Report, budget: Budget
) -> Mapping[str, Build]:
    """Return the builds that launches wait for, by name; one call for each, however many wait for it."""
    found, reserve = {}, budget.left / 2
    for name in sorted(
        {entry.build for entry in entries if entry.state is State.QUEUED and entry.build}
    ):
        try:
            budget.require("asking for a build", reserve)
            found[name] = builds.get_build(name)
        except Exception as exc:  # noqa: BLE001 - one build's odd answer is that build's
            report.failed(name, exc)
    return found


def observe(
    tracker: RunTracker,
    listing: Listing,
    builds: Mapping[str, Build],
    entries: Sequence[Entry],
    now: datetime,
    overdue_after: timedelta,
    report: Report,
) -> Mapping[str, Observed]:
    """Return, by key, what was seen of each launch."""
    living = [entry for entry in entries if entry.state in (State.QUEUED, State.SUBMITTED)]
    overdue = [entry for entry in entries if entry.from_queue and entry.overdue(now, overdue_after)]
    asked = [
        *overdue,
        *(entry for entry in entries if entry.waits_for_room or entry.refused_at_intake),
    ]
    paths = [entry.run for entry in living]
    runs = _asked(lambda: tracker.run_statuses(paths), paths)
    ids = [entry.item_id for entry in asked]
    items = _asked(
        lambda: tracker.item_statuses([(entry.queue, entry.item_id) for entry in asked]), ids
    )
    _name_failures(
        living, {e.key: runs.failed[e.run] for e in living if e.run in runs.failed}, report
    )
    _name_failures(
        asked, {e.key: items.failed[e.item_id] for e in asked if e.item_id in items.failed}, report
    )
    return {
        entry.key: Observed(
            job=listing.job_of(entry),
            listed=entry.parent not in listing.unlisted,
            run=runs.found.get(entry.run),
            run_failure=runs.failed.get(entry.run),
            hidden=entry.run in runs.hidden,
            item=items.found.get(entry.item_id),
            item_failure=items.failed.get(entry.item_id),
            build=builds.get(entry.build),
        )
        for entry in entries
    }


def _asked(ask: Callable[[], Answers[K, V]], things: Sequence[K]) -> Answers[K, V]:
    """Ask W&B; an answer that nobody foresaw is no fact about any of these."""
    try:
        return ask()
    except Exception as exc:  # noqa: BLE001 - what does not need W&B is decided all the same
        failure = exc if isinstance(exc, LaunchError) else Retry(f"{type(exc).__name__}: {exc}")
        return Answers(failed=dict.fromkeys(things, failure))


def _name_failures(
    entries: Sequence[Entry], failed: Mapping[str, LaunchError], report: Report
) -> None:
    """Name the launches that W&B could not be asked about: one error for all that have the same reason."""
    reasons: dict[tuple[type, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.key in failed:
            reasons[type(failed[entry.key]), str(failed[entry.key])].append(entry)
    for culprits in reasons.values():
        keys = [entry.key for entry in culprits]
        more = f" and {len(keys) - 20} more" if len(keys) > 20 else ""
        report.failed(f"W&B: {', '.join(keys[:20])}{more}", failed[keys[0]])


def _see(job: Job, listing: Listing) -> None:
    if PHASES.get(job.state) is None or job.state == "JOB_STATE_UNSPECIFIED":
        _warn_of_unknown_state(job.state)
    listing.jobs[_place(job.name)] = job


def _place(job_name: str) -> str:
    """Return what names a job whether its project is given by id or by number: LOCATION/customJobs/NUMBER."""
    return job_name.partition("/locations/")[2] or job_name


@cache
def _warn_of_unknown_state(state: str) -> None:
    """Log a JobState that this version does not know: once, though it is seen at every tick."""
    log.warning("status.unknown_job_state", extra={"fields": {"state": state}})
