"""The first record of an item and of a request: each field, and what an older version has not kept."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.core.intake import MAX_NAME, IndexFields, check_item, from_item, from_request, named, restored
from shared.core.launch import Entry, Event, EventType, Launch, Outcome, RunPath, State
from shared.core.message import Queue, Request, launch_key
from shared.core.redaction import hiding, redacted

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = Queue(entity="team", name="vertex")
KEY = launch_key("wandb", "item")
SCHEDULER = {
    "uri": "placeholder-uri-scheduler", "resource": "local-process", "entity": "team", "project": "Cats",
    "run_id": "sweep1", "overrides": {"entry_point": ["wandb", "scheduler", "sweep1"]},
}  # fmt: skip
QUEUED = (Event(1, EventType.QUEUED, NOW),)


def test_each_field_of_an_items_first_record() -> None:
    """Names for a listing come without secrets."""
    spec = {
        "entity": "team", "project": "Cats", "run_id": "r", "_resume_count": 3, "_wandb_api_key": "own-key-1",
        "name": "with own-key-1", "author": "ada own-key-1",
    }  # fmt: skip
    entry = Entry(
        KEY, State.QUEUED, NOW, RunPath("team", "cats", "r"), queue_entity="team", queue_name="vertex", item_id="item",
        resumes=3, own_key=True, name="with [redacted]", author="ada [redacted]", source="wandb", events=1,
    )  # fmt: skip
    assert from_item("item", QUEUE, spec, NOW) == Launch(entry, spec, source="wandb", events=QUEUED)


def test_each_field_of_a_requests_first_record() -> None:
    """It has no item; its queue may be missing."""
    spec = {"entity": "team", "project": "cats", "name": "n"}
    request = Request(source="ci", idempotency_key="7", run_spec=spec, queue=QUEUE, reply={"ticket": "1"})
    key = request.launch_key
    entry = Entry(
        key, State.QUEUED, NOW, RunPath("team", "cats", key[1:13]), queue_entity="team", queue_name="vertex",
        name="n", source="ci", events=1,
    )  # fmt: skip
    wanted = Launch(entry, spec, source="ci", idempotency_key="7", reply={"ticket": "1"}, events=QUEUED)
    assert from_request(request, NOW) == wanted
    alone = from_request(request.model_copy(update={"queue": None, "reply": None}), NOW)
    assert (alone.entry.queue_entity, alone.entry.queue_name, alone.reply) == ("", "", {})


def test_each_field_of_a_refused_record() -> None:
    """It keeps whose it was; its run id may be another launch's."""
    spec = {
        "entity": "team", "project": "x" * MAX_NAME, "name": "é" * 129, "author": "half \ud800", "run_id": "r",
        "docker": {}, "_wandb_api_key": "own-key-1",
    }  # fmt: skip
    launch = from_item("item", QUEUE, spec, NOW, f"is wrong: own-key-1 \ud800{'y' * 3000}")
    assert launch.run_spec == {"entity": "team", "project": "x" * MAX_NAME}
    assert launch.entry.run == RunPath("team", "x" * MAX_NAME, KEY[1:13])
    assert (launch.entry.state, launch.entry.outcome, launch.entry.ended_at) == (State.ENDED, Outcome.REJECTED, NOW)
    assert launch.entry.report_owed
    assert launch.reason == f"is wrong: [redacted] \\ud800{'y' * 973}…{'y' * 1000}"
    assert [(each.type, each.why) for each in launch.events] == [(EventType.QUEUED, ""), (EventType.ENDED, "REJECTED")]


@pytest.mark.parametrize(("size", "kept"), [(MAX_NAME, True), (MAX_NAME + 1, False)])
def test_a_refused_request_keeps_a_queue_that_fits(size: int, kept: bool) -> None:
    """Both of its names, or none."""
    request = Request(source="ci", idempotency_key="7", run_spec={"a": {1}})
    for queue in (Queue(entity="x" * 256, name="q"), Queue(entity="e", name="x" * 256)):
        names = queue.model_dump()
        long = {name: value.replace("x" * 256, "x" * (size - 2) + "é") for name, value in names.items()}
        entry = from_request(request.model_copy(update={"queue": Queue.model_construct(**long)}), NOW).entry
        assert (entry.queue_entity, entry.queue_name) == ((long["entity"], long["name"]) if kept else ("", ""))
        assert entry.outcome is Outcome.REJECTED


def test_the_scheduler_of_a_sweep_is_recognised() -> None:
    """An item of a queue only; its project keeps its letters."""
    entry = from_item("item", QUEUE, dict(SCHEDULER), NOW).entry
    assert (entry.scheduler, entry.run) == (True, RunPath("team", "Cats", "sweep1"))
    assert not from_item("item", Queue(entity="team", name="x"), {**SCHEDULER, "job": "a/b/c:v1"}, NOW).entry.scheduler
    request = Request(source="ci", idempotency_key="7", run_spec=dict(SCHEDULER), queue=QUEUE)
    assert not from_request(request, NOW).entry.scheduler


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({}, IndexFields("", "", "", 0, own_key=False, of_sweep=False)),
        ({"entity": "e", "project": "P", "run_id": "r"}, IndexFields("e", "P", "r", 0, own_key=False, of_sweep=False)),
        ({"entity": 1, "project": ["p"], "run_id": None}, IndexFields("", "", "", 0, own_key=False, of_sweep=False)),
        ({"_resume_count": 1}, IndexFields("", "", "", 1, own_key=False, of_sweep=False)),
        ({"_resume_count": 1001}, IndexFields("", "", "", 1000, own_key=False, of_sweep=False)),
        ({"_resume_count": -1}, IndexFields("", "", "", 0, own_key=False, of_sweep=False)),
        ({"_resume_count": True}, IndexFields("", "", "", 0, own_key=False, of_sweep=False)),
        ({"_resume_count": "2"}, IndexFields("", "", "", 0, own_key=False, of_sweep=False)),
        ({"_wandb_api_key": "k", "sweep_id": "s"}, IndexFields("", "", "", 0, own_key=True, of_sweep=True)),
        ({"uri": "placeholder-uri-scheduler"}, IndexFields("", "", "", 0, own_key=False, of_sweep=True)),
        ({"uri": "other"}, IndexFields("", "", "", 0, own_key=False, of_sweep=False)),
    ],
)
def test_the_fields_that_the_first_record_needs(spec: dict[str, Any], fields: IndexFields) -> None:
    """A value of a wrong type counts as empty."""
    assert IndexFields.read(spec) == fields
    project = fields.project if fields.of_sweep else fields.project.lower()
    assert fields.run_path("k" + "a" * 26) == RunPath(fields.entity, project, fields.run_id or "a" * 12)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"run_id": "r", "entity": "team"}, ""),
        ({"run_id": "r"}, ""),
        ({"entity": "other"}, ""),
        ({"run_id": "r", "entity": "other"},
         "run_id: is 'r', a run of 'other', and the item's queue belongs to team. "
         "Leave run_id out: the run then gets a new id."),
        ({"project": "x" * 257}, "project: has 257 bytes in UTF-8; the limit is 256. W&B's own names are shorter."),
        ({"run_id": "x" * 257}, "run_id: has 257 bytes in UTF-8; the limit is 256. W&B's own names are shorter."),
        ({"entity": "x" * 257}, "entity: has 257 bytes in UTF-8; the limit is 256. W&B's own names are shorter."),
    ],
)  # fmt: skip
def test_an_items_run_is_new_or_its_queues(spec: dict[str, Any], reason: str) -> None:
    """The refusal is the author's to read."""
    assert from_item("item", QUEUE, spec, NOW).reason == reason
    if not reason:
        check_item(spec, QUEUE)


def test_the_secrets_of_a_run_spec_are_hidden_at_once() -> None:
    """Within the block of a launch, also in later texts."""
    with hiding():
        from_item("item", QUEUE, {"_wandb_api_key": "own-key-1"}, NOW)
        assert redacted("own-key-1") == "[redacted]"
    assert redacted("own-key-1") == "own-key-1"


def test_a_record_of_an_older_version_is_completed() -> None:
    """From its run spec; what it has already stays."""
    spec = {**SCHEDULER, "_resume_count": 2, "name": "n", "author": "ada", "my_token": "t0ken-1"}
    new = from_item("item", QUEUE, {**spec, "name": "n t0ken-1"}, NOW)
    bare = replace(new, entry=replace(new.entry, resumes=0, scheduler=False, name="", author="", source=""))
    assert restored(bare).entry == new.entry
    assert restored(replace(bare, entry=replace(bare.entry, resumes=5))).entry.resumes == 5
    assert named(bare).entry == replace(bare.entry, name="n [redacted]", author="ada", source="wandb")
    kept = replace(bare, entry=replace(bare.entry, source="ci", name="kept"))
    assert named(kept) is kept
    assert not restored(replace(bare, entry=replace(bare.entry, item_id=""))).entry.scheduler
    known = replace(bare, run_spec={}, entry=replace(bare.entry, scheduler=True))
    assert restored(known).entry.scheduler
