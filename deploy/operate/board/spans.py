"""The phases of a launch as spans of time, and as the parts of a bar."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from shared.core.duration import span as written
from shared.core.entry import Entry
from shared.core.phases import Phases
from shared.core.states import State

FULL = 100.0  # percent, the width of a bar
LEAST = 1.0  # of a phase that is too short to see
RUNNING = "running"  # the phase that belongs to no bar: it ends the wait
ORDER = ("queued", "build", "quota", "capacity", "pending", RUNNING)

Lengths = Sequence[tuple[str, timedelta]]  # by phase, in the order of the bar


@dataclass(frozen=True, slots=True)
class Span:
    """One phase; its `end` is now if it goes on."""

    phase: str  # one of ORDER
    start: datetime
    end: datetime

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
    points = [("queued", entry.opened_at), ("pending", submitted), (RUNNING, started)]
    return list(_between([(phase, at) for phase, at in points if at], end))


def _between(points: Sequence[tuple[str, datetime]], end: datetime) -> Iterator[Span]:
    """Yield a span from each point to the next; clocks that differ never make one negative."""
    starts: list[datetime] = []
    for _, at in points:
        starts.append(min(max(at, starts[-1]) if starts else at, end))
    for (phase, _), start, until in zip(points, starts, [*starts[1:], end], strict=True):
        yield Span(phase, start, until)


def lengths_of(phases: Phases) -> Lengths:
    """Return the phases of a record that took any time."""
    seconds = {each.name: getattr(phases, each.name) for each in fields(phases)}
    return [(name, timedelta(seconds=seconds[name])) for name in ORDER if seconds[name]]


def before_start(lengths: Iterable[tuple[str, timedelta]]) -> timedelta:
    """Return how long a launch took until its job ran."""
    return sum((length for phase, length in lengths if phase != RUNNING), timedelta())


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a bar; `x` and `width` are percentages."""

    phase: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """The phases before a job ran, side by side. `cut`: the bar is longer than its scale."""

    parts: Sequence[Part]
    words: str  # the same, for people who do not see it
    cut: bool = False


def bar_of(lengths: Lengths, scale: timedelta) -> Bar:
    """Return the bar of some phases; `scale` is the length of a full bar."""
    full = max(scale.total_seconds(), 1e-9)
    parts, x, cut, words = [], 0.0, False, []
    for phase, length in lengths:
        width = length.total_seconds() / full * FULL
        if phase == RUNNING:
            continue
        words.append(f"{phase} {written(length)}")
        room = FULL - x
        cut = cut or width > room + 0.01
        if width > 0 and room > 0:
            width = min(max(width, LEAST), room)
            parts.append(Part(phase, round(x, 2), round(width, 2)))
            x += width
    return Bar(parts, ", ".join(words), cut)
