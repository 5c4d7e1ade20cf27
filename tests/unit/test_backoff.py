"""How long to wait before another attempt."""

from datetime import timedelta

import pytest

from shared.core.backoff import Backoff
from shared.core.shortage import Shortage

BACKOFF = Backoff(timedelta(seconds=3), timedelta(seconds=40), timedelta(seconds=10))


@pytest.mark.parametrize(
    ("times", "shortage", "seconds"),
    [
        (1, None, 3),
        (2, None, 6),
        (3, None, 12),
        (4, None, 24),
        (5, None, 40),
        (2, Shortage.RATE, 6),
        (3, Shortage.RATE, 10),
        (5, Shortage.STOCKOUT, 40),
        (10**9, None, 40),
    ],
)
def test_a_wait_doubles_up_to_the_longest(times: int, shortage: Shortage | None, seconds: int) -> None:
    """A quota per minute has its own longest wait; no number of attempts is too large."""
    assert BACKOFF.after(times, shortage) == timedelta(seconds=seconds)
