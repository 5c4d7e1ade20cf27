"""Close a launch, and log where its time went: metrics are made of this event."""

import logging
from datetime import datetime

from functions.status.report import Report
from shared.core.launch import Launch
from shared.core.phases import phases_of, total_seconds
from shared.core.ports import Ledger

log = logging.getLogger(__name__)


def close(ledger: Ledger, launch: Launch, report: Report) -> None:
    """Close a launch, without a budget check: a slow W&B could keep it open for ever."""
    ledger.close(launch)
    report.closed.append(launch.key)
    _log_closed(launch, ledger.now())


def _log_closed(launch: Launch, now: datetime) -> None:
    """Log a closed launch with its seconds by phase.

    A launch of an earlier version, without all events, has only the total.
    """
    entry, phases = launch.entry, phases_of(launch, now)
    seconds = {"total_seconds": phases.total if phases else total_seconds(launch, now)}
    if phases:
        seconds |= {f"{name}_seconds": getattr(phases, name) for name in phases.__slots__}
    fields = {
        "launch_key": launch.key,
        "outcome": str(entry.outcome or ""),
        "queue": entry.queue_name,
        "source": launch.source,
        "attempts": entry.attempt,
    }
    rounded = {name: round(value, 3) for name, value in seconds.items()}
    log.info("launch.closed", extra={"fields": {**fields, **rounded}})
