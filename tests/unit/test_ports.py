"""Ports for servers: none that an outgoing connection or another process of ours could take meanwhile."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.environment import MARK
from deploy.local.ports import BASE, HOST, Holder, Ports, free_base, free_port, in_use, taken

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LISTEN = f"""
import socket
with socket.create_server(("{HOST}", 0)) as listening:
    print(listening.getsockname()[1], flush=True)
    input()
"""


@pytest.fixture
def listener() -> Iterator[tuple[int, int]]:
    """Run another stack's server; gives its port and its process."""
    command = [sys.executable, "-c", LISTEN]
    env = {**os.environ, MARK: "/home/me/a:b/.stack:77"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout
        yield int(process.stdout.readline()), process.pid
        process.communicate("\n")


@pytest.mark.skipif(not RANGE.exists(), reason="this system does not say which ports connections get")
def test_no_outgoing_connection_gets_a_free_port() -> None:
    """The kernel takes those from a range of its own."""
    low, high = map(int, RANGE.read_text().split())
    if low - 20000 < 1000 and 65535 - high < 1000:
        pytest.skip("outgoing connections may have any port here")
    assert [port for port in (free_port() for _ in range(50)) if low <= port <= high] == []


def test_no_port_is_given_twice() -> None:
    """In this process, or in another one at the same time."""
    code = "from deploy.local.ports import *; print(*(free_port() for _ in range(200)), flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        theirs = [int(port) for port in other.stdout.readline().split()]
        ours = [free_port() for _ in range(200)]
        other.communicate("\n")
    assert len({*theirs, *ours}) == 400


def test_a_taken_port_names_who_listens(listener: tuple[int, int]) -> None:
    """With its process and the stack that started it, so that its owner can end it."""
    port, pid = listener
    assert in_use(port)
    [(name, holder)] = taken({"wandb": port, "free": free_port()}).items()
    assert (name, holder.pid, holder.stack) == ("wandb", pid, Path("/home/me/a:b/.stack"))
    assert str(holder).endswith(f" (process {pid}, of the stack in /home/me/a:b/.stack)")
    assert str(Holder()) == "a process of another user"


def test_a_port_that_is_bound_is_taken(listener: tuple[int, int]) -> None:
    """And one of our own, if it is free, is not."""
    assert not in_use(free_port())
    assert os.getpid() != listener[1]


def test_the_ports_of_up_are_free_of_the_kernels_range() -> None:
    """Below every system's range of outgoing connections, unless somebody chooses others."""
    assert all(1024 < port < 20000 for port in Ports().by_name().values())
    assert "build" not in Ports().by_name(build=False)


def test_the_ports_of_up_move_together() -> None:
    """Another base moves each port by the same distance; 0 takes free ones, and no advice is a taken base."""
    assert Ports.above(BASE) == Ports()
    moved = Ports.above(8000).by_name()
    assert {name: port - 8000 for name, port in moved.items()} == {
        name: port - BASE for name, port in Ports().by_name().items()
    }
    free = Ports.above(0).by_name().values()
    assert len({*free, *moved.values()}) == 2 * len(moved)
    assert free_base() != BASE
    assert not any(map(in_use, Ports.above(free_base()).by_name().values()))
