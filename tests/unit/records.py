"""The fields of a launch's record, as a page that a test compares."""

from collections.abc import Mapping
from typing import Any

from shared.core.launch import Launch
from tests.fakes import FakeClock
from tests.fakes.ledger import readable

NOW = FakeClock()()


def shown(launch: Launch, event: str = "") -> dict[str, Any]:
    """Return what a record and its event say; what is empty is left out."""
    readable(launch)
    entry = launch.entry
    values = {
        "event": event,
        "state": str(entry.state),
        "history": [f"{line.number}: {line.result}" for line in launch.history if line.at == NOW],
        "reason": launch.reason,
        "notice": entry.notice,
        "outcome": str(entry.outcome or ""),
        "report owed": entry.report_owed,
        "ended": (entry.ended_at - NOW).total_seconds() if entry.ended_at else None,
        "cancel reason": entry.cancel_reason,
        "stop seen": entry.stop_seen_at == NOW,
        "resumes": entry.resumes,
        "broken": entry.broken,
        "retry": (entry.retry_at - NOW).total_seconds() if entry.retry_at else None,
        "lease": (entry.lease_until - NOW).total_seconds() if entry.lease_until else None,
        "looked": entry.looked_at == NOW,
        "failures": entry.failures,
        "waits": entry.waits,
        "unanswered": entry.unanswered,
        "short of": str(entry.short_of or ""),
        "build": entry.build,
        "job": entry.job_name,
        "submitted": entry.submitted_at == NOW,
        "searched": launch.searched,
        "announced": [f"{one.type} {one.why} {one.reason}".strip() for one in launch.events[1:]],
    }
    return {name: value for name, value in values.items() if value or (isinstance(value, float) and value == 0.0)}


def page(cases: Mapping[str, Mapping[str, Any]]) -> str:
    """Return each case with what its record says."""
    blocks = [[name, *(f"    {key}: {value}" for key, value in fields.items())] for name, fields in cases.items()]
    return "\n".join(line for block in blocks for line in block) + "\n"
