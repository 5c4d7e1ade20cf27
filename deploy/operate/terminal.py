"""Where a command prints: its width, whether it shows colours, and how lines fold there."""

import io
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "cyan": 36, "dim": 2, "bold": 1}
NARROWEST = 40  # columns; a narrower terminal breaks the lines itself


@dataclass(frozen=True, slots=True)
class Terminal:
    """Standard output. If it is no terminal (not `live`), lines stay whole, without colours."""

    live: bool
    width: int = 80
    height: int = 24
    colours: bool = False

    @classmethod
    def here(cls) -> "Terminal":
        """Return what standard output is now; NO_COLOR and TERM=dumb switch colours off."""
        live = sys.stdout.isatty()
        size = shutil.get_terminal_size()
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return cls(live, max(size.columns, NARROWEST), size.lines, colours=live and not plain)

    def paint(self, text: str, colour: str) -> str:
        """Return a text in a colour of COLOURS, if this terminal shows colours."""
        if not (self.colours and colour and text):
            return text
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"

    def folded(self, text: str, indent: int = 0, first: int | None = None) -> list[str]:
        """Return a text in lines of this width: indented, the first one by `first`."""
        if not text:
            return []
        lines: list[str] = []
        line, begun = " " * (indent if first is None else first), False
        for word in _pieces(text.split(" "), self.width - indent):
            if begun and cell_len(line) + 1 + cell_len(word) > self.width:
                lines.append(line.rstrip())
                line, begun = " " * indent, False
            line, begun = f"{line} {word}" if begun else f"{line}{word}", True
        return [*lines, line.rstrip()]

    def field(self, head: str, text: str, colour: str = "") -> list[str]:
        """Return a text after its head; on a terminal, its other lines begin below the first."""
        if not self.live:
            return [f"{head}{text}".rstrip()]
        indent = cell_len(head)
        if indent > self.width // 2:
            return [*self.folded(head), *self.folded(text, 2)]
        first, *rest = self.folded(text, indent) or [""]
        return [f"{self.paint(head, colour)}{first[indent:]}".rstrip(), *rest]


def show_any_text() -> None:
    """Let a terminal with another encoding show an escape instead of each character it lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def padded(text: str, width: int) -> str:
    """Return a text filled to a width in cells; a longer one stays as it is."""
    return text + " " * (width - cell_len(text))


def columns(rows: Iterable[tuple[str, ...]], most: int = 60) -> list[str]:
    """Return rows as lines with aligned columns; a longer cell than `most` pushes only its row."""
    table = [tuple(cell or "-" for cell in row) for row in rows]
    widths = [
        max((size for cell in column if (size := cell_len(cell)) <= most), default=0)
        for column in zip(*table, strict=True)
    ]
    return [
        "  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _pieces(words: Iterable[str], width: int) -> Iterator[str]:
    """Yield words; one that is wider than a line comes in pieces, but an address stays whole."""
    for word in words:
        whole = cell_len(word) <= width or "://" in word
        yield from [word] if whole else chop_cells(word, width)
