"""End process groups once the process that started them is gone: python -IS guard.py.

Standard input is a pipe from that process: a line `+GROUP` adds a group to end, `-GROUP` removes
it. The pipe closes whenever its writer ends, also after SIGKILL or with its terminal.
"""

import contextlib
import os
import signal
import sys
import time

GRACE_SECONDS = 8.0


def main() -> None:
    """Read until the pipe closes, then end the remaining groups: SIGTERM, then SIGKILL."""
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
