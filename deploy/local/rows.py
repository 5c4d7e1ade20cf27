"""The observed states of the demo's jobs, as a table, as lines and as a verdict."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.local.cases import Case

NO_ITEM = "(topic)"  # in the item's column: the request came through the topic
WIDTH = 80


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


def table(rows: Sequence[Row]) -> Table:
    """Draw the observed states on one line a job, for a terminal of 80 columns."""
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, expand=True)
    for column in ("job", "item", "launch", "CustomJob", "run"):
        drawn.add_column(column, no_wrap=True)
    drawn.add_column("what W&B shows", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        mark = "[green]✓[/]" if row.right else " "
        cells = [_painted(state) for state in row.states]
        reason = escape(" ".join(row.reason.split()))
        drawn.add_row(f"{mark} {row.case.name}", *cells, reason)
    return drawn


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


def _painted(state: str) -> str:
    colour = _COLOURS.get(state, "dim")
    return f"[{colour}]{escape(state) or '…'}[/]"
