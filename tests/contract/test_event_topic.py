"""The topic of events: CloudEvents as their own library reads them, in one request; and Pub/Sub's refusals."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cloudevents.http import from_http
from google.cloud import pubsub_v1

from deploy.local.servers.pubsub import PubSubServer
from deploy.local.servers.pubsub.faults import FAULTS, Fault
from deploy.local.servers.pubsub.rules import MAX_VALUE_BYTES
from shared.adapters.pubsub import PubsubEvents
from shared.core.announcement import LaunchEvent, announcement, schema
from shared.core.errors import Denied, Reject, Retry
from shared.core.event import EventType
from shared.core.intake import from_item, from_request
from shared.core.launch import Event, Launch, Outcome, State
from shared.core.message import Queue, Request, launch_key
from tests.contract.test_publisher import InOrder

TOPIC = "projects/p/topics/launch-events"
SUBSCRIPTION = "projects/p/subscriptions/reader"
ORIGIN = "/projects/p/launch/ours"
NOW = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
JOB = "projects/p/locations/l/customJobs/7"
REFERENCE = Path(__file__).parents[2] / "docs/reference/event.schema.json"


def ended(launch: Launch) -> Launch:
    """Return a launch that went all the way."""
    claimed = launch.move(State.SUBMITTING, attempt=1)
    submitted = claimed.move(State.SUBMITTED, job_name=JOB).happened(EventType.SUBMITTED, NOW + timedelta(seconds=3))
    running = submitted.started(NOW + timedelta(seconds=60))
    return running.end(Outcome.FAILED, "it crashed", NOW + timedelta(seconds=90))


REQUEST = Request(
    source='später, "ci"',
    idempotency_key="🐈 7",
    run_spec={"entity": "team", "project": "Cats", "name": "blau", "author": "ada"},
    queue=Queue(entity="team", name="Vertex, spät"),
    reply={"ticket": "4711", "event": "mine"},
)
LAUNCHES = {
    "a request": ended(from_request(REQUEST, NOW)),
    "an item": ended(from_item("item", Queue(entity="team", name="vertex"), {"entity": "team"}, NOW)),
}


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that serves the topic with a reader, whose first publishes meet these faults."""
    servers: list[PubSubServer] = []

    def serve(*faults: Fault) -> PubsubEvents:
        servers.append(PubSubServer(faults=InOrder(*faults)))
        servers[-1].start()
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", servers[-1].host)
        pubsub_v1.PublisherClient().create_topic(name=TOPIC)
        with pubsub_v1.SubscriberClient() as subscriber:
            subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
        return PubsubEvents(TOPIC, ORIGIN)

    yield serve
    for server in servers:
        server.stop()


def arrived(number: int) -> list[Any]:
    """Return the messages that arrived."""
    with pubsub_v1.SubscriberClient() as subscriber:
        pulled = subscriber.pull(subscription=SUBSCRIPTION, max_messages=number + 1)
        return [each.message for each in pulled.received_messages]


def pairs(launch: Launch) -> list[tuple[Launch, Event]]:
    """Return the events of a launch as status passes them."""
    return [(launch, event) for event in launch.events]


@pytest.mark.parametrize("launch", LAUNCHES.values(), ids=LAUNCHES)
def test_a_reader_gets_cloudevents(topic: Any, launch: Launch) -> None:
    """In their order, each as the CloudEvents library reads a binary message, its data as the schema says."""
    topic().announce(pairs(launch))
    messages = arrived(4)
    types = ["queued", "submitted", "running", "ended"]
    for number, (message, kind) in enumerate(zip(messages, types, strict=True), 1):
        event = from_http(dict(message.attributes), message.data)
        assert event["id"] == f"{launch.key}/{number}"
        assert event["type"] == f"vertex-launch.launch.v1.{kind}"
        assert (event["source"], event["specversion"], event["subject"]) == (ORIGIN, "1.0", launch.key)
        assert datetime.fromisoformat(event["time"]) == launch.events[number - 1].at
        data = json.loads(message.data)
        assert LaunchEvent.model_validate(data).model_dump(mode="json", exclude_none=True) == data
        assert data.keys() <= json.loads(schema())["properties"].keys()
        assert (data["launch_key"], data["number"], data["event"]) == (launch.key, number, kind)


def test_filters_can_read_the_attributes(topic: Any) -> None:
    """Those without a value are absent; a reply cannot replace one of ours."""
    launch = LAUNCHES["a request"]
    topic().announce(pairs(launch))
    first, *_, last = (dict(message.attributes) for message in arrived(4))
    plain = {name: value for name, value in last.items() if not name.startswith("ce-")}
    assert plain == {
        "Content-Type": "application/json",
        "event": "ended",
        "number": "4",
        "attempt": "1",
        "key": launch_key('request:später, "ci"', "🐈 7"),
        "source": 'später, "ci"',
        "idempotency_key": "🐈 7",
        "entity": "team",
        "queue": "Vertex, spät",
        "run": f"team/cats/{launch.key[1:13]}",
        "job": JOB,
        "outcome": "FAILED",
        "reply_ticket": "4711",
        "reply_event": "mine",
    }
    assert {"job", "outcome", "shortage"} & first.keys() == set()


def test_the_data_say_what_was_known_then() -> None:
    """A repetition after the end has the content of the first message."""
    launch = LAUNCHES["a request"]
    data = [json.loads(announcement(launch, event, ORIGIN).data) for event in launch.events]
    times = ("opened_at", "submitted_at", "started_at", "ended_at")
    assert [[name for name in times if name in each] for each in data] == [
        [*times[:1]],
        [*times[:2]],
        [*times[:3]],
        [*times],
    ]
    assert [each.get("outcome") for each in data] == [None, None, None, "FAILED"]
    assert [each["attempt"] for each in data] == [0, 1, 1, 1]
    assert data[-1]["reason"] == "it crashed"
    assert data[0]["reply"] == {"ticket": "4711", "event": "mine"}


def test_every_attribute_fits() -> None:
    """The longest names that we accept, in characters of four bytes."""
    cat = "🐈"
    request = REQUEST.model_copy(
        update={
            "source": cat * 256,
            "idempotency_key": cat * 256,
            "queue": Queue(entity=cat * 64, name=cat * 64),
            "run_spec": {"entity": cat * 64, "project": cat * 64, "run_id": cat * 64},
            "reply": {f"{'n' * 62}{number}": cat * 64 for number in range(10)},
        }
    )
    launch = ended(from_request(request, NOW))
    for event in launch.events:
        made = announcement(launch, event, ORIGIN)
        assert max(len(value.encode()) for value in made.attributes.values()) <= MAX_VALUE_BYTES
        assert max(len(name.encode()) for name in made.attributes) <= 256
        assert len(made.attributes) <= 100
        assert len(made.data) < 9_000  # 1,000 of them fit into a request of 10 MB


def test_an_event_shows_no_secret() -> None:
    """Its reason is for people of other systems."""
    key = "a1b2c3d4e5" * 4
    launch = from_item("item", Queue(entity="team", name="vertex"), {"_wandb_api_key": key, "name": key}, NOW)
    last = launch.end(Outcome.FAILED, f"W&B refuses {key}", NOW)
    for event in last.events:
        assert key not in announcement(last, event, ORIGIN).data.decode()


def test_a_topic_that_does_not_exist_names_the_fix(topic: Any) -> None:
    """An operator must act."""
    topic()
    with pytest.raises(Denied, match=r"cannot publish events to projects/p/topics/other.*Pub/Sub Publisher"):
        PubsubEvents("projects/p/topics/other", ORIGIN).announce(pairs(LAUNCHES["an item"]))


def test_one_impossible_event_is_a_refusal_of_its_batch(topic: Any) -> None:
    """Of Pub/Sub's, or because it has no form as a message: status splits the batch. Nothing was published."""
    launch = LAUNCHES["an item"]
    events = topic()
    for odd in (replace(launch, idempotency_key="x" * 2000), replace(launch, source="\ud800")):
        with pytest.raises(Reject, match="event: "):
            events.announce(pairs(launch) + pairs(odd))
    events.announce(pairs(launch)[:1])
    assert len(arrived(1)) == 1


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.code], ids=lambda fault: fault.name)
def test_each_failure_is_one_call_and_an_error(topic: Any, fault: Fault) -> None:
    """The next tick publishes again: no repetition here."""
    events = topic(fault)
    with pytest.raises(Retry):
        events.announce(pairs(LAUNCHES["an item"]))
    events.announce(pairs(LAUNCHES["an item"]))
    assert len(arrived(8)) == (8 if fault.worked else 4)


def test_the_schema_in_the_repository_is_the_models_own() -> None:
    """Made by `python -m shared.core.announcement > docs/reference/event.schema.json`."""
    assert REFERENCE.read_text(encoding="utf-8") == schema()
