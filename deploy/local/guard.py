"""End process groups once the process that started them is gone: python -IS guard.py.

Standard input is a pipe from that process: a line `+GROUP` adds a group to end, `-GROUP` removes
it. The pipe closes whenever its writer ends, also after SIGKILL or with its terminal. A line
`=VARIABLE` (percent-encoded NAME=VALUE) adds a mark: on Linux, each process with this variable
ends too, even one that left its group.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

GRACE_SECONDS = 8.0
PROC = Path("/proc")


def main() -> None:
    """Read until the pipe closes, then end the remaining groups: SIGTERM, then SIGKILL."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    marks: set[bytes] = set()
    for line in sys.stdin:
        match line[0], line[1:].strip():
            case "+", group:
                groups.add(int(group))
            case "-", group:
                groups.discard(int(group))
            case "=", variable:
                marks.add(unquote_to_bytes(variable))
    _send(groups, marks, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and _alive(groups, marks):
        time.sleep(0.05)
    _send(groups, marks, signal.SIGKILL)


def _send(groups: Iterable[int], marks: set[bytes], number: int) -> None:
    """Send a signal to the groups and to the marked processes."""
    for group in groups:
        _sent(os.killpg, group, number)
    for pid in _marked(marks):
        _sent(os.kill, pid, number)


def _alive(groups: Iterable[int], marks: set[bytes]) -> bool:
    """Return whether any process is left; without /proc, a zombie counts too."""
    if PROC.is_dir():
        return any(_marked(marks))
    return any(_sent(os.killpg, group, 0) for group in groups)


def _marked(marks: set[bytes]) -> Iterator[int]:
    """Return the processes with a mark; a zombie has no variables."""
    for variables in PROC.glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if marks.intersection(variables.read_bytes().split(b"\0")):
                yield int(variables.parent.name)


def _sent(send: Callable[[int, int], None], whom: int, number: int) -> bool:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        send(whom, number)
        return True
    return False


if __name__ == "__main__":
    main()
