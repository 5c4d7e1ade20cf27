"""Everything that the page shows, from one listing of the ledger and the note of poll's agent."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from deploy.operate.board.alerts import Alert, alerts_of
from deploy.operate.board.history import History, history, window_for
from deploy.operate.board.rows import NO_QUEUE, Row, positions, rows_of
from deploy.operate.board.spans import spans_of
from deploy.operate.fleet.fleet import Fleet, state_of
from shared.core.entry import Entry
from shared.core.ports import AgentNote
from shared.core.states import State

ROWS = 100  # of each table
MOST_ROWS = 1_000
DAY = timedelta(days=1)
OPEN_STATES = (
    *("queued", "submitting", "building", "waiting"),
    *("pending", "running", "stopping", "cancelling"),
)
OUTCOMES = ("succeeded", "failed", "cancelled", "rejected")


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader asked for in the page's address."""

    window: str = ""
    search: str = ""
    rows: int = ROWS


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue, or the requests of other systems. `held`: the launch that holds it."""

    name: str
    waiting: int
    jobs: int
    held: Entry | None = None
    missing: bool = False
    room: int | None = None  # None: no limit is known here


@dataclass(frozen=True, slots=True)
class Table:
    """The first rows of a list, and how many launches the list has."""

    rows: Sequence[Row]
    total: int

    @property
    def more(self) -> int:
        """Return how many launches have no row."""
        return self.total - len(self.rows)


@dataclass(frozen=True, slots=True)
class Board:
    """The whole page."""

    now: datetime
    alerts: Sequence[Alert]
    counts: Sequence[tuple[str, int]]  # by state, of the open launches
    outcomes: Sequence[tuple[str, int]]  # of the last day
    queues: Sequence[QueueRow]
    max_jobs: int | None
    jobs: int  # that count against max_jobs
    waiting: Table
    running: Table
    ended: Table
    history: History
    choice: Choice

    @property
    def shown(self) -> int:
        """Return how many launches the tables have, of all that match."""
        return self.waiting.total + self.running.total + self.ended.total


def board_of(fleet: Fleet, note: AgentNote, choice: Choice) -> Board:
    """Return the page for a reader's choice."""
    now = fleet.now
    still = [entry for entry in fleet.open if entry.state is not State.ENDED]
    over = [*(entry for entry in fleet.open if entry.state is State.ENDED), *fleet.closed]
    waiting = sorted((one for one in still if _has_no_job(one)), key=lambda one: one.opened_at)
    running = [one for one in still if not _has_no_job(one)]
    running.sort(key=lambda one: one.submitted_at or one.opened_at, reverse=True)
    running.sort(key=lambda one: one.started_at is not None)  # those that wait for machines first
    over.sort(key=lambda one: one.ended_at or one.opened_at, reverse=True)
    states = Counter(state_of(entry, now) for entry in still)
    recent = [one for one in over if now - (one.ended_at or one.opened_at) < DAY]
    endings = Counter(state_of(entry, now) for entry in recent)
    places = positions(waiting)
    matching = _search(fleet, choice.search)

    def table(entries: Sequence[Entry]) -> Table:
        found = [one for one in entries if matching is None or one.key in matching]
        return Table(rows_of(found[: choice.rows], now, places), len(found))

    oldest = min((one.opened_at for one in (*still, *recent)), default=None)
    window = window_for(oldest, now, choice.window)
    spans = (span for one in (*still, *over) for span in spans_of(one, now))
    counted = [one for one in still if one.from_queue and not one.scheduler]
    jobs = len(counted) + len(fleet.unreadable)
    return Board(
        now,
        alerts_of(fleet, note),
        [(state, states[state]) for state in OPEN_STATES],
        [(state, endings[state]) for state in OUTCOMES],
        _queues(still, note, jobs),
        _max_jobs(),
        jobs,
        table(waiting),
        table(running),
        table(over),
        history(spans, now, window),
        choice,
    )


def _has_no_job(entry: Entry) -> bool:
    return entry.state in (State.QUEUED, State.SUBMITTING)


def _max_jobs() -> int | None:
    """Return the limit of open launches if this shell has poll's setting; None without a limit."""
    text = os.environ.get("LAUNCH_MAX_JOBS", "")
    return int(text) if text.isdecimal() else None


def _queues(still: Sequence[Entry], note: AgentNote, jobs: int) -> list[QueueRow]:
    names = [*note.queues, *(one.queue_name for one in still if one.queue_name)]
    most = _max_jobs()
    room = None if most is None else max(most - jobs, 0)
    rows = []
    for name in dict.fromkeys(names):
        mine = [one for one in still if one.queue_name == name]
        held = min((one for one in mine if one.holds_queue), key=_opened, default=None)
        waiting = sum(map(_has_no_job, mine))
        free = 0 if held else room
        rows.append(QueueRow(name, waiting, len(mine) - waiting, held, name in note.missing, free))
    if others := [one for one in still if not one.queue_name]:
        waiting = sum(map(_has_no_job, others))
        rows.append(QueueRow(NO_QUEUE, waiting, len(others) - waiting))
    return rows


def _opened(entry: Entry) -> datetime:
    return entry.opened_at


def _search(fleet: Fleet, text: str) -> set[str] | None:
    """Return the keys of the launches that a text describes; None if it is empty."""
    words = text.lower().split()
    if not words:
        return None
    named = {entry.key for entry in fleet.find(text)}
    return named | {
        entry.key for entry in fleet.all if all(word in _about(entry, fleet) for word in words)
    }


def _about(entry: Entry, fleet: Fleet) -> str:
    parts = (
        *(entry.name, entry.author, entry.source, entry.queue_name, entry.machine),
        *(entry.key, entry.run.run_id, entry.run.project, entry.item_id, entry.job_name),
        *(entry.reason, entry.notice, state_of(entry, fleet.now)),
    )
    return "\n".join(parts).lower()
