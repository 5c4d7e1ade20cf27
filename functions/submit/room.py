"""The headroom of other systems' requests: a limit of its own, which several submits at a time never exceed.

A request is claimed first and counted then, in the ledger's consistent listing: of two submits at least the later one
sees both claims. Those that find too many give their claim back; the oldest wait a moment for them to do so.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared.core.launch import Entry, Launch, State
from shared.core.ports import Ledger

LOOKS = 5  # listings before a claim is given back
PAUSE = 1.0  # seconds between two
_HOLDING = (State.SUBMITTING, State.SUBMITTED)


@dataclass(frozen=True, slots=True)
class Room:
    """Tells whether one more request of another system may run; -1: always."""

    ledger: Ledger
    most: int
    pause: Callable[[float], object]

    def has(self, claimed: Launch) -> bool:
        """Tell whether a claimed launch is within the limit. Raises Retry, Denied if the ledger cannot be listed."""
        if self.most < 0 or claimed.entry.from_queue:
            return True
        for look in range(LOOKS):
            listing = self.ledger.list_open()
            holding = [
                entry
                for entry in listing.entries
                if not entry.from_queue and entry.state in _HOLDING
            ]
            taken = len(holding) + len(listing.unreadable)  # which may be of a request
            if taken <= self.most:
                return True
            if taken - _behind(claimed.entry, holding) > self.most:
                return False
            if look < LOOKS - 1:
                self.pause(PAUSE)
        return False


def _behind(entry: Entry, holding: list[Entry]) -> int:
    """Return how many claims are younger than this one: those give way."""
    claims = (each for each in holding if each.state is State.SUBMITTING)
    return sum((each.opened_at, each.key) > (entry.opened_at, entry.key) for each in claims)
