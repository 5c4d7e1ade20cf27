"""The time of a server's clock: functions whose own clocks differ agree on the end of a lease."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests

log = logging.getLogger(__name__)

STEP = 2.0  # seconds; Date headers have whole seconds, so two of them can differ by one


class ServerClock:
    """Reads the `Date` header of each response, and counts on with a monotonic clock.

    A step of this machine's clock changes nothing. Without a Date header, that clock is used.
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
        """Read the time of a response; has the signature of a hook of requests.

        A Date is rounded down and ages on its way: of two near ones, the later is better.
        """
        self.answered = True
        try:
            date = parsedate_to_datetime(response.headers["Date"])
            moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (KeyError, ValueError, TypeError, OverflowError):
            self._warn(response.headers.get("Date"))
            return
        offset = moment - self._monotonic()
        travelled = response.elapsed.total_seconds()
        if self._offset is None or not 0 <= self._offset - offset < STEP + travelled:
            self._offset = offset

    def now(self) -> datetime:
        """Return the server's time; this machine's if no response had a Date."""
        if self._offset is None:
            return self._local()
        return datetime.fromtimestamp(self._offset + self._monotonic(), UTC)

    def _warn(self, date: str | None) -> None:
        if not self._warned:
            self._warned = True
            log.warning("ledger.no_server_time", extra={"fields": {"date": date}})
