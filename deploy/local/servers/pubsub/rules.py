"""The names, messages and settings that Pub/Sub refuses, by its documented limits.

Sources: https://cloud.google.com/pubsub/quotas#resource_limits and the comments on
google.pubsub_v1.types.
"""

import re
from typing import Literal

import grpc
from google.pubsub_v1 import types

MAX_MESSAGE_BYTES = 10_000_000
MAX_MESSAGES = 1000
MAX_ATTRIBUTES = 100
MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 1024
DEFAULT_ACK_DEADLINE = 10

_ID = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}")


class Refused(Exception):
    """A request that is answered with a gRPC status instead of a result."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def invalid(message: str) -> Refused:
    """Return the refusal of a request that can never succeed."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, message)


def missing(name: str) -> Refused:
    """Return the refusal of a request for an unknown topic or subscription."""
    return Refused(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={name}).")


def exists(name: str) -> Refused:
    """Return the refusal to create a topic or subscription twice."""
    return Refused(
        grpc.StatusCode.ALREADY_EXISTS, f"Resource already exists in the project (resource={name})."
    )


def check_name(name: str, kind: Literal["topics", "subscriptions"]) -> None:
    """Refuse a name that is not `projects/P/{kind}/ID` with a valid ID."""
    parts = name.split("/")
    if (
        len(parts) != 4
        or parts[0] != "projects"
        or not parts[1]
        or parts[2] != kind
        or not _ID.fullmatch(parts[3])
    ):
        raise invalid(
            f"Invalid [{kind}] name: {name!r} is not projects/PROJECT/{kind}/ID "
            "with 3 to 255 allowed characters"
        )


def check_messages(messages: list[types.PubsubMessage]) -> None:
    """Refuse an empty or too long list, and any message that is empty or over a limit."""
    if not 1 <= len(messages) <= MAX_MESSAGES:
        raise invalid(f"A publish request holds 1 to {MAX_MESSAGES} messages, not {len(messages)}")
    for message in messages:
        _check_message(message)


def _check_message(message: types.PubsubMessage) -> None:
    attributes = {key.encode(): value.encode() for key, value in message.attributes.items()}
    if not message.data and not attributes:
        raise invalid("Some messages are empty: a message needs data or at least one attribute")
    if len(attributes) > MAX_ATTRIBUTES:
        raise invalid(f"A message has at most {MAX_ATTRIBUTES} attributes, not {len(attributes)}")
    for key, value in attributes.items():
        if not 1 <= len(key) <= MAX_KEY_BYTES or key.startswith(b"goog"):
            raise invalid(
                f"Attribute key {key[:40]!r}: 1 to {MAX_KEY_BYTES} bytes, not starting with 'goog'"
            )
        if len(value) > MAX_VALUE_BYTES:
            raise invalid(
                f"The value of attribute {key[:40]!r} has {len(value)} bytes, "
                f"the most is {MAX_VALUE_BYTES}"
            )
    size = len(message.data) + sum(len(key) + len(value) for key, value in attributes.items())
    if size > MAX_MESSAGE_BYTES:
        raise invalid(f"A message of {size} bytes is too large: the most is {MAX_MESSAGE_BYTES}")


def check_subscription(subscription: types.Subscription) -> None:
    """Refuse settings out of range, and settings that this stand-in does not support."""
    if subscription.ack_deadline_seconds and not 10 <= subscription.ack_deadline_seconds <= 600:
        raise invalid(
            f"ack_deadline_seconds is {subscription.ack_deadline_seconds}: it must be 10 to 600"
        )
    check_push(subscription.push_config)
    if "retry_policy" in subscription:
        low, high = backoff_range(subscription.retry_policy)
        if not 0 <= low <= high <= 600:
            raise invalid(
                f"retry_policy: 0 <= minimum_backoff ({low} s) <= maximum_backoff ({high} s) "
                "<= 600 s does not hold"
            )
    if "dead_letter_policy" in subscription:
        check_name(subscription.dead_letter_policy.dead_letter_topic, "topics")
        attempts = subscription.dead_letter_policy.max_delivery_attempts
        if attempts and not 5 <= attempts <= 100:
            raise invalid(f"max_delivery_attempts is {attempts}: it must be 5 to 100")
    for field in ("filter", "enable_message_ordering", "enable_exactly_once_delivery"):
        if getattr(subscription, field):
            raise Refused(grpc.StatusCode.UNIMPLEMENTED, f"this stand-in does not support {field}")


def check_push(config: types.PushConfig) -> None:
    """Refuse an endpoint that is not an http or https URL; no endpoint means pull."""
    if config.push_endpoint and not config.push_endpoint.startswith(("http://", "https://")):
        raise invalid(
            f"Invalid push endpoint: {config.push_endpoint!r} is not an http:// or https:// address"
        )


def backoff_range(policy: types.RetryPolicy) -> tuple[float, float]:
    """Return a retry policy's shortest and longest wait in seconds, by default 10 and 600."""
    low = policy.minimum_backoff.total_seconds() if "minimum_backoff" in policy else 10.0
    high = policy.maximum_backoff.total_seconds() if "maximum_backoff" in policy else 600.0
    return low, high
