"""What the answers of an outside system say about the pace of further calls."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

BUSY = (429, 502, 503, 504)
LONGEST = 60.0  # seconds; a limit that resets later is asked about once a minute, as when idle
NEARLY = 0.05  # of W&B's limit: the last twentieth is left to people


@dataclass(frozen=True, slots=True)
class Seen:
    """The calls since the last reading. `reset`: seconds until a spent limit resets."""

    calls: int = 0
    refused: bool = False
    reset: float = 0.0


class Traffic:
    """Counts the calls of one adapter; all its threads write it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = Seen()

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Note an answer. W&B sends RateLimit-Limit, -Remaining and -Reset (seconds)."""
        reset = _spent(headers)
        with self._lock:
            seen = self._seen
            refused = seen.refused or status in BUSY
            self._seen = Seen(seen.calls + 1, refused, max(seen.reset, reset))

    def unanswered(self) -> None:
        """Note a call without an answer."""
        with self._lock:
            self._seen = Seen(self._seen.calls + 1, refused=True, reset=self._seen.reset)

    def seen(self) -> Seen:
        """Return the calls since the last reading."""
        with self._lock:
            seen, self._seen = self._seen, Seen()
            return seen


def _spent(headers: Mapping[str, str]) -> float:
    """Return the seconds until the limit resets if it is nearly spent, or 0."""
    remaining, reset = _number(headers, "RateLimit-Remaining"), _number(headers, "RateLimit-Reset")
    if remaining is None or reset is None:
        return 0.0
    limit = _number(headers, "RateLimit-Limit") or 0.0
    return min(max(reset, 0.0), LONGEST) if remaining <= max(limit * NEARLY, 0.0) else 0.0


def _number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        number = float(headers[name])
    except (KeyError, ValueError):
        return None
    return None if isnan(number) else number
