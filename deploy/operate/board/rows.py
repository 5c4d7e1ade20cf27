"""One launch as a row of the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from statistics import median

from deploy.operate.board.spans import Bar, Span, bar_of, spans_of, start_up_of
from deploy.operate.board.text import duration, ordinal
from deploy.operate.fleet.fleet import state_of
from shared.core.entry import Entry
from shared.core.redaction import redacted
from shared.core.states import State

MARKS = {  # before the word of a state: shapes differ, so colour says nothing alone
    "queued": "○",
    "submitting": "◔",
    "building": "◓",
    "waiting": "◌",
    "pending": "◑",
    "running": "●",
    "stopping": "◍",
    "cancelling": "◍",
    "succeeded": "✓",
    "failed": "✕",
    "cancelled": "⊘",
    "rejected": "⊗",
}
LEAST_SCALE = timedelta(minutes=1)
NO_QUEUE = "requests"


@dataclass(frozen=True, slots=True)
class Row:
    """What the page shows of a launch."""

    entry: Entry
    state: str
    name: str
    why: str
    since: datetime  # when it entered its phase
    spans: Sequence[Span]
    bar: Bar
    to_job: timedelta | None  # from enqueue to job; None before there is one
    position: str = ""  # 2nd of 5

    @property
    def mark(self) -> str:
        """Return the shape of its state."""
        return MARKS.get(self.state, "·")

    @property
    def place(self) -> str:
        """Return the region of its job."""
        parts = (self.entry.job_name or self.entry.parent).split("/")
        return parts[3] if len(parts) > 3 else ""

    @property
    def queue(self) -> str:
        """Return its queue, or the system that published it."""
        return self.entry.queue_name or self.entry.source or NO_QUEUE

    @property
    def ran(self) -> timedelta | None:
        """Return how long its job ran, or has run."""
        return next((span.length for span in self.spans if span.phase == "running"), None)

    @property
    def start_up(self) -> str:
        """Return the durations of its phases before it ran: `23s + 1m 30s`."""
        return " + ".join(duration(one.length) for one in self.spans if one.phase != "running")


def rows_of(entries: Sequence[Entry], now: datetime, places: dict[str, str]) -> list[Row]:
    """Return the rows of launches; their bars have one scale, which one long wait does not set."""
    known = [(entry, spans_of(entry, now)) for entry in entries]
    waits = [start_up_of(spans).total_seconds() for _, spans in known]
    middle = timedelta(seconds=median(waits)) if waits else LEAST_SCALE
    longest = timedelta(seconds=max(waits, default=0))
    scale = max(min(longest, middle * 3), LEAST_SCALE)
    return [row_of(entry, spans, now, scale, places.get(entry.key, "")) for entry, spans in known]


def row_of(
    entry: Entry, spans: Sequence[Span], now: datetime, scale: timedelta, position: str = ""
) -> Row:
    """Return the row of one launch."""
    before = [span for span in spans if span.phase != "running"]
    words = ", ".join(f"{span.phase} {duration(span.length)}" for span in before)
    has_job = bool(entry.submitted_at) and entry.state in (State.SUBMITTED, State.ENDED)
    return Row(
        entry,
        state_of(entry, now),
        clean(entry.name) or entry.run.run_id or entry.key,
        clean(entry.reason or entry.notice),
        entry.ended_at or spans[-1].start,
        spans,
        bar_of(before, words, scale),
        spans[0].length if has_job else None,
        position,
    )


def positions(waiting: Sequence[Entry]) -> dict[str, str]:
    """Return the place of each launch among those of its queue that wait for a job, by key."""
    queues: dict[tuple[str, str], list[str]] = {}
    for entry in sorted(waiting, key=lambda one: one.opened_at):
        queues.setdefault((entry.queue_entity, entry.queue_name), []).append(entry.key)
    return {
        key: f"{ordinal(number)} of {len(keys)}"
        for keys in queues.values()
        for number, key in enumerate(keys, 1)
    }


@lru_cache(maxsize=20_000)
def clean(text: str) -> str:
    """Return a text of other people without secrets."""
    return redacted(text)
