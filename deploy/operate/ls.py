"""`vertex-launch ls`: list the launches, from one listing of the ledger."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import click
from rich.cells import cell_len

from deploy.operate.fleet import rows
from deploy.operate.fleet.fleet import Fleet, since_of, state_of
from deploy.operate.fleet.target import Target, target_options
from deploy.operate.fleet.wanted import Since, Wanted
from deploy.operate.fleet.watching import Output, Row, Table, output_options
from deploy.operate.plain import one_line
from deploy.operate.terminal import Terminal, columns, padded
from shared.core.duration import span
from shared.core.entry import Entry
from shared.core.errors import LaunchError

HEAD = ("LAUNCH", "STATE", "FOR", "QUEUE", "AUTHOR")
MORE = ("NAME", "MACHINE", "REGION", "PROGRESS", "REASON")
WIDEST = 24  # cells of a queue's name that others are aligned with


@click.command()
@target_options
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME",
    help="Only this queue, also as ENTITY/NAME; repeatable.",
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(list(rows.STATES)),
    help="Only this state; repeatable.",
)
@click.option("--author", "authors", multiple=True, help="Only this author; repeatable.")
@click.option(
    "--since",
    type=Since(),
    help="Also launches that ended since: 30m, 12h, 7d, or a time (UTC).",
)
@output_options
def ls(
    target: Target,
    output: Output,
    queues: tuple[str, ...],
    states: tuple[str, ...],
    authors: tuple[str, ...],
    since: timedelta | datetime | None,
) -> None:
    """List the open launches, the oldest first.

    A terminal shows the beginning of each launch's key, which is an ID for the other commands, its
    state and for how long, its queue and its author. Below follow its name, machines, region and
    next step, then the reason. A pipe gets one line for each launch. If a request names no
    queue, its source stands in brackets.

    The list comes from the ledger's index: one call for 1,000 launches. It has no priority: W&B
    does not return the priority of a popped item. A record that cannot be read is listed with its
    problem.

    --json prints one object: `now`, `launches`, and `unreadable` (the problem by launch key). The
    reference lists the fields of a launch.

    Needs roles/storage.objectViewer on the ledger's bucket.

    \b
    Examples:
      vertex-launch ls --project=my-project --state=waiting
      vertex-launch ls --project=my-project --since=12h --json

    Exit codes: 1 if the ledger may not be read; 4 if it does not answer.
    """  # noqa: D301 - \b is click's
    wanted = Wanted(queues, states, authors, since)
    output.show(lambda: Listing.read(target, wanted))


@dataclass(frozen=True)
class Listing:
    """The launches that somebody asks for, at one time. Implements View."""

    target: Target
    now: datetime
    entries: Sequence[Entry]
    unreadable: Mapping[str, str]
    left_out: int  # open launches that do not match

    @classmethod
    def read(cls, target: Target, wanted: Wanted) -> "Listing":
        """List the ledger."""
        fleet = Fleet.read(target, closed=wanted.closed)
        entries, unreadable = wanted.select(fleet), wanted.unreadable(fleet)
        shown = {entry.key for entry in entries}
        hidden = sum(entry.key not in shown for entry in fleet.open)
        hidden += len(fleet.unreadable) - len(unreadable)
        return cls(target, fleet.now, entries, unreadable, hidden)

    def document(self) -> dict[str, Any]:
        """Return the listing as JSON."""
        return {
            "now": rows.moment(self.now),
            "launches": [rows.document(entry, self.now) for entry in self.entries],
            "unreadable": dict(self.unreadable),
        }

    def table(self) -> Table:
        """Return one line for each launch."""
        cells = [self._cells(entry) for entry in self.entries]
        rest = ("",) * (len(HEAD) + len(MORE) - 3)
        lost = [(key, rows.UNREADABLE, *rest, why) for key, why in self.unreadable.items()]
        head, *lines = columns([(*HEAD, *MORE), *cells, *lost])
        changes: dict[str, object] = {each.key: _change(each, self.now) for each in self.entries}
        changes |= self.unreadable
        texts = zip(changes.items(), lines, strict=True)
        return Table(head, {key: Row(line, change) for (key, change), line in texts}, self._gone)

    def screen(self, terminal: Terminal) -> list[str]:
        """Return a few lines for each launch."""
        short = rows.short_keys([*(entry.key for entry in self.entries), *self.unreadable])
        wide = max(map(len, short.values()), default=rows.SHORTEST)
        queues = [rows.queue(entry) for entry in self.entries]
        widths = (wide, 11, 7, _widest(["QUEUE", *queues]))
        lines = _line(HEAD, widths, terminal, "dim")
        for entry, queue in zip(self.entries, queues, strict=True):
            state = state_of(entry, self.now)
            lasts = span(self.now - since_of(entry))
            cells = (short[entry.key], state, lasts, queue, one_line(entry.author))
            lines += _line(cells, widths, terminal, rows.STATES.get(state, ""))
            names = (rows.title(entry), one_line(entry.machine), rows.region(entry))
            parts = (*names, rows.progress(entry, self.now))
            lines += terminal.folded(" · ".join(part for part in parts if part), wide + 2)
            lines += terminal.folded(rows.reason(entry), wide + 2)
        for key, why in self.unreadable.items():
            lines += _line((short[key], rows.UNREADABLE), widths, terminal, "red")
            lines += terminal.folded(why, wide + 2)
        return [*(lines if short else []), *terminal.folded(self._total())]

    def _cells(self, entry: Entry) -> tuple[str, ...]:
        return (
            entry.key,
            state_of(entry, self.now),
            span(self.now - since_of(entry)),
            rows.queue(entry),
            one_line(entry.author),
            rows.title(entry),
            one_line(entry.machine),
            rows.region(entry),
            rows.progress(entry, self.now),
            rows.reason(entry),
        )

    def _total(self) -> str:
        counts = Counter(state_of(entry, self.now) for entry in self.entries)
        counts[rows.UNREADABLE] = len(self.unreadable)
        each = ", ".join(f"{counts[state]} {state}" for state in rows.STATES if counts[state])
        number = len(self.entries) + len(self.unreadable)
        total = (
            f"{number} launch{'' if number == 1 else 'es'}: {each}." if number else "No launches."
        )
        return f"{total} {self.left_out} open ones do not match." if self.left_out else total

    def _gone(self, key: str) -> str:
        """Return the line of a launch that has left the listing: how it ended, if it did."""
        try:
            closed = self.target.ledger.read_closed(key)
        except LaunchError:
            closed = None
        if closed is None:
            return f"{key}  is no longer listed"
        entry = closed.entry
        return f"{key}  closed: {state_of(entry, self.now)}  {rows.reason(entry)}".rstrip()


def _widest(names: Sequence[str]) -> int:
    """Return the width of a column, without names that are too long for one."""
    return max((size for name in names if (size := cell_len(name)) <= WIDEST), default=0)


def _line(
    cells: Sequence[str], widths: Sequence[int], terminal: Terminal, colour: str
) -> list[str]:
    """Return a launch's first line, with its state in a colour; folded if it is too long."""
    filled = [padded(cell, width) for cell, width in zip(cells, widths, strict=False)]
    text = "  ".join([*filled, *cells[len(widths) :]]).rstrip()
    first, *rest = terminal.folded(text, widths[0] + 2, first=0)
    coloured = cells if colour == "dim" else cells[1:2]
    for cell in coloured:
        first = first.replace(cell, terminal.paint(cell, colour), 1)
    return [first, *rest]


def _change(entry: Entry, now: datetime) -> object:
    """Return what makes a launch's line news: all but its ages."""
    texts = (rows.queue(entry), entry.author, entry.name, entry.machine, entry.job_name)
    return (state_of(entry, now), *texts, entry.attempt, entry.resumes, rows.reason(entry))
