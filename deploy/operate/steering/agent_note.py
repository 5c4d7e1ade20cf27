"""Change the note of poll's agent under its lease: a running poll would overwrite it."""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from deploy.exit_codes import CouldNotSee
from deploy.operate.fleet.target import Target
from shared.core.errors import Conflict
from shared.core.ports import AgentNote

LEASE = timedelta(seconds=60)  # more than a command needs
EVERY = 1.0  # seconds between two attempts to take the lease


def change_note(
    target: Target, patience: float, change: Callable[[AgentNote], AgentNote]
) -> AgentNote:
    """Change the note, within `patience` seconds; return it as it was before.

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
                return note
            except Conflict:
                pass
        if time.monotonic() >= deadline:
            raise CouldNotSee(
                "a poll is running, or ended without releasing its lease, which lasts "
                "POLL_LEASE_SECONDS (150). Try again in three minutes, or with a longer --wait"
            )
        time.sleep(EVERY)
