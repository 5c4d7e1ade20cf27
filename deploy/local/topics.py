"""The topics and subscriptions of the stack, and Google's clients for them."""

from typing import Any

import grpc
from google.api_core.retry import Retry
from google.cloud import pubsub_v1
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import DeadLetterPolicy, PushConfig, RetryPolicy, Subscription

from deploy.local.ports import HOST, Ports
from deploy.local.project import DEAD_LETTERS, EVENTS, PROJECT, TOPIC, WAKE_UP
from shared.core.cadence import WAKE_UP as PATH


def publisher(ports: Ports) -> pubsub_v1.PublisherClient:
    """Return Google's own client, connected to the stack's topics."""
    return pubsub_v1.PublisherClient(transport=_transport(PublisherGrpcTransport, ports))


def subscriber(ports: Ports) -> pubsub_v1.SubscriberClient:
    """Return Google's own client, connected to the stack's subscriptions."""
    return pubsub_v1.SubscriberClient(transport=_transport(SubscriberGrpcTransport, ports))


def create_topics(ports: Ports, seconds: float, attempts: int = 5) -> None:
    """Create the topics and their subscriptions, as the deployment does.

    After `attempts` deliveries (20 in the cloud) a message is a dead letter.
    """
    publishing, subscribing = publisher(ports), subscriber(ports)
    names = (TOPIC, DEAD_LETTERS, EVENTS, WAKE_UP)
    topic, dead, events, wake_up = (publishing.topic_path(PROJECT, name) for name in names)
    subscriptions = [
        Subscription(name=subscribing.subscription_path(PROJECT, DEAD_LETTERS), topic=dead),
        Subscription(
            name=subscribing.subscription_path(PROJECT, "submit"),
            topic=topic,
            # functions-framework reads the topic from the path of a push
            push_config=PushConfig(push_endpoint=f"{ports.url('submit')}/{topic}"),
            ack_deadline_seconds=120,
            retry_policy=RetryPolicy(
                minimum_backoff=Duration(seconds=1), maximum_backoff=Duration(seconds=10)
            ),
            dead_letter_policy=DeadLetterPolicy(
                dead_letter_topic=dead, max_delivery_attempts=attempts
            ),
        ),
        Subscription(
            name=subscribing.subscription_path(PROJECT, WAKE_UP),
            topic=wake_up,
            push_config=PushConfig(push_endpoint=ports.url("poll") + PATH),
            ack_deadline_seconds=130,
            message_retention_duration=Duration(seconds=600),
            retry_policy=RetryPolicy(
                minimum_backoff=Duration(seconds=1), maximum_backoff=Duration(seconds=10)
            ),
        ),
    ]
    retry = Retry(timeout=seconds)
    with subscribing:
        for name in (dead, topic, events, wake_up):
            publishing.create_topic(name=name, retry=retry, timeout=seconds)
        for subscription in subscriptions:
            subscribing.create_subscription(request=subscription, retry=retry, timeout=seconds)


def _transport(transport: type[Any], ports: Ports) -> Any:
    """Return a plaintext connection; PUBSUB_EMULATOR_HOST would change this whole process."""
    return transport(channel=grpc.insecure_channel(f"{HOST}:{ports.pubsub}"))
