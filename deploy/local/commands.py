"""The commands of the laptop: `demo` shows nine jobs the whole way, `up` keeps the stack running for your own."""

import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from deploy.local.cases import CASES
from deploy.local.demo import Demo, summary, table
from deploy.local.processes import NotStartedError
from deploy.local.stack import BUILDING, ENTITY, QUEUE, Ports, Stack

DEMO_SETTINGS = {  # the cloud's minutes as a laptop's seconds
    "LAUNCH_STOPPED_RUN_TIMEOUT": "4",
    "INIT_GRACE_SECONDS": "5",
    "OVERDUE_SECONDS": "10",
    "LISTING_LAG_SECONDS": "5",
}


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".demo"), show_default=True, help="For logs.")
@click.option("--timeout", default=180, show_default=True, help="Give up after this many seconds.")
def demo(folder: Path, timeout: int) -> None:
    """Run nine jobs the whole way on this machine; exit code 0 only if each had the right outcome."""
    console = Console()
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    console.print("Starting the three functions and what stands in for the cloud …")
    end_in_order()
    try:
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
            right = summary(run, console)
    except NotStartedError as exc:
        raise click.ClickException(str(exc)) from exc
    except KeyboardInterrupt:
        raise click.Abort from None
    console.print(f"{time.monotonic() - began:.0f} s in all. The logs of every process are in {folder}/.")
    if not right:
        raise click.ClickException(f"not all {len(CASES)} jobs had the right outcome: see {folder}/*.log")


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".stack"), show_default=True, help="For logs.")
@click.option("--every", default=2.0, show_default=True, help="Seconds between two calls of poll and status.")
@click.option("--build", is_flag=True, help="Build images of jobs' code, as a deployment with a builder does.")
def up(folder: Path, every: float, build: bool) -> None:
    """Keep the stack running on fixed ports, for your own `wandb launch`; Ctrl-C ends every process."""
    console = Console()
    shutil.rmtree(folder, ignore_errors=True)
    console.print("Starting …")
    end_in_order()
    try:
        with Stack(folder, settings=DEMO_SETTINGS | (BUILDING if build else {}), every=every) as stack:
            _instruct(stack, console)
            while (gone := stack.processes.ended()) is None:
                time.sleep(0.5)
            raise click.ClickException(f"{gone} has ended:\n{stack.processes.tail(gone)}")
    except NotStartedError as exc:
        raise click.ClickException(str(exc)) from exc
    except KeyboardInterrupt:
        console.print("Ended.")


def _instruct(stack: Stack, console: Console) -> None:
    exports = "\n".join(f"  export {name}={value}" for name, value in stack.user_settings().items())
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
    """Let SIGTERM end us as Ctrl-C does; and Ctrl-C too where we were started in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
