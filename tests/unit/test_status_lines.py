"""The log lines of status, with their fields, and the errors of its report: operators read there what failed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from functions.status.reconcile import Status
from shared.core.errors import Conflict, Denied, Reject, Retry
from shared.core.intake import from_item
from shared.core.launch import Launch, Outcome, State
from shared.core.message import launch_key
from shared.core.ports import AgentNote
from tests.fakes import FakeWandb, InMemoryAgentBook
from tests.unit import test_announce as announcing
from tests.unit.lines import Line, lines
from tests.unit.test_reconcile import PARENT, QUEUE, SCHEDULER, Scene, budget, building

KEY = launch_key("wandb", "item")
JOB = f"{PARENT}/customJobs/1"
DAY = 86_400


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()


def acted(decision: str, job: str = JOB) -> Line:
    """Return the line of a decision that was carried out."""
    return "INFO", "status.acted", {"launch_key": KEY, "decision": decision, "job": job}


def failed(where: str) -> Line:
    """Return the line of a failure, whose text is in its stack trace and in the report."""
    return "ERROR", "status.failed +", {"where": where}


def never_told(problem: str, event: str = "status.never_told +") -> Line:
    """Return the line of a launch whose author does not read of its end."""
    return "ERROR", event, {"launch_key": KEY, "problem": problem}


def ended(scene: Scene, **changes: Any) -> Launch:
    """Write a launch whose end is recorded and not reported."""
    launch = scene.queued()
    launch = replace(launch, entry=replace(launch.entry, **changes))
    return scene.ledger.write(launch.end(Outcome.REJECTED, "no", scene.clock()))


def stopped(scene: Scene) -> Launch:
    """Open a launch whose run was stopped in W&B."""
    launch = scene.submitted()
    scene.run(launch, stopped=True)
    return launch


def only_closed(caplog: pytest.LogCaptureFixture) -> list[Line]:
    """Return the lines, without those of closed launches, which another test compares."""
    return [line for line in lines(caplog) if line[1] != "launch.closed"]


def test_a_decision_has_a_line_with_its_job(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """The last one has an end, and its phases."""
    launch = stopped(scene)
    scene.tick()
    assert lines(caplog) == [acted("NoteStop")]
    scene.clock.pass_(60)
    scene.tick()
    assert lines(caplog) == [acted("Cancel")]
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_CANCELLED")
    scene.tick()
    first, closed = lines(caplog)
    assert first == acted("Finish")
    names = {"launch_key": KEY, "outcome": "CANCELLED", "queue": "vertex", "source": "wandb", "attempts": 1}
    phases = {f"{name}_seconds": 0.0 for name in ("capacity", "quota", "build", "queued", "pending", "running")}
    seconds = phases | {"queued_seconds": 60.0, "total_seconds": 60.0}
    assert closed == ("INFO", "launch.closed", {**names, **seconds})


def test_a_launch_without_a_job_has_a_line_of_its_decision(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Of a ticket there is none: submit has its own."""
    launch = building(scene)
    scene.builds.end(launch.entry.build)
    scene.tick()
    assert lines(caplog) == [acted("Built", "")]
    scene.clock.pass_(DAY)
    assert (scene.tick().done, lines(caplog)) == ({"Publish": 1}, [])


def test_a_launch_that_changes_meanwhile_is_counted(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is logged: the next tick decides again."""
    stopped(scene)
    read = scene.ledger.read

    def changed(key: str) -> Launch:
        found = read(key)
        assert found
        return replace(found, entry=replace(found.entry, broken=1))

    scene.ledger.read = changed  # type: ignore[method-assign]
    report = scene.tick()
    assert (report.done, report.errors, lines(caplog)) == ({"Changed": 1}, [], [])


@pytest.mark.parametrize("call", ["read", "write"])
def test_a_launch_that_changes_before_its_warning_is_marked_is_counted(
    scene: Scene, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As one that changes before its decision: the next tick sends the warning again."""
    scene.ledger.write(scene.queued().tell("Waiting: no room"))

    def changed(*_: object) -> None:
        raise Conflict(KEY)

    setattr(scene.ledger, call, changed)
    report = scene.tick()
    assert (report.done, report.errors, lines(caplog)) == ({"Changed": 1}, [], [])


def region(scene: Scene) -> None:
    """Refuse the listing of jobs."""
    scene.vertex.unreachable = Denied("needs customJobs.list")


def run(scene: Scene) -> None:
    """Refuse to show a run."""
    scene.wandb.failed[stopped(scene).entry.run] = Denied("not yours")


def overdue(scene: Scene) -> None:
    """Open a launch whose ticket was lost."""
    scene.queued()
    scene.clock.pass_(61)


def item(scene: Scene) -> None:
    """Refuse to show the item of an overdue launch."""
    overdue(scene)
    scene.wandb.failed["item"] = Retry("503")


def report(scene: Scene) -> None:
    """Take no report."""
    ended(scene)
    scene.wandb.fail["fail_item"] = Retry("down")


def noticed(scene: Scene) -> None:
    """Open a launch with a notice."""
    scene.ledger.write(scene.queued().tell("Waiting: no room"))


def warning(scene: Scene) -> None:
    """Take no warning."""
    noticed(scene)
    scene.wandb.fail["warn_item"] = Retry("down")


def record(scene: Scene) -> None:
    """Show no record of a launch with a notice."""
    noticed(scene)
    scene.ledger.read = lambda key: int(f"{key[:0]}x")  # type: ignore[method-assign, assignment, return-value]


def closing(scene: Scene) -> None:
    """Close no launch."""
    ended(scene)
    scene.ledger.close = lambda _: int("x")  # type: ignore[method-assign, assignment]


def topic(scene: Scene) -> None:
    """Take no ticket of an overdue launch."""
    overdue(scene)
    scene.publisher.unreachable = TypeError("odd")


def build(scene: Scene) -> None:
    """Show no build."""
    building(scene)
    scene.builds.unreachable = Denied("needs builds.get")


ODD = "ValueError: invalid literal for int() with base 10: 'x'"
FAILURES: dict[str, tuple[Callable[[Scene], None], str, str]] = {
    "region": (region, PARENT, "Denied: needs customJobs.list"),
    "run": (run, f"W&B: {KEY}", "Denied: not yours"),
    "item": (item, f"W&B: {KEY}", "Retry: 503"),
    "report": (report, KEY, "Retry: down"),
    "warning": (warning, f"{KEY}: warning", "Retry: down"),
    "record": (record, KEY, ODD),
    "close": (closing, f"{KEY}: mark or close", ODD),
    "topic": (topic, "topic", "TypeError: odd"),
    "build": (build, f"{PARENT}/builds/1", "Denied: needs builds.get"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_each_failure_has_its_line_and_its_error(scene: Scene, failure: str, caplog: pytest.LogCaptureFixture) -> None:
    """Both name the same place."""
    arrange, where, problem = FAILURES[failure]
    arrange(scene)
    lines(caplog)
    errors = scene.tick().errors
    assert failed(where) in lines(caplog)
    assert errors == [f"{where}: {problem}"]


def test_a_decision_that_fails_stops_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the mistake of ours; the launch stays as it is."""
    stopped(scene)

    def odd(*_: object) -> None:
        raise ValueError("odd")

    monkeypatch.setattr("functions.status.reconcile.decide", odd)
    report = scene.tick()
    assert (report.done, report.errors) == ({}, [f"{KEY}: ValueError: odd"])
    assert lines(caplog) == [failed(KEY)]


def test_the_agents_note_that_cannot_be_read_has_its_line(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """It may contain a pause, so no ticket goes out."""
    scene.queued()
    scene.clock.pass_(61)
    agents = InMemoryAgentBook()

    def odd() -> AgentNote | None:
        raise Retry("503")

    agents.read = odd  # type: ignore[method-assign]
    parts = (scene.ledger, scene.vertex, scene.wandb, scene.publisher, scene.clock, scene.builds)
    report = Status(*parts, parents=(PARENT,), connections=1, agents=agents).run(budget(scene.clock))
    assert (report.done, report.errors) == ({}, ["the agent's note: Retry: 503"])
    assert lines(caplog) == [failed("the agent's note")]


def test_work_that_is_left_has_one_line(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """With the number of actions."""
    for name in ("a", "b"):
        scene.ledger.write(scene.queued(name).end(Outcome.REJECTED, "no", scene.clock()))

    class Slow(FakeWandb):
        def item_statuses(self, items: Any) -> Any:
            scene.clock.pass_(600)
            return super().item_statuses(items)

    scene.wandb = Slow(items=scene.wandb.items)
    report = scene.tick()
    problem = "2 actions are left to the next tick: the budget is spent"
    assert (report.done, report.errors) == ({"Postpone": 2}, [problem])
    assert lines(caplog) == [("ERROR", "status.postponed", {"problem": problem})]


def test_what_is_refused_for_a_day_has_its_line(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """A report, a warning of an end, and events; the launch is closed all the same."""
    ended(scene)
    scene.clock.pass_(DAY)
    scene.wandb.fail["fail_item"] = Reject("item", "is gone")
    scene.tick()
    assert only_closed(caplog) == [never_told("item: is gone."), acted("Finish", "")]
    scene = Scene()
    launch = ended(scene)
    quiet = replace(launch.entry, report_owed=False, notice="Launched.", attempt=1)
    scene.ledger.write(replace(launch, entry=quiet))
    scene.clock.pass_(DAY)
    scene.wandb.fail["warn_item"] = Denied("403")
    scene.tick()
    assert only_closed(caplog) == [acted("Finish", ""), never_told("403")]


def test_events_that_are_refused_for_a_day_have_their_line(caplog: pytest.LogCaptureFixture) -> None:
    """Beside the failure of the topic at this tick."""
    scene = announcing.Scene()
    scene.events.unreachable = Retry("503")
    scene.ends(scene.works())
    scene.tick()
    scene.clock.pass_(DAY)
    lines(caplog)
    report = scene.tick()
    assert only_closed(caplog) == [
        acted("Finish"),
        failed("events"),
        never_told("its events could not be published for 1 day, 0:00:00"),
    ]
    assert report.errors == ["events: Retry: 503"]


def test_a_sweep_that_may_not_be_cancelled_has_its_line(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Its owner must stop it."""
    pushed = scene.wandb.push("item", QUEUE, **SCHEDULER)
    launch = scene.submit(scene.ledger.write(from_item("item", QUEUE, pushed.run_spec, scene.clock())))
    scene.run(launch, "failed")
    scene.vertex.put(JOB, "JOB_STATE_FAILED", "exit code 1")
    scene.wandb.fail["cancel_sweep"] = Reject("sweep", "may not be cancelled")
    scene.tick()
    told = never_told("sweep: may not be cancelled.", "status.sweep_not_cancelled +")
    assert only_closed(caplog) == [told, acted("Finish")]


def test_jobs_that_should_not_exist_have_their_lines(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """An orphan, a job of an older attempt, and a copy."""
    launch = scene.submitted()
    scene.ledger.withdraw(launch.key)
    scene.clock.pass_(301)
    scene.tick()
    assert lines(caplog) == [("ERROR", "status.orphan", {"launch_key": KEY, "job": JOB, "state": "JOB_STATE_RUNNING"})]
    queued = replace(launch, generation=0, entry=replace(launch.entry, state=State.QUEUED, job_name=""))
    again = scene.submit(scene.ledger.write(queued), attempt=2)
    copy = f"{PARENT}/customJobs/copy"
    scene.vertex.jobs[copy] = replace(scene.vertex.jobs[again.entry.job_name], name=copy)
    older = "a job of attempt 1 runs beside attempt 2"
    second = f"two CustomJobs of one attempt: {again.entry.job_name} and this one"
    report = scene.tick()
    doubled = [
        ("CRITICAL", "status.doubled", {"launch_key": KEY, "attempt": attempt, "job": job, "problem": problem})
        for attempt, job, problem in ((2, copy, second), (1, JOB, older))
    ]
    assert lines(caplog) == doubled
    assert report.errors == [f"doubled: {KEY}: {job}: {problem}" for job, problem in ((copy, second), (JOB, older))]
    assert report.doubled == [copy, JOB]
