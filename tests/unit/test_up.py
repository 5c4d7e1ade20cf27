"""`make up` checks its ports before it touches anything, and says what to do about a taken one."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deploy.local.environment import MARK
from deploy.local.ports import HOST, Ports, free_port
from deploy.local.record import Record
from deploy.local.run_folder import held
from deploy.local.stack import Stack
from deploy.local.up import _check_ports, up

LISTEN = f"""
import socket, sys
made = [socket.create_server(("{HOST}", int(port))) for port in sys.argv[1:]]
print("up", flush=True)
input()
"""


@pytest.fixture
def taken_by() -> Iterator[Callable[[str, list[int]], int]]:
    """Run a process of a stack that listens at these ports; gives its id."""
    with ExitStack() as all_:

        def start(folder: str, ports: list[int]) -> int:
            command = [sys.executable, "-c", LISTEN, *map(str, ports)]
            env = {**os.environ, MARK: f"{folder}:77"} if folder else None
            process = all_.enter_context(
                subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            assert process.stdin
            assert process.stdout
            all_.callback(process.stdin.close)
            assert process.stdout.readline() == "up\n"
            return process.pid

        yield start


def test_a_taken_port_names_its_process_and_the_fix(taken_by: Callable[[str, list[int]], int]) -> None:
    """Every such port at once, with a base that is free; a stack that ended counts as any process."""
    ports = Ports.free()
    own = taken_by("", [ports.poll])
    other = taken_by("/gone", [ports.wandb])
    with pytest.raises(click.ClickException) as refused:
        _check_ports(ports, build=False)
    message = refused.value.message
    assert re.search(rf"\b{ports.wandb} \(wandb\) by \S+ \(process {other}, of the stack in /gone\)", message)
    assert re.search(rf"\b{ports.poll} \(poll\) by \S+ \(process {own}\)", message)
    assert "Nothing was changed" in message
    assert re.search(r'make up ARGS="--port-base \d+000"$', message)


def test_a_stack_at_the_ports_is_reported(taken_by: Callable[[str, list[int]], int], tmp_path: Path) -> None:
    """As one in the same folder is: its process and its addresses."""
    ports = Ports.free()
    with held(tmp_path):
        record = Record.of(Stack(tmp_path, ports))
        record.write()
        taken_by(str(tmp_path), [ports.wandb, ports.vertex])
        with pytest.raises(click.ClickException) as refused:
            _check_ports(ports, build=False)
    message = refused.value.message
    assert message.startswith(f"a stack is up already in {tmp_path} (process {os.getpid()}")
    assert ports.url("vertex") in message
    assert re.search(r'make up ARGS="--folder FOLDER --port-base \d+000"', message)


def test_a_port_of_no_use_may_be_taken(taken_by: Callable[[str, list[int]], int]) -> None:
    """Without a builder, nothing listens at its port."""
    ports = Ports.free()
    taken_by("", [ports.build])
    _check_ports(ports, build=False)
    with pytest.raises(click.ClickException):
        _check_ports(ports, build=True)


def test_nothing_of_an_earlier_run_is_deleted(tmp_path: Path) -> None:
    """Its logs stay if the new run cannot start."""
    with held(tmp_path):
        (tmp_path / "gcs.log").write_text("earlier")
    base = next(port for port in (free_port() for _ in range(99)) if port < 32000)
    hang_up = signal.getsignal(signal.SIGHUP)
    with closing(socket.create_server((HOST, base + 1))):
        folders = (tmp_path, tmp_path / "none")
        done = [CliRunner().invoke(up, ["--folder", str(folder), "--port-base", str(base)]) for folder in folders]
    signal.signal(signal.SIGHUP, hang_up)  # the command has its own
    assert [result.exit_code for result in done] == [1, 1]
    assert f"{base + 1} (wandb) by " in done[0].output
    assert (tmp_path / "gcs.log").read_text() == "earlier"
    assert not (tmp_path / "none").exists()
