"""The log lines of status, with their fields, and the errors of its report: operators read there what failed."""

from dataclasses import replace
from typing import Any

import pytest

from shared.core.errors import Conflict, Denied, Reject, Retry
from shared.core.intake import from_item
from shared.core.launch import Launch, Outcome, State
from shared.core.message import launch_key
from tests.fakes import FakeWandb
from tests.unit import test_announce as announcing
from tests.unit.lines import Line, lines
from tests.unit.test_reconcile import PARENT, QUEUE, SCHEDULER, Scene, building

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


def unreported(problem: str, event: str = "status.never_told +") -> Line:
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


def test_the_line_of_a_closed_launch_has_milliseconds(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """One of an earlier version, without all events, has only the total."""
    launch = scene.submitted()
    scene.run(launch, "finished")
    scene.clock.pass_(1.23456)
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED")
    scene.ledger.write(replace(launch, events=()))
    scene.tick()
    _, (_, event, fields) = lines(caplog)
    assert event == "launch.closed"
    seconds = {name: value for name, value in fields.items() if name.endswith("_seconds")}
    assert seconds == {"total_seconds": 1.235}
    assert (fields["outcome"], fields["attempts"]) == ("SUCCEEDED", 1)


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
    assert only_closed(caplog) == [unreported("item: is gone."), acted("Finish", "")]
    scene = Scene()
    launch = ended(scene)
    quiet = replace(launch.entry, report_owed=False, notice="Launched.", attempt=1)
    scene.ledger.write(replace(launch, entry=quiet))
    scene.clock.pass_(DAY)
    scene.wandb.fail["warn_item"] = Denied("403")
    scene.tick()
    assert only_closed(caplog) == [acted("Finish", ""), unreported("403")]


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
        unreported("its events could not be published for 1 day, 0:00:00"),
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
    line = unreported("sweep: may not be cancelled.", "status.sweep_not_cancelled +")
    assert only_closed(caplog) == [line, acted("Finish")]


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


def test_a_doubled_job_that_no_time_is_left_for_is_cancelled_later(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named at this tick all the same."""
    old = scene.submitted()
    scene.run(old)
    queued = replace(old, entry=replace(old.entry, state=State.QUEUED, job_name=""))
    scene.submit(scene.ledger.write(queued), attempt=2)

    class Slow(FakeWandb):
        def run_statuses(self, runs: Any) -> Any:
            scene.clock.pass_(600)
            return super().run_statuses(runs)

    scene.wandb = Slow(items=scene.wandb.items, runs=scene.wandb.runs)
    assert (scene.tick().done, scene.vertex.cancelled) == ({"Postpone": 1}, [])
    assert [event for _, event, _ in lines(caplog)] == ["status.doubled", "status.postponed"]
