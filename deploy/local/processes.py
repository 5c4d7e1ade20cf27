"""Start processes, wait until they listen, and end them all: none is left behind, however we end ourselves."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"


class NotStartedError(Exception):
    """A process ended, or did not listen in time; the message carries the end of what it printed."""


@dataclass
class Processes:
    """A set of processes that live and end together; each prints into `folder/NAME.log`."""

    folder: Path
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        """Start one in a process group of its own, so that its children can be ended with it."""
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def await_port(self, name: str, port: int, deadline: float) -> None:
        """Wait until the process listens at this port; `deadline` is one of time.monotonic().

        Raises:
            NotStartedError: where it has ended instead, or the time is over.
        """
        while True:
            if self._running[name].poll() is not None:
                raise NotStartedError(
                    f"{name} ended with exit code {self._running[name].returncode}:\n{self.tail(name)}"
                )
            with closing(socket.socket()) as probe:
                probe.settimeout(1)
                if probe.connect_ex((HOST, port)) == 0:
                    return
            if time.monotonic() > deadline:
                raise NotStartedError(f"{name} does not listen at port {port}:\n{self.tail(name)}")
            time.sleep(0.03)

    def ended(self) -> str | None:
        """Return the name of a process that has ended by itself, if there is one."""
        return next((name for name, process in self._running.items() if process.poll() is not None), None)

    def kill(self, name: str) -> None:
        """End one at once, as a crash would."""
        process = self._running.pop(name)
        _signal(process, signal.SIGKILL)
        process.wait()

    def pid(self, name: str) -> int:
        """Return a process's id."""
        return self._running[name].pid

    def stop(self, grace_seconds: float = 8.0) -> None:
        """End all: asked first, then killed, with whatever they started."""
        running = list(self._running.values())[::-1]
        for process in running:
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.0))
        for process in running:
            _signal(process, signal.SIGKILL)
            process.wait()
        self._running.clear()

    def log(self, name: str) -> Path:
        """Return where a process's output goes."""
        return self.folder / f"{name}.log"

    def tail(self, name: str, lines: int = 15) -> str:
        """Return the end of what a process printed."""
        return "\n".join(self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
