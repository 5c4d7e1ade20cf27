"""The board of a local stack: `vertex-launch board`, started beside its other processes."""

import sys
import time

from deploy.local.record import Record
from deploy.local.stack import START_SECONDS, Stack


def serve_board(stack: Stack, record: Record) -> None:
    """Serve the board of a stack whose record is written, and wait until it listens.

    Raises:
        NotStartedError: it ended, or did not listen in time.
    """
    command = [sys.executable, "-m", "deploy", "board", "--port", str(stack.ports.board)]
    stack.processes.start("board", command, stack.environ() | dict(record.exports))
    deadline = time.monotonic() + START_SECONDS
    stack.processes.await_port("board", stack.ports.board, deadline)
