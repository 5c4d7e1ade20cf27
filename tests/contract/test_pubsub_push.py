"""Pushes of every Pub/Sub that the project may run on, decoded by the unmodified functions-framework."""

import threading
import uuid
from typing import Any

import pytest
from google.pubsub_v1 import types

from deploy.local.processes import HOST, free_port
from deploy.local.servers.pubsub import Duplicates
from tests.contract.pubsub import QUICK, Place, Target, ours, until

MESSAGE_PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"


def push(target: Target, topic: str) -> dict[str, Any]:
    """Return the settings of a subscription that pushes to the function and tries again quickly."""
    return {"push_config": {"push_endpoint": f"{target.url}/{topic}"}, "retry_policy": QUICK}


def test_a_push_arrives_as_the_cloud_event_of_a_function(place: Place, target: Target) -> None:
    """functions-framework makes the same event of both shapes of delivery."""
    topic, data = place.topic(), uuid.uuid4().hex.encode()
    place.subscribe(topic, **push(target, topic))
    (message_id,) = place.publish(topic, data, colour="red")
    (event,) = until(lambda: target.events(data))
    assert (event["type"], event["id"], event["specversion"]) == (MESSAGE_PUBLISHED, message_id, "1.0")
    assert event["source"] == f"//pubsub.googleapis.com/{topic}"
    assert event.data["message"]["attributes"] == {"colour": "red"}
    assert event.data["message"]["messageId"] == message_id
    assert event.data["message"]["publishTime"] == event["time"]


def test_the_cloud_event_names_subscription_and_attempt(place: Place, target: Target) -> None:
    """Eventarc's shape says whose delivery it is, and which one where there is a dead-letter policy."""
    if place.kind != "ours-cloudevent":
        pytest.skip("the emulator's shape carries neither through functions-framework")
    topic, data = place.topic(), uuid.uuid4().hex.encode()
    policy = {"dead_letter_topic": place.topic(), "max_delivery_attempts": 5}
    subscription = place.subscribe(topic, dead_letter_policy=policy, **push(target, topic))
    target.module.failures[data] = 2
    place.publish(topic, data)
    events = until(lambda: len(found := target.events(data)) == 3 and found)
    assert [event.data["deliveryAttempt"] for event in events] == [1, 2, 3]
    assert {event.data["subscription"] for event in events} == {subscription}


def test_a_failed_push_is_tried_again_until_it_is_taken(place: Place, target: Target) -> None:
    """A function that fails gets the same message again, and no more once it has succeeded."""
    topic, data, after = place.topic(), uuid.uuid4().hex.encode(), uuid.uuid4().hex.encode()
    place.subscribe(topic, **push(target, topic))
    target.module.failures[data] = 2
    place.publish(topic, data)
    events = until(lambda: len(found := target.events(data)) == 3 and found)
    assert len({event["id"] for event in events}) == 1
    target.module.failures[after] = 2  # by the time that this has gone through, a fourth push would have come
    place.publish(topic, after)
    until(lambda: len(target.events(after)) == 3)
    assert len(target.events(data)) == 3


def test_a_message_that_always_fails_becomes_a_dead_letter(place: Place, target: Target) -> None:
    """After the fifth attempt it goes to the dead-letter topic and says where it came from."""
    topic, dead, data = place.topic(), place.topic(), uuid.uuid4().hex.encode()
    letters = place.subscribe(dead)
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    subscription = place.subscribe(topic, dead_letter_policy=policy, **push(target, topic))
    target.module.failures[data] = 1000
    place.publish(topic, data, colour="red")
    (letter,) = until(lambda: place.pull(letters))
    assert letter.message.data == data
    attributes = dict(letter.message.attributes)
    assert attributes.pop("CloudPubSubDeadLetterSourceTopicPublishTime")
    assert attributes == {
        "colour": "red",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": subscription.rsplit("/", 1)[-1],
        "CloudPubSubDeadLetterSourceSubscriptionProject": "contract",
    }
    assert len(target.events(data)) == 5


def test_a_failing_message_holds_up_no_other(place: Place, target: Target) -> None:
    """While one message fails again and again, the others of its subscription arrive."""
    topic, failing = place.topic(), uuid.uuid4().hex.encode()
    subscription = place.subscribe(topic, **push(target, topic))
    target.module.failures[failing] = 10_000
    place.publish(topic, failing)
    until(lambda: target.events(failing))
    others = [uuid.uuid4().hex.encode() for _ in range(20)]
    place.publish(topic, *others)
    until(lambda: all(target.events(data) for data in others))
    place.subscriber.delete_subscription(subscription=subscription)


def test_several_pushes_are_in_flight_at_a_time(place: Place, target: Target) -> None:
    """Three calls that each wait for the other two are all answered."""
    if place.kind == "google":
        pytest.skip("Google's emulator pushes one message after the other at first")
    topic, waiting = place.topic(), [uuid.uuid4().hex.encode() for _ in range(3)]
    place.subscribe(topic, **push(target, topic))
    target.module.gates |= dict.fromkeys(waiting, gate := threading.Barrier(3))
    place.publish(topic, *waiting)
    until(lambda: all(target.events(data) for data in waiting))
    until(lambda: gate.n_waiting == 0)
    assert not gate.broken


def test_an_endpoint_that_is_away_gets_its_messages_later(place: Place, target: Target) -> None:
    """A refused connection loses nothing: what waits goes to the endpoint that is there in the end."""
    topic, data = place.topic(), uuid.uuid4().hex.encode()
    settings = push(target, topic)
    away = {"push_endpoint": f"http://{HOST}:{free_port()}/{topic}"}
    subscription = place.subscribe(topic, **(settings | {"push_config": away}))
    place.publish(topic, data)
    place.subscriber.modify_push_config(subscription=subscription, push_config=settings["push_config"])
    until(lambda: target.events(data))


def test_a_subscription_turns_from_push_to_pull(place: Place, target: Target) -> None:
    """Without an endpoint its messages wait to be pulled."""
    topic, data = place.topic(), uuid.uuid4().hex.encode()
    subscription = place.subscribe(topic, **push(target, topic))
    place.subscriber.modify_push_config(subscription=subscription, push_config=types.PushConfig())
    place.publish(topic, data)
    (received,) = until(lambda: place.pull(subscription))
    assert received.message.data == data
    assert target.events(data) == []


@pytest.mark.slow
def test_every_push_comes_twice_where_that_is_asked_for(target: Target) -> None:
    """As Pub/Sub may deliver: the same message, and no third time."""
    with ours("ours-cloudevent", "cloudevent", Duplicates(1.0)) as place:
        topic = place.topic()
        place.subscribe(topic, **push(target, topic))
        datas = [uuid.uuid4().hex.encode() for _ in range(5)]
        ids = place.publish(topic, *datas)
        until(lambda: all(len(target.events(data)) >= 2 for data in datas))
        assert [[event["id"] for event in target.events(data)] for data in datas] == [[one, one] for one in ids]
