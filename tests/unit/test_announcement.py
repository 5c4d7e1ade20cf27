"""An event of a launch as other systems receive it: every attribute, and every field of its data."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from shared.core.announcement import announcement
from shared.core.event import Event, EventType
from shared.core.launch import Entry, Launch, RunPath, State

BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY, OLD = "k" + "a" * 26, "k" + "b" * 26
FIRST_JOB, JOB = (f"projects/p/locations/l/customJobs/{number}" for number in (1, 2))


def at(second: int) -> datetime:
    """Return a time."""
    return BEGIN + timedelta(seconds=second)


EVENTS = (
    Event(1, EventType.QUEUED, at(0)),
    Event(2, EventType.SUBMITTED, at(2), 1, job=FIRST_JOB),
    Event(3, EventType.PREEMPTED, at(3), 1, job=FIRST_JOB),
    Event(4, EventType.WAITING, at(4), 2, "STOCKOUT", reason="no machines"),
    Event(5, EventType.SUBMITTED, at(5), 3, job=JOB),
    Event(6, EventType.RUNNING, at(6).astimezone(timezone(timedelta(hours=1))), 3, job=JOB),
    Event(7, EventType.ENDED, at(7), 3, "FAILED", JOB, "exit code 1"),
)
REQUEST = Launch(
    Entry(
        KEY, State.ENDED, BEGIN, RunPath("team", "cats", "r1"), queue_entity="lab", queue_name="vertex", attempt=3,
        name="blue", author="ada", source="ci", job_name=JOB, events=7, retries=OLD,
    ),
    {}, source="ci", idempotency_key="build-7", reply={"ticket": "4711", "event": "mine"}, events=EVENTS,
)  # fmt: skip
ITEM = Launch(
    Entry(KEY, State.QUEUED, BEGIN, RunPath("team", "cats", "r1"), "lab", "vertex", "item-1", events=1),
    {}, events=EVENTS[:1],
)  # fmt: skip
ATTRIBUTES = {
    "reply_ticket": "4711", "reply_event": "mine", "key": KEY, "source": "ci", "idempotency_key": "build-7",
    "entity": "lab", "queue": "vertex", "run": "team/cats/r1", "ce-specversion": "1.0", "ce-source": "/origin",
    "ce-subject": KEY, "Content-Type": "application/json",
}  # fmt: skip
DATA = {
    "version": 1, "launch_key": KEY, "source": "ci", "idempotency_key": "build-7",
    "queue": {"entity": "lab", "name": "vertex"}, "run": {"entity": "team", "project": "cats", "run_id": "r1"},
    "name": "blue", "author": "ada", "opened_at": "2026-01-01T12:00:00Z", "retries": OLD,
    "reply": {"ticket": "4711", "event": "mine"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("event", "attributes", "data"),
    [
        (EVENTS[1], {"job": FIRST_JOB}, {"job": FIRST_JOB, "submitted_at": "2026-01-01T12:00:02Z"}),
        (EVENTS[2], {"job": FIRST_JOB}, {"job": FIRST_JOB, "submitted_at": "2026-01-01T12:00:02Z"}),
        (EVENTS[3], {"shortage": "STOCKOUT"}, {"shortage": "STOCKOUT", "reason": "no machines"}),
        (EVENTS[4], {"job": JOB}, {"job": JOB, "submitted_at": "2026-01-01T12:00:05Z"}),
        (EVENTS[6], {"job": JOB, "outcome": "FAILED"},
         {"job": JOB, "outcome": "FAILED", "reason": "exit code 1", "submitted_at": "2026-01-01T12:00:05Z",
          "started_at": "2026-01-01T13:00:06+01:00", "ended_at": "2026-01-01T12:00:07Z"}),
    ],
    ids=["submitted", "preempted", "waiting", "submitted again", "ended"],
)  # fmt: skip
def test_each_event_of_a_request(event: Event, attributes: dict[str, str], data: dict[str, Any]) -> None:
    """It says what was known then, about its own job; a repeated event is equal."""
    made = announcement(REQUEST, event, "/origin")
    time = event.at.isoformat().replace("+00:00", "Z")
    own = {"event": str(event.type), "number": str(event.number), "attempt": str(event.attempt)}
    cloud = {"ce-id": f"{KEY}/{event.number}", "ce-type": f"vertex-launch.launch.v1.{event.type}", "ce-time": time}
    assert made.attributes == ATTRIBUTES | own | cloud | attributes
    facts = {"number": event.number, "event": str(event.type), "attempt": event.attempt, "at": time}
    assert json.loads(made.data) == DATA | facts | data
    assert announcement(REQUEST, event, "/origin") == made


def test_the_time_of_an_event_is_in_utc() -> None:
    """Whatever zone it was read in."""
    assert announcement(REQUEST, EVENTS[5], "/origin").attributes["ce-time"] == "2026-01-01T12:00:06Z"


def test_an_event_of_an_item_has_no_empty_field() -> None:
    """A value that is not known is absent, in the data and in the attributes."""
    made = announcement(ITEM, EVENTS[0], "/origin")
    assert json.loads(made.data) == {
        "version": 1, "launch_key": KEY, "number": 1, "event": "queued", "at": "2026-01-01T12:00:00Z", "attempt": 0,
        "source": "wandb", "queue": {"entity": "lab", "name": "vertex"}, "item_id": "item-1",
        "run": {"entity": "team", "project": "cats", "run_id": "r1"}, "opened_at": "2026-01-01T12:00:00Z",
    }  # fmt: skip
    assert made.attributes == {
        "event": "queued", "number": "1", "key": KEY, "attempt": "0", "source": "wandb", "entity": "lab",
        "queue": "vertex", "run": "team/cats/r1", "ce-specversion": "1.0", "ce-id": f"{KEY}/1", "ce-source": "/origin",
        "ce-type": "vertex-launch.launch.v1.queued", "ce-subject": KEY, "ce-time": "2026-01-01T12:00:00Z",
        "Content-Type": "application/json",
    }  # fmt: skip


def test_a_request_without_a_queue_names_none() -> None:
    """Neither its entity nor its name."""
    alone = replace(REQUEST, entry=replace(REQUEST.entry, queue_entity="", queue_name=""))
    made = announcement(alone, EVENTS[0], "/origin")
    assert {"entity", "queue"}.isdisjoint(made.attributes)
    assert "queue" not in json.loads(made.data)


def test_an_outcome_is_that_of_an_end_only() -> None:
    """A wait whose reason has the name of an outcome is no outcome; an unknown one is left out."""
    for event in (replace(EVENTS[3], why="FAILED"), replace(EVENTS[6], why="A_NEW_ONE")):
        made = announcement(REQUEST, event, "/origin")
        assert {"outcome", "shortage"}.isdisjoint(made.attributes)
        assert {"outcome", "shortage"}.isdisjoint(json.loads(made.data))
