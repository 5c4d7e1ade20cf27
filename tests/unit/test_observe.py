"""What status observes of each launch: every answer reaches its own launch, and every failure its report."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from functions.status.decisions import Observed
from functions.status.listing import Listing, list_jobs
from functions.status.observe import get_builds, observe
from functions.status.report import Report
from shared.core.budget import Budget
from shared.core.building import Build
from shared.core.errors import LaunchError, Reject, Retry
from shared.core.intake import from_item
from shared.core.launch import Entry, RunPath, State
from shared.core.message import Queue
from shared.core.ports import Answers, ItemStatus, Job, RunStatus
from tests.fakes import FakeBuilds, FakeClock, FakeVertex, FakeWandb
from tests.fakes.clock import PLENTY

QUEUE = Queue(entity="team", name="vertex")
HERE, THERE = "projects/p/locations/us-central1", "projects/p/locations/europe-west4"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOON = timedelta(minutes=1)
LATER = NOW + SOON + timedelta(seconds=1)  # a launch of NOW is overdue


class Answering(FakeWandb):
    """W&B, which gives these answers, and keeps the questions."""

    def __init__(self, runs: Answers[RunPath, RunStatus], items: Answers[str, ItemStatus]) -> None:
        super().__init__()
        self.answers = runs, items
        self.asked: list[object] = []

    def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
        """Answer for runs."""
        self.asked += runs
        return self.answers[0]

    def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
        """Answer for items."""
        self.asked += items
        return self.answers[1]


def launch(name: str, **changed: object) -> Entry:
    """Return a launch of an item, which is not overdue."""
    entry = from_item(name, QUEUE, {"entity": "team", "project": "cats"}, NOW).entry
    return replace(entry, **{"state": State.SUBMITTED, "attempt": 1, "parent": HERE, **changed})  # type: ignore[arg-type]


def test_each_answer_reaches_its_own_launch() -> None:
    """Found, failed or hidden: all that W&B, Vertex AI and Cloud Build say."""
    names = [f"{HERE}/customJobs/{number}" for number in range(2)]
    jobs = [Job(name, "k", 1, "JOB_STATE_RUNNING", NOW) for name in names]
    first, second, third = (launch(f"i{number}", job_name=name) for number, name in enumerate([*names, ""]))
    second = replace(second, parent=THERE)
    third = replace(third, state=State.QUEUED, attempt=0, build="b")
    run, item = RunStatus("running", stopped=False), ItemStatus("CLAIMED", "r")
    no_run, no_item = Retry("no run"), Retry("no item")
    runs = Answers({first.run: run}, {second.run: no_run}, frozenset({third.run}))
    wandb = Answering(runs, Answers({third.item_id: item}, {first.item_id: no_item}))
    listing, built, report = Listing(unlisted={THERE: no_run}), Build("b", "WORKING"), Report()
    for job in jobs:
        listing.add(job)
    seen = observe(wandb, listing, {"b": built}, [first, second, third], LATER, SOON, report, 2)
    assert not third.overdue(NOW + SOON, SOON)
    assert wandb.asked == [first.run, second.run, third.run, (QUEUE, third.item_id)]
    assert seen == {
        first.key: Observed(job=jobs[0], run=run, item_failure=no_item),
        second.key: Observed(job=jobs[1], listed=False, run_failure=no_run),
        third.key: Observed(hidden=True, item=item, build=built),
    }
    assert report.errors == [f"W&B: {second.key}: Retry: no run"]


@pytest.mark.parametrize(("launches", "more"), [(1, ""), (20, ""), (21, " and 1 more")])
def test_one_error_names_twenty_launches(launches: int, more: str) -> None:
    """Those with the same reason; another reason is another error."""
    entries = [launch(f"i{number:02}") for number in range(launches)]
    other = launch("other")
    failed: dict[RunPath, LaunchError] = {entry.run: Retry("down") for entry in entries}
    failed[other.run] = Reject("run", "odd")
    report = Report()
    observe(Answering(Answers(failed=failed), Answers()), Listing(), {}, [*entries, other], NOW, SOON, report, 1)
    named = ", ".join(entry.key for entry in entries[:20])
    assert report.errors == [f"W&B: {named}{more}: Retry: down", f"W&B: {other.key}: Reject: run: odd."]


@pytest.mark.parametrize(("error", "kept"), [(Retry("down"), "down"), (KeyError("x"), "KeyError: 'x'")])
def test_a_question_that_fails_leaves_each_of_its_things_unknown(error: Exception, kept: str) -> None:
    """An error of ours is kept; another one becomes a Retry with its name."""

    class Broken(FakeWandb):
        def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
            raise error

        def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
            raise error

    entry = launch("i", state=State.QUEUED, attempt=0)
    seen = observe(Broken(), Listing(), {}, [entry], LATER, SOON, Report(), 1)[entry.key]
    assert (str(seen.run_failure), str(seen.item_failure)) == (kept, kept)
    assert isinstance(seen.run_failure, Retry)


def test_each_build_is_asked_for_once() -> None:
    """That of a waiting launch only; a failure is reported under its name, and the others are asked for."""

    class Counting(FakeBuilds):
        def get_build(self, name: str) -> Build:
            asked.append(name)
            if name == "a":
                raise Retry("down")
            return Build(name, "WORKING")

    asked: list[str] = []
    builds = [("b", State.QUEUED), ("a", State.QUEUED), ("b", State.QUEUED), ("", State.QUEUED), ("c", State.SUBMITTED)]
    entries = [launch(f"i{number}", build=name, state=state) for number, (name, state) in enumerate(builds)]
    report = Report()
    assert get_builds(Counting(), entries, report, PLENTY) == {"b": Build("b", "WORKING")}
    assert asked == ["a", "b"]
    assert report.errors == ["a: Retry: down"]


@pytest.mark.parametrize(("spent", "asked"), [(0, 2), (1, 1)])
def test_builds_take_half_of_the_time(spent: int, asked: int) -> None:
    """The other half is for acting."""
    clock = FakeClock()

    class Slow(FakeBuilds):
        def get_build(self, name: str) -> Build:
            clock.pass_(20.5 * spent)
            return Build(name, "WORKING")

    report = Report()
    entries = [launch(name, build=name, state=State.QUEUED) for name in "ab"]
    assert len(get_builds(Slow(), entries, report, Budget(40, lambda: clock().timestamp()))) == asked
    assert ["getting a build" in error for error in report.errors] == [True] * (2 - asked)


def test_a_listing_says_what_it_lists() -> None:
    """The regions of submitted launches too, the number of jobs, and those that have not ended."""
    vertex = FakeVertex(FakeClock())
    for number, (parent, state) in enumerate([(HERE, "RUNNING"), (THERE, "PENDING"), (THERE, "CANCELLING")]):
        name = f"{parent}/customJobs/{number}"
        vertex.jobs[name] = Job(name, "k", number, f"JOB_STATE_{state}", NOW)
    entries = [launch("i", parent=THERE, job_name=f"{THERE}/customJobs/1")]
    entries.append(launch("j", parent="projects/p/locations/asia-east1", state=State.QUEUED))
    report = Report()
    listing = list_jobs(vertex, (HERE,), entries, report, PLENTY, 2)
    assert report.jobs_listed == 3
    assert vertex.listings == 2
    assert [sorted(job.attempt for job in jobs) for jobs in listing.living().values()] == [[0, 1, 2]]
    listing.add(Job("ended", "k", 9, "JOB_STATE_EXPIRED", NOW))
    listing.add(Job("odd", "l", 9, "JOB_STATE_99", NOW))
    assert {key: len(jobs) for key, jobs in listing.living().items()} == {"k": 3, "l": 1}
    same = replace(entries[0], job_name=entries[0].job_name.replace("projects/p/", "projects/123/"))
    assert listing.job_of(same) == listing.job_of(entries[0]) is not None
    assert listing.job_of(replace(same, job_name="")) is None
