"""Each decision as it is carried out: its calls with their arguments, in order, and a look at the time before each."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.status import decisions
from functions.status.act import Actor
from functions.status.announce import REFUSED_FOR
from functions.status.decide import REMOVED
from functions.status.decisions import Decision, Finish, Observed
from functions.status.report import Report
from functions.status.settle import FollowUp, settle
from shared.core.errors import Conflict, KeyRefused, LaunchError, OutOfTime, Reject, Retry
from shared.core.intake import from_item
from shared.core.launch import Launch, Outcome, RunPath, State, Wish
from shared.core.message import Queue
from shared.core.ports import Job
from shared.core.shortage import Shortage
from tests.fakes import FakeClock, InMemoryLedger

QUEUE = Queue(entity="team", name="vertex")
PARENT = "projects/p/locations/us-central1"
NAME = f"{PARENT}/customJobs/1"
WISH = Wish("cancel", "ana@example.com", FakeClock()())
SWEEP = {
    "uri": "placeholder-uri-scheduler",
    "resource": "local-process",
    "run_id": "sw1",
    "overrides": {"entry_point": ["wandb", "scheduler", "sw1"]},
}


class Recorded(InMemoryLedger):
    """The ledger; keeps what is called."""

    def __init__(self, clock: FakeClock, calls: list[object]) -> None:
        super().__init__(clock)
        self.calls = calls

    def write(self, launch: Launch) -> Launch:
        """Write a launch."""
        self.calls.append("write")
        return super().write(launch)

    def close(self, launch: Launch) -> None:
        """Close a launch."""
        self.calls.append("close")
        super().close(launch)

    def withdraw(self, key: str, generation: int = 0) -> None:
        """Delete a record."""
        self.calls.append(("withdraw", generation))
        super().withdraw(key, generation)


@dataclass
class Outside:
    """Vertex AI, W&B, the topic and the logs: keeps each call, and fails with `error`."""

    calls: list[object]
    job: Job | None = None
    error: Exception | None = None
    failing: str = ""
    log: str = "the last line"

    def __getattr__(self, name: str) -> Any:
        """Return a function that keeps its call."""

        def call(*arguments: object) -> object:
            given = [list(each) if isinstance(each, Iterator | list) else each for each in arguments]
            self.calls.append((name, *given))
            if self.error and name == self.failing:
                raise self.error
            return self.job if name == "get_job" else self.log

        return call


@dataclass
class Stage:
    """An actor with everything around it."""

    clock: FakeClock = field(default_factory=FakeClock)
    calls: list[object] = field(default_factory=list)
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        self.outside = Outside(self.calls)
        self.ledger = Recorded(self.clock, self.calls)

    def launch(self, spec: dict[str, Any] | None = None, **changed: object) -> Launch:
        """Return a launch of the ledger; without changes, one with a job."""
        opened = from_item("item", QUEUE, spec or {"entity": "team", "project": "cats"}, self.clock())
        full = {"state": State.SUBMITTED, "attempt": 1, "parent": PARENT, "job_name": NAME, **changed}
        written = self.ledger.write(replace(opened, entry=replace(opened.entry, **full)))  # type: ignore[arg-type]
        self.calls.clear()
        return written

    def actor(self) -> Actor:
        """Return the actor."""
        outside: Any = self.outside
        timings = decisions.StatusTimings()
        return Actor(
            self.ledger, outside, outside, outside, self.clock, timings, self.calls.append, self.report, outside
        )

    def act(self, launch: Launch, decision: Decision, job: Job | None = None) -> Launch | None:
        """Carry out a decision about a job that was listed."""
        return self.actor().act(launch.entry, decision, Observed(job=job))[1]

    def finish(self, launch: Launch, decision: Decision, job: Job | None = None) -> None:
        """Carry out a decision that ends a launch, and close it."""
        ended = self.act(launch, decision, job)
        assert ended
        self.settle(ended)

    def settle(self, launch: Launch, *, mark: bool = True, events: bool = False, out: bool = False) -> None:
        """Do the last step of a tick."""
        over = launch.entry.state is State.ENDED
        follow_up = FollowUp(launch.entry, decisions.NoAction(), launch, mark, over)
        settle(self.actor(), launch, follow_up, events=events, out=out)


@pytest.fixture
def stage() -> Stage:
    """Return a fresh stage."""
    return Stage()


def job(state: str = "JOB_STATE_RUNNING", at: datetime | None = None, **changed: Any) -> Job:
    """Return the launch's job."""
    return Job(NAME, "k", 1, state, at or FakeClock()(), **changed)


READ, WRITE = "acting on a launch", "writing a decision"


@pytest.mark.parametrize(
    ("decision", "changed", "calls"),
    [
        (decisions.NoAction(), {}, []),
        (decisions.Publish(), {}, []),
        (decisions.Withdraw(), {}, [READ, ("withdraw", 1)]),
        (decisions.NoteStop(), {"stop_seen_at": FakeClock()()}, [READ, WRITE, "write"]),
        (decisions.Note({"broken": 2}, "a notice"), {"broken": 2, "notice": "a notice"}, [READ, WRITE, "write"]),
        (
            decisions.Cancel("why"),
            {"cancel_reason": "why"},
            [READ, WRITE, "write", "cancelling a job", ("cancel_job", NAME)],
        ),
        (decisions.Built(), {"build": ""}, [READ, WRITE, "write", ("publish", ["KEY"])]),
        (decisions.Resume(3), {"state": State.QUEUED, "resumes": 1, "job_name": ""}, [READ, WRITE, "write"]),
        (
            decisions.Wait(Shortage.AMOUNT, "no machines"),
            {"state": State.QUEUED, "short_of": Shortage.AMOUNT},
            [READ, WRITE, "write"],
        ),
        (
            decisions.Repeat("Broken."),
            {"state": State.QUEUED, "broken": 1, "notice": "Waiting: Broken. It is launched again (1 of 3 times)."},
            [READ, WRITE, "write"],
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_decision_is_these_calls(
    stage: Stage, decision: Decision, changed: dict[str, Any], calls: list[object]
) -> None:
    """Time is looked at before each; the launch is as described afterwards."""
    launch = stage.launch(build="b" if decision == decisions.Built() else "")
    stage.act(launch, decision)
    shown = [("publish", ["KEY"]) if call == ("publish", [launch.key]) else call for call in stage.calls]
    assert shown == calls
    after = stage.ledger.open.get(launch.key)
    assert (after is None) == (decision == decisions.Withdraw())
    if after:
        assert {name: getattr(after.entry, name) for name in changed} == changed
    assert stage.report.errors == []


def test_a_cancel_is_recorded_once(stage: Stage) -> None:
    """The first reason stays; the call is repeated."""
    launch = stage.launch(cancel_reason="first")
    stage.act(launch, decisions.Cancel("second"))
    assert stage.calls == [READ, WRITE, "cancelling a job", ("cancel_job", NAME)]
    assert stage.ledger.open[launch.key].entry.cancel_reason == "first"


def test_an_alarm_is_an_error_of_the_tick(stage: Stage) -> None:
    """It names its launch."""
    launch = stage.launch()
    stage.act(launch, decisions.Note({}, "", "stuck for a day"))
    assert stage.report.errors == [f"{launch.key}: stuck for a day"]


@pytest.mark.parametrize(
    ("changed", "stage_of"), [({}, "run"), ({"job_name": "", "build": "b"}, "build"), ({"job_name": ""}, "agent")]
)
@pytest.mark.parametrize("listed", [True, False])
def test_a_failed_launch_is_reported_and_closed(
    stage: Stage, changed: dict[str, Any], stage_of: str, listed: bool
) -> None:
    """With the end of the log of its job, or of its build; and with where it failed."""
    launch = stage.launch(**changed)
    stage.outside.job = job("JOB_STATE_FAILED") if listed else None
    seen = stage.outside.job
    tail: list[object] = []
    if seen:
        tail = [("tail", f"{PARENT}/customJobs/1", seen.created_at)]
    elif stage_of == "build":
        tail = [("tail_of_build", "b", launch.entry.opened_at)]
    state = State.QUEUED  # the whole job need not be asked for
    launch = stage.ledger.write(replace(launch, entry=replace(launch.entry, state=state)))
    stage.calls.clear()
    stage.finish(launch, Finish(Outcome.FAILED, "It failed."), seen)
    text = "It failed." + ("\nThe end of its log:\nthe last line" if tail else "")
    report = ("fail_item", QUEUE, "item", text, stage_of)
    generation = launch.generation + 1
    ending = ["write", "reporting an end", report, "close", ("withdraw", generation)]
    assert stage.calls == [READ, WRITE, *tail, *ending]
    closed = stage.ledger.closed[launch.key]
    assert (closed.entry.outcome, closed.reason) == (Outcome.FAILED, text)


def test_an_end_without_a_report_is_recorded_and_closed(stage: Stage) -> None:
    """No log is asked for; a notice that it waits becomes the reason, and is shown before the close."""
    launch = stage.launch(notice="Waiting: no machines", noticed=True)
    left = stage.act(launch, Finish(Outcome.CANCELLED, "Stopped.", report=False))
    assert left
    assert (left.entry.notice, left.entry.noticed) == ("Stopped.", False)
    assert stage.calls == [READ, WRITE, "write"]
    stage.calls.clear()
    stage.settle(left)
    warning = ("warn_item", QUEUE, "item", "Stopped.", "run")
    assert stage.calls == ["a warning", warning, "close", ("withdraw", left.generation)]


@pytest.mark.parametrize(
    ("decision", "notice"),
    [
        (Finish(Outcome.SUCCEEDED, "", report=False), f"Launched: {NAME}"),
        (Finish(Outcome.SUCCEEDED, "Done.", report=False), "Done."),
        (Finish(Outcome.SUCCEEDED, "Done.", report=False, warning="Preempted."), "Preempted."),
        (Finish(Outcome.CANCELLED, REMOVED, report=False), ""),
    ],
)
def test_the_last_notice_does_not_say_that_it_waits(stage: Stage, decision: Finish, notice: str) -> None:
    """Of an item that was removed, nothing is shown."""
    launch = stage.launch(notice="Waiting: no machines", noticed=True)
    left = stage.act(launch, decision) or stage.ledger.closed[launch.key]
    assert left.entry.notice == notice


@pytest.mark.parametrize("refused", [False, True])
def test_a_failed_scheduler_takes_its_sweep_along(stage: Stage, refused: bool) -> None:
    """A refusal of that is logged, and the launch is closed all the same."""
    if refused:
        stage.outside.error, stage.outside.failing = Reject("sweep", "not allowed"), "cancel_sweep"
    launch = stage.launch({**SWEEP, "entity": "team", "project": "cats"}, state=State.QUEUED, scheduler=True)
    stage.finish(launch, Finish(Outcome.FAILED, "It failed."))
    assert ("cancel_sweep", RunPath("team", "cats", "sw1")) in stage.calls
    assert stage.calls.index("cancelling a sweep") > stage.calls.index("reporting an end")
    assert launch.key in stage.ledger.closed


@pytest.mark.parametrize(
    ("outcome", "changed", "cancelled"),
    [
        (Outcome.FAILED, {}, True),
        (Outcome.CANCELLED, {"wish": WISH}, True),
        (Outcome.CANCELLED, {}, False),
        (Outcome.SUCCEEDED, {"wish": WISH}, False),
        (Outcome.FAILED, {"scheduler": False}, False),
        (Outcome.CANCELLED, {"scheduler": False, "wish": WISH}, False),
        (Outcome.FAILED, {"item_id": ""}, False),
    ],
)
def test_a_sweep_ends_if_its_scheduler_failed_or_a_person_cancelled_it(
    stage: Stage, outcome: Outcome, changed: dict[str, Any], cancelled: bool
) -> None:
    """A stop in W&B leaves the sweep to W&B; a request schedules no sweep of a queue."""
    launch = stage.launch({**SWEEP, "entity": "team", "project": "cats"}, **{"scheduler": True, **changed})
    stage.act(launch, Finish(outcome, "It ended.", report=False))
    calls = [call for call in stage.calls if isinstance(call, tuple) and call[0] == "cancel_sweep"]
    assert calls == [("cancel_sweep", RunPath("team", "cats", "sw1"))] * cancelled


@pytest.mark.parametrize(("passed", "given_up"), [(-1, False), (0, True), (1, True)])
@pytest.mark.parametrize("error", [Reject("item", "odd"), Retry("down"), KeyRefused("no key"), OutOfTime("late")])
def test_what_wandb_refuses_for_a_day_is_given_up(
    stage: Stage, error: LaunchError, passed: int, given_up: bool
) -> None:
    """A report only if it is refused; a warning of an end unless the key or the time is missing."""
    launch = stage.launch(notice="a notice")
    ended = stage.ledger.write(launch.end(Outcome.FAILED, "why", stage.clock(), report=True))
    quiet = replace(ended, entry=replace(ended.entry, report_owed=False))
    stage.clock.pass_((REFUSED_FOR + timedelta(seconds=passed)).total_seconds())
    stage.outside.error, stage.outside.failing = error, "warn_item"
    gives_up = given_up and not isinstance(error, KeyRefused | OutOfTime)
    if gives_up:
        stage.settle(quiet)
        assert launch.key in stage.ledger.closed
    else:
        with pytest.raises(type(error)):
            stage.settle(quiet)
        assert launch.key not in stage.ledger.closed
    stage.ledger.closed.clear()
    stage.ledger.open[launch.key] = ended
    stage.outside.failing = "fail_item"
    if given_up and isinstance(error, Reject):
        stage.finish(ended, Finish(Outcome.FAILED, ""))
        assert launch.key in stage.ledger.closed
    else:
        with pytest.raises(type(error)):
            stage.act(ended, Finish(Outcome.FAILED, ""))
        assert launch.key not in stage.ledger.closed


@pytest.mark.parametrize("mark", [False, True])
def test_a_shown_notice_is_marked_if_asked(stage: Stage, mark: bool) -> None:
    """After Publish, a submit may have claimed the launch."""
    launch = stage.launch(notice="a notice", state=State.QUEUED, job_name="")
    stage.settle(launch, mark=mark)
    shown = ["a warning", ("warn_item", QUEUE, "item", "a notice", "agent")]
    assert stage.calls == [*shown, *(["recording what was sent", "write"] if mark else [])]
    assert stage.ledger.open[launch.key].entry.noticed is mark


def test_an_end_that_owes_events_is_not_shown_again(stage: Stage) -> None:
    """Its launch stays open for a day, for the events alone."""
    launch = stage.launch(notice="a notice", events=2, announced=1)
    ended = stage.ledger.write(launch.end(Outcome.FAILED, "why", stage.clock(), report=False))
    stage.settle(ended, events=True)
    left = stage.ledger.open[launch.key]
    assert (left.entry.noticed, left.entry.report_owed, left.entry.announced) == (True, False, 1)
    stage.settle(left, events=True)
    assert stage.calls.count(("warn_item", QUEUE, "item", "a notice", "run")) == 1
    assert stage.calls.count("a warning") == 1
    stage.settle(left, events=True, out=True)
    closed = stage.ledger.closed[launch.key].entry
    assert (closed.announced, closed.events) == (closed.events, left.entry.events)


def test_a_changed_launch_is_left_to_the_next_tick(stage: Stage) -> None:
    """Also one that was closed meanwhile."""
    launch = stage.launch()
    stage.ledger.write(replace(launch, entry=replace(launch.entry, broken=1)))
    with pytest.raises(Conflict, match=launch.key):
        stage.act(launch, decisions.NoteStop())
    stage.ledger.open.clear()
    with pytest.raises(Conflict, match=launch.key):
        stage.act(launch, decisions.NoteStop())


def test_what_quotes_a_job_asks_for_the_whole_job(stage: Stage) -> None:
    """An error, or a report with the end of a log; the decision is taken again with it."""
    launch = stage.launch()
    stage.outside.job = job()
    for decision, seen, asked in (
        (decisions.NoteStop(), job(), False),
        (decisions.NoteStop(), job(error="odd"), True),
        (decisions.Confirm(), None, True),
        (Finish(Outcome.FAILED, "", report=True), job(), True),
        (Finish(Outcome.SUCCEEDED, "", report=False), None, False),
    ):
        stage.calls.clear()
        stage.ledger.open[launch.key], stage.ledger.closed = launch, {}
        stage.act(launch, decision, seen)
        assert (("get_job", NAME) in stage.calls) == asked, decision
