"""Change the note of poll's agent, beside polls and status, which write it too."""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from deploy.exit_codes import CouldNotSee
from deploy.operate.fleet.target import Target
from shared.core.errors import Conflict, Retry
from shared.core.ports import AgentNote

TRIES = 20  # of a write; others write the note a few times a minute
LEASE = timedelta(seconds=60)  # more than a command needs
EVERY = 1.0  # seconds between two attempts to take the lease

Change = Callable[[AgentNote], AgentNote]


def change_note(target: Target, change: Change) -> AgentNote:
    """Change fields that no poll writes; return the note as written.

    Raises:
        Retry, Denied: the ledger cannot be reached, or may not be written.
    """
    for _ in range(TRIES):
        note = target.book.read() or AgentNote("")
        try:
            return target.book.write(change(note))
        except Conflict:
            continue  # read again
    raise Retry("the agent's note is written all the time: try again")


def replace_agent(target: Target, patience: float, change: Change) -> None:
    """Change fields that polls write too: under their lease, within `patience` seconds.

    Raises:
        CouldNotSee: a poll has held the lease for longer.
        Retry, Denied: the ledger cannot be reached, or may not be written.
    """
    holder, deadline = f"command-{uuid.uuid4().hex}", time.monotonic() + patience
    while True:
        now = target.now()
        if note := target.book.take(holder, now, now + LEASE):
            try:
                target.book.write(replace(change(note), lease_until=None))
                return
            except Conflict:
                pass
        if time.monotonic() >= deadline:
            raise CouldNotSee(
                "a poll is running, or ended without releasing its lease, which lasts "
                "POLL_LEASE_SECONDS (150). Try again in three minutes, or with a longer --wait"
            )
        time.sleep(EVERY)
