"""Pub/Sub's part: the topic, the dead-letter topic with a subscription of its own, and the trigger's subscription."""

import re
from collections.abc import Iterator
from typing import Any

from google.api_core import exceptions as google_errors
from google.iam.v1.policy_pb2 import Binding as IamBinding
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.types import (
    DeadLetterPolicy,
    ExpirationPolicy,
    RetryPolicy,
    Subscription,
    Topic,
)

from deploy.cloud.deployment import Deployment
from deploy.cloud.iam import Binding, bindings
from deploy.cloud.provision.parts import LABEL, Change, NotYet, Part

ACK_DEADLINE = (
    600  # seconds, the longest there is: a delivery lasts as long as submit, which has 540
)
BACKOFF = (10, 600)  # seconds between deliveries: the shortest and the longest
ATTEMPTS = 20  # deliveries before a message is a dead letter: about two and a half hours of an outage at this backoff
KEEP_DEAD_LETTERS = 31 * 24 * 3600  # seconds, the longest there is


def parts(deployment: Deployment) -> list[Part]:
    """Return Pub/Sub's parts in the order in which they are made."""
    publisher, subscriber = PublisherClient(transport="rest"), SubscriberClient(transport="rest")
    shared: list[Part] = [
        TopicPart(deployment, deployment.topic, publisher),
        TopicPart(deployment, deployment.dead_letters, publisher),
        DeadLetters(deployment, subscriber),
        Trigger(deployment, publisher, subscriber),
    ]
    clients = {"topic": publisher, "dead_letters": publisher, "trigger": subscriber}
    policies = [
        IamPolicy(deployment, b, clients[b.kind], publisher)
        for b in bindings(deployment)
        if b.kind in clients
    ]
    return [*shared, *policies]


class TopicPart:
    """A topic."""

    def __init__(self, deployment: Deployment, topic: str, client: Any) -> None:
        self.name = f"projects/{deployment.project}/topics/{topic}"
        self._deployment = deployment
        self._client = client

    def changes(self) -> Iterator[Change]:
        """Yield its making, or a label that is missing."""
        wanted = Topic(
            name=self.name,
            labels={LABEL: self._deployment.name},
            kms_key_name=self._deployment.kms_key or None,
        )
        there = _get(self._client.get_topic, topic=self.name)
        if there is None:
            yield Change(self.name, "is made", lambda: self._client.create_topic(request=wanted))
            return
        if there.labels.get(LABEL) != self._deployment.name:
            update = {
                "topic": {"name": self.name, "labels": {**there.labels, **wanted.labels}},
                "update_mask": "labels",
            }
            yield Change(
                self.name,
                f"gets the label {LABEL}",
                lambda: self._client.update_topic(request=update),
            )
        if there.kms_key_name != wanted.kms_key_name:
            key = {"topic": wanted, "update_mask": FieldMask(paths=["kms_key_name"])}
            yield Change(
                self.name,
                f"encryption key: {there.kms_key_name or 'Google'} → {wanted.kms_key_name or 'Google'}",
                lambda: self._client.update_topic(request=key),
            )

    def removal(self) -> Change | None:
        """Delete it, where it carries our label."""
        there = _get(self._client.get_topic, topic=self.name)
        if there is None or there.labels.get(LABEL) != self._deployment.name:
            return None
        return Change(self.name, "is deleted", lambda: self._client.delete_topic(topic=self.name))


class DeadLetters:
    """The subscription that keeps what arrives at the dead-letter topic; without one it would be gone at once."""

    def __init__(self, deployment: Deployment, client: Any) -> None:
        self.name = f"projects/{deployment.project}/subscriptions/{deployment.dead_letters}"
        self._topic = f"projects/{deployment.project}/topics/{deployment.dead_letters}"
        self._label = deployment.name
        self._client = client

    def changes(self) -> Iterator[Change]:
        """Yield its making, or the settings that differ."""
        wanted = Subscription(
            name=self.name,
            topic=self._topic,
            labels={LABEL: self._label},
            ack_deadline_seconds=60,
            message_retention_duration=Duration(seconds=KEEP_DEAD_LETTERS),
            expiration_policy=ExpirationPolicy(),  # it does not expire when nobody looks for a month
        )
        there = _get(self._client.get_subscription, subscription=self.name)
        if there is None:
            yield Change(
                self.name, "is made", lambda: self._client.create_subscription(request=wanted)
            )
            return
        fields = (
            "ack_deadline_seconds",
            "message_retention_duration",
            "expiration_policy",
            "labels",
        )
        yield from _differences(self._client, there, wanted, fields)

    def removal(self) -> Change | None:
        """Delete it, where it carries our label."""
        there = _get(self._client.get_subscription, subscription=self.name)
        if there is None or there.labels.get(LABEL) != self._label:
            return None
        return Change(
            self.name,
            "is deleted",
            lambda: self._client.delete_subscription(subscription=self.name),
        )


class Trigger:
    """The subscription that Eventarc makes when submit is deployed: its patience is ours to set."""

    def __init__(self, deployment: Deployment, publisher: Any, subscriber: Any) -> None:
        self._deployment = deployment
        self._publisher = publisher
        self._client = subscriber

    def changes(self) -> Iterator[Change]:
        """Yield the settings that differ; raises NotYet before submit is deployed."""
        name = trigger_subscription(self._deployment, self._publisher)
        shortest, longest = BACKOFF
        wanted = Subscription(
            name=name,
            ack_deadline_seconds=ACK_DEADLINE,
            retry_policy=RetryPolicy(
                minimum_backoff=Duration(seconds=shortest),
                maximum_backoff=Duration(seconds=longest),
            ),
            dead_letter_policy=DeadLetterPolicy(
                dead_letter_topic=f"projects/{self._deployment.project}/topics/{self._deployment.dead_letters}",
                max_delivery_attempts=ATTEMPTS,
            ),
            expiration_policy=ExpirationPolicy(),
        )
        there = self._client.get_subscription(subscription=name)
        fields = ("ack_deadline_seconds", "retry_policy", "dead_letter_policy", "expiration_policy")
        yield from _differences(self._client, there, wanted, fields)

    def removal(self) -> None:
        """It goes with submit."""


class IamPolicy:
    """One binding of the table, on a topic or on the trigger's subscription."""

    def __init__(
        self, deployment: Deployment, binding: Binding, client: Any, publisher: Any
    ) -> None:
        self._deployment = deployment
        self._binding = binding
        self._client = client
        self._publisher = publisher

    def changes(self) -> Iterator[Change]:
        """Yield the binding where it is missing; raises NotYet before the resource is there."""
        resource = self._binding.resource or trigger_subscription(self._deployment, self._publisher)
        role, member = self._binding.role, self._binding.member
        try:
            policy = self._client.get_iam_policy(request={"resource": resource})
        except google_errors.NotFound:
            policy = None
        if policy and any(
            b.role == role and member in b.members and not b.condition.expression
            for b in policy.bindings
        ):
            return

        def bind() -> None:
            policy = self._client.get_iam_policy(
                request={"resource": resource}
            )  # its etag makes this a compare-and-swap
            policy.bindings.append(IamBinding(role=role, members=[member]))
            self._client.set_iam_policy(request={"resource": resource, "policy": policy})

        yield Change(resource, f"{member.partition(':')[2]} gets {role}", bind)

    def removal(self) -> None:
        """It goes with its resource."""


def trigger_subscription(deployment: Deployment, publisher: Any) -> str:
    """Return the resource name of the subscription that feeds submit.

    Raises:
        NotYet: before submit is deployed.
    """
    topic = f"projects/{deployment.project}/topics/{deployment.topic}"
    pattern = re.compile(
        rf"/eventarc-{deployment.region}-{deployment.function('submit')}-\d+-sub-\d+$"
    )
    try:
        there = [
            name for name in publisher.list_topic_subscriptions(topic=topic) if pattern.search(name)
        ]
    except google_errors.NotFound:
        there = []
    if not there:
        raise NotYet(
            f"the trigger's subscription comes when {deployment.function('submit')} is deployed"
        )
    return str(there[0])


def _get(call: Any, **name: str) -> Any:
    try:
        return call(**name)
    except google_errors.NotFound:
        return None


def _differences(
    client: Any, there: Subscription, wanted: Subscription, fields: tuple[str, ...]
) -> Iterator[Change]:
    """Yield one change for all fields that differ: a subscription is updated by one call."""
    differing = [name for name in fields if getattr(there, name) != getattr(wanted, name)]
    if not differing:
        return
    said = "; ".join(
        f"{name}: {_said(getattr(there, name))} → {_said(getattr(wanted, name))}"
        for name in differing
    )
    request = {"subscription": wanted, "update_mask": FieldMask(paths=differing)}
    yield Change(there.name, said, lambda: client.update_subscription(request=request))


def _said(value: Any) -> str:
    return " ".join(str(value).split()) or "none"
