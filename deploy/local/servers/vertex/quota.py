"""The quota of creates: a number within any 60 seconds, for each project and region."""

import threading
import time
from collections import defaultdict, deque

from deploy.local.servers.vertex.behaviour import Behaviour
from deploy.local.servers.vertex.refusals import REFUSALS, rate_details

WINDOW_SECONDS = 60.0


class CreateQuota:
    """The accepted creates of the last minute, counted against `Behaviour.creates_a_minute`."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._accepted: dict[str, deque[float]] = defaultdict(deque)  # times by parent
        self._lock = threading.Lock()

    def take(self, parent: str) -> None:
        """Count a create.

        Raises:
            ApiError: (429) the quota of this minute is used up; a refused create does not count.
        """
        most = self._behaviour.creates_a_minute
        if not most:
            return
        now = time.monotonic()
        with self._lock:
            accepted = self._accepted[parent]
            while accepted and accepted[0] <= now - WINDOW_SECONDS:
                accepted.popleft()
            if len(accepted) >= most:
                error = REFUSALS["rate"].error()
                error.details = list(rate_details(most))
                raise error
            accepted.append(now)
