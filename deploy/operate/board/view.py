"""Everything that the page shows, from one listing of the ledger and the note of poll's agent."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from deploy.operate.board.alerts import Alert, alerts_of
from deploy.operate.board.history import WINDOWS, History, history, window_for
from deploy.operate.board.rows import Row, positions, rows_of
from deploy.operate.board.spans import spans_of
from deploy.operate.fleet import rows
from deploy.operate.fleet.fleet import Fleet, since_of, state_of
from deploy.operate.fleet.target import Target
from deploy.operate.top import Top
from shared.core.entry import Entry
from shared.core.pause import Pause, pause_of
from shared.core.ports import AgentNote
from shared.core.states import State

ROWS = 100  # of each table
MOST_ROWS = 1_000
DAY = timedelta(days=1)
OPEN = [state for state in rows.STATES if state not in (*rows.ENDED, rows.UNREADABLE)]
ROOM = ("max_jobs", "max_queued")  # the limits that keep poll from popping the next item


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader asked for in the page's address."""

    window: str = ""
    search: str = ""
    rows: int = ROWS


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue, or the requests of a system. `held`: the launch that holds it."""

    name: str
    waiting: int
    jobs: int
    served: bool  # poll pops its items
    held: Entry | None = None
    paused: Pause | None = None
    missing: bool = False
    room: int | None = None  # None: unlimited, unknown, or not for requests


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

    alerts: Sequence[Alert]
    counts: Mapping[str, int]  # by state, of the open launches
    outcomes: Mapping[str, int]  # of the last day
    queues: Sequence[QueueRow]
    slots: Mapping[str, tuple[int, int | None]]  # used, and the limit (-1: none)
    waiting: Table
    running: Table
    ended: Table
    history: History
    choice: Choice

    @property
    def shown(self) -> int:
        """Return how many launches match the search."""
        return self.waiting.total + self.running.total + self.ended.total


def board_of(target: Target, fleet: Fleet, note: AgentNote, choice: Choice) -> Board:
    """Return the page for a reader's choice."""
    now, top = fleet.now, Top(target, fleet, note)
    still = [entry for entry in fleet.open if entry.state is not State.ENDED]
    over = [*(entry for entry in fleet.open if entry.state is State.ENDED), *fleet.closed]
    waiting = sorted(filter(_has_no_job, still), key=lambda one: (one.opened_at, one.key))
    running = [one for one in still if not _has_no_job(one)]
    running.sort(key=since_of, reverse=True)
    running.sort(key=lambda one: one.started_at is not None)  # those that wait for machines first
    over.sort(key=since_of, reverse=True)
    recent = [one for one in over if now - since_of(one) < DAY]
    states = Counter(state_of(entry, now) for entry in (*still, *recent))
    places = positions(waiting)
    matching = _search(fleet, choice.search)

    def table(entries: Sequence[Entry]) -> Table:
        found = [one for one in entries if matching is None or one.key in matching]
        return Table(rows_of(found[: choice.rows], now, places), len(found))

    oldest = min((one.opened_at for one in (*still, *recent)), default=None)
    window = window_for(oldest, now, choice.window)
    begin = now - WINDOWS[window]
    lately = (one for one in over if since_of(one) > begin)
    spans = (span for one in (*still, *lately) for span in spans_of(one, now))
    return Board(
        alerts_of(fleet, note),
        {state: states[state] for state in OPEN},
        {state: states[state] for state in rows.ENDED},
        list(_queues(top)),
        top.slots,
        table(waiting),
        table(running),
        table(over),
        history(spans, now, window),
        choice,
    )


def _has_no_job(entry: Entry) -> bool:
    return entry.state in (State.QUEUED, State.SUBMITTING)


def _queues(top: Top) -> Iterator[QueueRow]:
    limited = [(used, most) for name, (used, most) in top.slots.items() if name in ROOM]
    free = [max(most - used, 0) for used, most in limited if most is not None and most >= 0]
    note = top.note
    for name, entries in top.queues.items():
        open_ = [entry for entry in entries if entry.state is not State.ENDED]
        waiting, served = sum(map(_has_no_job, open_)), name in note.queues
        held = next((entry for entry in open_ if entry.holds_queue), None)
        paused = pause_of(name, note.paused) if served else None
        room = min(free) if served and free else None
        yield QueueRow(
            name,
            waiting,
            len(open_) - waiting,
            served,
            held,
            paused,
            name in note.missing,
            0 if held or paused else room,
        )


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
