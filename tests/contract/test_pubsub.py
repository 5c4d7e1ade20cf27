"""One suite for every Pub/Sub that the project may run on: ours in both shapes of delivery, and Google's emulator.

Spoken to by the unmodified google-cloud-pubsub. Pushes: test_pubsub_push.py.
"""

import signal
import subprocess
import sys
import threading
from functools import partial
from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import types

from tests.contract.pubsub import PROJECT, QUICK, Place, connected, until


def test_topics_are_made_found_listed_and_deleted(place: Place) -> None:
    """A topic lives from create to delete, and every misuse has its own status code."""
    name = place.topic()
    assert place.publisher.get_topic(topic=name).name == name
    assert name in [topic.name for topic in place.publisher.list_topics(project=PROJECT)]
    with pytest.raises(exceptions.AlreadyExists):
        place.publisher.create_topic(name=name)
    with pytest.raises(exceptions.InvalidArgument):
        place.publisher.create_topic(name=f"{PROJECT}/topics/1-begins-with-a-digit")
    place.publisher.delete_topic(topic=name)
    for call in (place.publisher.get_topic, place.publisher.delete_topic):
        with pytest.raises(exceptions.NotFound):
            call(topic=name)


def test_subscriptions_are_made_found_changed_and_deleted(place: Place) -> None:
    """A subscription lives from create to delete, and every misuse has its own status code."""
    name = place.subscribe(place.topic())
    found = place.subscriber.get_subscription(subscription=name)
    assert found.ack_deadline_seconds == 10
    assert name in [each.name for each in place.subscriber.list_subscriptions(project=PROJECT)]
    wanted = types.Subscription(name=name, ack_deadline_seconds=60, retry_policy=QUICK)
    changed = place.subscriber.update_subscription(
        subscription=wanted, update_mask={"paths": ["ack_deadline_seconds", "retry_policy"]}
    )
    assert (changed.ack_deadline_seconds, changed.retry_policy) == (60, QUICK)
    with pytest.raises(exceptions.InvalidArgument):
        place.subscriber.update_subscription(subscription=wanted, update_mask={"paths": ["topic"]})
    with pytest.raises(exceptions.AlreadyExists):
        place.subscriber.create_subscription(name=name, topic=found.topic)
    place.subscriber.delete_subscription(subscription=name)
    for call in (place.subscriber.get_subscription, place.subscriber.delete_subscription):
        with pytest.raises(exceptions.NotFound):
            call(subscription=name)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"topic": f"{PROJECT}/topics/nowhere"}, exceptions.NotFound),
        ({"push_config": {"push_endpoint": "no address"}}, exceptions.InvalidArgument),
        ({"ack_deadline_seconds": 601}, exceptions.InvalidArgument),
        (
            {"retry_policy": {"minimum_backoff": Duration(seconds=9), "maximum_backoff": Duration(seconds=1)}},
            exceptions.InvalidArgument,
        ),
    ],
    ids=["no such topic", "push endpoint", "ack deadline", "backoff"],
)
def test_a_wrong_subscription_is_refused(place: Place, settings: dict[str, Any], error: type[Exception]) -> None:
    """Settings out of range, and a topic that is not there, are refused when the subscription is made."""
    with pytest.raises(error):
        place.subscribe(**({"topic": place.topic()} | settings))


def test_many_topics_come_in_pages(place: Place) -> None:
    """A listing gives so many at a time, and all of them in the end."""
    names = {place.topic() for _ in range(5)}
    pages = list(place.publisher.list_topics(request={"project": PROJECT, "page_size": 2}).pages)
    assert len(pages) >= 3
    assert all(len(page.topics) <= 2 for page in pages)
    assert names <= {topic.name for page in pages for topic in page.topics}


def test_every_subscription_gets_each_message(place: Place) -> None:
    """A message published once reaches each subscription, with data, attributes, id and time."""
    topic = place.topic()
    subscriptions = [place.subscribe(topic) for _ in range(2)]
    (message_id,) = place.publish(topic, b"hello", colour="red")
    for subscription in subscriptions:
        (received,) = until(partial(place.pull, subscription))
        message = received.message
        assert (message.data, dict(message.attributes), message.message_id) == (b"hello", {"colour": "red"}, message_id)
        assert message.publish_time


def test_the_publisher_batches(place: Place) -> None:
    """The client's own batching publisher gets an id for each message."""
    topic = place.topic()
    ids = [future.result(timeout=20) for future in [place.publisher.publish(topic, b"%d" % i) for i in range(50)]]
    assert len(set(ids)) == 50


def test_a_message_comes_back_until_it_is_acknowledged(place: Place) -> None:
    """Handing a message back delivers it again; acknowledging it ends that."""
    topic = place.topic()
    subscription = place.subscribe(topic)
    place.publish(topic, b"again")
    (first,) = until(lambda: place.pull(subscription))
    assert place.pull(subscription) == []
    place.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[first.ack_id], ack_deadline_seconds=0)
    (second,) = until(lambda: place.pull(subscription))
    assert second.message == first.message
    place.subscriber.acknowledge(subscription=subscription, ack_ids=[second.ack_id])
    place.subscriber.acknowledge(subscription=subscription, ack_ids=[second.ack_id])
    assert place.pull(subscription) == []
    with pytest.raises(exceptions.InvalidArgument):
        place.subscriber.acknowledge(subscription=subscription, ack_ids=["nonsense"])


def test_a_pull_waits_for_a_message(place: Place) -> None:
    """A pull that finds nothing answers once something is published."""
    topic = place.topic()
    subscription = place.subscribe(topic)
    threading.Timer(0.2, place.publish, (topic, b"late")).start()
    (received,) = place.subscriber.pull(subscription=subscription, max_messages=1, timeout=20).received_messages
    assert received.message.data == b"late"


def test_an_invalid_publish_is_refused(place: Place) -> None:
    """An empty message, an empty list and an unknown topic each have their status code."""
    topic = place.topic()
    with pytest.raises(exceptions.NotFound):
        place.publish(f"{PROJECT}/topics/nowhere", b"x")
    with pytest.raises(exceptions.InvalidArgument):
        place.publish(topic, b"")
    with pytest.raises(exceptions.InvalidArgument):
        place.publish(topic)


def test_a_message_has_at_most_ten_million_bytes(place: Place) -> None:
    """The largest message is taken, and one byte more is refused by name rather than by the transport."""
    topic = place.topic()
    place.publish(topic, bytes(10_000_000))
    if place.kind == "google":
        pytest.skip("Google's emulator takes larger messages than Pub/Sub does")
    with pytest.raises(exceptions.InvalidArgument, match="too large"):
        place.publish(topic, bytes(10_000_001))


@pytest.mark.slow
def test_the_command_says_where_it_is_and_ends_when_asked() -> None:
    """`python -m deploy.local.servers.pubsub` prints one line once it serves, and ends cleanly on SIGTERM."""
    command = [sys.executable, "-m", "deploy.local.servers.pubsub", "--port", "0", "--shape", "cloudevent"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            host, _, port = server.stdout.readline().strip().partition("PUBSUB_EMULATOR_HOST=")[2].partition(":")
            with connected("command", int(port)) as place:
                assert place.publisher.get_topic(topic=place.topic())
            server.send_signal(signal.SIGTERM)
            assert (host, server.wait(timeout=60)) == ("127.0.0.1", 0)
        finally:
            server.kill()
