"""End process groups when the process that started them is gone, however it ended: python -IS guard.py.

Standard input is a pipe from that process: a line `+GROUP` names a group to end, `-GROUP` one that has ended. The pipe
closes with the last breath of its writer, also after SIGKILL and with a terminal that is closed.
"""

import contextlib
import os
import signal
import sys
import time

GRACE_SECONDS = 8.0


def main() -> None:
    """Read until the pipe closes, then end what is still named: ask first, kill after the grace."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        _send(group, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and any(_send(group, 0) for group in groups):
        time.sleep(0.05)
    for group in groups:
        _send(group, signal.SIGKILL)


def _send(group: int, number: int) -> bool:
    """Send a signal to a group; return whether it exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    main()
