"""A dead letter: what it is and where it comes from. A run spec can hold a key, so nothing of one is kept here."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.pubsub_v1.types import ReceivedMessage

from shared.core.errors import NotAMessage
from shared.core.message import Request, decode

SOURCE = "CloudPubSubDeadLetterSource"  # begins the names of what Pub/Sub says of a message that it has given up


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up. `kind` is empty, and `problem` says why, where it is no message at all."""

    id: str
    ack_id: str
    published: datetime  # on the launch topic, where that is known
    dead_since: datetime
    attempts: int  # 0: unknown
    subscription: str
    kind: str = ""
    launch_key: str = ""
    source: str = ""
    idempotency_key: str = ""
    problem: str = ""
    content: bytes = field(default=b"", repr=False)

    @property
    def what(self) -> str:
        """Say what it is."""
        if self.kind == "request":
            return f"request of {_plain(self.source)}: {_plain(self.idempotency_key)}"
        return (
            f"ticket of launch {self.launch_key}"
            if self.kind
            else f"no message: {_plain(self.problem)}"
        )

    @property
    def stays(self) -> str:
        """Say why it cannot be replayed, without a look at the ledger; empty if it can."""
        return (
            "" if self.kind else "submit would refuse it again. Correct its publisher, and drop it"
        )

    def document(self) -> dict[str, Any]:
        """Return what a machine is told of it; null is what is not known, or not so."""
        told = {
            "message_id": self.id,
            "published": self.published.isoformat(),
            "dead_since": self.dead_since.isoformat(),
            "attempts": self.attempts,
            "subscription": self.subscription,
            "kind": self.kind,
            "launch_key": self.launch_key,
            "source": self.source,
            "idempotency_key": self.idempotency_key,
            "problem": self.problem,
            "stays": self.stays,
        }
        return {name: value or None for name, value in told.items()}


def letter_of(received: ReceivedMessage) -> DeadLetter:
    """Read what was pulled."""
    message = received.message
    told = {
        name.removeprefix(SOURCE): value
        for name, value in message.attributes.items()
        if name.startswith(SOURCE)
    }
    dead_since = datetime.fromtimestamp(message.publish_time.timestamp(), UTC)
    count = told.get("DeliveryCount", "")
    return DeadLetter(
        id=message.message_id,
        ack_id=received.ack_id,
        published=_time(told.get("TopicPublishTime", "")) or dead_since,
        dead_since=dead_since,
        attempts=int(count) if count.isdecimal() else 0,
        subscription=_plain(told.get("Subscription", "")),
        content=message.data,
        **_identity(message.data),
    )


def _identity(content: bytes) -> dict[str, Any]:
    """Return what tells a message from others, or what is wrong with it."""
    try:
        message = decode(content)
    except NotAMessage as exc:
        return {"problem": str(exc)}
    identity = {"kind": message.kind, "launch_key": message.launch_key}
    if isinstance(message, Request):
        identity |= {"source": message.source, "idempotency_key": message.idempotency_key}
    return identity


def _time(written: str) -> datetime | None:
    try:
        return datetime.fromisoformat(written).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _plain(text: str) -> str:
    """Return a text that a terminal shows as it is: whoever publishes must not move its cursor."""
    return "".join(character if character.isprintable() else "·" for character in text)
