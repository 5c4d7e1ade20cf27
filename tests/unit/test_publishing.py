"""The publishers of tickets, wake-ups and events: what they hand to Google's client, and what its errors mean."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.types import PubsubMessage

from shared.adapters import pubsub
from shared.adapters.pubsub import EVENTS_TIMEOUT, TIMEOUT, PubsubEvents, PubsubPublisher
from shared.core.announcement import announcement
from shared.core.budget import Budget
from shared.core.errors import Denied, LaunchError, Reject, Retry
from shared.core.intake import from_item
from shared.core.message import Queue, Ticket, decode, launch_key

TOPIC = "projects/p/topics/t"
KEYS = [launch_key("wandb", str(number)) for number in range(3)]
LAUNCH = from_item("i", Queue(entity="team", name="vertex"), {"entity": "team"}, datetime(2026, 1, 1, tzinfo=UTC))


class Client:
    """Google's publishing client: notes its calls, and answers each message with this."""

    def __init__(self, answer: Exception | None = None) -> None:
        self.answer = answer
        self.published: list[tuple[str, bytes]] = []
        self.waits: list[float] = []

    def publish(self, topic: str, data: bytes) -> Any:
        """Note a message; its answer comes later."""
        self.published.append((topic, data))
        return SimpleNamespace(result=self.result)

    def result(self, timeout: float) -> str:
        """Answer."""
        assert len(self.published) in (1, len(KEYS)), "all are sent before any answer is awaited"
        self.waits.append(timeout)
        if self.answer:
            raise self.answer
        return "id"


def publishing(monkeypatch: pytest.MonkeyPatch, answer: Exception | None = None) -> Client:
    """Replace Google's client."""
    client = Client(answer)
    monkeypatch.setattr(pubsub, "_connect", lambda: client)
    return client


def test_all_tickets_are_sent_before_any_answer_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the one topic; thirty seconds are for all of them."""
    client, now = publishing(monkeypatch), [0.0]
    monkeypatch.setattr(pubsub, "Budget", lambda seconds: Budget(seconds, lambda: now[0]))
    really = client.result

    def result(timeout: float) -> str:
        now[0] += 20
        return really(timeout)

    monkeypatch.setattr(client, "result", result)
    PubsubPublisher(TOPIC).publish(KEYS)
    assert [topic for topic, _ in client.published] == [TOPIC] * 3
    assert [decode(data) for _, data in client.published] == [Ticket(launch_key=key) for key in KEYS]
    assert client.waits == [30.0, 10.0, 0]
    assert (TIMEOUT, EVENTS_TIMEOUT) == (30.0, 10.0)


def test_a_wake_up_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no content."""
    client = publishing(monkeypatch)
    PubsubPublisher(TOPIC, timeout=3).ring()
    assert client.published == [(TOPIC, b"wake-up")]
    assert 2 < client.waits[0] <= 3


ROLE = "The function's account needs the role Pub/Sub Publisher on this topic"
ERRORS: list[tuple[Exception, type[LaunchError], str]] = [
    (google_errors.PermissionDenied("no"), Denied, f"{{}}: no. {ROLE}"),
    (google_errors.Unauthenticated("who?"), Denied, f"{{}}: who?. {ROLE}"),
    (google_errors.NotFound("no topic"), Denied, f"{{}}: no topic. {ROLE}"),
    (google_errors.ServiceUnavailable("later"), Retry, "{}: later"),
    (google_errors.ResourceExhausted("slow down"), Retry, "{}: slow down"),
    (auth_errors.DefaultCredentialsError("none"), Denied, "no Google credentials: none"),
    (OSError("reset"), Retry, "{}: reset"),
]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [*ERRORS, (TimeoutError(), Retry, "{}: no answer within 2.5 seconds"), (ValueError("odd"), Retry, "{}: odd")],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("call", [lambda to: to.publish(KEYS), lambda to: to.ring()], ids=["tickets", "wake-up"])
def test_a_message_without_an_answer_is_published_later(
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[PubsubPublisher], None],
    error: Exception,
    kind: type[LaunchError],
    words: str,
) -> None:
    """Unless an operator has to act: also if the topic does not exist."""
    publishing(monkeypatch, error)
    with pytest.raises(kind) as raised:
        call(PubsubPublisher(TOPIC, timeout=2.5))
    assert (type(raised.value), str(raised.value)) == (kind, words.format(f"cannot publish to {TOPIC}"))


def announcing(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> list[tuple[Any, dict[str, Any]]]:
    """Return the requests of Google's generated client, whose answer is this."""
    asked: list[tuple[Any, dict[str, Any]]] = []

    def publish(client: Any, **named: Any) -> None:
        asked.append((client, named))
        if error:
            raise error

    monkeypatch.setattr(PublisherClient, "publish", publish)
    return asked


@pytest.mark.parametrize(("timeout", "seconds"), [({}, 10.0), ({"timeout": 3.5}, 3.5)])
def test_events_are_one_request_without_repetitions(
    monkeypatch: pytest.MonkeyPatch, timeout: dict[str, float], seconds: float
) -> None:
    """Each with its data, its attributes, and the deployment as its source."""
    client, asked = publishing(monkeypatch), announcing(monkeypatch)
    events = [(LAUNCH, event) for event in LAUNCH.events]
    PubsubEvents(TOPIC, "/projects/p/launch/ours", **timeout).announce([*events, *events])
    ((taker, request),) = asked
    made = announcement(*events[0], "/projects/p/launch/ours")
    message = PubsubMessage(data=made.data, attributes=dict(made.attributes))
    assert taker is client
    assert request == {"topic": TOPIC, "messages": [message] * 2, "retry": None, "timeout": seconds}
    assert made.attributes["ce-source"] == "/projects/p/launch/ours"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        *ERRORS,
        (TimeoutError("slow"), Retry, "{}: slow"),
        (google_errors.InvalidArgument("too long"), Reject, "event: {}: too long."),
        (ValueError("odd"), Reject, "event: has no form as a message (ValueError)."),
        (TypeError("odd"), Reject, "event: has no form as a message (TypeError)."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_event_that_no_topic_takes_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[LaunchError], words: str
) -> None:
    """From a topic that takes none now."""
    publishing(monkeypatch)
    announcing(monkeypatch, error)
    with pytest.raises(kind) as raised:
        PubsubEvents(TOPIC, "o").announce([(LAUNCH, LAUNCH.events[0])])
    assert (type(raised.value), str(raised.value)) == (kind, words.format(f"cannot publish events to {TOPIC}"))
