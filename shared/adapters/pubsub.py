"""The topics, through google-cloud-pubsub, which reads PUBSUB_EMULATOR_HOST itself.

The library is imported for the first message: it costs as much as the rest of poll, and most calls
publish nothing.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from shared.adapters.google import REFUSALS, code_of, meaning, reason
from shared.core.announcement import announcement
from shared.core.budget import Budget
from shared.core.errors import Reject, Retry
from shared.core.launch import Event, Launch
from shared.core.lazy import Lazy
from shared.core.message import Ticket, encode

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient

TIMEOUT = 30.0  # seconds for all tickets of one call
EVENTS_TIMEOUT = 10.0  # seconds for the events of a tick: warnings and closes come after them
ROLE = "the role Pub/Sub Publisher on this topic"
_REFUSALS = (*REFUSALS, 404)


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
        except Exception as exc:
            raise meaning(exc, self._failure, ROLE, _REFUSALS) from exc


class PubsubEvents:
    """Implements EventTopic: CloudEvents, whose source is `origin`, on projects/P/topics/T.

    One request without repetitions: the next tick publishes again what has no answer.
    """

    def __init__(self, topic: str, origin: str, timeout: float = EVENTS_TIMEOUT) -> None:
        self._topic = topic
        self._origin = origin
        self._timeout = timeout
        self._client = Lazy(_connect)

    def announce(self, happened: Sequence[tuple[Launch, Event]]) -> None:
        """Publish these events in one call. Raises Reject, Retry, Denied."""
        from google.pubsub_v1 import PublisherClient
        from google.pubsub_v1.types import PubsubMessage

        failure = f"cannot publish events to {self._topic}"
        try:
            messages = []
            for launch, event in happened:
                made = announcement(launch, event, self._origin)
                messages.append(PubsubMessage(data=made.data, attributes=dict(made.attributes)))
            # the publishing client would collect messages in a thread of its own
            publish = PublisherClient.publish
            client = self._client.get()
            publish(client, topic=self._topic, messages=messages, retry=None, timeout=self._timeout)
        except (ValueError, TypeError) as exc:  # such as of a record that somebody has changed
            raise Reject("event", f"has no form as a message ({type(exc).__name__})") from exc
        except Exception as exc:
            if code_of(exc) == 400:
                raise Reject("event", f"{failure}: {reason(exc)}") from exc
            raise meaning(exc, failure, ROLE, _REFUSALS) from exc


def _connect() -> "PublisherClient":
    from google.cloud.pubsub_v1 import PublisherClient

    return PublisherClient()
