"""Topics, subscriptions and undelivered messages, in memory and behind one lock."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count

from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import types

from deploy.local.servers.pubsub.backlog import Backlog, Delivery
from deploy.local.servers.pubsub.rules import (
    DEFAULT_ACK_DEADLINE,
    check_messages,
    check_name,
    check_push,
    check_subscription,
    exists,
    invalid,
    missing,
)

DELETED_TOPIC = "_deleted-topic_"
_UPDATABLE = frozenset(
    {
        "push_config",
        "ack_deadline_seconds",
        "retry_policy",
        "dead_letter_policy",
        "labels",
        "expiration_policy",
        "message_retention_duration",
        "retain_acked_messages",
    }
)


class Broker:
    """The thread-safe state of the services and the pusher; its errors are `Refused`."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._topics: dict[str, types.Topic] = {}
        self._backlogs: dict[str, Backlog] = {}
        self._ids = count(time.time_ns() // 1000)  # a restart repeats none
        self.closed = False

    def close(self) -> None:
        """End all waits, permanently."""
        with self._changing():
            self.closed = True

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._changed:
            yield
            self._changed.notify_all()

    def create_topic(self, topic: types.Topic) -> types.Topic:
        """Add a topic, or refuse: INVALID_ARGUMENT, ALREADY_EXISTS."""
        check_name(topic.name, "topics")
        with self._changing():
            if topic.name in self._topics:
                raise exists(topic.name)
            self._topics[topic.name] = topic
        return topic

    def topic(self, name: str) -> types.Topic:
        """Return a topic, or refuse: NOT_FOUND."""
        try:
            return self._topics[name]
        except KeyError:
            raise missing(name) from None

    def topics(self, project: str) -> list[types.Topic]:
        """List the topics of `projects/P` by name."""
        with self._changed:
            return [
                topic
                for name, topic in sorted(self._topics.items())
                if name.startswith(f"{project}/")
            ]

    def delete_topic(self, name: str) -> None:
        """Delete a topic; its subscriptions keep their messages and receive no more."""
        with self._changing():
            self.topic(name)
            del self._topics[name]
            for backlog in self._backlogs.values():
                if backlog.subscription.topic == name:
                    backlog.subscription.topic = DELETED_TOPIC

    def publish(self, topic: str, messages: list[types.PubsubMessage]) -> list[str]:
        """Add each message to every subscription of the topic; return the messages' ids."""
        with self._changing():
            self.topic(topic)
            check_messages(messages)
            return [self._publish(topic, message) for message in messages]

    def _publish(self, topic: str, message: types.PubsubMessage) -> str:
        message.message_id = str(next(self._ids))
        types.PubsubMessage.pb(message).publish_time.GetCurrentTime()
        for backlog in self._backlogs.values():
            if backlog.subscription.topic == topic:
                backlog.add(message)
        return str(message.message_id)

    def create_subscription(self, subscription: types.Subscription) -> types.Subscription:
        """Add a subscription; it receives later messages only."""
        check_name(subscription.name, "subscriptions")
        check_subscription(subscription)
        subscription.ack_deadline_seconds = (
            subscription.ack_deadline_seconds or DEFAULT_ACK_DEADLINE
        )
        types.Subscription.pb(subscription).state = types.Subscription.State.ACTIVE.value
        with self._changing():
            self.topic(subscription.topic)
            if subscription.name in self._backlogs:
                raise exists(subscription.name)
            self._backlogs[subscription.name] = Backlog(subscription)
        return subscription

    def subscription(self, name: str) -> types.Subscription:
        """Return a subscription, or refuse: NOT_FOUND."""
        return self._backlog(name).subscription

    def subscriptions(self, project: str) -> list[types.Subscription]:
        """List the subscriptions of `projects/P` by name."""
        with self._changed:
            named = sorted(self._backlogs.items())
            return [
                backlog.subscription for name, backlog in named if name.startswith(f"{project}/")
            ]

    def update_subscription(
        self, wanted: types.Subscription, mask: FieldMask
    ) -> types.Subscription:
        """Change the fields in the mask, or refuse the update."""
        paths = {path.split(".")[0] for path in mask.paths}
        if not paths or not paths <= _UPDATABLE:
            raise invalid(f"update_mask names {sorted(paths)}: it may name {sorted(_UPDATABLE)}")
        with self._changing():
            backlog = self._backlog(wanted.name)
            changed = types.Subscription(backlog.subscription)
            mask.MergeMessage(
                types.Subscription.pb(wanted),
                types.Subscription.pb(changed),
                replace_message_field=True,
            )
            check_subscription(changed)
            backlog.subscription = changed
        return changed

    def push_to(self, name: str, config: types.PushConfig) -> None:
        """Set or remove a subscription's push endpoint."""
        check_push(config)
        with self._changing():
            self._backlog(name).subscription.push_config = config

    def delete_subscription(self, name: str) -> None:
        """Delete a subscription and its messages."""
        with self._changing():
            self._backlog(name)
            del self._backlogs[name]

    def pull(self, name: str, most: int, waits: Callable[[], bool]) -> list[Delivery]:
        """Lease up to `most` messages; without any, wait while `waits` returns true."""
        if most < 1:
            raise invalid(f"max_messages is {most}: it must be positive")
        with self._changed:
            while True:
                taken = self._take(self._backlog(name), most)
                if taken or self.closed or not waits():
                    return taken
                self._changed.wait(0.1)

    def pushable(self, room: Callable[[str], int]) -> list[tuple[types.Subscription, Delivery]]:
        """Lease due pushes, up to each subscription's room; without any, wait a moment."""
        with self._changed:
            for again in (True, False):
                taken = [
                    (backlog.subscription, delivery)
                    for name, backlog in list(self._backlogs.items())
                    if backlog.pushes
                    for delivery in self._take(backlog, room(name))
                ]
                if taken or self.closed:
                    return taken
                if again:
                    self._changed.wait(self._until_due(room))
        return []

    def settle(self, name: str, message_ids: Iterable[str], extend: float | None = None) -> None:
        """Acknowledge messages or extend their deadline by seconds; zero returns them."""
        with self._changing():
            backlog = self._backlog(name)
            for message_id in message_ids:
                if extend is None:
                    backlog.acknowledge(message_id)
                else:
                    backlog.extend(message_id, extend)

    def _backlog(self, name: str) -> Backlog:
        try:
            return self._backlogs[name]
        except KeyError:
            raise missing(name) from None

    def _until_due(self, room: Callable[[str], int]) -> float:
        waiting = (
            backlog.next_due()
            for name, backlog in self._backlogs.items()
            if backlog.pushes and room(name)
        )
        return max(
            0.0, min((due - time.monotonic() for due in waiting if due is not None), default=1.0)
        )

    def _take(self, backlog: Backlog, most: int) -> list[Delivery]:
        taken: list[Delivery] = []
        while len(taken) < most and (delivery := backlog.pop_due()):
            if backlog.exhausted(delivery):
                self._bury(backlog.subscription, delivery)
                backlog.acknowledge(delivery.message.message_id)
            else:
                backlog.lease(delivery)
                taken.append(delivery)
        return taken

    def _bury(self, subscription: types.Subscription, delivery: Delivery) -> None:
        """Publish a message without attempts left to the dead-letter topic, with its origin."""
        _, project, _, short_name = subscription.name.split("/")
        letter = types.PubsubMessage(delivery.message)
        for key, value in {
            "DeliveryCount": str(delivery.attempt),
            "Subscription": short_name,
            "SubscriptionProject": project,
            "TopicPublishTime": delivery.message.publish_time.rfc3339(),
        }.items():
            letter.attributes[f"CloudPubSubDeadLetterSource{key}"] = value
        self._publish(subscription.dead_letter_policy.dead_letter_topic, letter)
        self._changed.notify_all()
