"""Many launches: their jobs are listed in parts, and W&B is asked in groups, side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from functions.status.listing import PART, list_jobs
from functions.status.report import Report
from shared.core.budget import Budget
from shared.core.errors import Denied, OutOfTime, Retry
from shared.core.intake import from_item
from shared.core.launch import Entry, RunPath, State
from shared.core.message import Queue
from shared.core.ports import Answers, Job, RunStatus, Span
from tests.fakes import FakeClock, FakeVertex, FakeWandb
from tests.fakes.clock import PLENTY
from tests.unit.test_reconcile import Scene

HERE, THERE = "projects/p/locations/us-central1", "projects/p/locations/europe-west4"
QUEUE = Queue(entity="team", name="vertex")


class Counting(FakeVertex):
    """Vertex AI, which keeps the spans that it was asked for."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.spans: list[tuple[str, Span | None]] = []

    def list_jobs(self, parent: str, span: Span | None = None) -> Iterator[Job]:
        """List jobs."""
        self.spans.append((parent, span))
        return super().list_jobs(parent, span)


def submitted(vertex: FakeVertex, number: int, at: datetime) -> Entry:
    """Return a launch with a job of this time."""
    launch = from_item(f"i{number}", QUEUE, {}, at)
    name = f"{HERE}/customJobs/{number}"
    vertex.jobs[name] = Job(name, launch.key, 1, "JOB_STATE_RUNNING", at)
    return replace(launch.entry, state=State.SUBMITTED, attempt=1, parent=HERE, job_name=name, submitted_at=at)


@pytest.mark.parametrize(
    ("launches", "parts"), [(0, 1), (PART, 1), (PART + 1, 2), (2 * PART, 2), (2 * PART + 1, 3), (3500, 4)]
)
@pytest.mark.parametrize("apart", [0.3, 0.0])
def test_a_region_of_many_jobs_is_listed_in_parts(launches: int, parts: int, apart: float) -> None:
    """Each job once, whenever it was created; orphans before and after all launches too."""
    clock = FakeClock()
    vertex, began = Counting(clock), clock()
    entries = [submitted(vertex, number, began + timedelta(seconds=apart * number)) for number in range(launches)]
    for name, at in (("old", began - timedelta(days=9)), ("new", began + timedelta(days=9))):
        vertex.jobs[f"{HERE}/customJobs/{name}"] = Job(f"{HERE}/customJobs/{name}", name, 1, "JOB_STATE_RUNNING", at)
    listing = list_jobs(vertex, (HERE, THERE), entries, Report(), PLENTY, 4)
    assert listing.jobs.keys() == {name.partition("/locations/")[2] for name in vertex.jobs}
    assert all(listing.job_of(entry) for entry in entries)
    assert [parent for parent, _ in vertex.spans].count(HERE) == parts
    assert (THERE, None) in vertex.spans
    assert not listing.unlisted


def test_a_part_that_fails_hides_only_what_it_lists() -> None:
    """The region counts as incomplete: a job that was not seen may run."""
    clock = FakeClock()

    class Torn(Counting):
        def list_jobs(self, parent: str, span: Span | None = None) -> Iterator[Job]:
            if span and span.since is None:
                raise Retry("no answer")
            return super().list_jobs(parent, span)

    vertex = Torn(clock)
    entries = [submitted(vertex, number, clock() + timedelta(seconds=number)) for number in range(PART + 5)]
    report = Report()
    listing = list_jobs(vertex, (HERE,), entries, report, PLENTY, 4)
    assert sum(listing.job_of(entry) is not None for entry in entries) == 5
    assert list(listing.unlisted) == [HERE]
    assert report.errors == [f"{HERE}: Retry: no answer"]


@pytest.mark.parametrize(("ended", "listings", "gets"), [(1, 1, 1), (100, 1, 100), (101, 2, 0)])
def test_a_hundred_ended_jobs_are_got_by_name_and_more_are_listed(
    scene: Scene, ended: int, listings: int, gets: int
) -> None:
    """All of them are closed in the same tick."""
    for number in range(ended):
        launch = scene.submitted(f"item{number}")
        scene.run(launch, "finished")
        scene.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED")
    assert scene.tick().done == {"Finish": ended}
    assert (scene.vertex.listings, scene.vertex.gets) == (listings, gets)


def test_the_listing_of_ended_jobs_begins_with_the_oldest_launch() -> None:
    """Five minutes earlier, because Vertex AI's clock may be slow."""
    clock = FakeClock()
    vertex, began = Counting(clock), clock()
    entries = [submitted(vertex, number, began - timedelta(seconds=number)) for number in range(101)]
    vertex.jobs.clear()
    listing = list_jobs(vertex, (HERE,), entries, Report(), PLENTY, 1)
    ended = Span(began - timedelta(seconds=100 + 300), ended=True)
    assert vertex.spans == [(HERE, None), (HERE, ended)]
    assert not listing.unlisted


def test_a_listing_that_no_time_is_left_for_is_named() -> None:
    """The first region takes more than half of the time; the second one's listing does not begin."""
    clock = FakeClock()

    class Slow(Counting):
        def list_jobs(self, parent: str, span: Span | None = None) -> Iterator[Job]:
            clock.pass_(23)
            return super().list_jobs(parent, span)

    vertex, report = Slow(clock), Report()
    entries = [submitted(vertex, 1, clock())]
    budget = Budget(45, lambda: clock().timestamp())
    listing = list_jobs(vertex, (HERE, THERE), entries, report, budget, 1)
    late = "OutOfTime: the time of this invocation is over: listing {} is left to a later one"
    assert report.errors == [f"{place}: {late.format(place)}" for place in (THERE, HERE)]
    assert (len(listing.jobs), report.jobs_listed, len(vertex.spans)) == (1, 1, 1)


def test_ended_jobs_that_another_listing_does_not_show_are_got_by_name(scene: Scene) -> None:
    """A listing back to launches of long ago may never reach them; the region's other jobs are known all the same."""
    for number in range(120):
        launch = scene.submitted(f"item{number}")
        scene.run(launch, "finished")
        scene.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED")

    class Endless(FakeVertex):
        def list_jobs(self, parent: str, span: Span | None = None) -> Iterator[Job]:
            jobs = super().list_jobs(parent, span)
            if span and span.ended:
                yield next(jobs)
                raise OutOfTime("the half of the time is over")
            yield from jobs

    scene.vertex = Endless(scene.clock, scene.vertex.jobs)
    report = scene.tick()
    assert report.done == {"Finish": 120}
    assert report.errors == [f"{HERE}: jobs that have ended: OutOfTime: the half of the time is over"]


def test_a_job_that_is_listed_and_cannot_be_got_is_not_gone(scene: Scene) -> None:
    """One of two answers is wrong: the next tick looks again."""
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "exit code 1")
    scene.clock.pass_(600)

    class Forgetful(FakeVertex):
        def list_jobs(self, parent: str, span: Span | None = None) -> Iterator[Job]:
            yield from self.jobs.values()

        def get_job(self, name: str) -> Job | None:
            return None

    known = scene.vertex.jobs
    scene.vertex = Forgetful(scene.clock, known)
    assert scene.tick().done == {}
    assert list(scene.ledger.open) == [launch.key]
    scene.vertex = FakeVertex(scene.clock, known)
    assert scene.tick().done == {"Finish": 1}


@pytest.mark.parametrize("failure", [Retry("no answer"), Denied("no permission"), KeyError("nobody foresaw it")])
def test_a_job_that_cannot_be_got_leaves_only_its_own_launch_open(scene: Scene, failure: Exception) -> None:
    """Its tick names it; the next one asks again."""
    bad, good = scene.submitted("bad"), scene.submitted("good")
    for launch in (bad, good):
        scene.run(launch, "finished")
        scene.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED")

    class Half(FakeVertex):
        def get_job(self, name: str) -> Job | None:
            if name == bad.entry.job_name:
                raise failure
            return super().get_job(name)

    known = scene.vertex.jobs
    scene.vertex = Half(scene.clock, known)
    report = scene.tick()
    assert report.done == {"Finish": 1, "Fail": 1}
    assert [error.partition(":")[0] for error in report.errors] == [bad.key]
    assert list(scene.ledger.open) == [bad.key]
    scene.vertex = FakeVertex(scene.clock, known)
    assert scene.tick().done == {"Finish": 1}


def test_a_group_of_runs_without_an_answer_leaves_the_others_decided(scene: Scene) -> None:
    """One connection asks for a thousand runs."""
    launches = [scene.submitted(f"item{number:04}") for number in range(1200)]
    for launch in launches:
        scene.run(launch, stopped=True)

    class Half(FakeWandb):
        def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
            if len(runs) == 200:
                raise KeyError("nobody foresaw it")
            return super().run_statuses(runs)

    scene.wandb = Half(items=scene.wandb.items, runs=scene.wandb.runs)
    report = scene.tick()
    assert report.done == {"NoteStop": 1000}
    assert len(report.errors) == 1
    assert report.errors[0].endswith(" and 180 more: Retry: KeyError: 'nobody foresaw it'")


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()
