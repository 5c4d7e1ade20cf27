"""Print a view of the fleet once, or again and again: redrawn on a terminal, changes in a pipe."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Protocol

import click

from deploy.operate.terminal import Terminal
from shared.core.errors import Retry

EVERY = 5.0  # seconds: a listing costs one call per 1,000 launches


@dataclass(frozen=True, slots=True)
class Row:
    """One line in a pipe. `change` is what a change is recognised by: its content without ages."""

    text: str
    change: object


@dataclass(frozen=True, slots=True)
class Table:
    """The lines in a pipe, by identity. `gone` describes one that is no longer there."""

    head: str
    rows: Mapping[str, Row]
    gone: Callable[[str], str]


class View(Protocol):
    """What a command shows at one time, in each form; only one of them is asked for."""

    def document(self) -> Any:
        """Return it as JSON."""

    def screen(self, terminal: Terminal) -> Sequence[str]:
        """Return the lines on a terminal."""

    def table(self) -> Table:
        """Return the lines in a pipe."""


@dataclass(frozen=True, slots=True)
class Output:
    """How a command prints its view."""

    as_json: bool = False
    watch: bool = False
    every: float = EVERY
    wait: Callable[[float], object] = time.sleep

    def show(self, read: Callable[[], View]) -> None:
        """Print a view; with `watch` until Ctrl-C. A failed refresh is shown, and repeated.

        Raises:
            Retry: the first look failed.
            Denied, …: a permission is missing.
        """
        if not self.watch:
            self._once(read())
            return
        seen: Mapping[str, Row] | None = None
        try:
            while True:
                try:
                    seen = self._again(read(), seen)
                except Retry as exc:
                    if seen is None:
                        raise
                    click.echo(f"Not refreshed: {exc}", err=True)
                self.wait(self.every)
        except KeyboardInterrupt:
            return

    def _once(self, view: View) -> None:
        terminal = Terminal.here()
        if self.as_json:
            click.echo(json.dumps(view.document(), indent=2))
        elif terminal.live:
            _print(view.screen(terminal))
        else:
            table = view.table()
            _print([table.head, *(row.text for row in table.rows.values())])

    def _again(self, view: View, seen: Mapping[str, Row] | None) -> Mapping[str, Row]:
        """Print a refresh; return the rows that a pipe has seen."""
        terminal = Terminal.here()
        if self.as_json:
            click.echo(json.dumps(view.document()))
            return {}
        if terminal.live:
            lines = _fitting(view.screen(terminal), terminal)
            click.clear()
            _print(lines)
            return {}
        table, before = view.table(), seen or {}
        new = [
            row.text
            for name, row in table.rows.items()
            if name not in before or before[name].change != row.change
        ]
        lost = [table.gone(name) for name in before if name not in table.rows]
        _print([*([table.head] if seen is None else []), *new, *lost])
        return table.rows


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --json, --watch and --every; the command receives an `Output`."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON; with --watch, one per line.")
    @click.option("--watch", is_flag=True, help="Refresh until Ctrl-C; a pipe gets changes only.")
    @click.option(
        "--every",
        default=EVERY,
        show_default=True,
        type=click.FloatRange(0.5),
        help="Seconds between two refreshes.",
    )
    @wraps(command)
    def with_output(*given: Any, as_json: bool, watch: bool, every: float, **others: Any) -> None:
        command(*given, output=Output(as_json, watch, every), **others)

    return with_output


def _print(lines: Sequence[str]) -> None:
    """Print lines; they reach a pipe at once."""
    if lines:
        click.echo("\n".join(lines))


def _fitting(lines: Sequence[str], terminal: Terminal) -> Sequence[str]:
    """Return the lines that a screen can show, and how many it cannot."""
    if len(lines) < terminal.height:
        return lines
    room = terminal.height - 2
    return [
        *lines[:room],
        f"… {len(lines) - room} more lines, without --watch or on a larger screen",
    ]
