"""The record that each outcome of an attempt leaves: history, reason, notice, waits and counts, word for word.

After a wanted change, `python -m tests.unit.test_submit_records` writes submit_records.txt; read its diff.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from functions.submit.outcome import Outcomes, Settled, SubmitTimings
from shared.core.errors import Capacity, Denied, KeyRefused, OutcomeUnknown, Reject, Retry
from shared.core.intake import from_item
from shared.core.launch import Backoff, Launch, State
from shared.core.message import Queue
from shared.core.placement import Placement
from shared.core.ports import FoundJob
from shared.core.shortage import Shortage
from tests.fakes import FakeClock
from tests.unit.records import page, shown

PAGE = Path(__file__).with_name("submit_records.txt")
PARENT = "projects/p/locations/us-central1"
JOB = f"{PARENT}/customJobs/7"
CLOCK = FakeClock()
NOW = CLOCK()
TIMINGS = SubmitTimings(  # no two alike: a timing that takes another's place is noticed
    lease=timedelta(seconds=901),
    settle=timedelta(seconds=131),
    look_again=timedelta(seconds=149),
    max_failures=5,
    max_requests=3,
    backoff=Backoff(first=timedelta(seconds=17)),
)
OUTCOMES = Outcomes(TIMINGS, CLOCK)


def claim(climb: Placement | None = None, **changes: Any) -> Launch:
    """Return the claim of a second attempt."""
    launch = from_item("i", Queue(entity="team", name="q"), {"entity": "team", "project": "p"}, NOW)
    full = {"attempt": 2, "parent": PARENT, "lease_until": NOW + TIMINGS.lease, **changes}
    return replace(launch.move(State.SUBMITTING, **full), climb=climb or Placement())


def claim_after(result: str, tries: int = 1) -> Launch:
    """Return a claim that waited, after a first job that ended 100 seconds ago."""
    first = claim(attempt=1).note(NOW - timedelta(seconds=100), result)
    waited = first.note(NOW - timedelta(seconds=50), "paced").tell("Waiting: x")
    return waited.move(State.SUBMITTING, attempt=1 + tries)


def without_job(why: Exception, climb: Placement | None = None, **changes: Any) -> Settled:
    """Settle an attempt that created no job."""
    launch = claim(climb, **changes)
    return OUTCOMES.without_job(launch, why, sent_elsewhere=launch.climb.elsewhere)


NEAR, FAR = Placement("here", "here"), Placement("here", "there")
CASES: dict[str, Callable[[], Settled]] = {
    "submitted": lambda: (OUTCOMES.submitted(claim(failures=2), JOB, 3, ("a", "b")), ""),
    "submitted elsewhere": lambda: (OUTCOMES.submitted(claim(replace(FAR, because="no T4")), JOB, 2), ""),
    "submitted, after a wait": lambda: (OUTCOMES.submitted(claim(notice="Waiting: x"), JOB, 2), ""),
    "submitted, after a build": lambda: (OUTCOMES.submitted(claim(notice="Building the image x."), JOB, 2), ""),
    "submitted, after a preemption": lambda: (OUTCOMES.submitted(claim_after("Preempted; launched again"), JOB, 2), ""),
    "submitted, after another job": lambda: (OUTCOMES.submitted(claim_after("created jobs/1", 3), JOB, 4), ""),
    "found": lambda: OUTCOMES.found(claim(), FoundJob(JOB, 4), 4),
    "refused": lambda: without_job(Reject("spec", "is odd")),
    "refused elsewhere": lambda: without_job(Reject("spec", "is odd"), replace(FAR, tried=("here",))),
    "refused in the last place": lambda: without_job(Reject("spec", "is odd"), replace(FAR, barred=("here",))),
    "no capacity": lambda: without_job(Capacity("no T4", Shortage.STOCKOUT), waits=1),
    "a wait of Google's": lambda: without_job(Capacity("slow", Shortage.RATE, timedelta(seconds=77))),
    "no quota": lambda: without_job(Capacity("it is 0", Shortage.ZERO)),
    "no quota here": lambda: without_job(Capacity("it is 0", Shortage.ZERO), replace(NEAR, next_place="there")),
    "no quota anywhere": lambda: without_job(Capacity("it is 0", Shortage.ZERO), replace(FAR, barred=("a", "b"))),
    "no key": lambda: without_job(KeyRefused("401"), waits=1, failures=2),
    "no answer": lambda: without_job(OutcomeUnknown("timed out")),
    "no permission": lambda: without_job(Denied("needs x"), failures=1),
    "outage": lambda: without_job(Retry("503"), failures=1),
    "the last failure": lambda: without_job(Retry("503"), failures=4),
    "paced": lambda: OUTCOMES.paced(claim(), NOW + timedelta(seconds=44)),
    "crowded": lambda: OUTCOMES.crowded(claim(waits=1)),
    "building": lambda: OUTCOMES.building(claim(), "builds/1", "img:tag"),
    "not found": lambda: OUTCOMES.not_found(claim(), NOW),
    "not found again, too early": lambda: OUTCOMES.not_found(
        claim(looked_at=NOW - TIMINGS.look_again + timedelta(seconds=1)), NOW
    ),
    "not found again": lambda: OUTCOMES.not_found(claim(looked_at=NOW - TIMINGS.look_again), NOW),
    "not found, with a reason": lambda: OUTCOMES.not_found(
        claim(looked_at=NOW - TIMINGS.look_again).because("timed out"), NOW
    ),
    "blind": lambda: OUTCOMES.blind(claim(), Retry("503")),
    "blind for longer": lambda: OUTCOMES.blind(claim(failures=3), Denied("needs list")),
    "blind at last": lambda: OUTCOMES.blind(claim(failures=4), Retry("503")),
}


def outcomes() -> dict[str, dict[str, Any]]:
    """Return what the record of each case says."""
    return {name: shown(*case()) for name, case in CASES.items()}


def test_each_outcome_leaves_this_record() -> None:
    """Authors, operators and the next attempt read it."""
    assert page(outcomes()).splitlines() == PAGE.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    PAGE.write_text(page(outcomes()), encoding="utf-8")
