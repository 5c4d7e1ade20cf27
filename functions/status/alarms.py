"""Name the jobs that should not be there: without a launch, or the second of one."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from functions.status.report import Report
from shared.core.launch import Entry, State
from shared.core.ports import Job

log = logging.getLogger(__name__)

ORPHAN_AGE = timedelta(
    minutes=5
)  # a job younger than that may belong to a launch opened after the ledger was listed


def report_orphans(
    living: Mapping[str, Sequence[Job]],
    entries: Sequence[Entry],
    unreadable: Mapping[str, str],
    now: datetime,
    report: Report,
) -> None:
    """Name the jobs that run under our label with no open launch: something else made or closed them.

    A record that cannot be read counts as an open launch.
    """
    attempts = {entry.key: entry.attempt for entry in entries if entry.state is not State.ENDED}
    for key, jobs in living.items():
        for job in jobs:
            if (
                key in unreadable
                or job.created_at > now - ORPHAN_AGE
                or attempts.get(key, 0) >= job.attempt
            ):
                continue
            report.orphans.append(job.name)
            log.error(
                "status.orphan",
                extra={"fields": {"launch_key": key, "job": job.name, "state": job.state}},
            )


def report_doubled(
    living: Mapping[str, Sequence[Job]],
    entries: Sequence[Entry],
    recorded: Callable[[Entry], Job | None],
    report: Report,
) -> Sequence[Job]:
    """Name the living jobs of one launch that are too many, and return those to cancel.

    A living job of an older attempt is cancelled where the launch has a newer living one. A second job of one attempt
    is reported only: it may be a copy that somebody made in the console, labels and all.
    """
    superfluous = []
    for entry in entries:
        jobs = living.get(entry.key, ())
        current = recorded(entry) if entry.state is State.SUBMITTED else None
        alive = current in jobs
        for job in jobs:
            given_up = job.attempt == entry.attempt and entry.state is State.QUEUED
            if job.attempt < entry.attempt or given_up:
                newer = current if alive and current else None
                _sound(
                    job,
                    f"a job of attempt {job.attempt} lives beside attempt {entry.attempt}",
                    report,
                )
                if newer and job.state != "JOB_STATE_CANCELLING":
                    superfluous.append(job)
            elif alive and current and job != current and job.attempt == entry.attempt:
                _sound(job, f"two CustomJobs of one attempt: {current.name} and this one", report)
    return superfluous


def _sound(job: Job, problem: str, report: Report) -> None:
    report.errors.append(f"doubled: {job.key}: {job.name}: {problem}")
    fields = {"launch_key": job.key, "attempt": job.attempt, "job": job.name, "problem": problem}
    log.critical("status.doubled", extra={"fields": fields})
