"""What status decides: a table of what the ledger, Vertex AI and W&B say, and what follows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from functions.status.decide import (
    Built,
    Cancel,
    Confirm,
    Decision,
    Finish,
    Leave,
    NoteStop,
    Policy,
    Publish,
    Resume,
    Sighting,
    Wait,
    Withdraw,
    decide,
)
from shared.core.building import GONE, Build
from shared.core.console import console_link
from shared.core.jobstate import PHASES, Phase
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


TABLE: list[tuple[str, Entry, Sighting, type[Decision]]] = [
    ("a fresh launch waits for its ticket", FRESH, Sighting(item=OURS), Leave),
    ("an overdue launch that W&B acked to us", LATE, Sighting(item=OURS), Publish),
    ("an overdue launch that nobody acked: it will be popped again", LATE, Sighting(item=NOBODYS), Leave),
    ("an overdue launch that another agent acked", LATE, Sighting(item=THEIRS), Withdraw),
    ("an overdue launch whose item was removed", LATE, Sighting(), Finish),
    ("an overdue request of another system", replace(LATE, item_id=""), Sighting(), Publish),
    ("stop before submit", LATE, Sighting(item=OURS, run=STOPPED), Finish),
    ("stop while a poll may still be at work", FRESH, Sighting(run=STOPPED), Leave),
    ("stop of an item that nobody acked: it is not ours to report", LATE, Sighting(item=NOBODYS, run=STOPPED), Leave),
    ("stop of an item that another agent acked", LATE, Sighting(item=THEIRS, run=STOPPED), Withdraw),
    ("a retry that is not due", replace(LATE, attempt=1, retry_at=NOW + timedelta(seconds=1)), Sighting(), Leave),
    ("a retry that is due", replace(LATE, attempt=1, retry_at=NOW), Sighting(), Publish),
    ("its item was removed while it waits for room", WITHOUT_ROOM, Sighting(), Finish),
    ("its item is there while it waits for room", WITHOUT_ROOM, Sighting(item=OURS), Leave),
    ("its item was tidied away after it had begun", replace(LATE, attempt=2, short_of=Shortage.STOCKOUT, resumes=1),
     Sighting(), Publish),
    ("another system's request waits for room", replace(LATE, attempt=1, short_of=Shortage.STOCKOUT, item_id=""),
     Sighting(), Publish),
    ("stop while a retry waits", replace(LATE, attempt=1, retry_at=NOW), Sighting(run=STOPPED), Finish),
    ("a build under way", BUILDING, Sighting(build=Build("b", "WORKING")), Leave),
    ("a build in a status to come", BUILDING, Sighting(build=Build("b", "99")), Leave),
    ("a build that could not be asked for", BUILDING, Sighting(), Leave),
    ("a build that made its image", BUILDING, Sighting(build=Build("b", "SUCCESS")), Built),
    ("a build that was deleted", BUILDING, Sighting(build=Build("b", GONE)), Built),
    ("a build that failed", BUILDING, Sighting(build=Build("b", "FAILURE")), Finish),
    ("a build that was cancelled", BUILDING, Sighting(build=Build("b", "CANCELLED")), Finish),
    ("a build that took too long", BUILDING, Sighting(build=Build("b", "TIMEOUT")), Finish),
    ("a build that never began", BUILDING, Sighting(build=Build("b", "EXPIRED")), Finish),
    ("a build that broke at Google's", BUILDING, Sighting(build=Build("b", "INTERNAL_ERROR")), Finish),
    ("stop wins over a built image", BUILDING, Sighting(build=Build("b", "SUCCESS"), run=STOPPED), Finish),
    ("a live claim", replace(LATE, state=State.SUBMITTING, lease_until=NOW + timedelta(1)), Sighting(), Leave),
    ("stop during a live claim", replace(LATE, state=State.SUBMITTING, lease_until=NOW + timedelta(1)),
     Sighting(run=STOPPED), Leave),
    ("a claim that ended", replace(LATE, state=State.SUBMITTING, lease_until=NOW), Sighting(), Publish),
    ("a job that runs", SUBMITTED, Sighting(job=job("RUNNING"), run=RUNNING), Leave),
    ("a run that crashed while its job lives", SUBMITTED, Sighting(job=job("RUNNING"), run=RunStatus("crashed", False)),
     Leave),
    ("a young job that is not listed yet", replace(SUBMITTED, submitted_at=ago(seconds=9)), Sighting(), Leave),
    ("a job that is not listed", SUBMITTED, Sighting(), Confirm),
    ("a job whose region did not answer", SUBMITTED, Sighting(listed=False), Leave),
    ("a job that was deleted", SUBMITTED, Sighting(gone=True, run=RUNNING), Finish),
    ("stop is seen first", SUBMITTED, Sighting(job=job("RUNNING"), run=STOPPED), NoteStop),
    ("stop, and the script may still end by itself", replace(SUBMITTED, stop_seen_at=ago(seconds=59)),
     Sighting(job=job("RUNNING"), run=STOPPED), Leave),
    ("stop, and its time is over", replace(SUBMITTED, stop_seen_at=ago(seconds=60)),
     Sighting(job=job("RUNNING"), run=STOPPED), Cancel),
    ("stop while pending", replace(SUBMITTED, stop_seen_at=ago(seconds=60)),
     Sighting(job=job("PENDING"), run=RunStatus("pending", True)), Cancel),
    ("a cancel that was decided is repeated", replace(SUBMITTED, cancel_reason="stop"),
     Sighting(job=job("RUNNING")), Cancel),
    ("a cancel that is under way", replace(SUBMITTED, cancel_reason="stop"), Sighting(job=job("CANCELLING")), Leave),
    ("pending for half an hour", SUBMITTED, Sighting(job=job("PENDING", created_at=ago(minutes=31))), Cancel),
    ("pending for half an hour, as Flex-start may", SUBMITTED,
     Sighting(job=job("PENDING", created_at=ago(minutes=31), max_wait=timedelta(hours=24))), Leave),
    ("running for a week", SUBMITTED, Sighting(job=job("RUNNING", created_at=ago(days=7)), run=RUNNING), Leave),
    ("ended, with a run", SUBMITTED, Sighting(job=job("SUCCEEDED", ended_at=ago(seconds=1)), run=RUNNING), Finish),
    ("ended a moment ago, no run yet", SUBMITTED, Sighting(job=job("SUCCEEDED", ended_at=ago(seconds=1))), Leave),
    ("ended, and no run came", SUBMITTED, Sighting(job=job("SUCCEEDED", ended_at=ago(seconds=61))), Finish),
    ("ended, and a sweep's run never began", SUBMITTED, Sighting(job=job("FAILED", ended_at=ago(hours=1)), run=PENDING),
     Finish),
    ("preempted", SUBMITTED, Sighting(job=job("FAILED", ended_at=ago(seconds=1)), run=PREEMPTED), Resume),
    ("preempted, though its container ended well", SUBMITTED,
     Sighting(job=job("SUCCEEDED", ended_at=ago(seconds=1)), run=PREEMPTED), Resume),
    ("preempted for the fifth time", replace(SUBMITTED, resumes=4), Sighting(job=job("FAILED"), run=PREEMPTED), Resume),
    ("preempted once too often", replace(SUBMITTED, resumes=5), Sighting(job=job("FAILED"), run=PREEMPTED), Finish),
    ("preempted, and Vertex AI itself restarts it", SUBMITTED, Sighting(job=job("RUNNING"), run=PREEMPTED), Leave),
    ("preempted, and cancelled by somebody", SUBMITTED, Sighting(job=job("CANCELLED"), run=PREEMPTED), Finish),
    ("preempted, and cancelled by us", replace(SUBMITTED, cancel_reason="stop"),
     Sighting(job=job("FAILED"), run=PREEMPTED), Finish),
    ("preempted, and stopped in W&B", SUBMITTED, Sighting(job=job("FAILED"), run=RunStatus("preempted", True)), Finish),
    ("W&B waits for the end of a run that is being preempted", SUBMITTED,
     Sighting(job=job("FAILED", ended_at=ago(minutes=9)), run=RunStatus("preempting", False)), Leave),
    ("and does not show it", SUBMITTED,
     Sighting(job=job("FAILED", ended_at=ago(minutes=10)), run=RunStatus("preempting", False)), Finish),
    ("no machines were found", SUBMITTED, Sighting(job=job("FAILED", error=STOCKOUT, ended_at=NOW)), Wait),
    ("no machines were found, for a run of a sweep", SUBMITTED,
     Sighting(job=job("FAILED", error=STOCKOUT, ended_at=NOW), run=PENDING), Wait),
    ("no machines were found for a run that was preempted before", replace(SUBMITTED, resumes=5),
     Sighting(job=job("FAILED", error=STOCKOUT), run=PREEMPTED), Wait),
    ("no quota was left for an accepted job", SUBMITTED, Sighting(job=job("FAILED", error=QUOTA)), Wait),
    ("Flex-start waited in vain", SUBMITTED, Sighting(job=job("EXPIRED", max_wait=timedelta(minutes=5), ended_at=NOW)),
     Wait),
    ("Flex-start ended before its time", SUBMITTED,
     Sighting(job=job("FAILED", max_wait=timedelta(hours=1), ended_at=ago(minutes=2))), Finish),
    ("no machines were found, and it was stopped in W&B", SUBMITTED,
     Sighting(job=job("FAILED", error=STOCKOUT, ended_at=ago(hours=1)), run=STOPPED), Finish),
    ("no machines were found while we cancelled it", replace(SUBMITTED, cancel_reason="stop"),
     Sighting(job=job("FAILED", error=STOCKOUT, ended_at=ago(hours=1))), Finish),
    ("its machines were taken away, and W&B has not noticed", SUBMITTED,
     Sighting(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), run=RUNNING), Resume),
    ("its machines were taken away, and W&B shows a crash", SUBMITTED,
     Sighting(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), run=CRASHED), Resume),
    ("its machines were taken away before wandb.init", SUBMITTED,
     Sighting(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4))), Resume),
    ("its machines were taken away before all of them were there", SUBMITTED,
     Sighting(job=job("FAILED", error=STOCKOUT), run=CRASHED), Resume),
    ("its machines were taken away once too often", replace(SUBMITTED, resumes=5),
     Sighting(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), run=CRASHED), Finish),
    ("its machines were taken away, and it was stopped", SUBMITTED,
     Sighting(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), run=STOPPED), Finish),
    ("its machines were taken away when its run had ended", SUBMITTED,
     Sighting(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4)), run=RunStatus("failed", False)), Finish),
    ("the machines of a scheduler were taken away", replace(SUBMITTED, scheduler=True),
     Sighting(job=job("FAILED", error=STOCKOUT, started_at=ago(minutes=4), ended_at=ago(hours=1))), Finish),
    ("its own failure", SUBMITTED, Sighting(job=job("FAILED", error=OWN, started_at=ago(minutes=4)), run=CRASHED),
     Finish),
    ("its own failure, which names a stockout", SUBMITTED,
     Sighting(job=job("FAILED", error=f"{OWN} {STOCKOUT}", started_at=ago(minutes=4)), run=CRASHED), Finish),
    ("Vertex AI replaces machines that were taken away", SUBMITTED,
     Sighting(job=job("PENDING", created_at=ago(hours=9), started_at=ago(hours=8)), run=RUNNING), Leave),
    ("pending for too long, and the ladder goes on", replace(SUBMITTED, cancel_reason="pending", climbs=True),
     Sighting(job=job("CANCELLED")), Wait),
    ("pending for too long, without a ladder", replace(SUBMITTED, cancel_reason="pending"),
     Sighting(job=job("CANCELLED")), Finish),
    ("cancelled by stop, with a ladder", replace(SUBMITTED, cancel_reason="stop", stop_seen_at=NOW, climbs=True),
     Sighting(job=job("CANCELLED"), run=STOPPED), Finish),
    ("stopped while it was cancelled for pending", replace(SUBMITTED, cancel_reason="pending", climbs=True),
     Sighting(job=job("CANCELLED"), run=RunStatus("pending", True)), Finish),
    ("began while it was cancelled for pending", replace(SUBMITTED, cancel_reason="pending", climbs=True),
     Sighting(job=job("CANCELLED", started_at=NOW)), Finish),
    ("cancelled by somebody, with a ladder", replace(SUBMITTED, climbs=True), Sighting(job=job("CANCELLED")), Finish),
    ("ended and recorded", replace(SUBMITTED, state=State.ENDED, outcome=Outcome.REJECTED), Sighting(), Finish),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "seen", "wanted"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_decision(entry: Entry, seen: Sighting, wanted: type[Decision]) -> None:
    """Each line of the table."""
    assert type(decide(entry, seen, NOW, Policy())) is wanted


@pytest.mark.parametrize("state", sorted(PHASES))
def test_every_job_state_is_acted_upon(state: str) -> None:
    """An ended job finishes the launch with its outcome; any other leaves it open."""
    seen = Sighting(job=job(state.removeprefix("JOB_STATE_"), ended_at=ago(hours=1)), run=RUNNING)
    decision = decide(SUBMITTED, seen, NOW, Policy())
    outcomes = {Phase.SUCCEEDED: Outcome.SUCCEEDED, Phase.FAILED: Outcome.FAILED, Phase.CANCELLED: Outcome.CANCELLED}
    phase = PHASES[state]
    if phase.ended:
        assert isinstance(decision, Finish)
        assert (decision.outcome, decision.report) == (outcomes[phase], False)
    else:
        assert decision == Leave()


@pytest.mark.parametrize(
    ("run", "report"), [(RUNNING, False), (RunStatus("failed", False), False), (PENDING, True), (None, True)]
)
def test_only_a_job_that_never_began_a_run_is_reported(run: RunStatus | None, report: bool) -> None:
    """A sweep makes its runs in advance: they are pending until somebody calls wandb.init."""
    decision = decide(SUBMITTED, Sighting(job=job("FAILED", ended_at=ago(hours=1)), run=run), NOW, Policy())
    assert isinstance(decision, Finish)
    assert (decision.outcome, decision.report) == (Outcome.FAILED, report)


def test_an_unknown_future_state_counts_as_unfinished() -> None:
    """However long it lasts."""
    assert decide(SUBMITTED, Sighting(job=job("HIBERNATING", created_at=ago(days=3))), NOW, Policy()) == Leave()


@pytest.mark.parametrize(
    ("state", "error", "cancel_reason", "said"),
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
def test_the_reason_reaches_the_author(state: str, error: str, cancel_reason: str, said: str) -> None:
    """A job that never became a run is reported in the agent's words, with Vertex's error and a link to the job."""
    entry = replace(SUBMITTED, cancel_reason=cancel_reason)
    decision = decide(entry, Sighting(job=job(state, error=error, ended_at=ago(hours=1))), NOW, Policy())
    assert isinstance(decision, Finish)
    assert decision.report
    assert decision.reason.startswith(said)
    assert decision.reason.endswith("/locations/us-central1/training/1?project=p")


@pytest.mark.parametrize(("run", "report"), [(RunStatus("finished", False), False), (RUNNING, True), (None, True)])
def test_a_job_deleted_in_the_console_is_reported_unless_its_run_is_over(run: RunStatus | None, report: bool) -> None:
    """Its author would wait for ever otherwise."""
    decision = decide(SUBMITTED, Sighting(gone=True, run=run), NOW, Policy())
    assert isinstance(decision, Finish)
    assert (decision.outcome, decision.report) == (Outcome.FAILED, report)
    assert "was deleted in Vertex AI" in decision.reason


def test_a_start_timeout_of_zero_waits_for_ever() -> None:
    """As it does for the agent."""
    seen = Sighting(job=job("PENDING", created_at=ago(days=3)))
    assert decide(SUBMITTED, seen, NOW, Policy(start_timeout=timedelta(0))) == Leave()


def test_the_console_link_is_the_sdks() -> None:
    """The installed SDK knows the page of a job."""
    from google.cloud.aiplatform.utils import console_utils

    assert console_link(NAME) == console_utils.custom_job_console_uri(NAME)
