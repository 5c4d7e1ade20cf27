"""The observed states of the demo's jobs, as a table, as lines and as a verdict."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from deploy.local.cases import Case

NO_ITEM = "(topic)"  # in the item's column: the request came through the topic
WIDTH = 80
WIDTHS = (10, 9, 12, 12, 12)  # of the columns, with the space behind them
READS = "what the author reads"
HEAD = (
    "  "
    + "".join(
        f"{name:{width}}"
        for name, width in zip(("job", "item", "launch", "CustomJob", "run"), WIDTHS, strict=True)
    )
    + READS
)


@dataclass
class Row:
    """The observed states of one case."""

    case: Case
    item: dict[str, Any] = field(default_factory=dict)
    launch: str = ""  # its state in the ledger; once closed, its outcome
    jobs: list[dict[str, Any]] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)

    @property
    def item_state(self) -> str:
        """Return the queue item's state in W&B."""
        return str(self.item.get("state", ""))

    @property
    def job_state(self) -> str:
        """Return the CustomJob's state, without its prefix."""
        return str(self.jobs[0]["state"]).removeprefix("JOB_STATE_") if self.jobs else ""

    @property
    def run_state(self) -> str:
        """Return the run's state in W&B."""
        return str(self.run.get("state", ""))

    @property
    def states(self) -> tuple[str, ...]:
        """Return the states of item, launch, CustomJob and run."""
        item = self.item_state or (NO_ITEM if self.case.published and self.launch else "")
        return item, self.launch.removeprefix("closed: "), self.job_state, self.run_state

    @property
    def reason(self) -> str:
        """Return the reason that W&B shows: the item's error or warning, or the run's last line."""
        for report in (self.item.get("error"), self.item.get("warning")):
            if report:
                return str(report["message"])
        failed = self.run_state in ("failed", "crashed")
        return str(self.run.get("last_log_line", "")) if failed else ""

    @property
    def right(self) -> bool:
        """Return whether every state is as expected, with at most one CustomJob."""
        if self.item_state != self.case.item or len(self.jobs) > 1:
            return False
        return self._job_right and (self.run_state in self.case.run or not self.case.run)

    @property
    def interrupted(self) -> bool:
        """Return whether W&B's SDK ended the job of a stopped run before it was cancelled."""
        if not self.case.or_failed_with or self.job_state != "FAILED":
            return False
        return self.case.or_failed_with in str(self.jobs[0].get("error", ""))

    @property
    def wanted(self) -> str:
        """Return the expected ending; of two expected endings, the observed one."""
        job = "FAILED (by W&B's SDK)" if self.interrupted else self.case.job
        return _path(self.case.item, job, "/".join(self.case.run))

    @property
    def seen(self) -> str:
        """Return the observed ending."""
        job = "FAILED (by W&B's SDK)" if self.interrupted else self.job_state
        return _path(self.item_state, job, self.run_state)

    @property
    def _job_right(self) -> bool:
        return self.job_state == self.case.job or self.interrupted


def table(rows: Sequence[Row], width: int, height: int, *, ended: bool = False) -> Text:
    """Draw the jobs on a terminal of this size: their states, and what the author reads in W&B.

    The last column continues on its own lines if it is narrow. If the lines are too many, the
    longest texts lose lines from their middle. Once the demo has `ended`, a wrong job says so.
    """
    drawn = Text(HEAD, style="bold", end="")
    column = len(HEAD) - len(READS)
    beside = width - column >= 2 * len(READS)
    indent = column if beside else 4
    texts = [_text(row, ended=ended) for row in rows]
    room = height - 1 - (0 if beside else len(rows))
    for row, lines in zip(rows, _fitted(texts, width - indent, room), strict=True):
        drawn.append("\n")
        mark, colour = ("✓", "green") if row.right else ("✗", "red") if ended else (" ", "")
        drawn.append(f"{mark} ", style=colour)
        cells = [(f"{row.case.name:{WIDTHS[0]}}", ""), *_painted(row.states)]
        for cell, style in cells:
            drawn.append(cell, style=style)
        joined = f"\n{' ' * indent}".join(lines)
        drawn.append(joined if beside or not lines else f"\n{' ' * indent}{joined}")
    return drawn


def _text(row: Row, *, ended: bool) -> str:
    """Return the reason in one line; of a wrong job, first the expected ending."""
    words = " ".join(row.reason.split())
    return f"Not as expected: {row.wanted}. {words}" if ended and not row.right else words


def _fitted(texts: Sequence[str], width: int, room: int) -> list[list[str]]:
    """Wrap texts; while they have more lines than there is room, cut the longest in its middle."""
    wrapped = [textwrap.wrap(text, width - 2, break_on_hyphens=False) for text in texts]
    while sum(map(len, wrapped)) > room and (longest := max(wrapped, key=len))[1:]:
        middle = len(longest) // 2
        del longest[middle]
        longest[middle - 1] = longest[middle - 1].removesuffix(" …") + " …"
    return wrapped


def progress(row: Row) -> str:
    """Return one line with the observed states of a case."""
    named = zip(("item", "launch", "CustomJob", "run"), row.states, strict=True)
    return f"{row.case.name}: " + ", ".join(f"{name} {state}" for name, state in named if state)


def summary(rows: Sequence[Row], console: Console) -> None:
    """Print whether each case ended as expected, and the reason that W&B shows."""
    for row in rows:
        mark = "[green]OK[/]   " if row.right else "[red]WRONG[/]"
        ending = row.seen if row.right else f"{row.seen or 'nothing'}, not {row.wanted}"
        line = f"{mark} [bold]{row.case.name:9}[/] {row.case.about}: {escape(ending)}"
        console.print(line, highlight=False, soft_wrap=True)
        if row.reason:
            console.print(_quoted(row.reason), highlight=False, soft_wrap=True, style="dim")


def _quoted(reason: str) -> str:
    """Indent a reason; its lines stay as W&B shows them."""
    indent = " " * 6
    lines = [
        textwrap.fill(line, WIDTH, initial_indent=indent, subsequent_indent=indent,
                      break_long_words=False, break_on_hyphens=False)
        for line in reason.splitlines()
    ]  # fmt: skip
    return escape("\n".join(lines))


def _path(*states: str) -> str:
    return " → ".join(state for state in states if state)


_COLOURS = {
    "SUCCEEDED": "green",
    "finished": "green",
    "CLAIMED": "cyan",
    "RUNNING": "yellow",
    "running": "yellow",
    "FAILED": "red",
    "failed": "red",
    "crashed": "red",
    "CANCELLED": "magenta",
    "killed": "magenta",
}


def _painted(states: Sequence[str]) -> list[tuple[str, str]]:
    """Return each state in its column, with its colour."""
    return [
        (f"{state or '…':{width}}", _COLOURS.get(state, "dim"))
        for state, width in zip(states, WIDTHS[1:], strict=True)
    ]
