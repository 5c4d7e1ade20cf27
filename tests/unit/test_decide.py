"""Decisions of status: a table of observations of the ledger, Vertex AI and W&B, and the decision for each."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.status.decide import decide
from functions.status.decisions import (
    Built,
    Cancel,
    Confirm,
    Decision,
    Finish,
    NoAction,
    Note,
    NoteStop,
    Observed,
    Publish,
    Repeat,
    Resume,
    StatusTimings,
    Wait,
    Withdraw,
)
from shared.core.building import GONE, Build
from shared.core.console import console_link
from shared.core.duration import span
from shared.core.errors import Denied, KeyRefused, Retry
from shared.core.jobstate import PHASES, Phase, phase_of
from shared.core.launch import Entry, Outcome, RunPath, State
from shared.core.ports import ItemStatus, Job, RunStatus
from shared.core.shortage import Shortage

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = RunPath("team", "cats", "run1")
NAME = "projects/p/locations/us-central1/customJobs/1"
FRESH = Entry("k", State.QUEUED, NOW - timedelta(seconds=5), RUN, "team", "vertex", "item")
LATE = replace(FRESH, opened_at=NOW - timedelta(minutes=5))
WITHOUT_ROOM = replace(LATE, attempt=1, retry_at=NOW + timedelta(minutes=9), short_of=Shortage.STOCKOUT)
BUILDING = replace(LATE, attempt=1, build="projects/p/locations/us-central1/builds/1")
SUBMITTED = replace(LATE, state=State.SUBMITTED, attempt=1, job_name=NAME, submitted_at=NOW - timedelta(minutes=5))
OURS, NOBODYS, THEIRS = ItemStatus("CLAIMED", "run1"), ItemStatus("PENDING", ""), ItemStatus("CLAIMED", "theirs")
STOCKOUT = "Resources are insufficient in region: us-central1. Try a different region."
QUOTA = "The following quota metrics exceed quota limits: aiplatform.googleapis.com/custom_model_training_cpus"
LINK = "https://console.cloud.google.com/agent-platform/locations/us-central1/training/1?project=p"
OWN = "The replica workerpool0-0 exited with a non-zero status of 1."
CRASHED = RunStatus("crashed", False)
PREEMPTED = RunStatus("preempted", False)
RUNNING, STOPPED, PENDING = RunStatus("running", False), RunStatus("running", True), RunStatus("pending", False)


def ago(**duration: float) -> datetime:
    """Return a time in the past."""
    return NOW - timedelta(**duration)


def job(state: str, **seen: object) -> Job:
    """Return a job in a state, created five minutes ago."""
    made = Job(NAME, "k", 1, f"JOB_STATE_{state}", ago(minutes=5))
    return replace(made, **seen)  # type: ignore[arg-type]


AFTER_START = job("FAILED", started_at=ago(minutes=4))
INTERNAL = "Internal error occurred for the current attempt."
DOWN, REFUSED, KEY = Retry("W&B is down"), Denied("403"), KeyRefused("401")
QUEUED_JOB = replace(SUBMITTED, queued_since=ago(hours=9))
LONG_CLAIM = replace(LATE, state=State.SUBMITTING, attempt=1, lease_until=ago(hours=9))
OWN_KEY = replace(SUBMITTED, own_key=True)
FOREIGN = replace(SUBMITTED, run=RunPath("others", "cats", "run1"))

TABLE: list[tuple[str, Entry, Observed, type[Decision]]] = [
    ("a fresh launch waits for its ticket", FRESH, Observed(item=OURS), NoAction),
    ("an overdue launch that W&B acked to us", LATE, Observed(item=OURS), Publish),
    ("an overdue launch that nobody acked: it will be popped again", LATE, Observed(item=NOBODYS), NoAction),
    ("an overdue launch that another agent acked", LATE, Observed(item=THEIRS), Withdraw),
    ("an overdue launch whose item was removed", LATE, Observed(), Finish),
    ("an overdue request of another system", replace(LATE, item_id=""), Observed(), Publish),
    ("stop before submit", LATE, Observed(item=OURS, run=STOPPED), Finish),
    ("stop while a poll may still be at work", FRESH, Observed(run=STOPPED), NoAction),
    ("stop of an item that nobody acked: not ours to report", LATE, Observed(item=NOBODYS, run=STOPPED), NoAction),
    ("stop of an item that another agent acked", LATE, Observed(item=THEIRS, run=STOPPED), Withdraw),
    ("a retry that is not due", replace(LATE, attempt=1, retry_at=NOW + timedelta(seconds=1)), Observed(), NoAction),
    ("a retry that is due", replace(LATE, attempt=1, retry_at=NOW), Observed(), Publish),
    ("its item was removed while it waits for room", WITHOUT_ROOM, Observed(), Finish),
    ("its item is there while it waits for room", WITHOUT_ROOM, Observed(item=OURS), NoAction),
    ("its item was tidied away after it had begun", replace(LATE, attempt=2, short_of=Shortage.STOCKOUT, resumes=1),
     Observed(), Publish),
    ("another system's request waits for room", replace(LATE, attempt=1, short_of=Shortage.STOCKOUT, item_id=""),
     Observed(), Publish),
    ("stop while a retry waits", replace(LATE, attempt=1, retry_at=NOW), Observed(run=STOPPED), Finish),
    ("a build under way", BUILDING, Observed(build=Build("b", "WORKING")), NoAction),
    ("a build in a status to come", BUILDING, Observed(build=Build("b", "99")), NoAction),
    ("a build that could not be asked for", BUILDING, Observed(), NoAction),
    ("a build that made its image", BUILDING, Observed(build=Build("b", "SUCCESS")), Built),
    ("a build that was deleted", BUILDING, Observed(build=Build("b", GONE)), Built),
    ("a build that failed", BUILDING, Observed(build=Build("b", "FAILURE")), Finish),
    ("a build that was cancelled", BUILDING, Observed(build=Build("b", "CANCELLED")), Finish),
    ("a build that took too long", BUILDING, Observed(build=Build("b", "TIMEOUT")), Finish),
    ("a build that never began", BUILDING, Observed(build=Build("b", "EXPIRED")), Finish),
    ("a build that broke at Google's", BUILDING, Observed(build=Build("b", "INTERNAL_ERROR")), Finish),
    ("stop wins over a built image", BUILDING, Observed(build=Build("b", "SUCCESS"), run=STOPPED), Finish),
    ("a live claim", replace(LATE, state=State.SUBMITTING, lease_until=NOW + timedelta(1)), Observed(), NoAction),
    ("stop during a live claim", replace(LATE, state=State.SUBMITTING, lease_until=NOW + timedelta(1)),
     Observed(run=STOPPED), NoAction),
    ("a claim that ended", replace(LATE, state=State.SUBMITTING, lease_until=NOW), Observed(), Publish),
    ("a job that runs", SUBMITTED, Observed(job=job("RUNNING"), run=RUNNING), NoAction),
    ("a run that crashed while its job lives", SUBMITTED, Observed(job=job("RUNNING"), run=RunStatus("crashed", False)),
     NoAction),
    ("a young job that is not listed yet", replace(SUBMITTED, submitted_at=ago(seconds=9)), Observed(), Confirm),
    ("a young job that is not shown yet", replace(SUBMITTED, submitted_at=ago(seconds=9)), Observed(gone=True),
     NoAction),
    ("a job that is not listed", SUBMITTED, Observed(), Confirm),
    ("a job whose region did not answer", SUBMITTED, Observed(listed=False), NoAction),
    ("a job that was deleted", SUBMITTED, Observed(gone=True, run=RUNNING), Finish),
    ("stop is seen first", SUBMITTED, Observed(job=job("RUNNING"), run=STOPPED), NoteStop),
    ("stop, and the script may still end by itself", replace(SUBMITTED, stop_seen_at=ago(seconds=59)),
     Observed(job=job("RUNNING"), run=STOPPED), NoAction),
    ("stop, and its time is over", replace(SUBMITTED, stop_seen_at=ago(seconds=60)),
     Observed(job=job("RUNNING"), run=STOPPED), Cancel),
    ("stop while pending", replace(SUBMITTED, stop_seen_at=ago(seconds=60)),
     Observed(job=job("PENDING"), run=RunStatus("pending", True)), Cancel),
    ("a cancel that was decided is repeated", replace(SUBMITTED, cancel_reason="stop"),
     Observed(job=job("RUNNING")), Cancel),
    ("a cancel that is under way", replace(SUBMITTED, cancel_reason="stop", stuck_since=NOW),
     Observed(job=job("CANCELLING")), NoAction),
    ("pending for half an hour", SUBMITTED, Observed(job=job("PENDING", created_at=ago(minutes=31))), Cancel),
    ("pending for half an hour, as Flex-start may", SUBMITTED,
     Observed(job=job("PENDING", created_at=ago(minutes=31), max_wait=timedelta(hours=24))), NoAction),
    ("running for a week", SUBMITTED, Observed(job=job("RUNNING", created_at=ago(days=7)), run=RUNNING), NoAction),
    ("ended, with a run", SUBMITTED, Observed(job=job("SUCCEEDED", ended_at=ago(seconds=1)), run=RUNNING), Finish),
    ("ended a moment ago, no run yet", SUBMITTED, Observed(job=job("SUCCEEDED", ended_at=ago(seconds=1))), NoAction),
    ("ended, and no run came", SUBMITTED, Observed(job=job("SUCCEEDED", ended_at=ago(seconds=61))), Finish),
    ("ended, and a sweep's run never began", SUBMITTED, Observed(job=job("FAILED", ended_at=ago(hours=1)), run=PENDING),
     Finish),
    ("preempted", SUBMITTED, Observed(job=job("FAILED", ended_at=ago(seconds=1)), run=PREEMPTED), Resume),
    ("preempted, though its container ended well", SUBMITTED,
     Observed(job=job("SUCCEEDED", ended_at=ago(seconds=1)), run=PREEMPTED), Resume),
    ("preempted for the fifth time", replace(SUBMITTED, resumes=4), Observed(job=AFTER_START, run=PREEMPTED), Resume),
    ("preempted once too often", replace(SUBMITTED, resumes=5), Observed(job=AFTER_START, run=PREEMPTED), Finish),
    ("failed without a word, and W&B still shows the preemption before", replace(SUBMITTED, resumes=1),
     Observed(job=job("FAILED", ended_at=ago(seconds=20)), run=PREEMPTED), NoAction),
    ("preempted, and Vertex AI itself restarts it", SUBMITTED, Observed(job=job("RUNNING"), run=PREEMPTED), NoAction),
    ("preempted, and cancelled by somebody", SUBMITTED, Observed(job=job("CANCELLED"), run=PREEMPTED), Finish),
    ("preempted, and cancelled by us", replace(SUBMITTED, cancel_reason="stop"),
     Observed(job=job("FAILED"), run=PREEMPTED), Finish),
    ("preempted, and stopped in W&B", SUBMITTED, Observed(job=job("FAILED"), run=RunStatus("preempted", True)), Finish),
    ("W&B waits for the end of a run that is being preempted", SUBMITTED,
     Observed(job=job("FAILED", ended_at=ago(minutes=9)), run=RunStatus("preempting", False)), NoAction),
    ("and does not show it", SUBMITTED,
     Observed(job=job("FAILED", ended_at=ago(minutes=10)), run=RunStatus("preempting", False)), Finish),
    ("no machines were found", SUBMITTED, Observed(job=job("FAILED", error=STOCKOUT, ended_at=NOW)), Wait),
    ("no machines were found, for a run of a sweep", SUBMITTED,
     Observed(job=job("FAILED", error=STOCKOUT, ended_at=NOW), run=PENDING), Wait),
    ("no machines were found for a run that was preempted before", replace(SUBMITTED, resumes=5),
     Observed(job=job("FAILED", error=STOCKOUT), run=PREEMPTED), Wait),
    ("no quota was left for an accepted job", SUBMITTED, Observed(job=job("FAILED", error=QUOTA)), Wait),
    ("Flex-start waited in vain", SUBMITTED, Observed(job=job("EXPIRED", max_wait=timedelta(minutes=5), ended_at=NOW)),
     Wait),
    ("Flex-start ended before its time", SUBMITTED,
     Observed(job=job("FAILED", max_wait=timedelta(hours=1), ended_at=ago(minutes=3))), Finish),
    ("no machines were found, and it was stopped in W&B", SUBMITTED,
     Observed(job=job("FAILED", error=STOCKOUT, ended_at=ago(hours=1)), run=STOPPED), Finish),
    ("no machines were found while we cancelled it", replace(SUBMITTED, cancel_reason="stop"),
     Observed(job=job("FAILED", error=STOCKOUT, ended_at=ago(hours=1))), Finish),
    ("its machines were taken away, and W&B has not noticed", SUBMITTED,
     Observed(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), run=RUNNING), Resume),
    ("its machines were taken away, and W&B shows a crash", SUBMITTED,
     Observed(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), run=CRASHED), Resume),
    ("its machines were taken away before wandb.init", SUBMITTED,
     Observed(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4))), Resume),
    ("its machines were taken away before all of them were there", SUBMITTED,
     Observed(job=job("FAILED", error=STOCKOUT), run=CRASHED), Resume),
    ("its machines were taken away once too often", replace(SUBMITTED, resumes=5),
     Observed(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), run=CRASHED), Finish),
    ("its machines were taken away, and it was stopped", SUBMITTED,
     Observed(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), run=STOPPED), Finish),
    ("its machines were taken away when its run had ended", SUBMITTED,
     Observed(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), run=RunStatus("finished", False)), Finish),
    ("its machines were taken away, and its script answered with an exit code", SUBMITTED,
     Observed(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), run=RunStatus("failed", False)), Resume),
    ("and once too often", replace(SUBMITTED, resumes=5),
     Observed(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), run=RunStatus("failed", False)), Finish),
    ("a quota's error after the start of a run that failed", SUBMITTED,
     Observed(job=job("FAILED", error=QUOTA, started_at=ago(minutes=4)), run=RunStatus("failed", False)), Finish),
    ("the machines of a scheduler were taken away", replace(SUBMITTED, scheduler=True),
     Observed(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4), ended_at=ago(hours=1))), Finish),
    ("its own failure", SUBMITTED, Observed(job=job("FAILED", error=OWN, started_at=ago(minutes=4)), run=CRASHED),
     Finish),
    ("its own failure, which names a stockout", SUBMITTED,
     Observed(job=job("FAILED", error=f"{OWN} {STOCKOUT}", started_at=ago(minutes=4)), run=CRASHED), Finish),
    ("Vertex AI replaces machines that were taken away", SUBMITTED,
     Observed(job=job("PENDING", created_at=ago(hours=9), started_at=ago(hours=8)), run=RUNNING), Note),
    ("and its start is recorded", replace(SUBMITTED, started_at=ago(hours=8)),
     Observed(job=job("PENDING", created_at=ago(hours=9), started_at=ago(hours=8)), run=RUNNING), NoAction),
    ("pending for too long, and the ladder goes on", replace(SUBMITTED, cancel_reason="pending", climbs=True),
     Observed(job=job("CANCELLED")), Wait),
    ("pending for too long, without a ladder", replace(SUBMITTED, cancel_reason="pending"),
     Observed(job=job("CANCELLED", ended_at=ago(hours=1))), Finish),
    ("cancelled by stop, with a ladder", replace(SUBMITTED, cancel_reason="stop", stop_seen_at=NOW, climbs=True),
     Observed(job=job("CANCELLED", ended_at=ago(hours=1)), run=STOPPED), Finish),
    ("stopped while it was cancelled for pending", replace(SUBMITTED, cancel_reason="pending", climbs=True),
     Observed(job=job("CANCELLED", ended_at=ago(hours=1)), run=RunStatus("pending", True)), Finish),
    ("began while it was cancelled for pending", replace(SUBMITTED, cancel_reason="pending", climbs=True),
     Observed(job=job("CANCELLED", started_at=NOW, ended_at=ago(hours=1))), Finish),
    ("cancelled by somebody, with a ladder", replace(SUBMITTED, climbs=True),
     Observed(job=job("CANCELLED", ended_at=ago(hours=1))), Finish),
    # facts that come at different times
    ("a Spot job that failed a moment ago, its error not yet written", SUBMITTED,
     Observed(job=job("FAILED", started_at=ago(minutes=4), ended_at=ago(seconds=20)), run=CRASHED), NoAction),
    ("and W&B shows an exit code", SUBMITTED,
     Observed(job=job("FAILED", started_at=ago(minutes=4), ended_at=ago(seconds=179)), run=RunStatus("failed", False)),
     NoAction),
    ("and no error comes", SUBMITTED,
     Observed(job=job("FAILED", started_at=ago(minutes=4), ended_at=ago(seconds=180)), run=CRASHED), Finish),
    ("never began, failed, its error not yet written", SUBMITTED,
     Observed(job=job("FAILED", ended_at=ago(seconds=61))), NoAction),
    ("its error is written", SUBMITTED, Observed(job=job("FAILED", error=STOCKOUT, ended_at=ago(seconds=90))), Wait),
    ("stop needs no error", SUBMITTED, Observed(job=job("FAILED", ended_at=NOW), run=STOPPED), Finish),
    ("expired, without a time", SUBMITTED, Observed(job=job("EXPIRED"), run=CRASHED), Note),
    ("expired, seen a moment ago", replace(SUBMITTED, ended_seen_at=ago(seconds=179)), Observed(job=job("EXPIRED")),
     NoAction),
    ("expired, seen a while ago", replace(SUBMITTED, ended_seen_at=ago(seconds=180)), Observed(job=job("EXPIRED")),
     Finish),
    ("partially succeeded, without a time, no run yet", SUBMITTED, Observed(job=job("PARTIALLY_SUCCEEDED")), Note),
    ("partially succeeded, seen a moment ago, no run yet", replace(SUBMITTED, ended_seen_at=ago(seconds=59)),
     Observed(job=job("PARTIALLY_SUCCEEDED")), NoAction),
    ("partially succeeded, with a run", SUBMITTED, Observed(job=job("PARTIALLY_SUCCEEDED"), run=RUNNING), Finish),
    ("Flex-start expired, without a time", SUBMITTED, Observed(job=job("EXPIRED", max_wait=timedelta(hours=1))), Wait),
    ("Flex-start was cancelled, and not by us", SUBMITTED,
     Observed(job=job("CANCELLED", max_wait=timedelta(hours=1), ended_at=NOW)), Wait),
    ("Flex-start was cancelled after its start", SUBMITTED,
     Observed(job=job("CANCELLED", max_wait=timedelta(hours=1), started_at=NOW, ended_at=ago(hours=1))), Finish),
    ("Flex-start was cancelled by us", replace(SUBMITTED, cancel_reason="stop"),
     Observed(job=job("CANCELLED", max_wait=timedelta(hours=1), ended_at=ago(hours=1))), Finish),
    ("the stop of a Flex-start", SUBMITTED,
     Observed(job=job("CANCELLED", max_wait=timedelta(hours=1), ended_at=ago(hours=1)), run=STOPPED), Finish),
    # waiting for quota, and for machines
    ("queued for quota", SUBMITTED, Observed(job=job("QUEUED")), Note),
    ("queued for quota for days", QUEUED_JOB, Observed(job=job("QUEUED", created_at=ago(days=3))), NoAction),
    ("queued for days, with a ladder", replace(QUEUED_JOB, climbs=True),
     Observed(job=job("QUEUED", created_at=ago(days=3))), NoAction),
    ("stop while it is queued for quota", replace(QUEUED_JOB, stop_seen_at=ago(seconds=60)),
     Observed(job=job("QUEUED"), run=RunStatus("pending", True)), Cancel),
    ("stop is seen while it is queued for quota", SUBMITTED,
     Observed(job=job("QUEUED"), run=RunStatus("pending", True)), NoteStop),
    ("pending after it was queued for hours", QUEUED_JOB, Observed(job=job("PENDING", created_at=ago(hours=9))), Note),
    ("pending for a while after that", replace(QUEUED_JOB, pending_since=ago(minutes=29)),
     Observed(job=job("PENDING", created_at=ago(hours=9))), NoAction),
    ("pending for too long after that", replace(QUEUED_JOB, pending_since=ago(minutes=31)),
     Observed(job=job("PENDING", created_at=ago(hours=9))), Cancel),
    ("pending, and its run has begun", SUBMITTED, Observed(job=job("PENDING", created_at=ago(hours=9)), run=RUNNING),
     NoAction),
    ("pending, and its run was preempted before", replace(SUBMITTED, resumes=1),
     Observed(job=job("PENDING", created_at=ago(hours=9)), run=PREEMPTED), Cancel),
    ("pending, and W&B cannot be asked whether its run has begun", SUBMITTED,
     Observed(job=job("PENDING", created_at=ago(hours=9)), run_failure=DOWN), NoAction),
    ("it no longer waits", replace(SUBMITTED, notice="Waiting: no room"), Observed(job=job("RUNNING")), Note),
    # states in which nothing should stay
    ("paused", SUBMITTED, Observed(job=job("PAUSED")), Note),
    ("paused for some hours", replace(SUBMITTED, stuck_since=ago(hours=23)), Observed(job=job("PAUSED")), NoAction),
    ("paused for a day", replace(SUBMITTED, stuck_since=ago(days=1)), Observed(job=job("PAUSED")), Note),
    ("updating for a day, as Vertex AI says", SUBMITTED, Observed(job=job("UPDATING", updated_at=ago(days=2))), Note),
    ("it goes on", replace(SUBMITTED, stuck_since=ago(hours=23)), Observed(job=job("RUNNING")), Note),
    # Google's own failure
    ("an internal error before a container ran", SUBMITTED, Observed(job=job("FAILED", error=INTERNAL, ended_at=NOW)),
     Repeat),
    ("an internal error for the third time", replace(SUBMITTED, broken=2), Observed(job=job("FAILED", error=INTERNAL)),
     Repeat),
    ("an internal error once too often", replace(SUBMITTED, broken=3), Observed(job=job("FAILED", error=INTERNAL)),
     Finish),
    ("an internal error after a container ran", SUBMITTED,
     Observed(job=job("FAILED", error=INTERNAL, started_at=ago(minutes=4), ended_at=ago(hours=1)), run=CRASHED),
     Finish),
    ("an internal error, and it was stopped", SUBMITTED, Observed(job=job("FAILED", error=INTERNAL), run=STOPPED),
     Finish),
    # a missing answer is not a fact
    ("a claim that ended, and W&B is down", LONG_CLAIM, Observed(run_failure=DOWN, item_failure=DOWN), Publish),
    ("an end that is recorded, and W&B is down", replace(SUBMITTED, state=State.ENDED), Observed(run_failure=DOWN),
     Finish),
    ("another system's overdue request, and W&B is down", replace(LATE, item_id=""), Observed(run_failure=DOWN),
     Publish),
    ("an overdue launch whose item cannot be asked for", LATE, Observed(item_failure=DOWN), NoAction),
    ("and W&B refuses it", LATE, Observed(item_failure=REFUSED), NoAction),
    ("a retry that is due, and its run cannot be asked for", replace(LATE, attempt=1, retry_at=NOW),
     Observed(run_failure=DOWN), NoAction),
    ("a retry that was due for long, and W&B is down", replace(LATE, attempt=1, retry_at=ago(hours=9)),
     Observed(run_failure=DOWN), NoAction),
    ("a retry that was due for long, and our key is refused", replace(LATE, attempt=1, retry_at=ago(hours=9)),
     Observed(run_failure=KEY), NoAction),
    ("a retry that was due for an hour, and W&B refuses its project", replace(LATE, attempt=1, retry_at=ago(hours=1)),
     Observed(run_failure=REFUSED), Publish),
    ("it waits for room, and its item cannot be asked for", replace(WITHOUT_ROOM, retry_at=NOW),
     Observed(item_failure=DOWN), NoAction),
    ("stop was seen before W&B went down", replace(SUBMITTED, stop_seen_at=ago(seconds=60)),
     Observed(job=job("RUNNING"), run_failure=DOWN), Cancel),
    ("a cancel is repeated, and W&B is down", replace(SUBMITTED, cancel_reason="stop"),
     Observed(job=job("RUNNING"), run_failure=DOWN), Cancel),
    ("ended, and its run cannot be asked for", SUBMITTED,
     Observed(job=job("FAILED", error=OWN, ended_at=ago(hours=9)), run_failure=DOWN), NoAction),
    ("ended, and its run is refused", SUBMITTED,
     Observed(job=job("SUCCEEDED", ended_at=ago(minutes=59)), run_failure=REFUSED), NoAction),
    ("ended an hour ago, and its run is refused", SUBMITTED,
     Observed(job=job("SUCCEEDED", ended_at=ago(hours=1)), run_failure=REFUSED), Finish),
    ("deleted, and its run cannot be asked for", SUBMITTED, Observed(gone=True, run_failure=DOWN), NoAction),
    ("the machines of a run that our key cannot see were taken away", OWN_KEY,
     Observed(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), hidden=True), Resume),
    ("no machines were found for a run that our key cannot see", FOREIGN,
     Observed(job=job("FAILED", error=STOCKOUT), hidden=True), Wait),
    ("ended and recorded", replace(SUBMITTED, state=State.ENDED, outcome=Outcome.REJECTED), Observed(), Finish),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "seen", "wanted"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_decision(entry: Entry, seen: Observed, wanted: type[Decision]) -> None:
    """Each line of the table."""
    assert type(decide(entry, seen, NOW, StatusTimings())) is wanted


@pytest.mark.parametrize("state", sorted(PHASES))
def test_every_job_state_is_acted_upon(state: str) -> None:
    """An ended job finishes the launch with its outcome; any other leaves it open, at most with a note."""
    seen = Observed(job=job(state.removeprefix("JOB_STATE_"), ended_at=ago(hours=1)), run=RUNNING)
    decision = decide(SUBMITTED, seen, NOW, StatusTimings())
    outcomes = {Phase.SUCCEEDED: Outcome.SUCCEEDED, Phase.FAILED: Outcome.FAILED, Phase.CANCELLED: Outcome.CANCELLED}
    phase = PHASES[state]
    if phase.ended:
        assert isinstance(decision, Finish)
        assert (decision.outcome, decision.report) == (outcomes[phase], False)
    else:
        noted = state.endswith(("_CANCELLING", "_PAUSED", "_UPDATING", "_QUEUED"))
        assert type(decision) is (Note if noted else NoAction)


@pytest.mark.parametrize(
    ("run", "report"), [(RUNNING, False), (RunStatus("failed", False), False), (PENDING, True), (None, True)]
)
def test_only_a_job_that_never_began_a_run_is_reported(run: RunStatus | None, report: bool) -> None:
    """A sweep makes its runs in advance: they are pending until somebody calls wandb.init."""
    decision = decide(SUBMITTED, Observed(job=job("FAILED", ended_at=ago(hours=1)), run=run), NOW, StatusTimings())
    assert isinstance(decision, Finish)
    assert (decision.outcome, decision.report) == (Outcome.FAILED, report)


def test_an_unknown_future_state_counts_as_unfinished() -> None:
    """However long it lasts."""
    assert (
        decide(SUBMITTED, Observed(job=job("HIBERNATING", created_at=ago(days=3))), NOW, StatusTimings()) == NoAction()
    )


@pytest.mark.parametrize(
    ("state", "error", "cancel_reason", "reason"),
    [
        ("SUCCEEDED", "", "", "The submitted job exited successfully but failed to call wandb.init. "),
        ("FAILED", "no image x", "", "The submitted run was not successfully started. Vertex AI: no image x "),
        (
            "CANCELLED",
            "cancelled",
            "",
            "The job was cancelled in Vertex AI before it called wandb.init. Vertex AI: canc",
        ),
        ("CANCELLED", "cancelled", "The run was stopped in W&B.", "The run was stopped in W&B. https"),
    ],
)
def test_the_reason_reaches_the_author(state: str, error: str, cancel_reason: str, reason: str) -> None:
    """A job that never became a run is reported in the agent's words, with Vertex's error and a link to the job."""
    entry = replace(SUBMITTED, cancel_reason=cancel_reason)
    decision = decide(entry, Observed(job=job(state, error=error, ended_at=ago(hours=1))), NOW, StatusTimings())
    assert isinstance(decision, Finish)
    assert decision.report
    assert decision.reason.startswith(reason)
    assert decision.reason.endswith("/locations/us-central1/training/1?project=p")


@pytest.mark.parametrize(("run", "report"), [(RunStatus("finished", False), False), (RUNNING, True), (None, True)])
def test_a_job_deleted_in_the_console_is_reported_unless_its_run_is_over(run: RunStatus | None, report: bool) -> None:
    """Its author would wait for ever otherwise."""
    decision = decide(SUBMITTED, Observed(gone=True, run=run), NOW, StatusTimings())
    assert isinstance(decision, Finish)
    assert (decision.outcome, decision.report) == (Outcome.FAILED, report)
    assert "was deleted in Vertex AI" in decision.reason


def test_a_start_timeout_of_zero_waits_for_ever() -> None:
    """As it does for the agent."""
    seen = Observed(job=job("PENDING", created_at=ago(days=3)))
    assert decide(SUBMITTED, seen, NOW, StatusTimings(start_timeout=timedelta(0))) == NoAction()


def test_the_console_link_is_the_sdks() -> None:
    """The installed SDK knows the page of a job."""
    from google.cloud.aiplatform.utils import console_utils

    assert console_link(NAME) == console_utils.custom_job_console_uri(NAME)


CASES = st.builds(
    Observed,
    job=st.none()
    | st.builds(
        job,
        st.sampled_from([*(state.removeprefix("JOB_STATE_") for state in PHASES), "HIBERNATING"]),
        error=st.sampled_from(["", STOCKOUT, QUOTA, OWN, INTERNAL, "no such image"]),
        ended_at=st.none() | st.sampled_from([NOW, ago(minutes=2), ago(hours=9)]),
        started_at=st.none() | st.just(ago(minutes=4)),
        created_at=st.sampled_from([ago(minutes=5), ago(days=2)]),
        max_wait=st.sampled_from([timedelta(0), timedelta(hours=1)]),
    ),
    gone=st.booleans(),
    run=st.none()
    | st.builds(
        RunStatus,
        st.sampled_from(["pending", "running", "finished", "failed", "crashed", "killed", "preempting", "preempted"]),
        st.booleans(),
    ),
    hidden=st.booleans(),
    item=st.none() | st.sampled_from([OURS, NOBODYS, THEIRS]),
)
ENTRIES = st.builds(
    replace,
    st.sampled_from([FRESH, LATE, WITHOUT_ROOM, BUILDING, SUBMITTED, QUEUED_JOB, LONG_CLAIM, OWN_KEY, FOREIGN]),
    resumes=st.integers(0, 6),
    broken=st.integers(0, 4),
    climbs=st.booleans(),
    stop_seen_at=st.none() | st.just(ago(hours=1)),
    cancel_reason=st.sampled_from(["", "pending"]),
    ended_seen_at=st.none() | st.just(ago(hours=1)),
)


@given(ENTRIES, CASES)
def test_no_case_is_too_odd(entry: Entry, seen: Observed) -> None:
    """Each has a decision; a job that succeeded is FAILED only where its run is known not to exist."""
    decision = decide(entry, seen, NOW, StatusTimings())
    assert isinstance(decision, Decision)
    if isinstance(decision, Finish) and decision.report and seen.hidden and seen.job and not seen.gone:
        assert phase_of(seen.job.state) is not Phase.SUCCEEDED or decision.outcome is not Outcome.FAILED


@given(ENTRIES, CASES)
def test_a_missing_answer_of_wandb_is_never_an_end(entry: Entry, seen: Observed) -> None:
    """With W&B down, nothing is finished or launched again that a stop or a run may decide."""
    blind = replace(seen, run=None, item=None, hidden=False, run_failure=DOWN, item_failure=DOWN)
    decision = decide(entry, blind, NOW, StatusTimings())
    assert not isinstance(decision, Withdraw | Resume | Wait | Repeat)
    assert not isinstance(decision, Finish) or entry.state is State.ENDED or blind.build


@pytest.mark.parametrize("entry", [SUBMITTED, OWN_KEY, FOREIGN])
@pytest.mark.parametrize("hidden", [True, False])
def test_a_job_that_succeeded_without_a_visible_run(entry: Entry, hidden: bool) -> None:
    """Only where our key can see the project is a missing run a fact."""
    seen = Observed(job=job("SUCCEEDED", ended_at=ago(hours=1)), hidden=hidden)
    decision = decide(entry, seen, NOW, StatusTimings())
    assert isinstance(decision, Finish)
    if entry is SUBMITTED and not hidden:
        assert (decision.outcome, decision.report) == (Outcome.FAILED, True)
    else:
        assert (decision.outcome, decision.report) == (Outcome.SUCCEEDED, False)
        assert "this deployment's W&B key cannot see it" in decision.warning


@pytest.mark.parametrize(
    ("entry", "started", "report"),
    [
        (SUBMITTED, True, True),  # the first job of a new project of the queue's own entity
        (SUBMITTED, False, True),
        (OWN_KEY, True, False),
        (OWN_KEY, False, True),  # no container ran, so there is no run
        (FOREIGN, True, False),
        (FOREIGN, False, True),
    ],
)
def test_a_job_that_failed_without_a_visible_run(entry: Entry, started: bool, report: bool) -> None:
    """That it failed is a fact; whether its run tells why, only the run's own key can see."""
    failed = job("FAILED", error="boom", ended_at=ago(hours=1), started_at=ago(hours=2) if started else None)
    decision = decide(entry, Observed(job=failed, hidden=True), NOW, StatusTimings())
    assert isinstance(decision, Finish)
    assert (decision.outcome, decision.report) == (Outcome.FAILED, report)
    assert "boom" in (decision.reason if report else decision.warning)
    assert LINK in (decision.reason if report else decision.warning)


@pytest.mark.parametrize(
    ("entry", "seen", "words"),
    [
        (replace(SUBMITTED, resumes=5), Observed(job=AFTER_START, run=PREEMPTED), "Not launched again, because"),
        (SUBMITTED, Observed(job=replace(AFTER_START, error="The job timed out."), run=RUNNING), "The job timed out."),
        (SUBMITTED, Observed(job=replace(AFTER_START, error=f"out of memory, {OWN}"), run=CRASHED), "out of memory"),
        (SUBMITTED, Observed(job=job("EXPIRED", ended_at=ago(hours=1)), run=RUNNING), "it expired"),
        (SUBMITTED, Observed(job=job("CANCELLED", ended_at=ago(hours=1)), run=RUNNING), "was cancelled in Vertex AI"),
        (replace(SUBMITTED, cancel_reason="It was pending."), Observed(job=job("CANCELLED"), run=RUNNING), "pending"),
    ],
)
def test_the_end_of_a_run_that_began_is_a_warning(entry: Entry, seen: Observed, words: str) -> None:
    """The item stays as W&B shows it, with the reason and the link."""
    decision = decide(entry, seen, NOW, StatusTimings())
    assert isinstance(decision, Finish)
    assert not decision.report
    assert words in decision.warning
    assert LINK in decision.warning


def test_a_run_that_failed_by_itself_needs_no_warning() -> None:
    """W&B has its exit code and its output."""
    own = replace(AFTER_START, error=OWN, ended_at=ago(hours=1))
    decision = decide(SUBMITTED, Observed(job=own, run=RunStatus("failed", False)), NOW, StatusTimings())
    assert decision == Finish(Outcome.FAILED, OWN, report=False)


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "CANCELLED"])
def test_a_stopped_run_that_ends_by_itself_is_cancelled(state: str) -> None:
    """However its script answers."""
    decision = decide(SUBMITTED, Observed(job=job(state, ended_at=NOW), run=STOPPED), NOW, StatusTimings())
    assert isinstance(decision, Finish)
    assert (decision.outcome, decision.report) == (Outcome.CANCELLED, False)


HOUR = timedelta(hours=1)
EXPIRED = job("EXPIRED", ended_at=NOW - HOUR)


@pytest.mark.parametrize("error", ["", "boom", "Resources are insufficient in region: us-central1."])
@pytest.mark.parametrize(
    ("entry", "seen"),
    [
        (SUBMITTED, Observed(job=EXPIRED)),
        (SUBMITTED, Observed(job=replace(EXPIRED, started_at=NOW - 2 * HOUR))),
        (SUBMITTED, Observed(job=replace(EXPIRED, started_at=NOW - 2 * HOUR), run=RUNNING)),
        (SUBMITTED, Observed(job=replace(EXPIRED, started_at=NOW - 2 * HOUR), run=CRASHED)),
        (SUBMITTED, Observed(job=replace(EXPIRED, max_wait=HOUR))),
        (FOREIGN, Observed(job=replace(EXPIRED, started_at=NOW - 2 * HOUR), hidden=True)),
    ],
)
def test_an_expired_job_is_reported_as_expired(entry: Entry, seen: Observed, error: str) -> None:
    """Whether it became a run or not, with the error that Vertex AI writes; its machines may have been taken away."""
    assert seen.job
    decision = decide(entry, replace(seen, job=replace(seen.job, error=error)), NOW, StatusTimings())
    if isinstance(decision, Resume):  # of a run that had begun
        assert error.startswith("Resources")
        return
    assert isinstance(decision, Finish | Wait)
    texts = [decision.reason, decision.warning or decision.reason] if isinstance(decision, Finish) else [decision.why]
    assert all("expired" in text for text in texts)
    assert all(error in text for text in texts)


def test_a_stuck_job_is_reported_once() -> None:
    """As an error of the tick, and at its item."""
    stuck = Observed(job=job("CANCELLING", updated_at=ago(days=2)))
    decision = decide(SUBMITTED, stuck, NOW, StatusTimings())
    assert isinstance(decision, Note)
    assert "has been CANCELLING in Vertex AI for more than 24h00m" in decision.alarm == decision.notice
    notified = replace(SUBMITTED, notice=decision.notice, **decision.changes)
    assert decide(notified, stuck, NOW, StatusTimings()) == NoAction()


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0s"), (59, "59s"), (166, "2m46s"), (11100, "3h05m"), (187200, "2d4h")]
)
def test_a_duration_is_for_people(seconds: int, shown: str) -> None:
    """Its two largest units."""
    assert span(timedelta(seconds=seconds)) == shown
