"""How long to wait before another attempt."""

from dataclasses import dataclass
from datetime import timedelta

from shared.core.shortage import Shortage


@dataclass(frozen=True, slots=True)
class Backoff:
    """A wait that doubles each time, up to the longest."""

    first: timedelta = timedelta(seconds=15)
    longest: timedelta = timedelta(minutes=10)
    longest_for_rate: timedelta = timedelta(minutes=1)  # a quota per minute is free again by then

    def after(self, times: int, shortage: Shortage | None = None) -> timedelta:
        """Return the wait after this many times in a row."""
        longest = self.longest_for_rate if shortage is Shortage.RATE else self.longest
        return min(self.first * (1 << min(times - 1, 20)), longest)
