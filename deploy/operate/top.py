"""`vertex-launch top`: the fleet at a glance."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from deploy.operate.fleet import rows
from deploy.operate.fleet.fleet import Fleet, state_of
from deploy.operate.fleet.target import Target, target_options
from deploy.operate.fleet.watching import Output, Row, Table, output_options
from deploy.operate.plain import one_line, plain
from deploy.operate.terminal import Terminal, columns
from shared.core.duration import span
from shared.core.entry import Entry
from shared.core.pause import pause_of
from shared.core.ports import AgentNote
from shared.core.states import State

_LABEL = 10
SHOWN = [state for state in rows.STATES if state != rows.UNREADABLE]


@click.command()
@target_options
@output_options
def top(target: Target, output: Output) -> None:
    """Show the fleet at a glance: states by queue, the oldest launch, slots, held queues, machines.

    `slots` are the limits of poll's last call. A held queue has a launch that waits for capacity:
    poll takes nothing from it meanwhile. `oldest` is the oldest launch without a job. The items
    that wait in W&B's queues are not part of the fleet: poll takes them while slots are free.

    A pipe gets one line for each queue. --json prints one object: `now`, `agent`, `slots`,
    `queues`, `machines` and `unreadable`.

    Needs roles/storage.objectViewer on the ledger's bucket.

    \b
    Example:
      vertex-launch top --watch --project=my-project

    Exit codes: 1 if the ledger may not be read; 4 if it does not answer.
    """  # noqa: D301 - \b is click's
    output.show(lambda: Top(target, Fleet.read(target), target.book.read() or AgentNote("")))


@dataclass(frozen=True)
class Top:
    """The fleet at one time. Implements View."""

    target: Target
    fleet: Fleet
    note: AgentNote

    @property
    def queues(self) -> dict[str, list[Entry]]:
        """Return the open launches by queue: those that poll serves first, then the others."""
        found: dict[str, list[Entry]] = {name: [] for name in self.note.queues}
        for entry in sorted(self.fleet.open, key=lambda entry: (entry.opened_at, entry.key)):
            found.setdefault(self._queue_of(entry), []).append(entry)
        return found

    def _queue_of(self, entry: Entry) -> str:
        """Return a launch's queue, with its entity if that is not poll's; else its source."""
        if entry.queue_name and entry.queue_entity not in (self.note.entity, ""):
            return (
                f"{entry.queue_entity}/{entry.queue_name}" if self.note.entity else entry.queue_name
            )
        return entry.queue_name or f"({entry.source})"

    @property
    def slots(self) -> dict[str, tuple[int, int | None]]:
        """Return, for each limit of poll, how many launches count, and the limit (-1: none).

        Launches of requests, ended ones and schedulers take no slot; an unreadable record does.
        """
        counted = [
            entry
            for entry in self.fleet.open
            if entry.from_queue and entry.state is not State.ENDED
        ]
        lost = len(self.fleet.unreadable)
        used = {
            "max_jobs": sum(not entry.scheduler for entry in counted) + lost,
            "max_queued": sum(entry.state is State.QUEUED for entry in counted) + lost,
            "max_schedulers": sum(entry.scheduler for entry in counted) + lost,
        }
        return {name: (number, self.note.limits.get(name)) for name, number in used.items()}

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        polled = rows.moment(self.note.polled_at)
        return {
            "now": rows.moment(self.fleet.now),
            "agent": {
                "id": self.note.agent_id or None,
                "polled_at": polled,
                "stopped": self.note.stopped,
                "why_not": self.note.why_not or None,
            },
            "slots": {
                name: {"used": used, "limit": limit} for name, (used, limit) in self.slots.items()
            },
            "queues": [
                {
                    "queue": name,
                    "open": len(entries),
                    "states": self._states(entries),
                    "paused": _paused(self.note, name) or None,
                    "held_by": [entry.key for entry in entries if entry.holds_queue],
                    "oldest": rows.document(oldest, self.fleet.now) if oldest else None,
                }
                for name, entries in self.queues.items()
                for oldest in [_oldest(entries)]
            ],
            "machines": dict(self._machines(self.fleet.open)),
            "unreadable": {key: plain(why) for key, why in self.fleet.unreadable.items()},
        }

    def table(self) -> Table:
        """Return one line for each queue."""
        cells, changes = [], {}
        for name, entries in self.queues.items():
            states, oldest = self._states(entries), _oldest(entries)
            held = next((entry for entry in entries if entry.holds_queue), None)
            age = span(self.fleet.now - oldest.opened_at) if oldest else ""
            counts = [str(states[state]) if states[state] else "" for state in _OPEN]
            by = f"{held.short_of} {held.key}" if held else ""
            by = "; ".join(each for each in (_paused(self.note, name), by) if each)
            cells.append((one_line(name), *counts, age, oldest.key if oldest else "", by))
            changes[name] = (states, oldest and oldest.key, by)
        names = [state.upper() for state in _OPEN]
        head, *lines = columns([("QUEUE", *names, "AGE", "OLDEST", "HELD"), *cells])
        texts = zip(changes.items(), lines, strict=True)
        return Table(
            head,
            {name: Row(line, change) for (name, change), line in texts},
            lambda name: f"{one_line(name)}  has no open launch",
        )

    def screen(self, terminal: Terminal) -> list[str]:
        """Return a few lines for each queue."""
        lines = []
        for name, value in self._summary():
            if value:
                lines += terminal.field(f"{name:<{_LABEL}}", value, "dim")
        for name, entries in self.queues.items():
            heading = terminal.folded(one_line(name))
            lines += ["", *(terminal.paint(line, "bold") for line in heading)]
            about = [(_paused(self.note, name), "yellow"), *self._queue(entries)]
            for text, colour in about:
                lines += [terminal.paint(line, colour) for line in terminal.folded(text, 2)]
        return lines

    def _summary(self) -> Iterator[tuple[str, str]]:
        now, note = self.fleet.now, self.note
        yield "now", f"{rows.clock(now)} UTC, {self.target.name} in {self.target.project}"
        doing = (note.why_not or "polls") if note.polled_at else "poll has made no call yet"
        if note.stopped:
            doing = "stopped; `vertex-launch agent start` lets it poll again"
        ago = f"; last call {span(now - note.polled_at)} ago" if note.polled_at else ""
        yield "agent", plain(f"{doing}{ago}")
        yield "slots", "; ".join(_slot(name, *each) for name, each in self.slots.items())
        if oldest := _oldest([entry for entry in self.fleet.open if not entry.holds_queue]):
            age = span(now - oldest.opened_at)
            yield "oldest", f"{_short(oldest)}, {state_of(oldest, now)}, {age}"
        machines = self._machines(self.fleet.open).most_common()
        yield "machines", "; ".join(f"{name}: {_launches(number)}" for name, number in machines)
        for key, why in self.fleet.unreadable.items():
            yield "problem", f"the record {key} cannot be read: {plain(why)}"

    def _queue(self, entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
        """Yield the lines about one queue, with their colours."""
        states = self._states(entries)
        each = ", ".join(f"{number} {state}" for state, number in states.items() if number)
        yield each or "no open launch", ""
        held = [entry for entry in entries if entry.holds_queue]
        if held:
            why = f"{_short(held[0])}: {rows.reason(held[0])}"
            yield f"held by {_launches(len(held))}, the first is {why}", "yellow"
        if oldest := _oldest(entries):
            age = span(self.fleet.now - oldest.opened_at)
            yield f"oldest without a job: {_short(oldest)}, {age}", ""

    def _states(self, entries: Sequence[Entry]) -> dict[str, int]:
        counts = Counter(state_of(entry, self.fleet.now) for entry in entries)
        return {state: counts[state] for state in SHOWN if state in _OPEN or counts[state]}

    def _machines(self, entries: Sequence[Entry]) -> Counter[str]:
        """Count the launches whose job runs, by their machines."""
        running = (entry for entry in entries if state_of(entry, self.fleet.now) == "running")
        return Counter(one_line(entry.machine) or "unknown" for entry in running)


_OPEN = [state for state in SHOWN if state not in rows.ENDED]


def _oldest(entries: Sequence[Entry]) -> Entry | None:
    """Return the launch that waits for its job for the longest time."""
    waiting = [entry for entry in entries if entry.state in (State.QUEUED, State.SUBMITTING)]
    return min(waiting, key=lambda entry: (entry.opened_at, entry.key), default=None)


def _short(entry: Entry) -> str:
    return f"{entry.key[: rows.SHORTEST]} ({rows.title(entry)})"


def _paused(note: AgentNote, queue: str) -> str:
    """Return who paused a queue; empty if nobody did, and for launches without a queue."""
    pause = None if queue.startswith("(") else pause_of(queue, note.paused)
    return plain(f"paused {pause}") if pause else ""


def _launches(number: int) -> str:
    return f"{number} launch{'' if number == 1 else 'es'}"


def _slot(name: str, used: int, limit: int | None) -> str:
    """Return how much of a limit is used."""
    if limit is None:
        return f"{name} {used} (limit unknown)"
    return f"{name} {used} of {limit}" if limit >= 0 else f"{name} {used}, no limit"
