"""One launch as a row of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from statistics import median

from deploy.operate.board.spans import RUNNING, Bar, Lengths, bar_of, before_start, spans_of
from deploy.operate.board.text import ordinal
from deploy.operate.fleet import rows
from deploy.operate.fleet.fleet import since_of, state_of
from shared.core.duration import span
from shared.core.entry import Entry
from shared.core.redaction import redacted

MARKS = {  # before the word of a state: shapes differ, so no colour is needed
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
LEAST_SCALE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Row:
    """What the page shows of a launch."""

    entry: Entry
    state: str
    name: str
    why: str
    since: datetime  # when it came into its state
    lengths: Lengths
    bar: Bar
    position: str = ""  # 2nd of 5

    @property
    def mark(self) -> str:
        """Return the shape of its state."""
        return MARKS.get(self.state, "·")

    @property
    def place(self) -> str:
        """Return the region of its job."""
        return rows.region(self.entry)

    @property
    def queue(self) -> str:
        """Return its queue, or in brackets the system that published it."""
        return rows.queue(self.entry)

    @property
    def ran(self) -> timedelta | None:
        """Return how long its job ran, or has run."""
        return dict(self.lengths).get(RUNNING)

    @property
    def start_up(self) -> str:
        """Return the durations of its phases before it ran: `23s + 1m30s`."""
        return " + ".join(span(length) for phase, length in self.lengths if phase != RUNNING)


def rows_of(entries: Sequence[Entry], now: datetime, places: Mapping[str, str]) -> list[Row]:
    """Return the rows of launches; their bars have one scale, which one long wait does not set."""
    known = [(one, _lengths(one, now)) for one in entries]
    waits = [before_start(lengths).total_seconds() for _, lengths in known]
    middle = timedelta(seconds=median(waits)) if waits else LEAST_SCALE
    longest = timedelta(seconds=max(waits, default=0))
    scale = max(min(longest, middle * 3), LEAST_SCALE)
    return [row_of(one, lengths, now, scale, places.get(one.key, "")) for one, lengths in known]


def row_of(
    entry: Entry, lengths: Lengths, now: datetime, scale: timedelta, position: str = ""
) -> Row:
    """Return the row of one launch."""
    return Row(
        entry,
        state_of(entry, now),
        clean(entry.name).strip() or entry.run.run_id or entry.key,
        clean(entry.cancel_reason or entry.reason or entry.notice),
        since_of(entry),
        lengths,
        bar_of(lengths, scale),
        position,
    )


def positions(waiting: Sequence[Entry]) -> dict[str, str]:
    """Return the place of each launch among those of its queue that wait for a job, by key."""
    queues: dict[tuple[str, str], list[str]] = {}
    for entry in sorted(waiting, key=lambda one: (one.opened_at, one.key)):
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


def _lengths(entry: Entry, now: datetime) -> Lengths:
    return [(one.phase, one.length) for one in spans_of(entry, now)]
