"""Decide when the next round of a function comes: fast while work goes on, once a minute otherwise.

Cloud Scheduler is the only heartbeat. Within one of its calls, poll asks W&B again while slots are
free, and status looks again while none is. Everything here is computed from facts, without I/O.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.core.traffic import Traffic

WAKE_UP = "/wake-up"  # poll's path for wake-ups: Pub/Sub pushes them without our reading a body
SHARE = 3  # an interval has this many times the last round: a slow system gets time to recover
PAGE = 0.2  # seconds for each call of Vertex AI: 300 a minute, half of its default quota
STEP = timedelta(minutes=2)  # a shorter extension of the warm time is worth no write


class Mode(StrEnum):
    """When a deployment is warm."""

    ADAPTIVE = "adaptive"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Cadence:
    """The operator's choice. Times without a unit are seconds."""

    mode: Mode = Mode.ADAPTIVE
    warm: timedelta = timedelta(minutes=15)  # how long a deployment stays warm after the last work
    fast: float = 5.0  # from the beginning of one round to the next
    watch: float = 10.0  # the same for status while a job is young or is stopped
    slowest: float = 60.0  # bounds the interval that refusals double
    window: float = 55.0  # of a call: it ends before Cloud Scheduler calls again

    def is_warm(self, warm_until: datetime | None, now: datetime) -> bool:
        """Tell whether work was seen lately; a time too far ahead was not written by us."""
        if self.mode is not Mode.ADAPTIVE:
            return self.mode is Mode.ALWAYS
        return warm_until is not None and now < warm_until <= now + self.warm + STEP

    def extended(self, warm_until: datetime | None, now: datetime) -> datetime | None:
        """Return the new end of the warm time after work was seen; None if no write is due."""
        until = now + self.warm
        current = self.is_warm(warm_until, now) and warm_until and warm_until > until - STEP
        return None if current or self.mode is not Mode.ADAPTIVE else until

    def of_poll(self, *, warm: bool, free: bool) -> float | None:
        """Return poll's interval; None: it makes one round. `free`: a queue and a slot are."""
        return self.fast if warm and free else None

    def of_status(self, *, warm: bool, full: bool, busy: bool) -> float | None:
        """Return the interval of status; None: it looks once. `busy`: a job is young or stops."""
        if not warm:
            return None
        return self.fast if full else self.watch if busy else None

    def interval(
        self, base: float, took: float, pages: int = 0, refusals: int = 0, reset: float = 0.0
    ) -> float:
        """Return the seconds from the beginning of the last round to the next one.

        `took`: the last round; `pages`: its calls of Vertex AI; `refusals`: consecutive rounds in
        which a system asked for fewer calls or did not answer; `reset`: until W&B's limit resets.
        """
        interval = max(base, SHARE * took, PAGE * pages)
        if refusals:
            interval = max(interval, min(interval * 2.0 ** min(refusals, 10), self.slowest))
        return max(interval, reset)


class Intervals:
    """The interval that the traffic of the last round allows; refusals add up between calls.

    It lives as long as its process. A new process begins at the fastest interval.
    """

    def __init__(
        self, cadence: Cadence, paged: Traffic | None = None, others: Sequence[Traffic] = ()
    ) -> None:
        self._cadence = cadence
        self._paged = paged
        self._others = others
        self._refusals = 0
        self._failed = False

    def failed(self) -> None:
        """Count the round under way as refused: the ledger gave no answer."""
        self._failed = True

    def begin(self) -> None:
        """Forget the calls of earlier rounds."""
        for traffic in (self._paged, *self._others):
            if traffic:
                traffic.seen()

    def interval(self, base: float, took: float) -> float:
        """Return the seconds from the beginning of the last round, which took `took`, to the next.

        Call it once a round.
        """
        paged = self._paged.seen() if self._paged else None
        seen = [each.seen() for each in self._others] + ([paged] if paged else [])
        refused = self._failed or any(each.refused for each in seen)
        self._refusals, self._failed = self._refusals + 1 if refused else 0, False
        reset = max((each.reset for each in seen), default=0.0)
        pages = paged.calls if paged else 0
        return self._cadence.interval(base, took, pages, self._refusals, reset)
