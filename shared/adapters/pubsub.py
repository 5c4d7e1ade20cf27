"""The topic, through google-cloud-pubsub, which reads PUBSUB_EMULATOR_HOST itself.

The library is imported for the first ticket: it costs as much as the rest of poll, and most calls
publish nothing.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors

from shared.adapters.google import REFUSALS, meaning
from shared.core.budget import Budget
from shared.core.errors import Retry
from shared.core.lazy import Lazy
from shared.core.message import Ticket, encode

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient

TIMEOUT = 30.0  # seconds for all tickets of one call
ROLE = "the role Pub/Sub Publisher on this topic"
_REFUSALS = (*REFUSALS, google_errors.NotFound)


class PubsubPublisher:
    """Implements Publisher and WakeUps, each for its own topic: projects/P/topics/T.

    `timeout` (seconds) bounds a call.
    """

    def __init__(self, topic: str, timeout: float = TIMEOUT) -> None:
        self._topic = topic
        self._timeout = timeout
        self._failure = f"cannot publish to {topic}"
        self._client = Lazy(_connect)

    def publish(self, keys: Iterable[str]) -> None:
        """Publish all tickets, then wait for all answers: one round trip, not many.

        Raises:
            Retry, Denied: at least one ticket has no answer, or was refused; others may be out.
        """
        self._send(encode(Ticket(launch_key=key)) for key in keys)

    def ring(self) -> None:
        """Publish one wake-up; poll reads nothing of it."""
        self._send([b"wake-up"])

    def _send(self, messages: Iterable[bytes]) -> None:
        budget = Budget(self._timeout)
        try:
            client = self._client.get()
            futures = [client.publish(self._topic, message) for message in messages]
            for future in futures:
                future.result(timeout=max(budget.left, 0))
        except TimeoutError as exc:
            raise Retry(f"{self._failure}: no answer within {self._timeout:g} seconds") from exc
        except (google_errors.GoogleAPIError, auth_errors.GoogleAuthError) as exc:
            raise meaning(exc, self._failure, ROLE, _REFUSALS) from exc


def _connect() -> "PublisherClient":
    from google.cloud.pubsub_v1 import PublisherClient

    return PublisherClient()
