"""The laptop's commands: `demo` runs nine jobs, `up` keeps the stack for your own jobs."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from deploy.local.cases import CASES
from deploy.local.demo import Demo
from deploy.local.environment import LOOPBACK
from deploy.local.ports import taken
from deploy.local.processes import NotStartedError, end_with_parent
from deploy.local.project import BUILDING, ENTITY, QUEUE
from deploy.local.rows import progress, summary, table
from deploy.local.run_folder import clear, held, lack_of_room
from deploy.local.stack import Ports, Stack

DEMO_SETTINGS = {  # the cloud's minutes as a laptop's seconds
    "LAUNCH_STOPPED_RUN_TIMEOUT": "4",
    "INIT_GRACE_SECONDS": "5",
    "OVERDUE_SECONDS": "10",
    "LISTING_LAG_SECONDS": "5",
}
TRACEBACK = "traceback.log"


def _folder_option(default: str) -> Callable[[Any], Any]:
    return click.option(
        "--folder",
        type=click.Path(path_type=Path),
        default=Path(default),
        show_default=True,
        help="Folder for logs; its earlier content is deleted.",
    )


@click.command()
@_folder_option(".demo")
@click.option("--timeout", default=180, show_default=True, help="Stop after this many seconds.")
def demo(folder: Path, timeout: int) -> None:
    """Run nine jobs on this machine, from queue item to W&B run.

    The real wandb enqueues them; the three functions launch them. Stand-ins replace W&B and Google
    Cloud. The exit code is 0 only if each job ends as expected.
    """
    end_in_order()
    console = Console()
    try:
        with in_one_line(folder), held(folder):
            _make_room(folder)
            _run(folder, timeout, console)
    except KeyboardInterrupt:
        raise click.Abort from None


def _run(folder: Path, timeout: int, console: Console) -> None:
    """Run the demo, and print its progress and its summary."""
    began = time.monotonic()
    console.print("Starting the three functions and the stand-ins for W&B and Google Cloud …")
    with Stack(folder, Ports.free(), DEMO_SETTINGS, every=1.5) as stack:
        up_after = time.monotonic() - began
        console.print(f"Up after {up_after:.1f} s. W&B's page: {stack.ports.url('wandb')}")
        run = Demo(stack)
        threading.Thread(target=run.enqueue_all, daemon=True).start()
        _observe(run, began + timeout, console)
        if run.errors:
            raise NotStartedError(run.errors[0])
        summary(run.rows, console)
    wrong = sum(not row.right for row in run.rows)
    if wrong:
        problem = f"{wrong} of {len(CASES)} jobs did not end as expected"
        raise click.ClickException(f"after {timeout} s, {problem}: see {folder}/*.log")
    if not run.settled:
        problem = "status has not closed every launch"
        raise click.ClickException(f"after {timeout} s, {problem}: see {folder}/*.log")
    ended = f"{len(CASES)} jobs ended as expected in {time.monotonic() - began:.0f} s."
    console.print(f"{ended} Logs: {folder}/*.log", markup=False, soft_wrap=True)


def _observe(run: Demo, deadline: float, console: Console) -> None:
    """Show the jobs until they have ended: as one table on a terminal, else as lines."""
    if not console.is_terminal:
        shown: dict[str, str] = {}
        while not run.settled and time.monotonic() < deadline:
            lines = {row.case.name: progress(row) for row in run.look() if any(row.states)}
            for name, line in lines.items():
                if shown.get(name) != line:
                    console.print(line, highlight=False, soft_wrap=True)
            shown |= lines
            time.sleep(0.4)
        return
    with Live(table(run.look()), console=console, auto_refresh=False, transient=True) as live:
        while not run.settled and time.monotonic() < deadline:
            time.sleep(0.4)
            live.update(table(run.look()), refresh=True)


@click.command()
@_folder_option(".stack")
@click.option(
    "--every", default=2.0, show_default=True, help="Seconds between calls of poll and status."
)
@click.option(
    "--build", is_flag=True, help="Build images of code jobs, as a deployment with a builder does."
)
def up(folder: Path, every: float, build: bool) -> None:
    """Keep the stack running for your own `wandb launch`.

    It listens on fixed ports and prints the variables to export; `no_proxy` is one of them, since
    a proxy cannot reach this machine's ports. Ctrl-C ends every process.
    """
    end_in_order()
    console = Console()
    try:
        with in_one_line(folder), held(folder):
            _check_ports(Ports(), build)
            _make_room(folder)
            console.print("Starting …")
            settings = DEMO_SETTINGS | (BUILDING if build else {})
            with Stack(folder, settings=settings, every=every) as stack:
                _instruct(stack, console)
                while (gone := stack.processes.ended()) is None:
                    time.sleep(0.5)
                raise click.ClickException(stack.processes.end_of(gone))
    except KeyboardInterrupt:
        console.print("Ended.")


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


def _check_ports(ports: Ports, build: bool) -> None:
    """Check that every port is free, before anything is deleted or started."""
    if found := taken(ports.by_name(build)):
        raise click.ClickException(
            f"these ports are taken: {', '.join(found)}. End that process, then try again."
        )


def _make_room(folder: Path) -> None:
    clear(folder)
    if lack := lack_of_room(folder):
        raise click.ClickException(lack)


def _instruct(stack: Stack, console: Console) -> None:
    wandb = Path(sys.executable).parent / "wandb"
    shown = os.path.relpath(wandb) if wandb.exists() else "wandb"
    exports = [f"  export {name}={value}" for name, value in stack.user_settings().items()]
    no_proxy = f'"{LOOPBACK}${{no_proxy:+,$no_proxy}}"'
    launch = f"--queue {QUEUE} --entity {ENTITY} --project cats --docker-image local/train:latest"
    lines = [
        "The stack is up. In another terminal:",
        "",
        *exports,
        f'  export no_proxy={no_proxy}; export NO_PROXY="$no_proxy"',
        f"  {shown} launch {launch}",
        "",
        f"W&B's page:      {stack.ports.url('wandb')}/",
        f"Vertex's page:   {stack.ports.url('vertex')}/",
        f"Logs:            {stack.folder}/*.log",
        "The image local/NAME is the folder deploy/local/images/NAME. Ctrl-C ends every process.",
    ]
    console.print("\n".join(lines), soft_wrap=True, highlight=False)


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
