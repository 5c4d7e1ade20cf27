"""Look at what decides what is owed to a launch, outside the ledger: pages of jobs, hundreds of runs a query."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from functions.status.decide import Sighting
from functions.status.report import Report
from shared.core.building import Build, Builds
from shared.core.errors import LaunchError
from shared.core.jobstate import PHASES, phase_of
from shared.core.launch import Entry, State
from shared.core.ports import Job, Jobs, RunTracker

log = logging.getLogger(__name__)

SKEW = timedelta(minutes=5)  # between our clock and Vertex AI's, at the most
ORPHAN_AGE = timedelta(minutes=5)  # a job younger than that may belong to a launch opened after the ledger was listed


@dataclass(slots=True)
class Listing:
    """The jobs that Vertex AI shows, by launch key and attempt, and the regions that did not answer."""

    jobs: dict[tuple[str, int], Job] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)


def list_jobs(jobs: Jobs, parents: Sequence[str], entries: Sequence[Entry], report: Report) -> Listing:
    """List each of these regions, and each where one of these launches has its job."""
    listing = Listing()
    submitted = [entry for entry in entries if entry.state is State.SUBMITTED]
    for parent in sorted({*parents, *(entry.parent for entry in submitted)}):
        try:
            for job in jobs.list_jobs(parent):
                _see(job, listing, report)
            ours = {(entry.key, entry.attempt): entry for entry in submitted if entry.parent == parent}
            _find_ended(jobs, parent, {k: entry for k, entry in ours.items() if k not in listing.jobs}, listing, report)
        except LaunchError as exc:
            listing.unlisted.add(parent)
            report.failed(parent, exc)
    report.jobs_listed = len(listing.jobs)
    return listing


def _find_ended(
    jobs: Jobs, parent: str, missing: dict[tuple[str, int], Entry], listing: Listing, report: Report
) -> None:
    """Find the jobs that do not live any more: list back to the oldest of these launches, until each is found."""
    if not missing:
        return
    for job in jobs.list_jobs(parent, min(entry.opened_at for entry in missing.values()) - SKEW):
        if (job.key, job.attempt) in missing:
            _see(job, listing, report)
            del missing[job.key, job.attempt]
            if not missing:
                return


def get_builds(builds: Builds, entries: Sequence[Entry], report: Report) -> Mapping[str, Build]:
    """Return the builds that launches wait for, by name; one call for each, however many wait for it."""
    found = {}
    for name in sorted({entry.build for entry in entries if entry.state is State.QUEUED and entry.build}):
        try:
            found[name] = builds.get_build(name)
        except LaunchError as exc:
            report.failed(name, exc)
    return found


def sightings(
    tracker: RunTracker,
    listing: Listing,
    builds: Mapping[str, Build],
    entries: Sequence[Entry],
    now: datetime,
    overdue_after: timedelta,
) -> Mapping[str, Sighting]:
    """Return, by key, what was seen of each launch. Raises Retry, Denied where W&B cannot be asked."""
    shown = tracker.run_statuses([entry.run for entry in entries if entry.state in (State.QUEUED, State.SUBMITTED)])
    runs = shown.found
    overdue = [entry for entry in entries if entry.from_queue and entry.overdue(now, overdue_after)]
    waiting = [entry for entry in entries if entry.waits_for_room]
    asked = tracker.item_statuses([(entry.queue, entry.item_id) for entry in (*overdue, *waiting)])
    items = asked.found
    for failure in (*shown.failed.values(), *asked.failed.values()):
        raise failure
    return {
        entry.key: Sighting(
            job=listing.jobs.get((entry.key, entry.attempt)),
            listed=entry.parent not in listing.unlisted,
            run=runs.get(entry.run),
            item=items.get(entry.item_id),
            build=builds.get(entry.build),
        )
        for entry in entries
    }


def report_orphans(listing: Listing, entries: Sequence[Entry], now: datetime, report: Report) -> None:
    """Name the jobs that run under our label with no open launch: something else made or closed them."""
    attempts = {entry.key: entry.attempt for entry in entries}
    for (key, attempt), job in listing.jobs.items():
        if phase_of(job.state).ended or job.created_at > now - ORPHAN_AGE or attempts.get(key, 0) >= attempt:
            continue
        report.orphans.append(job.name)
        log.error("status.orphan", extra={"fields": {"launch_key": key, "job": job.name, "state": job.state}})


def _see(job: Job, listing: Listing, report: Report) -> None:
    """Note a job; sound the alarm where it is the second of its attempt."""
    twin = listing.jobs.get((job.key, job.attempt))
    if twin and twin.name != job.name:
        report.errors.append(f"two CustomJobs of one attempt: {twin.name} and {job.name}")
        log.critical("status.doubled", extra={"fields": {"launch_key": job.key, "job": job.name}})
    if PHASES.get(job.state) is None or job.state == "JOB_STATE_UNSPECIFIED":
        _warn_of_unknown_state(job.state)
    listing.jobs[job.key, job.attempt] = job


@cache
def _warn_of_unknown_state(state: str) -> None:
    """Log a JobState that this version does not know: once, though it is seen at every tick."""
    log.warning("status.unknown_job_state", extra={"fields": {"state": state}})
