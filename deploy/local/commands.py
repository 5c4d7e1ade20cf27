"""`vertex-launch demo` runs nine jobs; what it shares with `up` stands here, too."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deploy.local.board import serve_board
from deploy.local.cases import CASES
from deploy.local.demo import Demo
from deploy.local.processes import NotStartedError, end_with_parent
from deploy.local.record import Record, already_up, running
from deploy.local.run_folder import HeldError, clear, held, lack_of_room
from deploy.local.screen import SUMMARY, conclude, instruct_briefly, observe
from deploy.local.stack import Ports, Stack

DEMO_SETTINGS = {  # the cloud's minutes as a laptop's seconds
    "LAUNCH_STOPPED_RUN_TIMEOUT": "4",
    "INIT_GRACE_SECONDS": "5",
    "OVERDUE_SECONDS": "10",
    "LISTING_LAG_SECONDS": "5",
}
TRACEBACK = "traceback.log"


def folder_option(default: str) -> Callable[[Any], Any]:
    """Give a command the option --folder."""
    return click.option(
        "--folder",
        type=click.Path(path_type=Path),
        default=Path(default),
        show_default=True,
        help="Folder for logs; its earlier content is deleted.",
    )


@click.command()
@folder_option(".demo")
@click.option("--timeout", default=180, show_default=True, help="Stop after this many seconds.")
@click.option("--keep", is_flag=True, help="Keep the stack and its pages up until Ctrl-C.")
def demo(folder: Path, timeout: int, keep: bool) -> None:
    """Run nine jobs on this machine, from queue item to W&B run.

    The real wandb enqueues them; the three functions launch them. Stand-ins replace W&B and Google
    Cloud. The exit code is 0 only if each job ends as expected.
    """
    end_in_order()
    console = Console()
    try:
        with in_one_line(folder), holding(folder, 'make demo ARGS="--folder FOLDER"'):
            make_room(folder)
            _run(folder, timeout, console, keep=keep)
    except KeyboardInterrupt:
        raise click.Abort from None


def _run(folder: Path, timeout: int, console: Console, *, keep: bool) -> None:
    """Run the demo, and print its progress and its summary."""
    began = time.monotonic()
    console.print("Starting the three functions and the stand-ins for W&B and Google Cloud …")
    with Stack(folder, Ports.free(), DEMO_SETTINGS, every=1.5) as stack:
        Record.of(stack).write()
        up_after = time.monotonic() - began
        console.print(f"Up after {up_after:.1f} s. W&B's page: {stack.ports.url('wandb')}")
        run = Demo(stack)
        threading.Thread(target=run.enqueue_all, daemon=True).start()
        observe(run, began + timeout, console)
        if run.errors:
            raise NotStartedError(run.errors[0])
        conclude(run, folder, console, kept=keep)
        problem = run.problem and f"after {timeout} s, {run.problem}: see {folder}/*.log"
        if keep and problem:
            console.print(problem, markup=False, soft_wrap=True)
        elif not problem:
            ended = f"{len(CASES)} jobs ended as expected in {time.monotonic() - began:.0f} s."
            console.print(f"{ended} See {folder}/{SUMMARY}.", markup=False, soft_wrap=True)
        if keep:
            with suppress(KeyboardInterrupt):
                record = Record.of(stack, board=True)
                record.write()
                serve_board(stack, record)
                instruct_briefly(record, console)
                serve(stack)
    if problem:
        raise click.ClickException(problem)


def serve(stack: Stack, problems: Sequence[str] = ()) -> None:
    """Wait until a process ends by itself or somebody adds a problem.

    Raises:
        click.ClickException: names the process or the problem.
    """
    while (gone := stack.processes.ended()) is None and not problems:
        time.sleep(0.5)
    raise click.ClickException(stack.processes.end_of(gone) if gone else problems[0])


@contextmanager
def in_one_line(folder: Path) -> Iterator[None]:
    """Report any error in one line; the traceback of an unforeseen one goes to the folder."""
    try:
        yield
    except click.ClickException:
        raise
    except NotStartedError as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        where = exc.filename or (folder if exc.errno else f"see {folder}/*.log")
        raise click.ClickException(f"{exc.strerror or exc}: {where}") from exc
    except Exception as exc:
        with suppress(OSError):
            (folder / TRACEBACK).write_text(traceback.format_exc(), encoding="utf-8")
        reason = f"{type(exc).__name__}: {exc}".partition("\n")[0]
        raise click.ClickException(f"{reason}: see {folder / TRACEBACK}") from exc


@contextmanager
def holding(folder: Path, another: str) -> Iterator[None]:
    """Lock the folder of this run; if a stack is up in it, report that one instead."""
    try:
        with held(folder):
            yield
    except HeldError as exc:
        record = running(folder)
        raise click.ClickException(already_up(record, another)) if record else exc from None


def make_room(folder: Path) -> None:
    """Delete an earlier run's files; refuse a disk that is too full."""
    clear(folder)
    if lack := lack_of_room(folder):
        raise click.ClickException(lack)


def end_in_order() -> None:
    """End this process in order on SIGTERM, a closed terminal and the end of `make`, as on Ctrl-C.

    A process in the background ignores Ctrl-C; this restores it. SIGHUP stays ignored under
    `nohup`.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _hung_up)
    if "MAKELEVEL" in os.environ:
        end_with_parent()


def _hung_up(*_: object) -> None:
    """End silently: the terminal is gone, and writing to it fails."""
    sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    raise KeyboardInterrupt
