"""Ports of this machine: reserve free ones, and name the process at a taken one."""

import errno
import fcntl
import functools
import os
import random
import socket
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil

from deploy.local.environment import MARK

HOST = "127.0.0.1"
BASE = 7000  # of the ports of `make up`
FIRST, LAST = 20000, 65535  # above the well-known ports and those of `make up`
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True)
class Ports:
    """The ports of the stack: chosen for `make up`, free ones for tests and the demo."""

    wandb: int = BASE + 1
    pubsub: int = BASE + 2
    vertex: int = BASE + 3
    gcs: int = BASE + 4
    build: int = BASE + 5
    board: int = BASE + 6
    poll: int = BASE + 11
    submit: int = BASE + 12
    status: int = BASE + 13

    @classmethod
    def free(cls) -> "Ports":
        """Return free ports."""
        return cls(*(free_port() for _ in fields(cls)))

    @classmethod
    def above(cls, base: int) -> "Ports":
        """Return the ports from `base` + 1 to `base` + 13, or free ones for 0."""
        if base == 0:
            return cls.free()
        return cls(**{name: port - BASE + base for name, port in asdict(cls()).items()})

    def by_name(self, build: bool = True) -> dict[str, int]:
        """Return each port by the name of its server."""
        return {name: port for name, port in asdict(self).items() if build or name != "build"}

    def url(self, name: str) -> str:
        """Return the URL of one server."""
        return f"http://{HOST}:{getattr(self, name)}"


def free_port() -> int:
    """Return a free port, reserved for this process until it ends.

    The port is outside the kernel's ephemeral range, so no outgoing connection takes it. A file
    lock keeps other processes of this project away while a server starts or restarts.

    Raises:
        OSError: no port is free.
    """
    ports = list(_outside())
    random.shuffle(ports)
    for port in ports:
        if port not in _reserved and not in_use(port) and _reserve(port):
            return port
    raise OSError(errno.EADDRNOTAVAIL, "no port of this machine is free")


def in_use(port: int) -> bool:
    """Return whether a port is taken."""
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        # macOS allows a second bind of a port that is bound for all addresses
        if probe.connect_ex((HOST, port)) == 0:
            return True
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


@dataclass(frozen=True)
class Holder:
    """The process that listens at a port; without a `pid`, it belongs to another user."""

    pid: int = 0
    name: str = ""
    stack: Path | None = None  # the folder of the stack to which it belongs

    def __str__(self) -> str:
        """Return a phrase for a message."""
        if not self.pid:
            return "a process of another user"
        of = f", of the stack in {self.stack}" if self.stack else ""
        return f"{self.name} (process {self.pid}{of})"


def taken(ports: Mapping[str, int]) -> dict[str, Holder]:
    """Return the process at each taken port, by the name of the server that wants it."""
    wanted = {name: port for name, port in ports.items() if in_use(port)}
    holders = _holders(frozenset(wanted.values())) if wanted else {}
    return {name: holders.get(port, Holder()) for name, port in wanted.items()}


def free_base() -> int:
    """Return a base whose ports are all free, for an advice."""
    bases = (base for base in range(BASE + 1000, FIRST, 1000))
    free = (base for base in bases if not any(map(in_use, Ports.above(base).by_name().values())))
    return next(free, 0)


_reserved: dict[int, int] = {}  # port → the descriptor of its lock, open until this process ends


def _reserve(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / f"vertex-launch-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _reserved[port] = lock
    return True


@functools.cache
def _outside() -> range:
    """Return ports outside the kernel's range for outgoing connections."""
    try:
        low, high = map(int, _EPHEMERAL.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        low, high = 32768, LAST  # the range of other systems begins later
    if low - FIRST >= 1000:
        return range(FIRST, low)
    return range(high + 1, LAST + 1) if LAST - high >= 1000 else range(FIRST, LAST + 1)


def _holders(ports: frozenset[int]) -> dict[int, Holder]:
    """Return the processes that listen at these ports, as far as this user may see them."""
    holders: dict[int, Holder] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            for found in process.net_connections("tcp"):
                if found.status == psutil.CONN_LISTEN and found.laddr.port in ports:
                    holder = Holder(process.pid, process.name(), _stack_of(process))
                    holders.setdefault(found.laddr.port, holder)
    return holders


def _stack_of(process: psutil.Process) -> Path | None:
    with suppress(psutil.Error):
        folder, _, _pid = process.environ().get(MARK, "").rpartition(":")
        return Path(folder) if folder else None
    return None
