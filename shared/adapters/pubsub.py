"""The topic, through google-cloud-pubsub (which itself heeds PUBSUB_EMULATOR_HOST).

The library is imported with the first ticket: it costs as much as all else in poll, and most calls have none.
"""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors

from shared.core.errors import Denied, Retry
from shared.core.message import Ticket, encode

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient

TIMEOUT = 30  # seconds


class PubsubPublisher:
    """Implements Publisher. `topic` is projects/P/topics/T; the client is made on first use, after gunicorn's fork."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._client: PublisherClient | None = None
        self._lock = threading.Lock()

    def publish(self, keys: Iterable[str]) -> None:
        """Publish all tickets, then wait for all of them: one by one would be a round trip each."""
        try:
            client = self._connected()
            futures = [client.publish(self._topic, encode(Ticket(launch_key=key))) for key in keys]
            for future in futures:
                future.result(timeout=TIMEOUT)
        except (google_errors.Forbidden, google_errors.Unauthorized, google_errors.NotFound) as exc:
            raise Denied(f"cannot publish to {self._topic}: {exc.message}") from exc
        except (
            google_errors.GoogleAPICallError,
            google_errors.RetryError,
            auth_errors.GoogleAuthError,
        ) as exc:
            raise Retry(f"cannot publish to {self._topic}: {type(exc).__name__}") from exc
        except TimeoutError as exc:
            raise Retry(f"cannot publish to {self._topic}: no answer in {TIMEOUT} seconds") from exc

    def _connected(self) -> "PublisherClient":
        from google.cloud.pubsub_v1 import PublisherClient

        with self._lock:
            if self._client is None:
                self._client = PublisherClient()
            return self._client
