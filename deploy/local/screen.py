"""What the demo and `up` print: progress, the last table, and how to use the stack."""

import shlex
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from deploy.local.demo import Demo
from deploy.local.project import ENTITY, QUEUE
from deploy.local.record import SCRIPT, Record
from deploy.local.rows import progress, summary, table

SUMMARY = "summary.txt"
LINES_AROUND = 4  # on the terminal: two before the table, one after it, the cursor's
KEPT_LINES = 3  # that --keep adds


def observe(run: Demo, deadline: float, console: Console) -> None:
    """Show the jobs until they have ended: as one table on a terminal, else as lines."""
    if not is_screen(console):
        shown: dict[str, str] = {}
        while not run.settled and time.monotonic() < deadline:
            lines = {row.case.name: progress(row) for row in run.look() if any(row.states)}
            for name, line in lines.items():
                if shown.get(name) != line:
                    console.print(line, highlight=False, soft_wrap=True)
            shown |= lines
            time.sleep(0.4)
        return

    def drawn() -> Text:
        return table(run.look(), console.width, console.height - LINES_AROUND)

    with Live(drawn(), console=console, auto_refresh=False, transient=True) as live:
        while not run.settled and time.monotonic() < deadline:
            time.sleep(0.4)
            live.update(drawn(), refresh=True)


def is_screen(console: Console) -> bool:
    """Return whether a table can be drawn again; FORCE_COLOR alone makes rich believe so."""
    return console.file.isatty() and not console.is_dumb_terminal


def conclude(run: Demo, folder: Path, console: Console, *, kept: bool) -> None:
    """Write the summary to the folder; print it, or on a terminal the last table.

    More lines follow it on the terminal if the stack is `kept`.
    """
    with (folder / SUMMARY).open("w", encoding="utf-8") as file:
        summary(run.rows, Console(file=file, width=console.width))
    if is_screen(console):
        height = console.height - LINES_AROUND - (KEPT_LINES if kept else 0)
        console.print(table(run.rows, console.width, height, ended=True), soft_wrap=True)
    else:
        summary(run.rows, console)


def instruct_briefly(record: Record, console: Console) -> None:
    """Print the same in KEPT_LINES lines."""
    pages = [f"{name}: {address}" for name, address in record.pages.items()]
    use = f"Ctrl-C ends it. To use it in another terminal: . {_shown(record)}/{SCRIPT}"
    lines = ["   ".join(pages[:2]), "   ".join(pages[2:]), use]
    console.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)


def _shown(record: Record) -> str:
    """Return the folder of a stack, relative if it is below the current one."""
    folder = Path(record.folder)
    here = Path.cwd()
    return shlex.quote(str(folder.relative_to(here) if folder.is_relative_to(here) else folder))


def instruct(record: Record, console: Console) -> None:
    """Print how to use a stack from another terminal, and its pages."""
    folder = _shown(record)
    lines = [
        f"The stack is up (process {record.pid}). In another terminal, in this folder:",
        "",
        f"  . {folder}/{SCRIPT}",
        f"  wandb launch --queue {QUEUE} --entity {ENTITY} --project cats \\",
        "    --docker-image local/train:latest",
        "",
        *(f"{name + ':':13}{address}" for name, address in record.pages.items()),
        f"{'Logs:':13}{folder}/*.log",
        "The image local/NAME is the folder deploy/local/images/NAME.",
        "Ctrl-C ends every process.",
    ]
    console.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)
