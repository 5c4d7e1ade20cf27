"""The trigger's subscription, which Eventarc creates when submit is deployed."""

import re
from collections.abc import Iterator
from typing import Any

from google.api_core import exceptions as google_errors
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1.types import DeadLetterPolicy, ExpirationPolicy, RetryPolicy, Subscription

from deploy.cloud.deployment import Deployment
from deploy.cloud.provision.parts import Change, NotYet

ACK_DEADLINE = 600  # seconds, Pub/Sub's maximum: one delivery lasts up to submit's timeout, 540
KEEP = 7 * 24 * 3600  # seconds, Pub/Sub's free maximum; Eventarc sets a day
BACKOFF = (10, 600)  # seconds between deliveries, at least and at most
ATTEMPTS = (
    20  # deliveries before a message is a dead letter: an outage of about two and a half hours
)


class Trigger:
    """The settings of this subscription: deadline, retention, retries, dead letters, expiry."""

    def __init__(self, deployment: Deployment, publisher: Any, subscriber: Any) -> None:
        self._deployment = deployment
        self._publisher = publisher
        self._client = subscriber

    def changes(self) -> Iterator[Change]:
        """Yield the settings that differ; raises NotYet before submit is deployed."""
        name = trigger_subscription(self._deployment, self._publisher)
        shortest, longest = BACKOFF
        topics = f"projects/{self._deployment.project}/topics"
        wanted = Subscription(
            name=name,
            ack_deadline_seconds=ACK_DEADLINE,
            message_retention_duration=Duration(seconds=KEEP),
            retry_policy=RetryPolicy(
                minimum_backoff=Duration(seconds=shortest),
                maximum_backoff=Duration(seconds=longest),
            ),
            dead_letter_policy=DeadLetterPolicy(
                dead_letter_topic=f"{topics}/{self._deployment.dead_letters}",
                max_delivery_attempts=ATTEMPTS,
            ),
            expiration_policy=ExpirationPolicy(),
        )
        there = self._client.get_subscription(subscription=name)
        fields = (
            "ack_deadline_seconds",
            "message_retention_duration",
            "retry_policy",
            "dead_letter_policy",
            "expiration_policy",
        )
        yield from differences(self._client, there, wanted, fields)

    def removal(self) -> None:
        """Return None: the subscription goes with submit."""


def trigger_subscription(deployment: Deployment, publisher: Any) -> str:
    """Return the resource name of the subscription that feeds submit.

    Raises:
        NotYet: before submit is deployed.
    """
    topic = f"projects/{deployment.project}/topics/{deployment.topic}"
    submit = deployment.function("submit")
    pattern = re.compile(rf"/eventarc-{deployment.region}-{submit}-\d+-sub-\d+$")
    try:
        names = list(publisher.list_topic_subscriptions(topic=topic))
    except google_errors.NotFound:
        names = []
    for name in names:
        if pattern.search(name):
            return str(name)
    raise NotYet(f"the first deployment of {submit} creates the trigger's subscription")


def differences(
    client: Any, there: Subscription, wanted: Subscription, fields: tuple[str, ...]
) -> Iterator[Change]:
    """Yield one change for all fields that differ: one call updates a subscription."""
    differing = [name for name in fields if getattr(there, name) != getattr(wanted, name)]
    if not differing:
        return
    text = "; ".join(
        f"{name}: {_text(getattr(there, name))} → {_text(getattr(wanted, name))}"
        for name in differing
    )
    request = {"subscription": wanted, "update_mask": FieldMask(paths=differing)}
    yield Change(there.name, text, lambda: client.update_subscription(request=request))


def _text(value: Any) -> str:
    return " ".join(str(value).split()) or "none"
