"""A dead letter: its kind and origin. It keeps nothing of a run spec, which can contain a key."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.pubsub_v1.types import ReceivedMessage

from deploy.operate.plain import plain
from shared.core.errors import NotAMessage
from shared.core.message import Request, decode
from shared.core.redaction import redacted

SOURCE = "CloudPubSubDeadLetterSource"  # prefix of the attributes that Pub/Sub adds


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that Pub/Sub has given up; an invalid one has no `kind`, but a `problem`."""

    id: str
    ack_id: str
    published: datetime  # on the launch topic; if that is unknown, `dead_since`
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
    def description(self) -> str:
        """Return a short description."""
        if self.kind == "request":
            return f"request of {plain(self.source)}: {plain(self.idempotency_key)}"
        if self.kind:
            return f"ticket of launch {self.launch_key}"
        return f"no message: {plain(self.problem)}"

    @property
    def obstacle(self) -> str:
        """Return the reason why no replay can succeed; empty for valid messages."""
        if self.kind:
            return ""
        return "submit would refuse it again. Fix its publisher, then drop it"

    def document(self) -> dict[str, Any]:
        """Return the JSON form; null stands for values that are unknown or do not apply."""
        fields = {
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
            "stays": self.obstacle,
        }
        return {name: redacted(value) or None for name, value in fields.items()}


def read_dead_letter(received: ReceivedMessage) -> DeadLetter:
    """Read a pulled message."""
    message = received.message
    attributes = {
        name.removeprefix(SOURCE): value
        for name, value in message.attributes.items()
        if name.startswith(SOURCE)
    }
    dead_since = datetime.fromtimestamp(message.publish_time.timestamp(), UTC)
    count = attributes.get("DeliveryCount", "")
    return DeadLetter(
        id=message.message_id,
        ack_id=received.ack_id,
        published=_time(attributes.get("TopicPublishTime", "")) or dead_since,
        dead_since=dead_since,
        attempts=int(count) if count.isdecimal() else 0,
        subscription=plain(attributes.get("Subscription", "")),
        content=message.data,
        **_identity(message.data),
    )


def _identity(content: bytes) -> dict[str, Any]:
    """Return the fields that identify a message, or its problem."""
    try:
        message = decode(content)
    except NotAMessage as exc:
        return {"problem": str(exc)}
    identity = {"kind": message.kind, "launch_key": message.launch_key}
    if isinstance(message, Request):
        identity |= {"source": message.source, "idempotency_key": message.idempotency_key}
    return identity


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
