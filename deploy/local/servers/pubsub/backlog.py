"""The unacknowledged messages of one subscription, each with the time of its next delivery."""

import heapq
import time
from dataclasses import dataclass

from google.pubsub_v1 import types

from deploy.local.servers.pubsub.rules import DEFAULT_ACK_DEADLINE, backoff_range

_PUSH_BACKOFF = (0.1, 60.0)  # seconds: Google's range for a push without a retry policy
_DEFAULT_ATTEMPTS = 5


@dataclass(slots=True)
class Delivery:
    """One message for one subscription; `due` is monotonic time, `attempt` counts from one."""

    message: types.PubsubMessage
    due: float
    attempt: int = 0


class Backlog:
    """Deliver each message once per deadline, until an acknowledgement or the dead-letter topic.

    The broker holds the lock.
    """

    def __init__(self, subscription: types.Subscription) -> None:
        self.subscription = subscription
        self._open: dict[str, Delivery] = {}
        # (due, message id); an entry is stale once its delivery has another `due`
        self._heap: list[tuple[float, str]] = []

    @property
    def pushes(self) -> bool:
        """Return whether messages are pushed to an endpoint, not pulled."""
        return bool(self.subscription.push_config.push_endpoint)

    @property
    def ack_deadline(self) -> int:
        """Return the receiver's deadline in seconds."""
        return self.subscription.ack_deadline_seconds or DEFAULT_ACK_DEADLINE

    def add(self, message: types.PubsubMessage) -> None:
        """Add a newly published message, due immediately."""
        delivery = self._open[message.message_id] = Delivery(message, 0.0)
        self._schedule(delivery, time.monotonic())

    def next_due(self) -> float | None:
        """Return the time of the first delivery, or None if nothing waits."""
        while self._heap:
            due, message_id = self._heap[0]
            delivery = self._open.get(message_id)
            if delivery is not None and delivery.due == due:
                return due
            heapq.heappop(self._heap)
        return None

    def pop_due(self) -> Delivery | None:
        """Remove and return the first due delivery; the caller leases or acknowledges it."""
        due = self.next_due()
        if due is None or due > time.monotonic():
            return None
        return self._open[heapq.heappop(self._heap)[1]]

    def lease(self, delivery: Delivery) -> None:
        """Count one more attempt; without an acknowledgement in time the message comes again."""
        delivery.attempt += 1
        self.extend(delivery.message.message_id, self.ack_deadline)

    def exhausted(self, delivery: Delivery) -> bool:
        """Return whether its attempts are used up, so that it goes to the dead-letter topic."""
        if "dead_letter_policy" not in self.subscription:
            return False
        return delivery.attempt >= (
            self.subscription.dead_letter_policy.max_delivery_attempts or _DEFAULT_ATTEMPTS
        )

    def extend(self, message_id: str, seconds: float) -> None:
        """Set the receiver's deadline in seconds from now; zero refuses the message."""
        if delivery := self._open.get(message_id):
            wait = 0.0 if self.exhausted(delivery) else self._backoff(delivery.attempt)
            self._schedule(delivery, time.monotonic() + seconds + wait)

    def acknowledge(self, message_id: str) -> None:
        """Remove a message; a late or second acknowledgement has no effect."""
        self._open.pop(message_id, None)

    def _schedule(self, delivery: Delivery, due: float) -> None:
        delivery.due = due
        heapq.heappush(self._heap, (due, delivery.message.message_id))

    def _backoff(self, attempt: int) -> float:
        if "retry_policy" in self.subscription:
            low, high = backoff_range(self.subscription.retry_policy)
        elif self.pushes:
            low, high = _PUSH_BACKOFF
        else:
            return 0.0
        return min(high, low * 2.0 ** min(attempt - 1, 32))
