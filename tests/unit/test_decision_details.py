"""What each decision of status says, word for word, and the moment at which each grace period ends.

After a wanted change, `python -m tests.unit.test_decision_details` writes decisions.txt; read its diff.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from functions.status.decide import decide
from functions.status.decisions import (
    Cancel,
    Decision,
    Finish,
    NoAction,
    Note,
    Observed,
    Publish,
    Resume,
    StatusTimings,
    Wait,
)
from shared.core.building import Build
from shared.core.launch import Entry, Outcome, State, Wish
from shared.core.ports import RunStatus
from tests.unit.test_decide import (
    AFTER_START,
    BUILDING,
    CRASHED,
    FRESH,
    LATE,
    NAME,
    NOBODYS,
    NOW,
    OURS,
    OWN,
    OWN_KEY,
    PENDING,
    PREEMPTED,
    QUOTA,
    REFUSED,
    RUNNING,
    STOCKOUT,
    STOPPED,
    SUBMITTED,
    TABLE,
    THEIRS,
    ago,
    job,
)

PAGE = Path(__file__).with_name("decisions.txt")
ENDED = replace(SUBMITTED, state=State.ENDED, outcome=Outcome.FAILED, report_owed=True)
REFUSED_ITEM = replace(LATE, state=State.ENDED, outcome=Outcome.REJECTED, report_owed=True)
GAVE_UP = replace(SUBMITTED, cancel_reason="It was pending for too long.")
EARLY = RunStatus("pending", True)
WAITED = replace(SUBMITTED, notice="Waiting: no room", queued_since=ago(hours=1))
BUILT_BADLY = Build("b", "FAILURE", detail="Step 2 failed.", log_url="https://log")

LONG_PENDING = job("PENDING", created_at=ago(hours=2))
RESUMED = replace(SUBMITTED, resumes=1)

MORE: list[tuple[str, Entry, Observed]] = [
    ("an end to report", ENDED, Observed()),
    ("a refused item that is ours", REFUSED_ITEM, Observed(item=OURS)),
    ("a refused item that nobody acked", REFUSED_ITEM, Observed(item=NOBODYS)),
    ("a refused item that another agent acked", REFUSED_ITEM, Observed(item=THEIRS)),
    ("a refused item that cannot be asked for", REFUSED_ITEM, Observed(item_failure=REFUSED)),
    ("a refused item that is gone", REFUSED_ITEM, Observed()),
    ("an end without an outcome", replace(ENDED, outcome=None), Observed()),
    ("a stop before submit, of a run that began", LATE, Observed(item=OURS, run=RunStatus("running", True))),
    ("a stop before submit, of a run made in advance", LATE, Observed(item=OURS, run=EARLY)),
    ("a build that failed, with its detail and log", BUILDING, Observed(build=BUILT_BADLY)),
    ("deleted, and stopped while it ran", SUBMITTED, Observed(gone=True, run=STOPPED)),
    ("deleted, and stopped before it ran", replace(SUBMITTED, stop_seen_at=NOW), Observed(gone=True, run=EARLY)),
    ("deleted, and a stop was seen before", replace(SUBMITTED, stop_seen_at=NOW), Observed(gone=True)),
    ("deleted, and its run is over", SUBMITTED, Observed(gone=True, run=RunStatus("failed", False))),
    ("deleted while its run is running", SUBMITTED, Observed(gone=True, run=RUNNING)),
    ("it waited, and is pending", WAITED, Observed(job=job("PENDING"))),
    ("it waited, is pending, and that is known", replace(WAITED, pending_since=NOW), Observed(job=job("PENDING"))),
    ("it was queued, and is pending", replace(WAITED, notice=""), Observed(job=job("PENDING"))),
    ("it waited, and runs", WAITED, Observed(job=job("RUNNING"))),
    ("it is no longer stuck", replace(SUBMITTED, stuck_since=NOW), Observed(job=job("RUNNING"))),
    ("stuck since it was updated", SUBMITTED, Observed(job=job("PAUSED", updated_at=ago(hours=3)))),
    ("we cancelled it, and its run began", GAVE_UP, Observed(job=job("CANCELLED", ended_at=ago(hours=1)), run=RUNNING)),
    ("we cancelled it, and it succeeded", GAVE_UP, Observed(job=job("SUCCEEDED", ended_at=ago(hours=1)), run=RUNNING)),
    ("we cancelled it, and it failed", GAVE_UP, Observed(job=job("FAILED", error=OWN, ended_at=ago(hours=1)))),
    ("we cancelled it, and it ended", GAVE_UP, Observed(job=job("CANCELLED", ended_at=ago(hours=1)))),
    ("we cancelled it, it succeeded, and no run is seen", GAVE_UP,
     Observed(job=job("SUCCEEDED", ended_at=ago(hours=1)))),
    ("we cancelled it, it succeeded, and its project is hidden", GAVE_UP,
     Observed(job=job("SUCCEEDED", ended_at=ago(hours=1)), hidden=True)),
    ("we cancelled it, and its ladder goes on", replace(GAVE_UP, climbs=True), Observed(job=job("CANCELLED"))),
    ("we cancelled it with a ladder, and it began", replace(GAVE_UP, climbs=True),
     Observed(job=job("CANCELLED", started_at=NOW, ended_at=ago(hours=1)))),
    ("we cancelled it with a ladder, and it succeeded", replace(GAVE_UP, climbs=True),
     Observed(job=job("SUCCEEDED", ended_at=ago(hours=1)), hidden=True)),
    ("cancelled in Vertex AI while it ran", SUBMITTED,
     Observed(job=job("CANCELLED", error="by hand", ended_at=ago(hours=1)), run=RUNNING)),
    ("preempted too often, with its run", replace(SUBMITTED, resumes=5), Observed(job=AFTER_START, run=PREEMPTED)),
    ("taken away too often, and no run is seen", replace(OWN_KEY, resumes=5),
     Observed(job=replace(AFTER_START, error=STOCKOUT), hidden=True)),
    ("taken away for quota, and its run failed", SUBMITTED,
     Observed(job=replace(AFTER_START, error=QUOTA, ended_at=ago(hours=1)), run=RunStatus("failed", False))),
    ("taken away for quota, and its run crashed", SUBMITTED,
     Observed(job=replace(AFTER_START, error=QUOTA, ended_at=ago(hours=1)), run=CRASHED)),
    ("a scheduler whose machines were taken away", replace(SUBMITTED, scheduler=True),
     Observed(job=replace(AFTER_START, error=STOCKOUT, ended_at=ago(hours=1)), run=CRASHED)),
    ("it failed by itself, and its run crashed", SUBMITTED,
     Observed(job=replace(AFTER_START, error=OWN, ended_at=ago(hours=1)), run=CRASHED)),
    ("it failed without an error, and its run finished", SUBMITTED,
     Observed(job=replace(AFTER_START, ended_at=ago(hours=1)), run=RunStatus("finished", False))),
    ("it failed without a run", SUBMITTED, Observed(job=replace(AFTER_START, error=OWN, ended_at=ago(hours=1)))),
    ("stopped, and its run was made in advance", SUBMITTED,
     Observed(job=job("SUCCEEDED", ended_at=ago(hours=1)), run=EARLY)),
    ("stopped, and it had a reason to be cancelled", replace(GAVE_UP, stop_seen_at=NOW),
     Observed(job=job("CANCELLED", ended_at=ago(hours=1)))),
    ("deleted, and a person cancelled it", replace(SUBMITTED, wish=Wish("cancel", "ana@example.com", NOW)),
     Observed(gone=True)),
    ("pending for too long, and its run runs", SUBMITTED, Observed(job=LONG_PENDING, run=RUNNING)),
    ("pending for too long, and its run was made in advance", SUBMITTED, Observed(job=LONG_PENDING, run=PENDING)),
    ("pending for too long, resumed, and its run runs", RESUMED, Observed(job=LONG_PENDING, run=RUNNING)),
    ("pending for too long, resumed, and its run is of the job before", RESUMED,
     Observed(job=LONG_PENDING, run=CRASHED)),
    ("pending for a short time, after it was queued", replace(SUBMITTED, pending_since=ago(minutes=5)),
     Observed(job=LONG_PENDING)),
    ("a run made in advance, and the job succeeded", SUBMITTED,
     Observed(job=job("SUCCEEDED", ended_at=ago(hours=1)), run=PENDING)),
]  # fmt: skip


def rows() -> str:
    """Return a line for each case: its name and the whole decision."""
    cases = [*(row[:3] for row in TABLE), *MORE]
    return "".join(f"{name}: {decide(entry, seen, NOW, StatusTimings())}\n" for name, entry, seen in cases)


def test_each_decision_keeps_its_words() -> None:
    """Its outcome, reason, report, warning and notes: the author of the launch reads them."""
    assert rows().splitlines() == PAGE.read_text(encoding="utf-8").splitlines()


SECOND, LONG = timedelta(seconds=1), timedelta(days=9)
# each in seconds, and no two alike: a timing that takes another's place is noticed
TIMINGS = StatusTimings(
    stopped_run_timeout=timedelta(seconds=101),
    start_timeout=timedelta(seconds=211),
    init_grace=timedelta(seconds=307),
    error_grace=timedelta(seconds=401),
    overdue_after=timedelta(seconds=503),
    max_resumes=7,
    max_broken=11,
    preempting=timedelta(seconds=601),
    listing_lag=timedelta(seconds=701),
    stuck_after=timedelta(seconds=809),
    hidden_after=timedelta(seconds=907),
)
FAILED = job("FAILED", error="boom")


@pytest.mark.parametrize(
    ("entry", "seen", "since", "seconds", "then"),
    [
        (replace(SUBMITTED, stop_seen_at=NOW), Observed(job=job("RUNNING")), NOW, 101, Cancel),
        (SUBMITTED, Observed(job=job("PENDING", created_at=NOW)), NOW, 212, Cancel),
        (SUBMITTED, Observed(job=job("PENDING", created_at=NOW, max_wait=timedelta(seconds=500))), NOW, 501, Cancel),
        (SUBMITTED, Observed(job=job("SUCCEEDED", ended_at=NOW)), NOW, 307, Finish),
        (SUBMITTED, Observed(job=job("CANCELLED", ended_at=NOW)), NOW, 307, Finish),
        (SUBMITTED, Observed(job=job("CANCELLED", ended_at=NOW), run=EARLY), NOW, 307, Finish),
        (GAVE_UP, Observed(job=job("CANCELLED", ended_at=NOW)), NOW, 307, Finish),
        (SUBMITTED, Observed(job=replace(FAILED, ended_at=NOW)), NOW, 307, Finish),
        (SUBMITTED, Observed(job=job("FAILED", ended_at=NOW)), NOW, 401, Finish),
        (FRESH, Observed(item=OURS), FRESH.opened_at, 504, Publish),
        (SUBMITTED, Observed(job=replace(FAILED, ended_at=NOW), run=RunStatus("preempting", False)), NOW, 601, Finish),
        (
            SUBMITTED,
            Observed(job=job("SUCCEEDED", ended_at=NOW), run=RunStatus("preempting", False)),
            NOW,
            601,
            Finish,
        ),
        (SUBMITTED, Observed(gone=True, run=RUNNING), SUBMITTED.submitted_at, 701, Finish),
        (replace(SUBMITTED, stuck_since=NOW), Observed(job=job("PAUSED")), NOW, 809, Note),
        (SUBMITTED, Observed(job=job("SUCCEEDED", ended_at=NOW), run_failure=REFUSED), NOW, 907, Finish),
        (SUBMITTED, Observed(gone=True, run_failure=REFUSED), SUBMITTED.submitted_at, 907, Finish),
        (SUBMITTED, Observed(job=job("PENDING", created_at=NOW), run_failure=REFUSED), NOW, 211 + 907, Cancel),
        (replace(LATE, attempt=1, retry_at=NOW), Observed(run_failure=REFUSED), NOW, 907, Publish),
    ],
)
def test_a_grace_period_ends_at_its_time(
    entry: Entry, seen: Observed, since: datetime, seconds: int, then: type[Decision]
) -> None:
    """A second earlier nothing happens, whichever other period is over."""
    end = since + timedelta(seconds=seconds)
    assert decide(entry, seen, end - SECOND, TIMINGS) == NoAction()
    assert isinstance(decide(entry, seen, end, TIMINGS), then)
    assert isinstance(decide(entry, seen, end + SECOND, TIMINGS), then)


@pytest.mark.parametrize(("resumes", "wanted"), [(0, Resume), (6, Resume), (7, Finish), (8, Finish)])
def test_a_run_is_resumed_as_often_as_the_budget_says(resumes: int, wanted: type[Decision]) -> None:
    """Resume carries the budget to the record's notice."""
    decision = decide(replace(SUBMITTED, resumes=resumes), Observed(job=AFTER_START, run=PREEMPTED), NOW, TIMINGS)
    assert isinstance(decision, wanted)
    assert not isinstance(decision, Resume) or decision.budget == 7


@pytest.mark.parametrize(
    ("ended_after", "expired", "started", "waits"),
    [(499, False, False, False), (500, False, False, True), (1, True, False, True), (500, True, True, False)],
)
def test_a_flex_start_waited_in_vain(ended_after: int, expired: bool, started: bool, waits: bool) -> None:
    """If its job ended at the end of its wait, or expired, and no container ran."""
    flex = job("EXPIRED" if expired else "FAILED", created_at=ago(hours=2), max_wait=timedelta(seconds=500))
    ended_at = flex.created_at + timedelta(seconds=ended_after)
    flex = replace(flex, name=NAME, ended_at=ended_at, started_at=ago(hours=1) if started else None)
    assert isinstance(decide(SUBMITTED, Observed(job=flex), NOW, TIMINGS), Wait) == waits


if __name__ == "__main__":
    PAGE.write_text(rows(), encoding="utf-8")
