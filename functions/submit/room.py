"""The headroom of other systems' requests: their own limit, which concurrent submits never exceed.

Submit claims a request first and counts then, in the ledger's consistent listing: of two submits,
at least the later one sees both claims. A submit that finds too many claims releases its own; the
oldest claims wait a moment for that.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared.core.launch import Entry, Launch, State
from shared.core.ports import Ledger

LOOKS = 5  # listings before a claim is released
PAUSE = 1.0  # seconds between two listings
_HOLDING = (State.SUBMITTING, State.SUBMITTED)


@dataclass(frozen=True, slots=True)
class Room:
    """The limit of running requests; -1: no limit."""

    ledger: Ledger
    most: int
    pause: Callable[[float], object]

    def has(self, claimed: Launch) -> bool:
        """Tell whether a claimed launch is within the limit.

        Raises:
            Retry, Denied: the ledger cannot be listed.
        """
        if self.most < 0 or not claimed.entry.of_request:
            return True
        for look in range(LOOKS):
            listing = self.ledger.list_open()
            requests = [entry for entry in listing.entries if entry.of_request]
            holding = [entry for entry in requests if entry.state in _HOLDING]
            # an unreadable record may be a request
            taken = len(holding) + len(listing.unreadable)
            if taken <= self.most:
                return True
            if taken - _younger(claimed.entry, holding) > self.most:
                return False
            if look < LOOKS - 1:
                self.pause(PAUSE)
        return False


def _younger(entry: Entry, holding: list[Entry]) -> int:
    """Return the number of younger claims, which will be released."""
    claims = [each for each in holding if each.state is State.SUBMITTING]
    order = (entry.opened_at, entry.key)
    return len([each for each in claims if (each.opened_at, each.key) > order])
