"""A launch's time by phase, from its events; and the log event that carries it to metrics."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from functions.status.closing import close
from functions.status.report import Report
from shared.core.event import KEPT, Event, EventType
from shared.core.intake import from_item
from shared.core.launch import Launch, Outcome
from shared.core.message import Queue
from shared.core.phases import phases_of, total_seconds
from tests.fakes import InMemoryLedger

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
JOB = "projects/p/locations/l/customJobs/1"
Q, B, W, S, R, P, E = (
    *(EventType.QUEUED, EventType.BUILDING, EventType.WAITING, EventType.SUBMITTED),
    *(EventType.RUNNING, EventType.PREEMPTED, EventType.ENDED),
)
Step = tuple[float, EventType] | tuple[float, EventType, str]


def at(second: float) -> datetime:
    """Return a time."""
    return BEGIN + timedelta(seconds=second)


def launch_of(steps: list[Step], job: str = JOB) -> Launch:
    """Return a launch with these events: second, type, why."""
    events = tuple(
        Event(number, step[1], at(step[0]), why=step[2] if len(step) == 3 else "", job=job)
        for number, step in enumerate(steps, 1)
    )
    first = from_item("item", Queue(entity="team", name="vertex"), {"entity": "team", "project": "cats"}, BEGIN)
    ended_at = next((each.at for each in events if each.type is E), None)
    entry = replace(first.entry, events=len(events), job_name=job, ended_at=ended_at, attempt=2)
    return replace(first, entry=replace(entry, outcome=Outcome.SUCCEEDED), events=events)


TABLE: dict[str, tuple[list[Step], dict[str, float]]] = {
    "straight through": ([(0, Q), (3, S), (63, R), (363, E)], {"queued": 3, "pending": 60, "running": 300}),
    "no machines": (
        [(0, Q), (2, W, "STOCKOUT"), (602, S), (612, R), (620, E)],
        {"queued": 2, "capacity": 600, "pending": 10, "running": 8},
    ),
    "quota used up": ([(0, Q), (2, W, "AMOUNT"), (32, S), (33, E)], {"queued": 2, "quota": 30, "pending": 1}),
    "calls a minute": ([(0, Q), (2, W, "RATE"), (32, S), (33, E)], {"queued": 2, "quota": 30, "pending": 1}),
    "quota of zero": ([(0, Q), (2, W, "ZERO"), (5, W, "STOCKOUT"), (9, E)], {"queued": 2, "quota": 3, "capacity": 4}),
    "W&B was down": ([(0, Q), (2, W, ""), (32, S), (33, E)], {"queued": 32, "pending": 1}),
    "built": ([(0, Q), (2, B), (182, S), (192, R), (193, E)], {"queued": 2, "build": 180, "pending": 10, "running": 1}),
    "built, no machines": (
        [(0, Q), (2, B), (10, W, "STOCKOUT"), (20, E)],
        {"queued": 2, "build": 8, "capacity": 10},
    ),
    "preempted": (
        [(0, Q), (1, S), (2, R), (12, P), (15, S), (20, R), (21, E)],
        {"queued": 4, "pending": 6, "running": 11},
    ),
    "never submitted": ([(0, Q), (9, E)], {"queued": 9}),
    "refused at once": ([(0, Q), (0, E)], {}),
    "Vertex AI's clock is behind": ([(0, Q), (10, S), (8, R), (20, E)], {"queued": 10, "running": 10}),
    "it ended before it was recorded": ([(0, Q), (10, S), (7, E)], {"queued": 10}),
    "still running": ([(0, Q), (1, S), (2, R)], {"queued": 1, "pending": 1, "running": 998}),
}


@pytest.mark.parametrize(("steps", "seconds"), TABLE.values(), ids=TABLE)
def test_each_second_of_a_launch_belongs_to_one_phase(steps: list[Step], seconds: dict[str, float]) -> None:
    """No phase is negative, whichever clock dated an event."""
    phases = phases_of(launch_of(steps), at(1000))
    assert phases is not None
    found = {name: getattr(phases, name) for name in phases.__slots__}
    assert {name: value for name, value in found.items() if value} == seconds
    assert min(found.values()) >= 0
    assert phases.total == sum(found.values())


INCOMPLETE: dict[str, Launch] = {
    "an older version wrote no event": replace(
        launch_of([]), entry=replace(launch_of([]).entry, ended_at=at(50), job_name="")
    ),
    "an older version wrote the first record": launch_of([(5, S), (50, E)]),
    "an older version submitted it": replace(
        launch_of([(0, Q), (50, E)], job=""), entry=replace(launch_of([(0, Q), (50, E)]).entry, job_name=JOB)
    ),
    "more events than a record keeps": replace(
        (
            many := launch_of(
                [(0, Q), *[(number, W, "RATE" if number % 2 else "AMOUNT") for number in range(60)], (50, E)]
            )
        ),
        events=many.events[-KEPT:],
    ),
}


@pytest.mark.parametrize("launch", INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_record_without_all_events_has_only_the_total(launch: Launch) -> None:
    """A guess would be wrong in every dashboard."""
    assert phases_of(launch, at(1000)) is None
    assert total_seconds(launch, at(1000)) == 50


def test_the_log_says_where_the_time_went(caplog: pytest.LogCaptureFixture) -> None:
    """Each launch once, when it is closed."""
    caplog.set_level(logging.INFO)
    ledger, report = InMemoryLedger(lambda: at(1000)), Report()
    close(ledger, ledger.write(launch_of([(0, Q), (3, W, "STOCKOUT"), (13, S), (20, R), (30.5, E)])), report)
    (line,) = [each for each in caplog.records if each.message == "launch.closed"]
    key = report.closed[0]
    assert line.__dict__["fields"] == {
        "launch_key": key,
        "outcome": "SUCCEEDED",
        "queue": "vertex",
        "source": "wandb",
        "attempts": 2,
        "total_seconds": 30.5,
        "capacity_seconds": 10,
        "quota_seconds": 0,
        "build_seconds": 0,
        "queued_seconds": 3,
        "pending_seconds": 7,
        "running_seconds": 10.5,
    }


def test_the_log_of_an_older_launch_has_the_total(caplog: pytest.LogCaptureFixture) -> None:
    """And no phase."""
    caplog.set_level(logging.INFO)
    ledger = InMemoryLedger(lambda: at(1000))
    close(ledger, ledger.write(INCOMPLETE["an older version submitted it"]), Report())
    (line,) = [each for each in caplog.records if each.message == "launch.closed"]
    seconds = {name: value for name, value in line.__dict__["fields"].items() if name.endswith("_seconds")}
    assert seconds == {"total_seconds": 50}
