"""Report jobs that should not exist: jobs without a launch, and second jobs of one launch."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from functions.status.report import Report
from shared.core.launch import Entry, State
from shared.core.ports import Job

log = logging.getLogger(__name__)

# a younger job may belong to a launch that was opened after the ledger was listed
ORPHAN_AGE = timedelta(minutes=5)


def report_orphans(
    living: Mapping[str, Sequence[Job]],
    entries: Sequence[Entry],
    unreadable: Mapping[str, str],
    now: datetime,
    report: Report,
) -> None:
    """Report running jobs that carry our label and have no open launch.

    An unreadable record counts as an open launch.
    """
    attempts = {entry.key: entry.attempt for entry in entries if entry.state is not State.ENDED}
    for key, jobs in living.items():
        if key in unreadable:
            continue
        for job in jobs:
            young = job.created_at > now - ORPHAN_AGE
            if young or attempts.get(key, 0) >= job.attempt:
                continue
            report.orphans.append(job.name)
            fields = {"launch_key": key, "job": job.name, "state": job.state}
            log.error("status.orphan", extra={"fields": fields})


def report_doubled(
    living: Mapping[str, Sequence[Job]],
    entries: Sequence[Entry],
    recorded: Callable[[Entry], Job | None],
    report: Report,
) -> Sequence[Job]:
    """Report second jobs of one launch; return those to cancel.

    A job of an older attempt is cancelled if a newer one runs. A second job of the same attempt is
    only reported: it may be a copy that somebody made in Google's console, with its labels.
    """
    superfluous = []
    for entry in entries:
        jobs = living.get(entry.key, ())
        recorded_job = recorded(entry) if entry.state is State.SUBMITTED else None
        current = recorded_job if recorded_job in jobs else None
        for job in jobs:
            released = job.attempt == entry.attempt and entry.state is State.QUEUED
            if job.attempt < entry.attempt or released:
                problem = f"a job of attempt {job.attempt} runs beside attempt {entry.attempt}"
                _report(job, problem, report)
                if current and job.state != "JOB_STATE_CANCELLING":
                    superfluous.append(job)
            elif current and job != current and job.attempt == entry.attempt:
                problem = f"two CustomJobs of one attempt: {current.name} and this one"
                _report(job, problem, report)
    return superfluous


def _report(job: Job, problem: str, report: Report) -> None:
    report.doubled.append(job.name)
    report.errors.append(f"doubled: {job.key}: {job.name}: {problem}")
    fields = {"launch_key": job.key, "attempt": job.attempt, "job": job.name, "problem": problem}
    log.critical("status.doubled", extra={"fields": fields})
