"""The time that one invocation may spend, measured on a monotonic clock.

A function can outlive its timeout, or freeze for an hour and go on. Before each action that cannot
be repeated, the invocation checks its own budget, not a lease or a wall clock.
"""

import time
from collections.abc import Callable
from copy import copy
from typing import Self

from shared.core.errors import OutOfTime

Monotonic = Callable[[], float]  # seconds since some fixed moment; never set back


class Budget:
    """The seconds that an invocation has from its beginning."""

    def __init__(self, seconds: float, monotonic: Monotonic = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ends = monotonic() + seconds

    @property
    def left(self) -> float:
        """Return the seconds that are left; negative after the end."""
        return self._ends - self._monotonic()

    def part(self, seconds: float) -> Self:
        """Return a budget that ends after these seconds, or with this one."""
        part = copy(self)
        part._ends = min(self._ends, self._monotonic() + seconds)  # noqa: SLF001 - a copy of its own
        return part

    def require(self, action: str, seconds: float = 0.0) -> None:
        """Return if at least this many seconds are left.

        Raises:
            OutOfTime: naming the action that this invocation must not begin.
        """
        if self.left <= seconds:
            raise OutOfTime(f"the time of this invocation is over: {action} is left to a later one")
