"""Count what keeps a deployment warm, and what status watches more closely."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from functions.status.decisions import Observed
from functions.status.report import Report
from shared.core.launch import Entry, State

_STOPPING = "JOB_STATE_CANCELLING"
# a job in JOB_STATE_QUEUED waits for quota, perhaps for days: like a held queue, it is not warm
_PENDING = "JOB_STATE_PENDING"


def count(
    entries: Sequence[Entry],
    seen: Mapping[str, Observed],
    now: datetime,
    young: timedelta,
    report: Report,
) -> None:
    """Count into the report the jobs that are pending, stopping or young, and the freed slots."""
    for entry in entries:
        if entry.state is not State.SUBMITTED:
            continue
        job = seen[entry.key].job if entry.key in seen else None
        state = job.state if job else ""
        report.pending += state == _PENDING
        report.stopping += bool(entry.cancel_reason or entry.stop_seen_at or state == _STOPPING)
        since = entry.submitted_at or entry.opened_at
        report.young += now - since < young
    report.freed = len(report.closed) + report.done["Withdraw"]
