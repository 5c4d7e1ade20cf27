"""Record a person's wish in a launch: by compare-and-swap, and never while a submit works on it.

A submit writes the record that it has claimed once more, with its job. Another write in between
would make it lose its claim, and a later submit would have to look the job up. So a wish waits
until the claim is released, or its lease has ended.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from deploy.exit_codes import CouldNotSee
from deploy.operate.fleet.target import Target
from shared.core.errors import Conflict, Retry
from shared.core.launch import Launch, State, Wish

EVERY = 1.0  # seconds between two looks at a claimed launch


@dataclass(frozen=True, slots=True)
class Recorded:
    """The launch of a wish. `new` tells whether this call has recorded the wish."""

    launch: Launch
    new: bool = False

    @property
    def over(self) -> bool:
        """Tell whether the launch had ended before."""
        return self.launch.entry.state is State.ENDED


@dataclass(frozen=True, slots=True)
class Wishing:
    """Records one wish in launches, for at most `patience` from now on."""

    target: Target
    wish: Wish
    patience: timedelta
    tell: Callable[[str], object]  # shows progress
    sleep: Callable[[float], object] = time.sleep

    def record(self, key: str) -> Recorded:
        """Record the wish in a launch, if it is open and has none.

        Raises:
            CouldNotSee: a submit has worked on it for longer than the patience.
            Retry, Denied: the ledger cannot be reached, or may not be written.
            UnreadableRecord: this version cannot read the record.
        """
        ledger, waits = self.target.ledger, False
        until = self.target.now() + self.patience
        while True:
            launch = ledger.read(key)
            if launch is None:
                if closed := ledger.read_closed(key):
                    return Recorded(closed)
                raise Retry(f"{key} is no longer in the ledger: another agent has its item")
            entry, now = launch.entry, self.target.now()
            if entry.state is State.ENDED or entry.wish:
                return Recorded(launch)
            if not entry.claimed(now):
                try:
                    return Recorded(ledger.write(launch.asked(self.wish)), new=True)
                except Conflict:
                    continue  # read and decide again
            if now >= until:
                raise CouldNotSee(f"{key}: {_busy(entry.lease_until)}: nothing is recorded")
            if not waits:
                self.tell(f"{key}: {_busy(entry.lease_until)}; waiting …")
                waits = True
            self.sleep(EVERY)


def _busy(until: datetime | None) -> str:
    return f"a submit is working on it, until {until:%H:%M:%S} UTC at the latest"
