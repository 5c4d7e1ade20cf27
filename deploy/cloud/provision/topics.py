"""The topics: launches, dead letters, events and wake-ups; and the dead letters' subscription."""

from collections.abc import Callable, Iterator
from typing import Any

from google.api_core import exceptions as google_errors
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.types import ExpirationPolicy, Subscription, Topic

from deploy.cloud.deployment import Deployment
from deploy.cloud.iam import bindings
from deploy.cloud.marks import LABEL, require_ours
from deploy.cloud.provision.parts import CREATED, DELETED, Change, Part
from deploy.cloud.provision.policies import IamPolicy
from deploy.cloud.provision.trigger import Trigger, differences
from deploy.cloud.provision.wake_up import WakeUps

KEEP_DEAD_LETTERS = 31 * 24 * 3600  # seconds, Pub/Sub's maximum


def parts(deployment: Deployment) -> list[Part]:
    """Return Pub/Sub's parts in the order of their creation."""
    publisher, subscriber = PublisherClient(transport="rest"), SubscriberClient(transport="rest")
    resources: list[Part] = [
        TopicPart(deployment, deployment.topic, publisher),
        TopicPart(deployment, deployment.dead_letters, publisher),
        TopicPart(deployment, deployment.events, publisher),
        DeadLetters(deployment, subscriber),
        TopicPart(deployment, deployment.wake_up, publisher),
        WakeUps(deployment, subscriber),
        Trigger(deployment, publisher, subscriber),
    ]
    clients = dict.fromkeys(("topic", "dead_letters", "events", "wake_up"), publisher)
    clients |= dict.fromkeys(("trigger", "kept_letters", "wake_up_calls"), subscriber)
    policies = [
        IamPolicy(deployment, binding, clients[binding.kind], publisher)
        for binding in bindings(deployment)
        if binding.kind in clients
    ]
    return [*resources, *policies]


class TopicPart:
    """A topic."""

    def __init__(self, deployment: Deployment, topic: str, client: Any) -> None:
        self.name = f"projects/{deployment.project}/topics/{topic}"
        self._deployment = deployment
        self._client = client

    def changes(self) -> Iterator[Change]:
        """Yield its creation, or its differences: the label, the encryption key."""
        wanted = Topic(
            name=self.name,
            labels={LABEL: self._deployment.name},
            kms_key_name=self._deployment.kms_key or None,
        )
        there = _get(self._client.get_topic, topic=self.name)
        if there is None:
            yield Change(self.name, CREATED, lambda: self._client.create_topic(request=wanted))
            return
        require_ours(self.name, {"labels": there.labels}, self._deployment)
        if there.labels.get(LABEL) != self._deployment.name:
            labelled = {"name": self.name, "labels": {**there.labels, **wanted.labels}}
            yield self._update(f"gets the label {LABEL}", labelled, "labels")
        if there.kms_key_name != wanted.kms_key_name:
            key, new_key = (topic.kms_key_name or "Google" for topic in (there, wanted))
            yield self._update(f"encryption key: {key} → {new_key}", wanted, "kms_key_name")

    def removal(self) -> Change | None:
        """Delete the topic if it carries our label."""
        there = _get(self._client.get_topic, topic=self.name)
        if there is None or there.labels.get(LABEL) != self._deployment.name:
            return None
        return Change(self.name, DELETED, lambda: self._client.delete_topic(topic=self.name))

    def _update(self, difference: str, topic: Any, field: str) -> Change:
        request = {"topic": topic, "update_mask": FieldMask(paths=[field])}
        return Change(self.name, difference, lambda: self._client.update_topic(request=request))


class DeadLetters:
    """The subscription that keeps the messages of the dead-letter topic."""

    def __init__(self, deployment: Deployment, client: Any) -> None:
        self.name = f"projects/{deployment.project}/subscriptions/{deployment.dead_letters}"
        self._topic = f"projects/{deployment.project}/topics/{deployment.dead_letters}"
        self._label = deployment.name
        self._client = client

    def changes(self) -> Iterator[Change]:
        """Yield its creation, or its differences."""
        wanted = Subscription(
            name=self.name,
            topic=self._topic,
            labels={LABEL: self._label},
            ack_deadline_seconds=60,
            message_retention_duration=Duration(seconds=KEEP_DEAD_LETTERS),
            expiration_policy=ExpirationPolicy(),  # never, even if nobody pulls for a month
        )
        there = _get(self._client.get_subscription, subscription=self.name)
        if there is None:
            create = self._client.create_subscription
            yield Change(self.name, CREATED, lambda: create(request=wanted))
            return
        fields = (
            "ack_deadline_seconds",
            "message_retention_duration",
            "expiration_policy",
            "labels",
            "push_config",  # none: what is pushed away is lost for `dead-letters`
            "dead_letter_policy",
        )
        yield from differences(self._client, there, wanted, fields)

    def removal(self) -> Change | None:
        """Delete the subscription if it carries our label."""
        there = _get(self._client.get_subscription, subscription=self.name)
        if there is None or there.labels.get(LABEL) != self._label:
            return None
        delete = self._client.delete_subscription
        return Change(self.name, DELETED, lambda: delete(subscription=self.name))


def _get(call: Callable[..., Any], **name: str) -> Any:
    try:
        return call(**name)
    except google_errors.NotFound:
        return None
