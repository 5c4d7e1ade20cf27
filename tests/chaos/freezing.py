"""Freeze a function as the platform does when it takes an instance's CPU away, while another instance goes on.

A function's server is gunicorn: its first process listens, a worker serves. The worker is stopped (SIGSTOP) with all of
its threads, wherever they are; SIGTTIN lets gunicorn begin another one, which serves meanwhile. Later the frozen one
goes on (SIGCONT) where it was, and SIGTTOU ends the older of the two as soon as its calls are over.
"""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from deploy.local.processes import Processes

BEGINS = 5.0  # seconds that a worker may take to begin


@dataclass
class Freezer:
    """Holds the workers that are frozen, and thaws each when its time is over."""

    processes: Processes
    frozen: dict[int, tuple[str, int, float]] = field(default_factory=dict)  # worker: function, server, until

    def freeze(self, function: str, seconds: float) -> bool:
        """Freeze the worker of a function; False where it has none, or more than one."""
        server = self.processes.pid(function)
        workers = _children(server)
        if len(workers) != 1 or workers[0] in self.frozen:
            return False
        os.kill(workers[0], signal.SIGSTOP)
        os.kill(server, signal.SIGTTIN)
        self.frozen[workers[0]] = (function, server, time.monotonic() + seconds)
        deadline = time.monotonic() + BEGINS
        while len(_children(server)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        return True

    def thaw(self, *, everything: bool = False) -> None:
        """Let those go on whose time is over, or all."""
        for worker, (_, server, until) in list(self.frozen.items()):
            if everything or time.monotonic() > until:
                del self.frozen[worker]
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGCONT)
                    os.kill(server, signal.SIGTTOU)

    def forget(self, function: str) -> None:
        """Know no more of a function's workers: it was killed."""
        self.frozen = {worker: each for worker, each in self.frozen.items() if each[0] != function}

    def is_frozen(self, function: str) -> bool:
        """Tell whether one of its workers is frozen."""
        return any(each[0] == function for each in self.frozen.values())


def _children(server: int) -> list[int]:
    try:
        found: Iterable[psutil.Process] = psutil.Process(server).children()
        return [child.pid for child in found if child.status() != psutil.STATUS_ZOMBIE]
    except psutil.NoSuchProcess:
        return []
