"""The time by a server's own clock, so that functions whose own clocks differ agree on when a lease ends."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests

log = logging.getLogger(__name__)

STEP = 2.0  # seconds; a Date header has whole seconds, so two true ones can disagree by one


class ServerClock:
    """Reads the `Date` header of each response, and counts on from there with a monotonic clock.

    A step of this machine's own clock changes nothing. Without a Date header the machine's own clock serves.
    """

    def __init__(
        self,
        local: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._local = local
        self._monotonic = monotonic
        self._offset: float | None = None  # seconds from the monotonic clock to the server's
        self._warned = False
        self.answered = False  # whether any response was seen

    def observe(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Take the time from a response; has the signature of a hook of requests.

        A Date is rounded down and travels for a while, so of two that nearly agree the later one is nearer the truth.
        """
        self.answered = True
        try:
            date = parsedate_to_datetime(response.headers["Date"])
            moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (KeyError, ValueError, TypeError, OverflowError):
            self._warn(response.headers.get("Date"))
            return
        offset, held = moment - self._monotonic(), self._offset
        travelled = response.elapsed.total_seconds()
        if held is None or not 0 <= held - offset < STEP + travelled:
            self._offset = offset

    def now(self) -> datetime:
        """Return the server's time, or this machine's if no response has had one."""
        if self._offset is None:
            return self._local()
        return datetime.fromtimestamp(self._offset + self._monotonic(), UTC)

    def _warn(self, date: str | None) -> None:
        if not self._warned:
            self._warned = True
            log.warning("ledger.no_server_time", extra={"fields": {"date": date}})
