"""The commands of the laptop: `demo` shows nine jobs the whole way, `up` keeps the stack running for your own."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from deploy.local.cases import CASES
from deploy.local.demo import Demo, summary, table
from deploy.local.environment import LOOPBACK
from deploy.local.ports import taken
from deploy.local.processes import NotStartedError, end_with_parent
from deploy.local.run_folder import clear, held, lack_of_room
from deploy.local.stack import BUILDING, ENTITY, QUEUE, Ports, Stack

DEMO_SETTINGS = {  # the cloud's minutes as a laptop's seconds
    "LAUNCH_STOPPED_RUN_TIMEOUT": "4",
    "INIT_GRACE_SECONDS": "5",
    "OVERDUE_SECONDS": "10",
    "LISTING_LAG_SECONDS": "5",
}


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path(".demo"),
    show_default=True,
    help="For logs.",
)
@click.option("--timeout", default=180, show_default=True, help="Give up after this many seconds.")
def demo(folder: Path, timeout: int) -> None:
    """Run nine jobs the whole way on this machine; exit code 0 only if each had the right outcome."""
    end_in_order()
    console = Console()
    try:
        with _in_one_line(folder), held(folder):
            _make_room(folder)
            right = _shown(folder, timeout, console)
    except KeyboardInterrupt:
        raise click.Abort from None
    if not right:
        raise click.ClickException(
            f"not all {len(CASES)} jobs had the right outcome: see {folder}/*.log"
        )


def _shown(folder: Path, timeout: int, console: Console) -> bool:
    """Run the demo; return whether all jobs had the right outcome."""
    began = time.monotonic()
    console.print("Starting the three functions and what stands in for the cloud …")
    with Stack(folder, Ports.free(), DEMO_SETTINGS, every=1.5) as stack:
        console.print(
            f"Up after {time.monotonic() - began:.1f} s. W&B's page of this machine: {stack.ports.url('wandb')}"
        )
        run = Demo(stack)
        threading.Thread(target=run.enqueue_all, daemon=True).start()
        with Live(table(run.look()), console=console, auto_refresh=False) as live:
            while not run.settled and time.monotonic() - began < timeout:
                time.sleep(0.4)
                live.update(table(run.look()), refresh=True)
        console.print()
        if run.errors:
            raise NotStartedError(run.errors[0])
        right = summary(run, console)
    console.print(
        f"{time.monotonic() - began:.0f} s in all. The logs of every process are in {folder}/."
    )
    return right


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path(".stack"),
    show_default=True,
    help="For logs.",
)
@click.option(
    "--every", default=2.0, show_default=True, help="Seconds between two calls of poll and status."
)
@click.option(
    "--build", is_flag=True, help="Build images of jobs' code, as a deployment with a builder does."
)
def up(folder: Path, every: float, build: bool) -> None:
    """Keep the stack running on fixed ports, for your own `wandb launch`; Ctrl-C ends every process."""
    end_in_order()
    console = Console()
    try:
        with _in_one_line(folder), held(folder):
            _check_ports(Ports(), build)
            _make_room(folder)
            console.print("Starting …")
            with Stack(
                folder, settings=DEMO_SETTINGS | (BUILDING if build else {}), every=every
            ) as stack:
                _instruct(stack, console)
                while (gone := stack.processes.ended()) is None:
                    time.sleep(0.5)
                raise click.ClickException(stack.processes.end_of(gone))
    except KeyboardInterrupt:
        console.print("Ended.")


@contextmanager
def _in_one_line(folder: Path) -> Iterator[None]:
    """Say in one line what the machine could not do: start a server, write a file, answer a call."""
    try:
        yield
    except NotStartedError as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        where = exc.filename or (folder if exc.errno else f"see {folder}/*.log")
        raise click.ClickException(f"{exc.strerror or exc}: {where}") from exc


def _check_ports(ports: Ports, build: bool) -> None:
    """See that every port is free, before anything is deleted or started."""
    if found := taken(ports.by_name(build)):
        raise click.ClickException(
            f"these ports are taken: {', '.join(found)}. End that process, then try again."
        )


def _make_room(folder: Path) -> None:
    clear(folder)
    if lack := lack_of_room(folder):
        raise click.ClickException(lack)


def _instruct(stack: Stack, console: Console) -> None:
    exports = "\n".join(f"  export {name}={value}" for name, value in stack.user_settings().items())
    exports += (
        f'\n  export no_proxy="{LOOPBACK}${{no_proxy:+,$no_proxy}}"; export NO_PROXY="$no_proxy"'
    )
    wandb = Path(sys.executable).parent / "wandb"
    shown = os.path.relpath(wandb) if wandb.exists() else "wandb"
    console.print(
        f"The stack is up. In another terminal:\n\n{exports}\n"
        f"  {shown} launch --queue {QUEUE} --entity {ENTITY} --project cats --docker-image local/train:latest\n\n"
        f"W&B's page:      {stack.ports.url('wandb')}/\n"
        f"Vertex's page:   {stack.ports.url('vertex')}/\n"
        f"Logs:            {stack.folder}/*.log\n"
        "An image local/NAME is the folder deploy/local/images/NAME. Ctrl-C ends everything.",
        soft_wrap=True,
        highlight=False,
    )


def end_in_order() -> None:
    """Let SIGTERM, a closed terminal and the end of `make` end us as Ctrl-C does.

    Ctrl-C too, if we were started in the background, where it is ignored; SIGHUP not, if `nohup` has us ignore it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _hung_up)
    if "MAKELEVEL" in os.environ:
        end_with_parent()


def _hung_up(*_: object) -> None:
    """End without a word: nobody is there to read it, and writing to a terminal that is gone fails."""
    sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    raise KeyboardInterrupt
