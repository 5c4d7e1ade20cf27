"""The record that each decision of status leaves: history, reason, notice, waits and counts, word for word.

After a wanted change, `python -m tests.unit.test_status_records` writes status_records.txt; read its diff.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from functions.status import decisions
from functions.status.decide import REMOVED
from functions.status.decisions import Decision, Finish, Repeat, Resume, Wait
from shared.core.launch import Outcome, State
from shared.core.placement import Placement
from shared.core.ports import Job
from shared.core.shortage import Shortage
from tests.unit.records import NOW, page, shown
from tests.unit.test_act import NAME, Stage

PAGE = Path(__file__).with_name("status_records.txt")
SECOND = timedelta(seconds=1)
ENDED = Job(NAME, "k", 1, "JOB_STATE_FAILED", NOW, started_at=NOW + 20 * SECOND, ended_at=NOW + 50 * SECOND)
NEAR, FAR = Placement("here", "here"), Placement("here", "there")
Case = tuple[Decision, dict[str, Any], Job | None]

CASES: dict[str, Case] = {
    "the stop of a run": (decisions.NoteStop(), {}, None),
    "a fact with a notice": (decisions.Note({"broken": 2}, "a notice"), {}, None),
    "a cancel": (decisions.Cancel("It was pending."), {}, None),
    "a built image": (decisions.Built(), {"build": "b", "state": State.QUEUED, "job_name": ""}, None),
    "a preemption": (Resume(3), {"resumes": 1, "broken": 2, "waits": 4}, None),
    "no machines": (Wait(Shortage.STOCKOUT, "none"), {"waits": 1}, None),
    "no machines here": (Wait(Shortage.STOCKOUT, "none"), {"climb": replace(NEAR, next_place="there")}, None),
    "no quota": (Wait(Shortage.ZERO, "It is 0."), {"climb": NEAR}, ENDED),
    "no quota here": (Wait(Shortage.ZERO, "It is 0."), {"climb": replace(NEAR, next_place="there")}, None),
    "an internal error": (Repeat("Broken."), {"broken": 1}, None),
    "a failure": (Finish(Outcome.FAILED, "It failed."), {"state": State.QUEUED}, ENDED),  # else the job is asked for
    "a failure without a job": (Finish(Outcome.FAILED, "It failed."), {"job_name": ""}, None),
    "a success": (Finish(Outcome.SUCCEEDED, "", report=False), {"notice": "Waiting: x"}, ENDED),
    "a success with a warning": (Finish(Outcome.SUCCEEDED, "", report=False, warning="unseen"), {}, ENDED),
    "a removed item": (Finish(Outcome.CANCELLED, REMOVED, report=False), {"notice": "Waiting: x"}, None),
    "a success that is recorded": (
        Finish(Outcome.FAILED, "other"),
        {"state": State.ENDED, "outcome": Outcome.SUCCEEDED},
        ENDED,
    ),
}


def records() -> dict[str, dict[str, Any]]:
    """Return what the record of each case says."""
    found = {}
    for name, (decision, changed, job) in CASES.items():
        stage = Stage()
        stage.outside.log = stage.outside.log if name == "a failure" else ""
        entry = {field: value for field, value in changed.items() if field != "climb"}
        launch = stage.ledger.write(replace(stage.launch(**entry), climb=changed.get("climb", Placement())))
        stage.outside.job = job
        after = stage.act(launch, decision, job)
        assert after
        assert after == stage.ledger.open[launch.key]
        found[name] = shown(after)
    return found


def test_each_decision_leaves_this_record() -> None:
    """Authors, operators and the next tick read it."""
    assert page(records()).splitlines() == PAGE.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    PAGE.write_text(page(records()), encoding="utf-8")
