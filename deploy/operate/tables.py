"""Tables on a terminal, and in a file or a pipe."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table


def print_table(console: Console, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table: folded to the width of a terminal, else one line for each row."""
    table = Table(*head, box=None, padding=(0, 0, 0, 2), header_style="dim")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*row)
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        print(line.rstrip())  # rich fills the table with blanks
