"""Jobs that should not exist: each is judged alone, also after others in the listing."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from functions.status.alarms import ORPHAN_AGE, report_doubled, report_orphans
from functions.status.report import Report
from shared.core.entry import Entry, RunPath
from shared.core.launch import State
from shared.core.ports import Job

NOW = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
RUNNING, CANCELLING = "JOB_STATE_RUNNING", "JOB_STATE_CANCELLING"


def job(name: str, key: str = "k", attempt: int = 1, age: timedelta = ORPHAN_AGE, state: str = RUNNING) -> Job:
    """Return a job."""
    return Job(name, key, attempt, state, NOW - age)


def entry(key: str, state: State = State.SUBMITTED, attempt: int = 1) -> Entry:
    """Return a launch."""
    return replace(Entry(key, state, NOW, RunPath("e", "p", "r")), attempt=attempt)


def test_each_job_without_an_open_launch_is_an_orphan() -> None:
    """Not one of an unreadable record, a young one, or one of this or of an older attempt."""
    second = timedelta(seconds=1)
    living = {
        "unreadable": [job("1", "unreadable")],
        "open": [job("2", "open", 1), job("3", "open", 2), job("4", "open", 3)],
        "none": [job("5", "none", age=ORPHAN_AGE - second), job("6", "none"), job("7", "none")],
        "ended": [job("8", "ended")],
    }
    entries = [entry("open", attempt=2), entry("ended", State.ENDED)]
    report = Report()
    report_orphans(living, entries, {"unreadable": "is odd"}, NOW, report)
    assert report.orphans == ["4", "6", "7", "8"]


OLD, MINE, COPY, NEWER = job("old"), job("mine", attempt=2), job("copy", attempt=2), job("newer", attempt=3)


@pytest.mark.parametrize(
    ("state", "jobs", "doubled", "superfluous"),
    [
        (State.SUBMITTED, [MINE], [], []),
        (State.SUBMITTED, [OLD, MINE], ["old"], ["old"]),
        (State.SUBMITTED, [replace(OLD, state=CANCELLING), MINE], ["old"], []),
        (State.SUBMITTED, [MINE, COPY, NEWER], ["copy"], []),
        (State.SUBMITTED, [OLD, COPY], ["old"], []),  # the job of the record has ended
        (State.SUBMITTED, [OLD, replace(OLD, name="older"), MINE], ["old", "older"], ["old", "older"]),
        (State.QUEUED, [OLD, COPY, NEWER], ["old", "copy"], []),
        (State.SUBMITTING, [OLD, MINE], ["old"], []),
        (State.ENDED, [OLD, MINE], ["old"], []),
    ],
)
def test_jobs_beside_a_launchs_own(state: State, jobs: list[Job], doubled: list[str], superfluous: list[str]) -> None:
    """All are reported; those of older attempts are cancelled if the launch's own job lives."""
    report = Report()
    launches = [entry("other"), entry("k", state, 2)]
    cancel = report_doubled({"k": jobs}, launches, lambda one: MINE if one.key == "k" else OLD, report)
    assert report.doubled == doubled
    assert [each.name for each in cancel] == superfluous
    assert len(report.errors) == len(doubled)
