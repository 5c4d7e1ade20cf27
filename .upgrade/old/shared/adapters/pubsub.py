"""The topic, through google-cloud-pubsub, which reads PUBSUB_EMULATOR_HOST itself.

The library is imported for the first ticket: it costs as much as the rest of poll, and most calls
publish nothing.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors

from shared.adapters.google import REFUSALS, meaning
from shared.core.errors import Retry
from shared.core.lazy import Lazy
from shared.core.message import Ticket, encode

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient

TIMEOUT = 30  # seconds
ROLE = "the role Pub/Sub Publisher on this topic"
_REFUSALS = (*REFUSALS, google_errors.NotFound)


class PubsubPublisher:
    """Implements Publisher. `topic` is projects/P/topics/T."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._failure = f"cannot publish to {topic}"
        self._client = Lazy(_connect)

    def publish(self, keys: Iterable[str]) -> None:
        """Publish all tickets, then wait for all answers: one round trip, not many."""
        try:
            client = self._client.get()
            futures = [client.publish(self._topic, encode(Ticket(launch_key=key))) for key in keys]
            for future in futures:
                future.result(timeout=TIMEOUT)
        except TimeoutError as exc:
            raise Retry(f"{self._failure}: no answer within {TIMEOUT} seconds") from exc
        except (google_errors.GoogleAPIError, auth_errors.GoogleAuthError) as exc:
            raise meaning(exc, self._failure, ROLE, _REFUSALS) from exc


def _connect() -> "PublisherClient":
    from google.cloud.pubsub_v1 import PublisherClient

    return PublisherClient()
