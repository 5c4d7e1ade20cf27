"""Count the launches of a tick for metrics."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

from functions.status.report import Report
from shared.core.launch import Entry, State


def count(entries: Sequence[Entry], paused: Collection[str], now: datetime, report: Report) -> None:
    """Count the launches by state, and note the age of the oldest one that should have a job."""
    states = Counter(entry.state for entry in entries)
    report.queued = states[State.QUEUED]
    report.submitting = states[State.SUBMITTING]
    report.submitted = states[State.SUBMITTED]
    report.ended = states[State.ENDED]
    waiting = [entry for entry in entries if _should_have_job(entry) and entry.key not in paused]
    ages = [(now - entry.opened_at).total_seconds() for entry in waiting]
    report.oldest_seconds = max(int(max(ages, default=0)), 0)


def _should_have_job(entry: Entry) -> bool:
    """Tell whether a launch waits for its first job, and not for capacity."""
    waits = entry.state in (State.QUEUED, State.SUBMITTING)
    held = entry.short_of is not None and entry.short_of.holds
    had_a_job = entry.resumes > 0 or entry.broken > 0  # `opened_at` says nothing about this wait
    return waits and not held and not had_a_job
