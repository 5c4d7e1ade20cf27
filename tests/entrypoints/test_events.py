"""The topic of events at status's door: what its handler publishes, and what a missing topic does to its answer."""

from typing import Any

import pytest
from google.cloud import pubsub_v1

from shared.core.message import Ticket, encode
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM, eventarc, events, polled

TOPIC, SUBSCRIPTION = "projects/p/topics/launch-events", "projects/p/subscriptions/reader"


def pulled(number: int) -> list[dict[str, str]]:
    """Return the attributes of the events that arrived."""
    with pubsub_v1.SubscriberClient() as subscriber:
        received = subscriber.pull(subscription=SUBSCRIPTION, max_messages=number + 1).received_messages
        subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[each.ack_id for each in received])
    return [dict(each.message.attributes) for each in received]


def test_a_launch_is_announced_from_its_record_to_its_end(outside: Outside, capsys: Any) -> None:
    """A topic that does not exist delays nothing but the close; then all events arrive, and the log has the phases."""
    item = outside.wandb.push("team", "vertex", ITEM)
    outside.client("poll").post("/")
    key = polled(capsys)
    outside.client("submit").post(**eventarc(encode(Ticket(launch_key=key))))
    [job] = outside.vertex.jobs()
    outside.vertex.force(job.name, "JOB_STATE_FAILED", "no such image: local/x")
    status = outside.client("status", LAUNCH_EVENTS_TOPIC="launch-events")
    answer = status.post("/")
    assert (answer.status_code, answer.json["owed"]) == (503, 1)
    assert "cannot publish events to projects/p/topics/launch-events" in "".join(answer.json["errors"])
    assert item.state == "FAILED"
    pubsub_v1.PublisherClient().create_topic(name=TOPIC)
    with pubsub_v1.SubscriberClient() as subscriber:
        subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    capsys.readouterr()
    answer = status.post("/")
    assert (answer.status_code, answer.json["owed"]) == (200, 0), answer.json
    assert [(each["event"], each["ce-source"]) for each in pulled(3)] == [
        (name, "/projects/p/launch/vertex-launch") for name in ("queued", "submitted", "ended")
    ]
    lines = {e["message"]: e for e in events(capsys.readouterr().out)}
    closed, tick = lines["launch.closed"], lines["tick.done"]
    assert (closed["launch_key"], closed["outcome"], closed["queue"]) == (key, "FAILED", "vertex")
    assert closed["total_seconds"] == pytest.approx(closed["queued_seconds"] + closed["pending_seconds"], abs=0.01)
    assert (tick["function"], tick["ended"], tick["owed"], tick["problems"]) == ("status", 1, 0, 0)
