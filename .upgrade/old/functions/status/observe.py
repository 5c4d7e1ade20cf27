"""Observe launches outside the ledger: pages of jobs, builds, and hundreds of runs a query.

Nothing here raises. A failed look-up goes into the report and leaves only its own launches
undecided.
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
from shared.core.building import Build
from shared.core.errors import LaunchError, Retry
from shared.core.jobstate import PHASES, phase_of
from shared.core.launch import Entry, RunPath, State
from shared.core.message import Queue
from shared.core.ports import Answers, Builds, CustomJobs, Job, RunTracker

log = logging.getLogger(__name__)
K = TypeVar("K")
T = TypeVar("T")
V = TypeVar("V")
_NAMED = 20  # launches that one error names

SKEW = timedelta(minutes=5)  # the largest difference between our clock and Vertex AI's


@dataclass(slots=True)
class Listing:
    """The jobs that Vertex AI shows, and the regions whose listing is incomplete."""

    jobs: dict[str, Job] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)

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


def list_jobs(
    custom_jobs: CustomJobs,
    parents: Sequence[str],
    entries: Sequence[Entry],
    report: Report,
    budget: Budget,
) -> Listing:
    """List the jobs of these regions and of the launches' regions.

    It takes at most half of the time: the other half is for acting.
    """
    listing, reserve = Listing(), budget.left / 2
    submitted = [entry for entry in entries if entry.state is State.SUBMITTED]
    for parent in sorted({*parents, *(entry.parent for entry in submitted)}):
        ours = {_place(entry.job_name): entry for entry in submitted if entry.parent == parent}
        try:
            for job in custom_jobs.list_jobs(parent):
                _see(job, listing)
                budget.require(f"listing {parent}", reserve)
            missing = {place: entry for place, entry in ours.items() if place not in listing.jobs}
            _find_ended(custom_jobs, parent, missing, listing, budget, reserve)
        except Exception as exc:  # noqa: BLE001 - a region's failure affects that region only
            listing.unlisted.add(parent)
            report.failed(parent, exc)
    report.jobs_listed = len(listing.jobs)
    return listing


def _find_ended(
    custom_jobs: CustomJobs,
    parent: str,
    missing: dict[str, Entry],
    listing: Listing,
    budget: Budget,
    reserve: float,
) -> None:
    """Find jobs that have ended: list back to the oldest of these launches until each is found."""
    if not missing:
        return
    budget.require("listing ended jobs", reserve)
    for job in custom_jobs.list_jobs(
        parent, min(entry.opened_at for entry in missing.values()) - SKEW
    ):
        if missing.pop(_place(job.name), None):
            _see(job, listing)
            if not missing:
                return
        budget.require("listing ended jobs", reserve)


def get_builds(
    builds: Builds, entries: Sequence[Entry], report: Report, budget: Budget
) -> Mapping[str, Build]:
    """Return the builds that launches wait for, by name; one call for each build."""
    found, reserve = {}, budget.left / 2
    waiting = [entry for entry in entries if entry.state is State.QUEUED and entry.build]
    for name in sorted({entry.build for entry in waiting}):
        try:
            budget.require("getting a build", reserve)
            found[name] = builds.get_build(name)
        except Exception as exc:  # noqa: BLE001 - a build's failure affects that build only
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
    """Return the observations of each launch, by key."""
    living = [entry for entry in entries if entry.state in (State.QUEUED, State.SUBMITTED)]
    overdue = [entry for entry in entries if entry.from_queue and entry.overdue(now, overdue_after)]
    doubtful = [entry for entry in entries if entry.waits_for_room or entry.refused_at_intake]
    asked = [*overdue, *doubtful]
    runs = _answers(tracker.run_statuses, [entry.run for entry in living], key=_itself)
    items = _answers(
        tracker.item_statuses, [(entry.queue, entry.item_id) for entry in asked], key=_item_id
    )
    _report_failures([(entry, runs.failed.get(entry.run)) for entry in living], report)
    _report_failures([(entry, items.failed.get(entry.item_id)) for entry in asked], report)
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


def _itself(run: RunPath) -> RunPath:
    return run


def _item_id(item: tuple[Queue, str]) -> str:
    return item[1]


def _answers(
    ask: Callable[[Sequence[T]], Answers[K, V]], things: Sequence[T], key: Callable[[T], K]
) -> Answers[K, V]:
    """Ask W&B about things; after an unforeseen error, the look-up of each has failed."""
    try:
        return ask(things)
    except Exception as exc:  # noqa: BLE001 - decisions that do not need W&B go on
        failure = exc if isinstance(exc, LaunchError) else Retry(f"{type(exc).__name__}: {exc}")
        return Answers(failed={key(thing): failure for thing in things})


def _report_failures(looked_up: Sequence[tuple[Entry, LaunchError | None]], report: Report) -> None:
    """Report the launches whose look-up failed: one error for all with the same reason."""
    reasons: dict[tuple[type, str], dict[str, LaunchError]] = defaultdict(dict)
    for entry, failure in looked_up:
        if failure:
            reasons[type(failure), str(failure)][entry.key] = failure
    for failures in reasons.values():
        keys = list(failures)
        more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
        report.failed(f"W&B: {', '.join(keys[:_NAMED])}{more}", failures[keys[0]])


def _see(job: Job, listing: Listing) -> None:
    if PHASES.get(job.state) is None or job.state == "JOB_STATE_UNSPECIFIED":
        _warn_of_unknown_state(job.state)
    listing.jobs[_place(job.name)] = job


def _place(job_name: str) -> str:
    """Return a job's name without its project, which may be an id or a number."""
    return job_name.partition("/locations/")[2] or job_name


@cache
def _warn_of_unknown_state(state: str) -> None:
    """Log once that this version does not know a JobState."""
    log.warning("status.unknown_job_state", extra={"fields": {"state": state}})
