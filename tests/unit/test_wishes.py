"""What status does about a launch that a person cancelled, repeated or whose queue is paused."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.status.decide import REMOVED, decide
from functions.status.decisions import (
    Built,
    Cancel,
    Confirm,
    Decision,
    Finish,
    NoAction,
    Note,
    Observed,
    Publish,
    StatusTimings,
    Withdraw,
)
from functions.status.pauses import paused
from functions.status.report import Report
from shared.core.building import Build
from shared.core.errors import Denied, Retry
from shared.core.launch import Entry, Outcome, State, Wish
from shared.core.pause import Pause
from shared.core.ports import AgentNote, RunStatus
from shared.core.shortage import Shortage
from tests.fakes import InMemoryAgentBook
from tests.unit.test_decide import (
    BUILDING,
    FRESH,
    LATE,
    NOBODYS,
    NOW,
    OURS,
    OWN,
    PREEMPTED,
    RUNNING,
    STOCKOUT,
    STOPPED,
    SUBMITTED,
    THEIRS,
    WITHOUT_ROOM,
    ago,
    job,
)

WISH = Wish("cancel", "ana@example.com", ago(seconds=9))
BY_ANA = "Cancelled by ana@example.com with `vertex-launch cancel`."
PAUSED = "Waiting: Paused by ana@example.com since 2026-01-01 11:00 UTC."
INTERNAL = "Internal error occurred for the current attempt."


def wished(entry: Entry, **changes: object) -> Entry:
    """Return an entry that a person wants to cancel."""
    return replace(entry, wish=WISH, **changes)  # type: ignore[arg-type]


TRIED = wished(LATE, attempt=1, retry_at=NOW + timedelta(hours=1))
LADDER = wished(SUBMITTED, climbs=True)
GAVE_UP = wished(SUBMITTED, climbs=True, cancel_reason="It was pending for too long.")
CANCELLED = job("CANCELLED", ended_at=ago(minutes=2))

TABLE: list[tuple[str, Entry, Observed, type[Decision], Outcome | None]] = [
    ("a fresh launch: it needs no wait for its ticket", wished(FRESH), Observed(item=OURS), Finish, Outcome.CANCELLED),
    ("a launch that nobody acked: poll still works on it", wished(FRESH), Observed(item=NOBODYS), NoAction, None),
    ("a launch that another agent acked", wished(FRESH), Observed(item=THEIRS), Withdraw, None),
    ("a launch whose item cannot be asked for", wished(FRESH), Observed(item_failure=Retry("down")), NoAction, None),
    ("a launch whose item is gone", wished(FRESH), Observed(), Finish, Outcome.CANCELLED),
    ("a retry that is not due", TRIED, Observed(item=OURS), Finish, Outcome.CANCELLED),
    ("a launch that waits for room", wished(WITHOUT_ROOM), Observed(item=OURS), Finish, Outcome.CANCELLED),
    ("a launch whose run cannot be seen now", TRIED, Observed(item=OURS, run_failure=Retry("down")), NoAction, None),
    (
        "a launch whose run may never be seen",
        replace(TRIED, retry_at=ago(hours=2)),
        Observed(item=OURS, run_failure=Denied("403")),
        Finish,
        Outcome.CANCELLED,
    ),
    (
        "a build under way",
        wished(BUILDING),
        Observed(item=OURS, build=Build("b", "WORKING")),
        Finish,
        Outcome.CANCELLED,
    ),
    ("a built image", wished(BUILDING), Observed(item=OURS, build=Build("b", "SUCCESS")), Finish, Outcome.CANCELLED),
    ("a request", wished(FRESH, item_id=""), Observed(), Finish, Outcome.CANCELLED),
    (
        "a request while W&B is down",
        wished(FRESH, item_id=""),
        Observed(run_failure=Retry("down")),
        Finish,
        Outcome.CANCELLED,
    ),
    ("a live claim", wished(LATE, state=State.SUBMITTING, lease_until=NOW + timedelta(1)), Observed(), NoAction, None),
    (
        "a claim that ended: its job is looked up",
        wished(LATE, state=State.SUBMITTING, lease_until=NOW),
        Observed(),
        Publish,
        None,
    ),
    ("a job that runs", wished(SUBMITTED), Observed(job=job("RUNNING"), run=RUNNING), Cancel, None),
    ("a job that is pending", wished(SUBMITTED), Observed(job=job("PENDING")), Cancel, None),
    ("a job that waits for quota", wished(SUBMITTED), Observed(job=job("QUEUED")), Cancel, None),
    (
        "a job that is being cancelled",
        wished(SUBMITTED, stuck_since=NOW),
        Observed(job=job("CANCELLING")),
        NoAction,
        None,
    ),
    ("a job that is not listed", wished(SUBMITTED), Observed(), Confirm, None),
    ("a job that was deleted", wished(SUBMITTED), Observed(gone=True), Finish, Outcome.CANCELLED),
    ("cancelled", wished(SUBMITTED), Observed(job=CANCELLED), Finish, Outcome.CANCELLED),
    (
        "cancelled, and its run may still appear",
        wished(SUBMITTED),
        Observed(job=job("CANCELLED", ended_at=NOW)),
        NoAction,
        None,
    ),
    ("cancelled before it found machines: no next place", LADDER, Observed(job=CANCELLED), Finish, Outcome.CANCELLED),
    ("given up before the wish: no next place either", GAVE_UP, Observed(job=CANCELLED), Finish, Outcome.CANCELLED),
    (
        "no machines: no other wait",
        wished(SUBMITTED),
        Observed(job=job("FAILED", error=STOCKOUT)),
        Finish,
        Outcome.CANCELLED,
    ),
    (
        "an internal error: no repeat",
        wished(SUBMITTED),
        Observed(job=job("FAILED", error=INTERNAL)),
        Finish,
        Outcome.CANCELLED,
    ),
    (
        "preempted: no resume",
        wished(SUBMITTED),
        Observed(job=job("FAILED", started_at=ago(minutes=4)), run=PREEMPTED),
        Finish,
        Outcome.CANCELLED,
    ),
    (
        "preempted, and it exited well",
        wished(SUBMITTED),
        Observed(job=job("SUCCEEDED"), run=PREEMPTED),
        Finish,
        Outcome.CANCELLED,
    ),
    (
        "a job of Flex-start that found no machines",
        wished(SUBMITTED),
        Observed(job=replace(CANCELLED, max_wait=timedelta(hours=1))),
        Finish,
        Outcome.CANCELLED,
    ),
    (
        "it succeeded first",
        wished(SUBMITTED),
        Observed(job=job("SUCCEEDED"), run=RunStatus("finished", False)),
        Finish,
        Outcome.SUCCEEDED,
    ),
    (
        "it succeeded first, though the cancel was sent",
        wished(SUBMITTED, cancel_reason=BY_ANA),
        Observed(job=job("SUCCEEDED"), run=RunStatus("finished", False)),
        Finish,
        Outcome.SUCCEEDED,
    ),
    (
        "it failed by itself first",
        wished(SUBMITTED),
        Observed(job=job("FAILED", error=OWN, started_at=ago(minutes=4)), run=RunStatus("failed", False)),
        Finish,
        Outcome.FAILED,
    ),
    ("stopped in W&B too", wished(SUBMITTED), Observed(job=CANCELLED, run=STOPPED), Finish, Outcome.CANCELLED),
]


@pytest.mark.parametrize(("entry", "seen", "wanted", "outcome"), [case[1:] for case in TABLE],
                         ids=[case[0] for case in TABLE])  # fmt: skip
def test_a_cancelled_launch(entry: Entry, seen: Observed, wanted: type[Decision], outcome: Outcome | None) -> None:
    """No ticket, no other attempt, no other place; the cancel of what runs; and the truth about what ended first."""
    decision = decide(entry, seen, NOW, StatusTimings())
    assert type(decision) is wanted
    assert outcome is None or (isinstance(decision, Finish) and decision.outcome is outcome)


@pytest.mark.parametrize(
    ("entry", "seen", "report", "warning"),
    [
        (TRIED, Observed(item=OURS), True, False),
        (replace(TRIED, resumes=1), Observed(item=OURS, run=RunStatus("crashed", False)), False, True),
        (wished(SUBMITTED), Observed(job=CANCELLED), True, False),
        (wished(SUBMITTED), Observed(job=CANCELLED, run=RunStatus("crashed", False)), False, True),
        (wished(SUBMITTED), Observed(gone=True, run=RUNNING), False, True),
    ],
)
def test_the_item_says_who_cancelled(entry: Entry, seen: Observed, report: bool, warning: bool) -> None:
    """An item without a run becomes FAILED; the item of a run that began shows a warning."""
    decision = decide(entry, seen, NOW, StatusTimings())
    assert isinstance(decision, Finish)
    assert (decision.report, bool(decision.warning)) == (report, warning)
    assert decision.reason.startswith(BY_ANA)
    assert decision.warning in ("", decision.reason)


def test_a_removed_item_gets_no_notice() -> None:
    """It does not exist any more."""
    decision = decide(TRIED, Observed(), NOW, StatusTimings())
    assert decision == Finish(Outcome.CANCELLED, REMOVED, report=False)


DUE = replace(LATE, attempt=1, retry_at=NOW)


@pytest.mark.parametrize(
    ("entry", "seen", "wanted"),
    [
        (LATE, Observed(item=OURS), Note({"build": ""}, notice=PAUSED)),
        (DUE, Observed(item=OURS), Note({"build": ""}, notice=PAUSED)),
        (replace(DUE, notice=PAUSED), Observed(item=OURS), NoAction()),
        (FRESH, Observed(item=OURS), NoAction()),
        (LATE, Observed(item=NOBODYS), NoAction()),
        (LATE, Observed(item=THEIRS), Withdraw()),
        (BUILDING, Observed(build=Build("b", "WORKING")), NoAction()),
        (BUILDING, Observed(build=Build("b", "SUCCESS")), Note({"build": ""}, notice=PAUSED)),
        (replace(BUILDING, notice=PAUSED), Observed(build=Build("b", "SUCCESS")), Note({"build": ""}, notice=PAUSED)),
        (replace(LATE, state=State.SUBMITTING, lease_until=NOW), Observed(), Publish()),
        (wished(DUE), Observed(item=OURS), Finish(Outcome.CANCELLED, BY_ANA)),
        (replace(DUE, short_of=Shortage.STOCKOUT), Observed(), Finish(Outcome.CANCELLED, REMOVED, report=False)),
    ],
)
def test_a_paused_queue(entry: Entry, seen: Observed, wanted: Decision) -> None:
    """Its launches get no ticket, and each item says so once; what a submit has begun is still looked up."""
    assert decide(entry, replace(seen, paused=PAUSED), NOW, StatusTimings()) == wanted


@pytest.mark.parametrize("build", [None, Build("b", "SUCCESS")])
def test_a_queue_that_may_be_paused(build: Build | None) -> None:
    """Its launches wait without a notice: the next tick knows more."""
    entry = BUILDING if build else DUE
    assert decide(entry, Observed(item=OURS, build=build, paused=""), NOW, StatusTimings()) == NoAction()


def test_a_resumed_queue_goes_on() -> None:
    """Whatever notice the item had before."""
    assert decide(replace(DUE, notice=PAUSED), Observed(item=OURS), NOW, StatusTimings()) == Publish()
    built = Observed(build=Build("b", "SUCCESS"))
    assert decide(replace(BUILDING, notice=PAUSED), built, NOW, StatusTimings()) == Built()


def test_a_retry_needs_no_wait_for_a_ticket() -> None:
    """The command that records it publishes none."""
    retry = replace(FRESH, item_id="", retries="k1")
    assert decide(retry, Observed(), NOW, StatusTimings()) == Publish()
    assert decide(replace(retry, retries=""), Observed(), NOW, StatusTimings()) == NoAction()


class Unreadable:
    """A note that cannot be read."""

    def read(self) -> AgentNote | None:
        """Fail."""
        raise Retry("gs://b: read agents/a.json: 503")


def test_a_note_that_cannot_be_read_withholds_tickets() -> None:
    """It may contain a pause. Requests without a queue go on, and the report names the failure."""
    request = replace(DUE, key="r", item_id="", queue_entity="", queue_name="")
    report = Report()
    assert paused(Unreadable(), [DUE, request, SUBMITTED], report) == {"k": ""}  # type: ignore[arg-type]
    assert report.errors == ["the agent's note: Retry: gs://b: read agents/a.json: 503"]


def test_only_queues_of_the_deployments_entity_are_paused() -> None:
    """Another entity's queue of the same name, in a request, is not."""
    book = InMemoryAgentBook()
    book.note = AgentNote("", entity="team", paused=(Pause("vertex", "ana", NOW),), generation=1)
    other = replace(DUE, key="o", queue_entity="others")
    assert paused(book, [DUE, other], Report()) == {"k": "Waiting: Paused by ana since 2026-01-01 12:00 UTC."}
    assert paused(book, [SUBMITTED], Report()) == {}
    assert paused(None, [DUE], Report()) == {}
