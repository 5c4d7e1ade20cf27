"""`vertex-launch up`: keep the stack for your own jobs, or practise on a bad day."""

import threading
import time
from pathlib import Path
from typing import Any

import click
import requests
from rich.console import Console

from deploy.local.board import serve_board
from deploy.local.commands import (
    DEMO_SETTINGS,
    end_in_order,
    folder_option,
    holding,
    in_one_line,
    make_room,
    serve,
)
from deploy.local.enqueue import enqueue
from deploy.local.plays import GOOD_DAY, PLAYS, Play
from deploy.local.ports import BASE, Ports, free_base, taken
from deploy.local.processes import NotStartedError
from deploy.local.project import BUILDING
from deploy.local.record import Record, already_up, running
from deploy.local.screen import instruct
from deploy.local.stack import Stack

PROJECT = "practice"  # in W&B, of the items of a bad day
LOWEST = 1023
HIGHEST = 65535 - (Ports().status - BASE)


def _port_base(_: click.Context, __: click.Parameter, value: int) -> int:
    if 0 < value < LOWEST:
        raise click.BadParameter(
            f"ports below 1024 belong to the system: use {LOWEST} to {HIGHEST}, or 0 for free ports"
        )
    return value


@click.command()
@folder_option(".stack")
@click.option(
    "--port-base",
    default=BASE,
    show_default=True,
    type=click.IntRange(0, HIGHEST),
    callback=_port_base,
    help="The stack takes the ports from this number + 1 to + 13; 0 selects free ones.",
)
@click.option(
    "--every", default=2.0, show_default=True, help="Seconds between calls of poll and status."
)
@click.option(
    "--build", is_flag=True, help="Build images of code jobs, as a deployment with a builder does."
)
@click.option(
    "--play",
    type=click.Choice(list(PLAYS)),
    help="Simulate a bad day: put items on the queue, and say which command shows the cause.",
)
def up(folder: Path, port_base: int, every: float, build: bool, play: str | None) -> None:
    """Keep the stack running for your own `wandb launch`.

    It prints the addresses of its pages, and writes a script that makes wandb, vertex-launch and
    gcloud use it: `. .stack/env`. stack.json in the same folder has the same facts for programs.
    Ctrl-C ends every process.

    Before it deletes or starts anything, it checks its ports and its folder. A second stack needs
    its own --folder and --port-base.
    """
    end_in_order()
    console = Console()
    day = PLAYS[play] if play else GOOD_DAY
    settings = DEMO_SETTINGS | (BUILDING if build else {}) | day.settings_in(folder)
    try:
        with in_one_line(folder):
            ports = Ports.above(port_base)
            _check_ports(ports, build or day.builds)
            with holding(folder, _another()):
                make_room(folder)
                console.print("Starting …")
                day.prepare(folder)
                wandb, vertex = (day.options.get(server, ()) for server in ("wandb", "vertex"))
                stack = Stack(
                    folder, ports, settings, every, wandb_options=wandb, vertex_options=vertex
                )
                with stack:
                    record = Record.of(stack, board=True)
                    record.write()
                    serve_board(stack, record)
                    instruct(record, console)
                    serve(stack, _begin(day, stack, console))
    except KeyboardInterrupt:
        console.print("Ended.")


def _check_ports(ports: Ports, build: bool) -> None:
    """Check that every port is free, before anything is deleted or started.

    Raises:
        click.ClickException: some are taken; it names each port, its process and the fix.
    """
    numbers = ports.by_name(build)
    found = taken(numbers)
    if not found:
        return
    stacks = {holder.stack for holder in found.values()}
    other = stacks.pop() if len(stacks) == 1 else None
    if other and (record := running(other)):
        raise click.ClickException(already_up(record, _another()))
    named = ", ".join(f"{numbers[name]} ({name}) by {holder}" for name, holder in found.items())
    raise click.ClickException(
        f"these ports are taken: {named}. Nothing was changed. End that process, or choose other "
        f'ports: make up ARGS="--port-base {free_base()}"'
    )


def _another() -> str:
    """Return the command that starts another stack beside a running one."""
    return f'make up ARGS="--folder FOLDER --port-base {free_base()}"'


def _begin(day: Play, stack: Stack, console: Console) -> list[str]:
    """Put the day's items on the queue meanwhile; return the list for the first problem."""
    problems: list[str] = []

    def put() -> None:
        ids: dict[str, str] = {}
        try:
            for group in day.groups_in(stack.folder):
                while ids and not any(item["warning"] for item in _items(stack)):
                    time.sleep(0.5)
                enqueue(stack, group, PROJECT)
                names = {item["id"]: item["run_spec"].get("name") for item in _items(stack)}
                for item, name in names.items():
                    if name not in ids:
                        ids[name] = item
                        show(f"  vertex-launch why {item}   # {name}")
            end = day.end_in(stack.folder, stack.ports.url("vertex"), ids)
            show(f"\nTo end the bad day:\n\n  {end}")
        except (NotStartedError, requests.RequestException, OSError) as exc:
            problems.append(str(exc))

    def show(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    if day.items:
        about = f"\nA bad day: {day.about} W&B's page shows {day.shows}. To see the cause:\n"
        console.print(about, highlight=False, markup=False)
        threading.Thread(target=put, name="items", daemon=True).start()
    return problems


def _items(stack: Stack) -> list[dict[str, Any]]:
    """Return the items of W&B's queues."""
    found = requests.get(f"{stack.ports.url('wandb')}/standin/items", timeout=10)
    return list(found.json())
