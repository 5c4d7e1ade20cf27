"""Start processes, wait until they listen, and end them all, also if this process is killed."""

import atexit
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil

from deploy.local.environment import MARK
from deploy.local.ports import HOST, free_port

__all__ = ["HOST", "NotStartedError", "Processes", "end_with_parent", "free_port"]


class NotStartedError(Exception):
    """A process ended, or did not listen in time; the message is one line with its log."""


@dataclass
class Processes:
    """Processes that end together; each writes its output to `folder/NAME.log`."""

    folder: Path
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _commands: set[str] = field(default_factory=set)  # those that end by themselves

    def start(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start one in its own process group, so that its children end with it."""
        guard = _guard()
        mark = f"{self.folder.resolve()}:{os.getpid()}"
        guard.mark(mark)
        variables = {**(os.environ if environ is None else environ), MARK: mark}
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                command, env=variables, cwd=folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        guard.watch(process.pid)
        self._running[name] = process
        return process

    def run(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], folder: Path
    ) -> int:
        """Run one in a folder until it ends; return its exit code."""
        self._commands.add(name)
        process = self.start(name, command, environ, folder)
        code = process.wait()
        _guard().forget(process.pid)
        self._running.pop(name, None)
        return code

    def await_port(self, name: str, port: int, deadline: float) -> None:
        """Wait until the process listens at this port; `deadline` is monotonic time.

        Raises:
            NotStartedError: it ended, or the deadline is over.
        """
        while True:
            if self._running[name].poll() is not None:
                raise NotStartedError(self.end_of(name))
            with closing(socket.socket()) as probe:
                probe.settimeout(1)
                if probe.connect_ex((HOST, port)) == 0:
                    return
            if time.monotonic() > deadline:
                raise NotStartedError(
                    f"{name} did not listen at port {port} in time: see {self.log(name)}"
                )
            time.sleep(0.03)

    def end_of(self, name: str) -> str:
        """Return one line with a process's exit code, its last line of output and its log."""
        last = next(
            (line.strip() for line in reversed(self.tail(name).splitlines()) if line.strip()),
            "no output",
        )
        code = self._running[name].poll()
        return f"{name} ended with exit code {code} ({last}): see {self.log(name)}"

    def ended(self) -> str | None:
        """Return the name of a process that has ended by itself and should not, or None."""
        servers = self._running.keys() - self._commands
        return next((name for name in servers if self._running[name].poll() is not None), None)

    def kill(self, name: str) -> None:
        """Kill one, as a crash does."""
        process = self._running.pop(name)
        _signal(process, signal.SIGKILL)
        process.wait()
        _guard().forget(process.pid)

    def pid(self, name: str) -> int:
        """Return a process's id."""
        return self._running[name].pid

    def stop(self, *earlier: Sequence[str], grace_seconds: float = 8.0) -> None:
        """End all: asked first, then killed, with whatever they started.

        Each group of names in `earlier` has ended before the next, and all of them before the rest.
        A master is killed once its workers have ended: its own exit takes a second of CPU.
        """
        for names in earlier:
            self._end(names, grace_seconds, workers=True)
        self._end(list(self._running)[::-1], grace_seconds)

    def _end(self, names: Sequence[str], grace_seconds: float, workers: bool = False) -> None:
        """End these, and wait until they are gone."""
        ending = [self._running.pop(name) for name in names if name in self._running]
        masters = {process for process in ending if workers and _has_children(process)}
        try:
            for process in ending:
                _signal(process, signal.SIGTERM)
            deadline = time.monotonic() + grace_seconds
            for process in ending:
                while process.poll() is None and time.monotonic() < deadline:
                    if process in masters and not _has_children(process):
                        break
                    time.sleep(0.02)
        finally:
            for process in ending:
                _signal(process, signal.SIGKILL)
                process.wait()
                _guard().forget(process.pid)

    def log(self, name: str) -> Path:
        """Return the file with a process's output."""
        return self.folder / f"{name}.log"

    def tail(self, name: str, lines: int = 15) -> str:
        """Return the last lines of a process's output."""
        return "\n".join(
            self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        )


def end_with_parent() -> None:
    """Send SIGTERM to this process once its parent is gone, since a killed parent sends none."""
    parent = os.getppid()

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, name="parent", daemon=True).start()


class _Guard:
    """The process that ends our process groups when we are gone (deploy/local/guard.py)."""

    def __init__(self) -> None:
        program = str(Path(__file__).with_name("guard.py"))
        self._process = subprocess.Popen(
            [sys.executable, "-IS", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        atexit.register(self.close)

    def mark(self, mark: str) -> None:
        """Add a mark: no process that has it, or inherits it, may outlive us."""
        self._send(f"={quote(os.fsencode(f'{MARK}={mark}'))}\n")

    def watch(self, group: int) -> None:
        """Add a process group that must not outlive us."""
        self._send(f"+{group}\n")

    def forget(self, group: int) -> None:
        """Remove a process group that has ended."""
        self._send(f"-{group}\n")

    def close(self) -> None:
        """End the guard and the remaining process groups."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.close()
        self._process.wait()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        with suppress(BrokenPipeError):  # somebody killed the guard; the stack goes on without it
            os.write(self._process.stdin.fileno(), line.encode())


@functools.cache
def _guard() -> _Guard:
    return _Guard()


def _has_children(process: subprocess.Popen[bytes]) -> bool:
    try:
        return any(
            child.status() != psutil.STATUS_ZOMBIE
            for child in psutil.Process(process.pid).children()
        )
    except psutil.NoSuchProcess:
        return False


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
