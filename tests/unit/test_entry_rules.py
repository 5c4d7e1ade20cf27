"""What an index entry decides, at each bound, and the rules of a record that a table of transitions does not show."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.core.budget import Budget
from shared.core.entry import BOUNDS, PACED_AHEAD, Entry
from shared.core.errors import Capacity, OutOfTime, Reject
from shared.core.event import KEPT, Event, EventType
from shared.core.launch import Launch, Outcome, RunPath, State, Wish
from shared.core.machine import machines
from shared.core.pause import Pause
from shared.core.placement import Placement
from shared.core.refusals import classify
from shared.core.retry import retry_of
from shared.core.shortage import Shortage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(seconds=1)
WISH = Wish("cancel", "ada", NOW)
QUEUED, SUBMITTING, SUBMITTED, ENDED = State.QUEUED, State.SUBMITTING, State.SUBMITTED, State.ENDED


def entry(state: State = QUEUED, **fields: Any) -> Entry:
    """Return an entry of an item."""
    given: dict[str, Any] = {"item_id": "i", **fields}
    return Entry("k", state, NOW, RunPath("e", "p", "r"), **given)


@pytest.mark.parametrize(
    ("one", "claimable", "claimed"),
    [
        (entry(), True, False),
        (entry(retry_at=NOW), True, False),
        (entry(retry_at=NOW + TICK), False, False),
        (entry(retry_at=NOW + PACED_AHEAD, short_of=Shortage.RATE), True, False),
        (entry(retry_at=NOW + PACED_AHEAD + TICK, short_of=Shortage.RATE), False, False),
        (entry(retry_at=NOW + TICK, short_of=Shortage.STOCKOUT), False, False),
        (entry(build="b"), False, False),
        (entry(wish=WISH), False, False),
        (entry(SUBMITTING), True, False),
        (entry(SUBMITTING, lease_until=NOW), True, False),
        (entry(SUBMITTING, lease_until=NOW + TICK), False, True),
        (entry(SUBMITTING, lease_until=NOW + TICK, unanswered=True), False, False),
        (entry(SUBMITTED, lease_until=NOW + TICK), False, False),
        (entry(ENDED), False, False),
    ],
)
def test_who_may_claim_a_launch(one: Entry, claimable: bool, claimed: bool) -> None:
    """Nobody while another submit may be at work, a build or a wait goes on, or a person has asked for its end."""
    assert (one.claimable(NOW), one.claimed(NOW)) == (claimable, claimed)


@pytest.mark.parametrize(
    ("one", "holds", "waits", "refused", "requested"),
    [
        (entry(short_of=Shortage.STOCKOUT), True, True, False, False),
        (entry(SUBMITTING, short_of=Shortage.AMOUNT), True, False, False, False),
        (entry(short_of=Shortage.RATE), False, True, False, False),
        (entry(SUBMITTED, short_of=Shortage.STOCKOUT), False, False, False, False),
        (entry(short_of=Shortage.STOCKOUT, item_id=""), False, False, False, True),
        (entry(short_of=Shortage.STOCKOUT, resumes=1), True, False, False, False),
        (entry(), False, False, False, False),
        (entry(ENDED, outcome=Outcome.REJECTED), False, False, True, False),
        (entry(ENDED, outcome=Outcome.REJECTED, attempt=1), False, False, False, False),
        (entry(ENDED, outcome=Outcome.FAILED), False, False, False, False),
        (entry(ENDED, outcome=Outcome.REJECTED, item_id=""), False, False, False, True),
        (entry(item_id="", retries="k2", source="wandb"), False, False, False, False),
        (entry(item_id="", retries="k2", source="ci"), False, False, False, True),
        (entry(item_id="", source="wandb"), False, False, False, True),
    ],
)
def test_what_a_launch_means_for_others(one: Entry, holds: bool, waits: bool, refused: bool, requested: bool) -> None:
    """For its queue, its author, its item, and the limit of requests."""
    assert (one.holds_queue, one.waits_for_room, one.refused_at_intake, one.of_request) == (
        holds, waits, refused, requested
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "overdue"),
    [
        (entry(), True),
        (replace(entry(), opened_at=NOW + TICK), False),
        (entry(attempt=1), False),
        (entry(SUBMITTING), False),
    ],
)
def test_a_ticket_without_effect_is_overdue(one: Entry, overdue: bool) -> None:
    """After its time, not at its end."""
    assert one.overdue(NOW + 6 * TICK, 5 * TICK) is overdue


def test_the_texts_of_an_entry_are_bounded() -> None:
    """In bytes, each by its own bound."""
    one = entry(QUEUED, **dict.fromkeys(BOUNDS, "é" * 2000))
    assert all(most - 3 <= len(getattr(one, name).encode()) <= most for name, most in BOUNDS.items())


@pytest.mark.parametrize(
    ("changes", "climb", "needs"),
    [
        ({}, Placement(), 0),
        ({"wish": WISH}, Placement(), 2),
        ({"retries": "k2"}, Placement(), 2),
        ({"build": "b"}, Placement(), 1),
        ({"scheduler": True}, Placement(), 1),
        ({"resumes": 1}, Placement(), 1),
        ({"climbs": True}, Placement(), 1),
        ({}, Placement("own", "here"), 1),
        ({}, Placement("own", "own", tried=("x",)), 1),
        ({}, Placement("own", "own", barred=("x",)), 1),
    ],
)
def test_the_version_that_a_record_needs(changes: dict[str, Any], climb: Placement, needs: int) -> None:
    """An older one would damage it."""
    assert Launch(entry(**changes), {}, climb=climb).needs == needs


def test_a_record_keeps_its_last_events_and_lines() -> None:
    """Numbers go on; a wait for the same reason is one event."""
    launch = Launch(entry(), {})
    for number in range(60):
        launch = launch.happened(EventType.WAITING, NOW, str(number)).note(NOW, str(number))
    assert [each.number for each in launch.events] == list(range(11, 61))
    assert [each.result for each in launch.history] == [str(number) for number in range(10, 60)]
    assert (len(launch.events), launch.entry.events) == (KEPT, 60)
    assert launch.happened(EventType.WAITING, NOW + TICK, "59") is launch
    assert launch.happened(EventType.BUILDING, NOW, "59").events[-1] == Event(61, EventType.BUILDING, NOW, why="59")
    assert launch.happened(EventType.WAITING, NOW, "58").entry.events == 61


def test_a_job_starts_once_while_it_is_submitted() -> None:
    """A time that is not known is no news."""
    launch = Launch(entry(SUBMITTED), {})
    assert launch.started(None) is launch
    assert Launch(entry(SUBMITTING), {}).started(NOW).entry.started_at is None
    began = launch.started(NOW)
    assert (began.entry.started_at, began.started(NOW + TICK)) == (NOW, began)


def test_texts_of_a_record_have_no_secret_of_its_run_spec() -> None:
    """Reason, line, notice and event."""
    launch = Launch(entry(), {"_wandb_api_key": "own-key-1"})
    ended = launch.end(Outcome.FAILED, "with own-key-1", NOW, job_ended_at=NOW - TICK).tell("tell own-key-1")
    assert (ended.reason, ended.entry.reason) == ("with [redacted]", "with [redacted]")
    assert ended.history[-1].result == "FAILED: with [redacted]"
    assert ended.events[-1].reason == "with [redacted]"
    assert ended.entry.notice == "tell [redacted]"
    assert (ended.entry.ended_at, ended.events[-1].at, ended.history[-1].at) == (NOW - TICK, NOW - TICK, NOW)
    assert launch.tell("") is launch


def test_the_refusal_of_a_retry_names_the_launch() -> None:
    """Its field is the key."""
    scheduler = Launch(entry(ENDED), {"uri": "placeholder-uri-scheduler"})
    for old in (scheduler, Launch(entry(ENDED, outcome=Outcome.REJECTED), {})):
        with pytest.raises(Reject) as refused:
            retry_of(old, 1, "ada", NOW)
        assert refused.value.field == "k"


@pytest.mark.parametrize(
    ("pools", "strategy", "line"),
    [
        ([{"machine_spec": {"machine_type": "n1"}}], "", "1×n1"),
        ([{"machine_spec": {"machine_type": "n1"}, "replica_count": 4}], "SPOT", "4×n1 SPOT"),
        ([{"machine_spec": {"machine_type": "n1", "accelerator_type": "L4", "accelerator_count": 2}}], "",
         "1×n1 (2×L4)"),
        ([{"machine_spec": {"machine_type": "n1", "accelerator_type": "L4"}}], "", "1×n1"),
        ([{"machine_spec": {"machine_type": "n1", "accelerator_type": "ACCELERATOR_TYPE_UNSPECIFIED",
                            "accelerator_count": 2}}], "", "1×n1"),
        ([{"machine_spec": {"machine_type": "n1", "accelerator_count": 2}}], "", "1×n1"),
        ([{"machine_spec": {"machine_type": Shortage.RATE}}, {}, "odd", {"machine_spec": {"machine_type": "n2"}}], "",
         "1×RATE + 1×n2"),
        ([{}], "SPOT", ""),
        (None, "SPOT", ""),
    ],
)  # fmt: skip
def test_the_machines_in_one_line(pools: Any, strategy: str, line: str) -> None:
    """A pool without a machine has no place in it."""
    assert machines({"worker_pool_specs": pools}, {"scheduling_strategy": strategy}) == line


def test_a_refusal_without_capacity_has_each_of_googles_details() -> None:
    """The quota of zero, the wait, and the calls a minute."""
    metadata = {"quota_limit_value": "0", "quota_metric": "gpus", "quota_limit": "PerMinute"}
    kinds = ("ErrorInfo", "RetryInfo")
    details = [{"@type": f"x/google.rpc.{kind}", "metadata": metadata, "retryDelay": "7s"} for kind in kinds]
    refusal = classify("no", 429, "", details)
    assert isinstance(refusal, Capacity)
    assert str(refusal) == "Vertex AI has no capacity: the quota gpus is 0; no"
    assert (refusal.shortage, refusal.at_least, refusal.limit) == (Shortage.ZERO, timedelta(seconds=7), 0)
    metadata |= {"quota_limit_value": "60"}
    refusal = classify("no", 429, "", details)
    assert isinstance(refusal, Capacity)
    assert (str(refusal), refusal.limit) == ("Vertex AI has no capacity: no", 60)
    refusal = classify("quota x, limit: 0", 429)
    assert str(refusal) == "Vertex AI has no capacity: the quota that it names is 0; quota x, limit: 0"


def test_a_budget_ends_and_has_parts() -> None:
    """A part ends with the whole at the latest; an action needs its own time, or any."""
    now = [100.0]
    budget = Budget(10, lambda: now[0])
    assert (budget.left, budget.part(4).left, budget.part(40).left) == (10, 4, 10)
    now[0] = 107.0
    budget.require("a create", 2.9)
    with pytest.raises(OutOfTime, match="the time of this invocation is over: a create is left to a later one"):
        budget.require("a create", 3)
    now[0] = 110.0
    with pytest.raises(OutOfTime):
        budget.require("a create")


def test_a_pause_says_who_and_since_when() -> None:
    """In UTC."""
    later = NOW.astimezone(tz=None)
    assert str(Pause("q", "ada", later)) == "by ada since 2026-01-01 00:00 UTC"


def test_a_place_is_left() -> None:
    """For this round, or for ever; after the last place the round is over."""
    here = Placement("own", "here", "next", ("a",), ("b",))
    assert here.leave("why", bar=False) == replace(here, tried=("a", "here"), because="why")
    assert here.leave("why", bar=True) == replace(here, barred=("b", "here"), because="why")
    last = replace(here, next_place="")
    assert last.leave("why", bar=False) == replace(last, tried=(), because="why")
    assert (here.hopeless, last.hopeless, replace(last, tried=()).hopeless) == (False, False, True)
    assert (here.elsewhere, replace(here, place="own").elsewhere) == (True, False)
