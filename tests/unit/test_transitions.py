"""Every field of a launch × every transition: changed as this table says, otherwise kept."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.core.launch import Attempt, Backoff, Entry, Event, EventType, Launch, Outcome, RunPath, State, Wish
from shared.core.placement import Placement
from shared.core.shortage import Shortage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = timedelta(seconds=15)


def moment(hours: int) -> datetime:
    """Return a time before now, another for each field."""
    return NOW - timedelta(hours=hours)


FULL = Launch(
    Entry(
        key="k" + "a" * 26,
        state=State.SUBMITTED,
        opened_at=moment(20),
        run=RunPath("team", "cats", "run"),
        queue_entity="team",
        queue_name="vertex",
        item_id="item",
        attempt=3,
        failures=4,
        waits=5,
        short_of=Shortage.AMOUNT,
        climbs=True,
        lease_until=moment(19),
        unanswered=True,
        looked_at=moment(18),
        retry_at=moment(17),
        parent="projects/p/locations/l",
        build="projects/p/locations/l/builds/1",
        job_name="projects/p/locations/l/customJobs/1",
        submitted_at=moment(16),
        queued_since=moment(15),
        pending_since=moment(14),
        stuck_since=moment(13),
        ended_seen_at=moment(12),
        broken=2,
        own_key=True,
        resumes=1,
        outcome=Outcome.FAILED,
        stop_seen_at=moment(11),
        cancel_reason="because",
        scheduler=True,
        notice="a notice",
        noticed=True,
        report_owed=True,
        wish=Wish("cancel", "ada@example.com", moment(10)),
        events=6,
        announced=4,
        name="a name",
        author="ada",
        source="ci",
        machine="1×a2-highgpu-1g SPOT",
        retries="k" + "b" * 26,
        started_at=moment(9),
        ended_at=moment(8),
        reason="earlier",
        unknown={"new": 1},
    ),
    {"entity": "team", "sweep_id": "sweep", "name": "x"},
    source="ci",
    idempotency_key="build-7",
    digest="d" * 64,
    reply={"ticket": "7"},
    searched=False,
    reason="earlier",
    history=(Attempt(2, moment(20), "line"),),
    events=(Event(6, EventType.SUBMITTED, moment(16), 3),),
    climb=Placement("own", "here", "next", ("a",), ("b",), "left out", "earlier", "gs://b/out", unknown={"new": 2}),
    generation=7,
    unknown={"new": 3},
)
OF_A_JOB = dict.fromkeys(
    ["submitted_at", "queued_since", "pending_since", "stuck_since", "ended_seen_at", "stop_seen_at", "started_at"]
) | {"job_name": ""}
LET_GO = {"unanswered": False, "looked_at": None}
WAITING = {"state": State.QUEUED, "lease_until": None, "cancel_reason": "", **OF_A_JOB, **LET_GO}
NEWS = {"noticed": False}
HAPPENED = {"events": 7}


def line(result: str) -> tuple[Attempt, ...]:
    """Return the history with one more line."""
    return (*FULL.history, Attempt(3, NOW, result))


def event(kind: EventType, why: str = "", reason: str = "", job: str = "") -> tuple[Event, ...]:
    """Return the events with one more."""
    return (*FULL.events, Event(7, kind, NOW, 3, why, job, reason))


TABLE: dict[str, tuple[Callable[[Launch], Launch], dict[str, Any], dict[str, Any]]] = {
    "again": (
        lambda launch: launch.again(NOW, FIRST, "a line", "why", waits=6),
        WAITING
        | NEWS
        | {"retry_at": NOW + FIRST, "short_of": None, "waits": 6, "notice": "Waiting: why"}
        | HAPPENED
        | {"reason": "why"},
        {"events": event(EventType.WAITING, "", "why"), "reason": "why", "history": line("a line"), "searched": True},
    ),
    "short, with another place": (
        lambda launch: launch.wait_for_capacity(NOW, Shortage.STOCKOUT, "why", Backoff(first=FIRST)),
        WAITING
        | NEWS
        | {
            "retry_at": NOW + FIRST,
            "short_of": Shortage.STOCKOUT,
            "notice": "Waiting: why; next: next; left out",
            "reason": "why",
            **HAPPENED,
        },
        {
            "events": event(EventType.WAITING, "STOCKOUT", "why"),
            "reason": "why",
            "history": line("STOCKOUT: why"),
            "searched": True,
            "climb": replace(FULL.climb, tried=("a", "here"), because="why"),
        },
    ),
    "short of calls": (
        lambda launch: launch.wait_for_capacity(NOW, Shortage.RATE, "why", Backoff(first=FIRST), timedelta(hours=2)),
        WAITING
        | NEWS
        | {
            "retry_at": NOW + timedelta(hours=2),
            "short_of": Shortage.RATE,
            "waits": 6,
            "notice": "Waiting: why; left out",
            "reason": "why",
            **HAPPENED,
        },
        {
            "events": event(EventType.WAITING, "RATE", "why"),
            "reason": "why",
            "history": line("RATE: why"),
            "searched": True,
        },
    ),
    "resume": (
        lambda launch: launch.resume(NOW, 5),
        {
            "state": State.QUEUED,
            **OF_A_JOB,
            **LET_GO,
            **NEWS,
            "resumes": 2,
            "waits": 0,
            "broken": 0,
            "notice": "Preempted; launched again (2 of 5 times)",
            **HAPPENED,
        },
        {
            "events": event(EventType.PREEMPTED, job=FULL.entry.job_name),
            "run_spec": {"entity": "team", "name": "x", "_resume_count": 2},
            "history": line("Preempted; launched again (2 of 5 times): projects/p/locations/l/customJobs/1"),
            "searched": True,
            "climb": replace(FULL.climb, tried=(), because=""),
        },
    ),
    "tell": (lambda launch: launch.tell("news"), NEWS | {"notice": "news"}, {}),
    "tell the same": (lambda launch: launch.tell("a notice"), {}, {}),
    "note": (lambda launch: launch.note(NOW, "a line"), {}, {"history": line("a line")}),
    "end": (
        lambda launch: launch.end(Outcome.CANCELLED, "stopped", NOW),
        {"state": State.ENDED, "outcome": Outcome.CANCELLED, "lease_until": None, "retry_at": None, **LET_GO}
        | HAPPENED
        | {"ended_at": NOW, "reason": "stopped"},
        {
            "events": event(EventType.ENDED, "CANCELLED", "stopped", FULL.entry.job_name),
            "reason": "stopped",
            "history": line("CANCELLED: stopped"),
        },
    ),
    "start": (
        lambda launch: replace(launch, entry=replace(launch.entry, started_at=None)).started(NOW),
        {"started_at": NOW} | HAPPENED,
        {"events": event(EventType.RUNNING, job=FULL.entry.job_name)},
    ),
    "start again": (lambda launch: launch.started(NOW), {}, {}),
    "end without a report": (
        lambda launch: launch.end(Outcome.SUCCEEDED, "", NOW, report=False),
        {
            "state": State.ENDED,
            "outcome": Outcome.SUCCEEDED,
            "lease_until": None,
            "retry_at": None,
            "report_owed": False,
            "ended_at": NOW,
            "reason": "",
            **HAPPENED,
            **LET_GO,
        },
        {
            "events": event(EventType.ENDED, "SUCCEEDED", job=FULL.entry.job_name),
            "reason": "",
            "history": line("SUCCEEDED: "),
        },
    ),
}


def changed(before: object, after: object) -> dict[str, Any]:
    """Return the fields that differ, `unknown` included, which a comparison of records leaves out."""
    names = [field.name for field in fields(before)]  # type: ignore[arg-type]
    return {name: getattr(after, name) for name in names if getattr(before, name) != getattr(after, name)}


@pytest.mark.parametrize(("step", "entry", "record"), TABLE.values(), ids=TABLE)
def test_a_transition_changes_these_fields_and_no_other(
    step: Callable[[Launch], Launch], entry: dict[str, Any], record: dict[str, Any]
) -> None:
    """A field that is kept or cleared by mistake loses a checkpoint, a reason, or a bound."""
    after = step(FULL)
    wanted = {name: value for name, value in entry.items() if getattr(FULL.entry, name) != value}
    assert changed(FULL.entry, after.entry) == wanted
    assert {name: value for name, value in changed(FULL, after).items() if name != "entry"} == record
    assert after.climb.unknown == {"new": 2}


def test_every_field_is_set_to_something() -> None:
    """A field at its default could be cleared without being noticed."""
    empty = Launch(Entry("", State.QUEUED, NOW, RunPath("", "", "")), {})
    for full, default in ((FULL, empty), (FULL.entry, empty.entry), (FULL.climb, empty.climb)):
        same = [each.name for each in fields(full) if getattr(full, each.name) == getattr(default, each.name)]
        assert same in (["searched"], []), same
