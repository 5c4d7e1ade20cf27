"""The numbers of `tick.done`, of which metrics are made."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.poll.report import Report as PollReport
from functions.status import measure
from functions.status.report import Report
from shared.core.errors import KeyRefused, Retry
from shared.core.intake import from_item
from shared.core.launch import Outcome, State
from shared.core.message import Queue
from shared.core.shortage import Shortage
from tests.fakes import FakeClock
from tests.unit.polling import A
from tests.unit.polling import Scene as Polling
from tests.unit.test_reconcile import Scene

QUEUE = Queue(entity="team", name="vertex")
MINUTE = timedelta(minutes=1)

AGES: dict[str, tuple[dict[str, Any], bool]] = {
    "queued": ({}, True),
    "being created": ({"state": State.SUBMITTING}, True),
    "it waits for calls a minute": ({"short_of": Shortage.RATE}, True),
    "it waits for W&B": ({"retry_at": FakeClock()() + MINUTE}, True),
    "it has a job": ({"state": State.SUBMITTED}, False),
    "it has ended": ({"state": State.ENDED}, False),
    "no machines: its queue is held": ({"short_of": Shortage.STOCKOUT}, False),
    "no quota: its queue is held": ({"short_of": Shortage.AMOUNT}, False),
    "it had a job that was preempted": ({"resumes": 1}, False),
    "it had a job that Vertex AI broke": ({"broken": 1}, False),
}


@pytest.mark.parametrize(("changes", "counts"), AGES.values(), ids=AGES)
def test_the_oldest_launch_is_one_that_should_have_a_job(changes: dict[str, Any], counts: bool) -> None:
    """An alert on its age must not ring for what waits by design."""
    now = FakeClock()()
    entry = from_item("item", QUEUE, {}, now - 11 * MINUTE).entry
    report = Report()
    waiting = replace(entry, **{"state": State.QUEUED, **changes})
    measure.count([waiting], (), now, report)
    assert report.oldest_seconds == (660 if counts else 0)


def test_the_oldest_of_several_counts() -> None:
    """In whole seconds; a launch from the future, by another clock, has no age."""
    now = FakeClock()()
    ages = {"a": 5.9, "b": 7.9, "c": 6.0, "held": 900.0, "paused": 901.0}
    entries = [from_item(name, QUEUE, {}, now - timedelta(seconds=age)).entry for name, age in ages.items()]
    entries[3] = replace(entries[3], short_of=Shortage.STOCKOUT)
    report = Report()
    measure.count(entries, {entries[4].key}, now, report)
    assert (report.oldest_seconds, report.queued) == (7, 5)
    measure.count(entries[:1], (), now - MINUTE, report)
    assert report.oldest_seconds == 0


def test_a_launch_of_a_paused_queue_is_not_late() -> None:
    """A person has decided that it waits."""
    scene = Scene()
    launch = scene.queued()
    scene.clock.pass_(700)
    report = Report()
    measure.count([launch.entry], {launch.key}, scene.clock(), report)
    assert report.oldest_seconds == 0


def test_a_tick_of_status_counts_launches_by_state() -> None:
    """As it listed them."""
    scene = Scene()
    scene.queued("a")
    scene.submitted("b")
    scene.submitted("c")
    ended = scene.queued("d")
    scene.ledger.write(ended.end(Outcome.FAILED, "no", scene.clock()))
    scene.wandb.fail["fail_item"] = Retry("503")
    scene.clock.pass_(5)
    found = scene.tick().measured()
    states = {"queued": 1, "submitting": 0, "submitted": 2, "ended": 1}
    assert found == {"function": "status", **states, "oldest_seconds": 5, "owed": 1, "problems": 1, "doubled": 0}
    scene.wandb.fail.clear()
    assert scene.tick().measured()["owed"] == 0


def test_a_doubled_job_is_counted() -> None:
    """Beside the error that names it."""
    scene = Scene()
    launch = scene.submitted()
    scene.submit(replace(launch, entry=replace(launch.entry, state=State.QUEUED)), attempt=1)
    found = scene.tick().measured()
    assert (found["doubled"], found["problems"]) == (1, 1)


def test_the_report_of_a_call_has_all_of_its_ticks() -> None:
    """What was done and failed adds up, each error once; the states are those of the last tick."""
    first = Report(4, 5, 1, 6, 7, 8, 2, Counter(Finish=1, Cancel=1), ["o"], ["d"], ["c1"], errors=["e1", "e2"])
    second = Report(3, 2, 1, 1, 2, 3, 1, Counter(Finish=2), ["o", "p"], ["d", "f"], ["c2"], 1, 2, 3, 4, 5, 6)
    second.errors = ["e2", "e3"]
    assert first.followed_by(second) is second
    assert second == Report(
        3, 2, 2, 1, 2, 3, 3, Counter(Finish=3, Cancel=1), ["o", "p"], ["d", "f"], ["c1", "c2"], 1, 2, 3, 4, 5, 6,
        errors=["e1", "e2", "e3"],
    )  # fmt: skip


def test_a_poll_counts_what_it_took_and_what_is_left() -> None:
    """Headroom is what `max_jobs` allowed before the round."""
    scene = Polling()
    for number in range(3):
        scene.wandb.push(f"i{number}", A)
    for name in ("bad", "worse"):
        scene.wandb.push(name, A, entity="x" * 300)
    report = scene.poll(max_jobs=7)
    numbers = {"headroom": 7, "pending": 0, "held": 0, "held_queues": {}, "launched": 3, "refused": 2, "key_refused": 0}
    assert report.measured() == {"function": "poll", **numbers, "problems": 0}
    assert scene.poll(max_jobs=7).measured()["headroom"] == 4
    assert scene.poll(max_jobs=-1).measured()["headroom"] == -1


def test_a_held_queue_is_counted() -> None:
    """With its name beside it."""
    scene = Polling()
    launch = scene.ledger.write(from_item("old", A, {}, scene.clock()))
    claimed = scene.ledger.write(launch.move(State.SUBMITTING, attempt=1))
    scene.ledger.write(claimed.move(State.QUEUED, short_of=Shortage.STOCKOUT))
    found = scene.poll().measured()
    assert (found["held"], list(found["held_queues"])) == (1, ["a"])


def test_a_poll_that_did_not_look_has_no_headroom() -> None:
    """Zero would look like a full deployment."""
    assert "headroom" not in PollReport(polled=False, why_not="another poll is working").measured()


def test_a_refused_key_is_a_number() -> None:
    """Alerts read it."""
    report = PollReport.of_refused_key(KeyRefused("W&B answers 401"))
    assert (report.measured()["key_refused"], report.measured()["problems"]) == (1, 1)
    assert report.errors == ["key: W&B answers 401"]


@pytest.mark.parametrize(
    ("limits", "minutes", "pending"),
    [
        ({"max_jobs": -1}, 0, 0),  # each queue was popped until empty: no further call
        ({"max_jobs": 1}, 0, 2),
        ({"max_jobs": 1}, 2, None),  # counted within the same five minutes
        ({"max_jobs": 1}, 5, 2),
    ],
)
def test_the_items_that_wait_are_counted_rarely(limits: dict[str, Any], minutes: int, pending: int | None) -> None:
    """Only if poll leaves items in W&B, and once in five minutes: an idle queue costs no further call."""
    scene = Polling()
    for number in range(3):
        scene.wandb.push(f"i{number}", A)
    first = scene.poll(**limits)
    if minutes:
        scene.clock.pass_(60 * minutes)
        calls = scene.wandb.calls.count("count_waiting")
        first = scene.poll(**limits)
        assert scene.wandb.calls.count("count_waiting") - calls == (0 if pending is None else 2)
    assert first.measured().get("pending") == pending


@pytest.mark.parametrize(("passed", "counts"), [(0, 0), (292, 0), (293, 2), (593, 2)])
def test_five_minutes_are_those_of_the_clock(passed: float, counts: int) -> None:
    """A count at 4:59 and another at 5:00 belong to different ones."""
    scene = Polling()
    scene.clock.pass_(7)
    scene.wandb.push("i", A)
    scene.poll(max_jobs=0)
    scene.clock.pass_(passed)
    scene.wandb.calls.clear()
    scene.poll(max_jobs=0)
    assert scene.wandb.calls.count("count_waiting") == counts


def test_a_count_that_fails_fails_nothing_else() -> None:
    """Metrics are not worth a 503."""
    scene = Polling()
    scene.wandb.push("i", A)
    scene.wandb.fail["count_waiting"] = Retry("503")
    report = scene.poll(max_jobs=1)
    assert (report.launched, report.errors, report.pending) == ({"a": 1}, [], None)
