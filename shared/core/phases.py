"""Where a launch's time went: seconds by phase, read from its events."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from shared.core.event import Event, EventType
from shared.core.launch import Launch
from shared.core.shortage import Shortage

_PHASES: Mapping[EventType, str] = MappingProxyType(
    {
        EventType.QUEUED: "queued",
        EventType.BUILDING: "build",
        EventType.SUBMITTED: "pending",
        EventType.RUNNING: "running",
        EventType.PREEMPTED: "queued",
        EventType.ENDED: "",
    }
)
_SHORT_OF: Mapping[str, str] = MappingProxyType(
    {
        Shortage.STOCKOUT: "capacity",
        Shortage.AMOUNT: "quota",
        Shortage.RATE: "quota",
        Shortage.ZERO: "quota",
    }
)


@dataclass(frozen=True, slots=True)
class Phases:
    """Seconds by phase; `queued` is any other wait before a job. Together they are the total."""

    capacity: float = 0.0
    quota: float = 0.0
    build: float = 0.0
    queued: float = 0.0
    pending: float = 0.0
    running: float = 0.0

    @property
    def total(self) -> float:
        """Return all seconds."""
        waited = self.capacity + self.quota + self.build + self.queued
        return waited + self.pending + self.running


def phases_of(launch: Launch, until: datetime) -> Phases | None:
    """Return the phases of a launch until its end, or until this time if it has not ended.

    None if its events are incomplete: an earlier version wrote a part of the record, or more events
    happened than a record keeps. Vertex AI's clock dates some events and the ledger's the others,
    so no event counts as earlier than the one before it.
    """
    events = launch.events
    if not _complete(launch):
        return None
    seconds = dict.fromkeys(Phases.__slots__, 0.0)
    since, phase = launch.entry.opened_at, _PHASES[EventType.QUEUED]
    for event in events:
        at = max(event.at, since)
        if phase:
            seconds[phase] += (at - since).total_seconds()
        since, phase = at, _phase_after(event)
    if phase and until > since:
        seconds[phase] += (until - since).total_seconds()
    return Phases(**seconds)


def total_seconds(launch: Launch, until: datetime) -> float:
    """Return the seconds from the beginning of a launch to its end, or until this time."""
    ended_at = launch.entry.ended_at or until
    return max((ended_at - launch.entry.opened_at).total_seconds(), 0.0)


def _complete(launch: Launch) -> bool:
    events, entry = launch.events, launch.entry
    whole = len(events) == entry.events and [each.number for each in events] == list(
        range(1, len(events) + 1)
    )
    if not events or not whole or events[0].type is not EventType.QUEUED:
        return False
    return not entry.job_name or any(each.job == entry.job_name for each in events)


def _phase_after(event: Event) -> str:
    """Return the phase that an event begins; empty after the end."""
    if event.type is EventType.WAITING:
        return _SHORT_OF.get(event.why, "queued")
    return _PHASES[event.type]
