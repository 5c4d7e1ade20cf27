"""Which launches and jobs keep a deployment warm, and which do not."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from functions.status import activity
from functions.status.decisions import Observed
from functions.status.report import Report
from shared.core.entry import Entry, RunPath
from shared.core.errors import Retry
from shared.core.launch import State
from shared.core.ports import Job
from shared.core.shortage import Shortage
from tests.fakes import FakeClock
from tests.unit.test_reconcile import Scene


def counted(report: Report) -> tuple[int, int, int, int]:
    """Return the counts that decide about the cadence."""
    return report.pending, report.stopping, report.young, report.freed


@pytest.mark.parametrize(
    ("state", "age", "expected"),
    [
        ("JOB_STATE_PENDING", 60, (1, 0, 1, 0)),
        ("JOB_STATE_PENDING", 700, (1, 0, 0, 0)),
        ("JOB_STATE_QUEUED", 700, (0, 0, 0, 0)),
        ("JOB_STATE_RUNNING", 60, (0, 0, 1, 0)),
        ("JOB_STATE_RUNNING", 700, (0, 0, 0, 0)),
        ("JOB_STATE_CANCELLING", 700, (0, 1, 0, 0)),
    ],
)
def test_a_job_that_is_pending_stopping_or_young(state: str, age: float, expected: tuple[int, ...]) -> None:
    """A job that waits for quota may do so for days, and a running one needs no fast look."""
    scene = Scene()
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, state)
    scene.run(launch)
    scene.clock.pass_(age)
    assert counted(scene.tick()) == expected


def test_a_stop_in_wandb_counts_until_the_job_has_ended() -> None:
    """From the tick that follows the one that saw it."""
    scene = Scene()
    launch = scene.submitted()
    scene.clock.pass_(700)
    scene.run(launch, stopped=True)
    scene.tick()
    assert scene.tick().stopping == 1


def test_a_launch_that_ends_frees_once() -> None:
    """The tick that closes it, whatever its outcome."""
    scene = Scene()
    launch = scene.submitted()
    scene.run(launch, "finished")
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED")
    scene.clock.pass_(700)
    assert counted(scene.tick()) == (0, 0, 0, 1)
    assert counted(scene.tick()) == (0, 0, 0, 0)


def test_a_launch_that_cannot_be_closed_warms_nothing() -> None:
    """W&B takes no report, perhaps for hours: poll need not ask faster because of that."""
    scene = Scene()
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED")
    scene.wandb.fail["fail_item"] = Retry("503")
    scene.clock.pass_(700)
    assert {counted(scene.tick()) for _ in range(3)} == {(0, 0, 0, 0)}
    scene.wandb.fail.clear()
    assert scene.tick().freed == 1


def test_a_launch_that_waits_for_capacity_warms_nothing() -> None:
    """A held queue alone is not warm."""
    scene = Scene()
    launch = scene.queued()
    later = scene.clock() + timedelta(hours=1)
    entry = replace(launch.entry, state=State.QUEUED, short_of=Shortage.STOCKOUT, retry_at=later, attempt=1)
    scene.ledger.write(replace(launch, entry=entry))
    scene.clock.pass_(700)
    assert counted(scene.tick()) == (0, 0, 0, 0)


def test_each_launch_is_counted_alone() -> None:
    """Those without a job before it, between them or after it do not count."""
    now, young = FakeClock()(), timedelta(seconds=600)
    old = now - young

    def launch(key: str, state: State = State.SUBMITTED, at: datetime = old, **changed: object) -> Entry:
        made = Entry(key, state, old, RunPath("e", "p", key), submitted_at=at)
        return replace(made, **changed)  # type: ignore[arg-type]

    entries = [
        launch("queued", State.QUEUED, now, cancel_reason="x"),
        launch("pending"),
        launch("queued for quota"),
        launch("stopping"),
        launch("ended", State.ENDED, now, stop_seen_at=now),
        launch("cancelled", cancel_reason="x"),
        launch("stopped", stop_seen_at=now),
        launch("young", at=old + timedelta(seconds=1)),
        launch("not seen"),
        launch("without a time", submitted_at=None, opened_at=now),
    ]
    states = {"pending": "PENDING", "stopping": "CANCELLING", "queued for quota": "QUEUED", "queued": "PENDING"}
    seen = {
        entry.key: Observed(job=Job("j", entry.key, 1, f"JOB_STATE_{states.get(entry.key, 'RUNNING')}", now))
        for entry in entries
        if entry.key != "not seen"
    }
    report = Report(done=Counter(Withdraw=2, Finish=5), closed=["a", "b", "c"])
    activity.count(entries, {**seen, "stopped": Observed()}, now, young, report)
    assert counted(report) == (1, 3, 2, 5)
