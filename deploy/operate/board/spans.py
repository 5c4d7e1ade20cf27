"""The phases of a launch as spans of time, and as the parts of a bar."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.entry import Entry
from shared.core.event import Event, EventType
from shared.core.states import State

BAR = 100.0  # percent, the width of a bar
LEAST = 1.0  # width of a phase that is too short to see
PHASES = {  # the phase that begins with an event
    EventType.QUEUED: "queued",
    EventType.BUILDING: "building",
    EventType.WAITING: "waiting",
    EventType.SUBMITTED: "pending",
    EventType.RUNNING: "running",
    EventType.PREEMPTED: "queued",
}


@dataclass(frozen=True, slots=True)
class Span:
    """One phase; its `end` is now if it goes on."""

    phase: str  # a value of PHASES
    start: datetime
    end: datetime
    why: str = ""

    @property
    def length(self) -> timedelta:
        """Return how long it took."""
        return self.end - self.start


def spans_of(entry: Entry, now: datetime) -> list[Span]:
    """Return the phases that an index shows: queued, pending, running."""
    end = max(entry.ended_at or now, entry.opened_at)
    submitted, started = entry.submitted_at, entry.started_at
    if entry.state is not State.ENDED and not entry.job_name:
        submitted = started = None
    points = [("queued", entry.opened_at), ("pending", submitted), ("running", started)]
    known = [(phase, at) for phase, at in points if at]
    return list(_between(known, end))


def spans_of_events(events: Sequence[Event], entry: Entry, now: datetime) -> list[Span]:
    """Return the phases that a record shows; those of its index if it has no events."""
    if not events:
        return spans_of(entry, now)
    ended = next((one.at for one in events if one.type is EventType.ENDED), None)
    end = max(ended or entry.ended_at or now, entry.opened_at)
    begun = [(PHASES[one.type], one.at, one.why) for one in events if one.type in PHASES]
    if begun and begun[0][1] > entry.opened_at:
        begun.insert(0, ("queued", entry.opened_at, ""))
    found = list(_between([(phase, at) for phase, at, _ in begun], end))
    return [
        Span(span.phase, span.start, span.end, why)
        for span, (_, _, why) in zip(found, begun, strict=True)
    ]


def _between(points: Sequence[tuple[str, datetime]], end: datetime) -> Iterator[Span]:
    """Yield a span from each point to the next; clocks that differ never make one negative."""
    starts: list[datetime] = []
    for _, at in points:
        starts.append(min(max(at, starts[-1]) if starts else at, end))
    for (phase, _), start, until in zip(points, starts, [*starts[1:], end], strict=True):
        yield Span(phase, start, until)


def start_up_of(spans: Sequence[Span]) -> timedelta:
    """Return how long a launch took until its job ran."""
    return sum((span.length for span in spans if span.phase != "running"), timedelta())


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a bar."""

    phase: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """Phases side by side. `cut`: the bar is longer than its scale."""

    parts: Sequence[Part]
    words: str  # the same, for people who do not see it
    cut: bool = False


def bar_of(spans: Sequence[Span], words: str, scale: timedelta) -> Bar:
    """Return the bar of some spans; `scale` is the length of a full bar."""
    full = max(scale.total_seconds(), 1e-9)
    parts, x, cut = [], 0.0, False
    for span in spans:
        width = span.length.total_seconds() / full * BAR
        if width <= 0:
            continue
        room = BAR - x
        cut = cut or width > room + 0.01
        width = min(max(width, LEAST), room)
        if width <= 0:
            continue
        parts.append(Part(span.phase, round(x, 2), round(width, 2)))
        x += width
    return Bar(parts, words, cut)
