"""Status reconciles: one listing, pages of jobs, hundreds of runs a query, and a report before a close."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.status.decide import decide
from functions.status.decisions import Decision
from functions.status.reconcile import Status
from functions.status.report import Report
from shared.core.budget import Budget
from shared.core.building import Recipe
from shared.core.errors import Denied, KeyRefused, LaunchError, Reject, Retry
from shared.core.intake import from_item, from_request
from shared.core.launch import Entry, Launch, Outcome, RunPath, State
from shared.core.message import Queue, Request, launch_key
from shared.core.ports import Answers, CustomJobCall, ItemStatus, RunStatus
from shared.core.shortage import Shortage
from tests.fakes import FakeBuilds, FakeClock, FakeJobLogs, FakePublisher, FakeVertex, FakeWandb, InMemoryLedger
from tests.fakes.clock import PLENTY

QUEUE = Queue(entity="team", name="vertex")
PARENT = "projects/p/locations/us-central1"
SCHEDULER = {
    "uri": "placeholder-uri-scheduler",
    "resource": "local-process",
    "run_id": "sw1",
    "overrides": {"entry_point": ["wandb", "scheduler", "sw1"]},
}
LATER = datetime(2027, 1, 1, tzinfo=UTC)
STOCKOUT = "Resources are insufficient in region: us-central1. Try a different region."


def budget(clock: FakeClock, seconds: float = 45) -> Budget:
    """Return the budget of an invocation on this clock."""
    return Budget(seconds, lambda: clock().timestamp())


@dataclass
class Scene:
    """A status with fakes around it."""

    clock: FakeClock = field(default_factory=FakeClock)
    ledger: InMemoryLedger = field(default_factory=InMemoryLedger)
    wandb: FakeWandb = field(default_factory=FakeWandb)
    publisher: FakePublisher = field(default_factory=FakePublisher)

    def __post_init__(self) -> None:
        self.vertex = FakeVertex(self.clock)
        self.builds = FakeBuilds()

    def tick(self) -> Report:
        """Call status once."""
        parts = (self.ledger, self.vertex, self.wandb, self.publisher, self.clock, self.builds)
        return Status(*parts, parents=(PARENT,), connections=1).run(budget(self.clock))

    def queued(self, item: str = "item", acked: bool = True) -> Launch:
        """Open a launch for an item."""
        pushed = self.wandb.push(item, QUEUE)
        launch = self.ledger.write(from_item(item, QUEUE, pushed.run_spec, self.clock()))
        if acked:
            pushed.state, pushed.run_name = "CLAIMED", launch.entry.run.run_id
        return launch

    def submitted(self, item: str = "item", parent: str = PARENT) -> Launch:
        """Open a launch whose job exists and runs."""
        return self.submit(self.queued(item), parent)

    def submit(self, launch: Launch, parent: str = PARENT, attempt: int = 1) -> Launch:
        """Do what submit does."""
        _, project, _, location = parent.split("/")
        labels = {"launch_key": launch.key, "launch_attempt": str(attempt)}
        name = self.vertex.create(CustomJobCall(project, location, {"labels": labels}, {}), PLENTY)
        self.vertex.put(name, "JOB_STATE_RUNNING")
        claimed = self.ledger.write(launch.move(State.SUBMITTING, attempt=attempt, parent=parent))
        moved = claimed.move(State.SUBMITTED, job_name=name, submitted_at=self.clock())
        return self.ledger.write(moved)

    def run(self, launch: Launch, state: str = "running", stopped: bool = False) -> None:
        """Let the launch's run exist."""
        self.wandb.runs[launch.entry.run] = RunStatus(state, stopped)


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()


def test_a_job_that_ended_with_a_run_is_closed_without_a_report(scene: Scene) -> None:
    """W&B's page shows the run; the item stays as it is."""
    launch = scene.submitted()
    scene.run(launch, "finished")
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED")
    assert scene.tick().done == {"Finish": 1}
    assert scene.ledger.closed[launch.key].entry.outcome is Outcome.SUCCEEDED
    assert scene.wandb.items["item"].state == "CLAIMED"
    assert not scene.ledger.open


def test_a_job_that_never_became_a_run_is_reported_with_vertex_s_error(scene: Scene) -> None:
    """After a moment for the run to appear."""
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "no such image")
    scene.tick()
    assert scene.wandb.items["item"].state == "CLAIMED"
    scene.clock.pass_(61)
    scene.tick()
    item = scene.wandb.items["item"]
    assert (item.state, item.stage) == ("FAILED", "run")
    assert "no such image" in item.error
    assert launch.key in scene.ledger.closed


@pytest.mark.parametrize("error", [Retry("503"), KeyRefused("W&B answers 401")])
def test_nothing_is_closed_before_wandb_has_taken_the_report(scene: Scene, error: LaunchError) -> None:
    """A W&B that is down, or does not take our key, delays the report and loses none."""
    launch = scene.queued()
    scene.ledger.write(launch.end(Outcome.REJECTED, "spec.staging_bucket: is empty", scene.clock()))
    scene.wandb.fail["fail_item"] = error
    for _ in range(3):
        assert str(error) in "".join(scene.tick().errors)
        scene.clock.pass_(24 * 3600)
    assert scene.ledger.open
    assert not scene.ledger.closed
    scene.wandb.fail.clear()
    scene.tick()
    assert scene.wandb.items["item"].error == "spec.staging_bucket: is empty"
    assert scene.wandb.items["item"].stage == "agent"
    assert not scene.ledger.open


def test_a_report_whose_answer_was_lost_is_made_again(scene: Scene) -> None:
    """The same report twice is one report."""
    launch = scene.queued()
    scene.ledger.write(launch.end(Outcome.REJECTED, "no", scene.clock()))
    scene.wandb.lose["fail_item"] = Retry("timed out")
    scene.tick()
    assert scene.ledger.open
    scene.tick()
    assert launch.key in scene.ledger.closed


def test_a_preempted_run_is_launched_again_as_the_same_run(scene: Scene) -> None:
    """Its launch keeps its run id, counts, tells its author once, and gets a job of its own; the slot stays taken."""
    pushed = scene.wandb.push("item", QUEUE, sweep_id="sw1")
    opened = scene.ledger.write(from_item("item", QUEUE, pushed.run_spec, scene.clock()))
    pushed.state, pushed.run_name = "CLAIMED", opened.entry.run.run_id
    launch = scene.submit(opened)
    scene.run(launch, "preempted")
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "the machine was taken away")
    assert scene.tick().done["Resume"] == 1
    again = scene.ledger.open[launch.key]
    assert (again.entry.state, again.entry.run, again.entry.resumes) == (State.QUEUED, launch.entry.run, 1)
    assert again.run_spec["_resume_count"] == 1
    assert "sweep_id" not in again.run_spec
    assert launch.entry.job_name in again.history[-1].result
    assert scene.publisher.published == []
    scene.tick()
    assert scene.publisher.published == [launch.key]
    assert pushed.warning == "Preempted; launched again (1 of 5 times)"


def test_a_launch_whose_count_an_older_submit_dropped_is_not_resumed_without_a_bound(scene: Scene) -> None:
    """During an upgrade: its run spec has the count, which every version keeps."""
    launch = scene.submit(scene.queued())
    dropped = replace(launch, run_spec={**launch.run_spec, "_resume_count": 5})
    launch = scene.ledger.write(replace(dropped, entry=replace(launch.entry, resumes=0)))
    scene.run(launch, "preempted")
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "the machine was taken away")
    scene.tick()
    assert (scene.ledger.open[launch.key].entry.resumes, scene.publisher.published) == (5, [])
    assert scene.tick().done["Finish"] == 1
    assert scene.ledger.closed[launch.key].entry.outcome is Outcome.FAILED
    assert "preempted after 5 resumes" in str(scene.wandb.items["item"].warning)


def test_a_job_that_finds_no_machines_is_tried_again_for_as_long_as_it_takes(scene: Scene) -> None:
    """It never began, and its author is not at fault: each wait has a warning, waits grow, and the queue is held."""
    launch, waits = scene.queued(), []
    for attempt in range(1, 12):
        launch = scene.submit(launch, attempt=attempt)
        scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", STOCKOUT)
        assert scene.tick().done["Wait"] == 1
        launch = scene.ledger.open[launch.key]
        entry = launch.entry
        assert (entry.state, entry.holds_queue, entry.job_name, entry.resumes) == (State.QUEUED, True, "", 0)
        assert entry.retry_at
        waits.append((entry.retry_at - scene.clock()).total_seconds())
        scene.tick()
        assert STOCKOUT in str(scene.wandb.items["item"].warning)
        assert f"training/{attempt}?" in str(scene.wandb.items["item"].warning)
        launch, scene.clock.now = scene.ledger.open[launch.key], entry.retry_at
    assert waits == [15, 30, 60, 120, 240, 480] + [600] * 5
    scene.publisher.published.clear()
    scene.tick()
    assert scene.publisher.published == [launch.key]


def test_deleting_a_waiting_item_ends_its_launch(scene: Scene) -> None:
    """There is no run yet that could be stopped; the launch ends, and its queue is popped again."""
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", STOCKOUT)
    scene.tick()
    scene.tick()
    assert scene.ledger.open[launch.key].entry.waits_for_room
    del scene.wandb.items["item"]
    assert scene.tick().done["Finish"] == 1
    assert scene.ledger.closed[launch.key].entry.outcome is Outcome.CANCELLED


def test_stop_wins_over_a_preempted_runs_next_job(scene: Scene) -> None:
    """Stopped after it was queued again: no job is made."""
    launch = scene.submitted()
    scene.run(launch, "preempted")
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "the machine was taken away")
    scene.tick()
    scene.run(launch, "preempted", stopped=True)
    assert scene.tick().done["Finish"] == 1
    assert scene.ledger.closed[launch.key].entry.outcome is Outcome.CANCELLED
    assert scene.wandb.items["item"].state == "CLAIMED"
    assert scene.publisher.published == []


def test_stop_wins_over_a_claim_that_was_quicker(scene: Scene) -> None:
    """The next job is made, and cancelled: the run is not preempted into another one."""
    launch = scene.submitted()
    scene.run(launch, "preempted")
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "the machine was taken away")
    scene.tick()
    scene.run(launch, "preempted", stopped=True)
    again = scene.submit(scene.ledger.open[launch.key], attempt=2)
    assert scene.tick().done["NoteStop"] == 1
    scene.clock.pass_(60)
    assert scene.tick().done["Cancel"] == 1
    assert scene.vertex.cancelled == [again.entry.job_name]
    scene.vertex.put(again.entry.job_name, "JOB_STATE_CANCELLED", "cancelled")
    scene.tick()
    assert scene.ledger.closed[launch.key].entry.outcome is Outcome.CANCELLED


def test_a_report_that_wandb_refuses_keeps_its_launch_open_for_a_day(scene: Scene) -> None:
    """It does not hold a slot for ever."""
    launch = scene.queued()
    scene.ledger.write(launch.end(Outcome.REJECTED, "no", scene.clock()))
    scene.wandb.fail["fail_item"] = Reject("item", "is FINISHED and W&B does not let it fail")
    scene.clock.pass_(86_399)
    assert scene.tick().done == {"Fail": 1}
    scene.clock.pass_(1)
    scene.tick()
    assert launch.key in scene.ledger.closed


@pytest.mark.parametrize("both", [True, False])
def test_a_close_that_died_half_way_is_finished(scene: Scene, both: bool) -> None:
    """`closed/` written, `open/` still there."""
    launch = scene.queued()
    ended = scene.ledger.write(launch.end(Outcome.REJECTED, "no", scene.clock()))
    if both:
        scene.ledger.closed[launch.key] = ended
    scene.tick()
    assert (list(scene.ledger.open), list(scene.ledger.closed)) == ([], [launch.key])


def test_stop_in_wandb_cancels_the_job_after_its_timeout(scene: Scene) -> None:
    """The script may end by itself first; a reason is written before the cancel is sent."""
    launch = scene.submitted()
    scene.run(launch, stopped=True)
    assert scene.tick().done == {"NoteStop": 1}
    scene.clock.pass_(59)
    scene.tick()
    assert scene.vertex.cancelled == []
    scene.clock.pass_(1)
    assert scene.tick().done == {"Cancel": 1}
    assert scene.vertex.cancelled == [launch.entry.job_name]
    assert scene.ledger.open[launch.key].entry.cancel_reason == "The run was stopped in W&B."
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_CANCELLED", "cancelled")
    scene.tick()
    assert scene.ledger.closed[launch.key].entry.outcome is Outcome.CANCELLED


def test_a_cancel_that_failed_is_sent_again(scene: Scene) -> None:
    """It is due until Vertex AI shows it."""
    launch = scene.submitted()
    scene.run(launch, stopped=True)
    scene.tick()
    scene.clock.pass_(60)
    scene.vertex.cancelled = []
    scene.tick()
    scene.tick()
    assert len(scene.vertex.cancelled) == 2
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_CANCELLING")
    scene.tick()
    assert len(scene.vertex.cancelled) == 2


def test_a_job_that_stays_pending_is_cancelled_and_its_item_failed(scene: Scene) -> None:
    """With the timeout's name in the message."""
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_PENDING")
    scene.clock.pass_(1801)
    scene.tick()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_CANCELLED")
    scene.clock.pass_(61)
    scene.tick()
    assert "pending in Vertex AI for more than 1800 seconds" in scene.wandb.items["item"].error


def test_a_deleted_job_is_asked_for_by_name_and_then_reported(scene: Scene) -> None:
    """One get, and only for the job that is missing."""
    kept, launch = scene.submitted("kept"), scene.submitted()
    scene.run(kept)
    del scene.vertex.jobs[launch.entry.job_name]
    scene.clock.pass_(300)
    scene.tick()
    assert scene.vertex.gets == 1
    assert "was deleted in Vertex AI" in scene.wandb.items["item"].error
    assert list(scene.ledger.open) == [kept.key]


def test_a_job_that_ended_long_ago_is_found(scene: Scene) -> None:
    """After an outage of status of a day; one call for a job alone, because the report quotes its error."""
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "out of memory")
    scene.clock.pass_(86_400)
    scene.tick()
    assert "out of memory" in scene.wandb.items["item"].error
    assert scene.vertex.gets == 1


def test_a_job_is_found_though_the_clock_of_vertex_is_slow(scene: Scene) -> None:
    """By four minutes: it shows a job as older than the launch that created it."""
    launch = scene.submitted()
    scene.run(launch, "finished")
    created = launch.entry.opened_at - timedelta(minutes=4)
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED", created_at=created)
    scene.clock.pass_(600)
    assert scene.tick().done == {"Finish": 1}
    assert scene.vertex.gets == 1


def test_a_thousand_jobs_that_end_at_once_are_seen_in_one_listing(scene: Scene) -> None:
    """Beside that of the living ones."""
    for number in range(1000):
        launch = scene.submitted(f"item{number}")
        scene.run(launch, "finished")
        scene.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED")
    assert scene.tick().done == {"Finish": 1000}
    assert (scene.vertex.listings, scene.vertex.gets) == (2, 0)


def test_launches_that_are_due_are_published(scene: Scene) -> None:
    """An acked launch whose ticket was lost, a claim that ended, a retry, a request; nothing that was not acked."""
    lost, unacked, ended, retry = (scene.queued(i, acked=i != "unacked") for i in ("lost", "unacked", "ended", "retry"))
    request = scene.ledger.write(from_request(Request(source="ci", idempotency_key="1", run_spec={}), scene.clock()))
    now = scene.clock()
    claim = ended.move(State.SUBMITTING, attempt=1, lease_until=now)
    scene.ledger.write(claim)
    claimed = scene.ledger.write(retry.move(State.SUBMITTING, attempt=1, lease_until=now))
    scene.ledger.write(claimed.move(State.QUEUED, retry_at=now))
    scene.clock.pass_(61)
    scene.tick()
    assert sorted(scene.publisher.published) == sorted([lost.key, ended.key, retry.key, request.key])
    assert unacked.key in scene.ledger.open


def test_without_wandb_what_is_certain_is_published_all_the_same(scene: Scene) -> None:
    """Status decides nothing that depends on W&B."""
    waiting, ended = scene.queued("waiting"), scene.queued("ended")
    scene.ledger.write(ended.move(State.SUBMITTING, attempt=1, lease_until=scene.clock()))
    scene.clock.pass_(61)
    scene.wandb.fail["run_statuses"] = Retry("down")
    report = scene.tick()
    assert scene.publisher.published == [ended.key]
    assert report.errors == [f"W&B: {waiting.key}: Retry: down"]
    assert waiting.key in scene.ledger.open


@pytest.mark.parametrize("error", [Retry("503"), Denied("needs customJobs.list")])
def test_a_region_that_does_not_answer_hides_only_its_own_jobs(scene: Scene, error: LaunchError) -> None:
    """No job counts as gone because it could not be seen; the others go on. Only the ended job is got by its name."""
    here = scene.submitted("here")
    there = scene.submitted("there", "projects/p/locations/europe-west4")
    scene.run(here, "finished")
    scene.vertex.put(here.entry.job_name, "JOB_STATE_SUCCEEDED")
    scene.clock.pass_(300)

    class Half(FakeVertex):
        def list_jobs(self, parent, span=None):  # type: ignore[no-untyped-def]
            if "europe" in parent:
                raise error
            return super().list_jobs(parent, span)

    scene.vertex = Half(scene.clock, scene.vertex.jobs)
    report = scene.tick()
    assert len(report.errors) == 1
    assert list(scene.ledger.open) == [there.key]
    assert scene.vertex.gets == 1


def test_a_page_of_jobs_that_does_not_come_hides_only_its_own_jobs(scene: Scene) -> None:
    """What the first page shows is acted upon; a job of the second is neither asked for nor counted as gone."""
    seen, unseen = scene.submitted("seen"), scene.submitted("unseen")
    for launch in (seen, unseen):
        scene.run(launch, "running", stopped=True)
    scene.tick()
    scene.clock.pass_(300)

    class FirstPage(FakeVertex):
        def list_jobs(self, parent, span=None):  # type: ignore[no-untyped-def]
            yield self.jobs[seen.entry.job_name]
            raise Retry("the second page does not come")

    scene.vertex = FirstPage(scene.clock, scene.vertex.jobs)
    report = scene.tick()
    assert scene.vertex.cancelled == [seen.entry.job_name]
    assert scene.vertex.gets == 0
    assert set(scene.ledger.open) == {seen.key, unseen.key}
    assert len(report.errors) == 1


def test_another_agent_s_item_is_withdrawn_and_not_reported(scene: Scene) -> None:
    """It never was ours."""
    launch = scene.queued(acked=False)
    scene.wandb.items["item"].state, scene.wandb.items["item"].run_name = "CLAIMED", "theirs"
    scene.clock.pass_(61)
    assert scene.tick().done == {"Withdraw": 1}
    assert launch.key not in scene.ledger.open | scene.ledger.closed
    assert scene.wandb.items["item"].error == ""


def test_a_waiting_launch_tells_its_author_once(scene: Scene) -> None:
    """Not at every tick."""
    launch = scene.queued()
    scene.ledger.write(launch.tell("Waiting: no room"))
    for _ in range(3):
        scene.tick()
    assert scene.wandb.items["item"].warning == "Waiting: no room"
    assert scene.wandb.calls.count("warn_item") == 1


def test_a_claimed_launch_is_not_written_to_for_a_notice_s_sake(scene: Scene) -> None:
    """The claim's holder records the job on its own write; the author gets the report afterwards."""
    launch = scene.ledger.write(scene.queued().tell("Waiting: no room"))
    lease = scene.clock() + timedelta(minutes=11)
    claimed = scene.ledger.write(launch.move(State.SUBMITTING, attempt=1, parent=PARENT, lease_until=lease))
    scene.tick()
    assert scene.wandb.calls.count("warn_item") == 0
    scene.ledger.write(claimed.move(State.SUBMITTED, job_name="j", submitted_at=scene.clock()))
    scene.tick()
    assert scene.wandb.items["item"].warning == "Waiting: no room"


def test_a_job_under_our_label_without_a_launch_is_reported(scene: Scene) -> None:
    """An orphan: nobody would cancel it, or report its end. A young one may belong to a launch opened meanwhile."""
    launch = scene.submitted()
    scene.ledger.withdraw(launch.key)
    scene.clock.pass_(299)
    assert scene.tick().orphans == []
    scene.clock.pass_(2)
    assert scene.tick().orphans == [launch.entry.job_name]


def test_two_jobs_of_one_attempt_are_an_alarm(scene: Scene) -> None:
    """The promise was broken, or somebody copied a job with its labels: nothing is cancelled."""
    launch = scene.submitted()
    scene.run(launch)
    first = scene.vertex.jobs[launch.entry.job_name]
    scene.vertex.jobs[f"{PARENT}/customJobs/copy"] = replace(first, name=f"{PARENT}/customJobs/copy")
    [error] = scene.tick().errors
    assert "two CustomJobs of one attempt" in error
    assert launch.key in error
    assert scene.vertex.cancelled == []


def test_two_ticks_at_the_same_time_report_an_end_once(scene: Scene) -> None:
    """The second sees the end while the first reports it: the item gets one error, and the launch is closed."""
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "no such image")
    scene.clock.pass_(61)
    reports: list[str] = []

    class Overtaken(FakeWandb):
        def fail_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
            if not reports:
                reports.append(message)
                assert scene.tick().done == {"Finish": 1}
            reports.append(message)
            super().fail_item(queue, item_id, message, stage)

    scene.wandb = Overtaken(items=scene.wandb.items)
    assert scene.tick().errors == []
    assert set(reports) == {scene.wandb.items["item"].error}
    assert (list(scene.ledger.open), list(scene.ledger.closed)) == ([], [launch.key])
    assert scene.tick().done == {}


def test_a_run_that_wandb_shows_as_crashed_is_left_alone_while_its_job_lives(scene: Scene) -> None:
    """W&B has not heard of it for a while, no more: the item stays as it is, and the job's end decides."""
    launch = scene.submitted()
    scene.run(launch, "crashed")
    for _ in range(3):
        scene.clock.pass_(3600)
        assert scene.tick().done == {}
    assert (scene.wandb.items["item"].state, scene.vertex.cancelled) == ("CLAIMED", [])
    scene.run(launch, "finished")
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED")
    scene.tick()
    assert scene.ledger.closed[launch.key].entry.outcome is Outcome.SUCCEEDED
    assert scene.wandb.items["item"].state == "CLAIMED"


def test_a_state_that_nobody_knows_yet_is_waited_out_and_named_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """A JobState that did not exist when this was written."""
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_HIBERNATING")
    for _ in range(3):
        assert scene.tick().done == {}
        scene.clock.pass_(3600)
    assert [record.message for record in caplog.records].count("status.unknown_job_state") == 1
    assert list(scene.ledger.open) == [launch.key]


def test_a_job_that_is_stuck_for_a_day_alarms_operators_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """An alert policy counts this line; the response and the launch's notice say the same."""
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_PAUSED")
    errors = []
    for _ in range(5):
        errors += scene.tick().errors
        scene.clock.pass_(12 * 3600 + 1)
    (line,) = [record for record in caplog.records if record.message == "status.stuck"]
    fields = line.fields  # type: ignore[attr-defined]
    assert (line.levelname, fields["launch_key"]) == ("ERROR", launch.key)
    assert fields["problem"].startswith("The job has been PAUSED in Vertex AI for more than ")
    assert errors == [f"{launch.key}: {fields['problem']}"]
    assert scene.ledger.open[launch.key].entry.notice == fields["problem"]


STOPPED_WHILE = ["it waits", "it is submitted", "it is pending", "it runs", "a requeue is due", "it waits for room"]


@pytest.mark.parametrize("moment", STOPPED_WHILE)
def test_stop_wins_whenever_it_is_pressed(scene: Scene, moment: str) -> None:
    """No job lives on, and none is made afterwards."""
    launch = scene.queued() if moment in ("it waits", "it is submitted") else scene.submitted()
    if moment == "it is submitted":
        launch = scene.ledger.write(
            launch.move(State.SUBMITTING, attempt=1, lease_until=scene.clock() + timedelta(hours=1))
        )
    elif moment == "it is pending":
        scene.vertex.put(launch.entry.job_name, "JOB_STATE_PENDING")
    elif moment == "a requeue is due":
        scene.run(launch, "preempted")
        scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "the machine was taken away")
        assert scene.tick().done["Resume"] == 1
    elif moment == "it waits for room":
        scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", STOCKOUT)
        assert scene.tick().done["Wait"] == 1
    scene.run(launch, "pending" if moment in STOPPED_WHILE[:3] else "running", stopped=True)
    scene.clock.pass_(61)
    if moment == "it is submitted":  # stop is seen when the claim is over, and the job is there by then
        assert scene.tick().done == {}
        scene.submit(launch)
    for _ in range(4):
        scene.tick()
        for name in scene.vertex.cancelled:
            scene.vertex.put(name, "JOB_STATE_CANCELLED", "cancelled")
        scene.vertex.cancelled.clear()
        scene.clock.pass_(61)
    assert all(job.ended_at for job in scene.vertex.jobs.values())
    assert scene.ledger.closed[launch.key].entry.outcome is Outcome.CANCELLED
    assert (list(scene.ledger.open), scene.publisher.published) == ([], [])


def test_a_change_since_the_listing_is_left_to_the_next_tick(scene: Scene) -> None:
    """Two ticks, or a tick and a submit, do not undo each other's work."""
    launch = scene.submitted()
    scene.run(launch, stopped=True)

    class Changed(InMemoryLedger):
        def read(self, key: str) -> Launch | None:
            found = scene.ledger.open[key]
            return replace(found, entry=replace(found.entry, noticed=True))

    changed = Changed()
    changed.open = scene.ledger.open
    scene.ledger = changed
    assert scene.tick().done == {"Changed": 1}


def test_work_beyond_the_budget_waits_for_the_next_tick(scene: Scene) -> None:
    """Nothing is begun after the budget."""
    scene.ledger.write(scene.queued("a").end(Outcome.REJECTED, "no", scene.clock()))
    scene.ledger.write(scene.queued("b").end(Outcome.REJECTED, "no", scene.clock()))

    class Slow(FakeWandb):
        def fail_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
            scene.clock.pass_(60)
            super().fail_item(queue, item_id, message, stage)

    scene.wandb = Slow(items=scene.wandb.items)
    report = scene.tick()
    assert report.done == {"Finish": 1, "Postpone": 1}
    assert report.errors == ["1 actions are left to the next tick: the budget is spent"]
    assert scene.tick().done == {"Finish": 1}


def test_jobs_that_no_listing_shows_are_got_within_the_budget(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand of them would keep a tick busy far beyond its function's timeout."""
    for name in ("a", "b", "c"):
        scene.submitted(name)
    got = []

    def slow(name: str) -> None:
        scene.clock.pass_(60)
        got.append(name)

    monkeypatch.setattr(scene.vertex, "list_jobs", lambda *_: iter(()))
    monkeypatch.setattr(scene.vertex, "get_job", slow)
    scene.clock.pass_(600)
    assert scene.tick().done == {"Postpone": 3}
    assert len(got) == 1


def test_a_launch_that_becomes_overdue_while_wandb_is_asked_is_not_taken_for_removed(scene: Scene) -> None:
    """Its item was not asked for in this tick; the next one publishes its ticket."""
    launch = scene.queued()

    class Slow(FakeWandb):
        def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
            scene.clock.pass_(61)
            return super().run_statuses(runs)

    scene.wandb = Slow(items=scene.wandb.items)
    assert scene.tick().done == {}
    assert list(scene.ledger.open) == [launch.key]
    assert scene.tick().done == {"Publish": 1}
    assert scene.publisher.published == [launch.key]


def test_a_launch_that_cannot_be_read_does_not_stop_the_others(scene: Scene) -> None:
    """It is in the report, at every tick."""
    for item in ("bad", "good"):
        scene.ledger.write(scene.queued(item).end(Outcome.REJECTED, "no", scene.clock()))
    bad = launch_key("wandb", "bad")

    class Odd(InMemoryLedger):
        def read(self, key: str) -> Launch | None:
            if key == bad:
                raise ValueError("no launch at all")
            return super().read(key)

    odd = Odd()
    odd.open = scene.ledger.open
    scene.ledger = odd
    report = scene.tick()
    assert (report.done, report.errors) == ({"Fail": 1, "Finish": 1}, [f"{bad}: ValueError: no launch at all"])


def test_the_calls_do_not_grow_with_the_launches(scene: Scene) -> None:
    """A thousand launches that run: one listing of the ledger, one of the region, and no call for any one of them."""
    for number in range(1000):
        scene.run(scene.submitted(f"item{number}"))
    scene.wandb.calls.clear()
    scene.ledger.reads = 0
    scene.tick()
    assert (scene.ledger.listings, scene.ledger.reads, scene.vertex.listings, scene.vertex.gets) == (1, 0, 1, 0)
    assert scene.wandb.calls == ["run_statuses"]


@pytest.mark.parametrize(
    ("state", "ended"), [("JOB_STATE_FAILED", True), ("JOB_STATE_SUCCEEDED", False), ("JOB_STATE_CANCELLED", False)]
)
def test_a_sweep_ends_with_its_scheduler_where_that_fails(scene: Scene, state: str, ended: bool) -> None:
    """No other process would make its runs; a W&B that is down is asked again."""
    pushed = scene.wandb.push("item", QUEUE, **SCHEDULER)
    launch = scene.submit(scene.ledger.write(from_item("item", QUEUE, pushed.run_spec, scene.clock())))
    scene.run(launch, "failed")
    scene.vertex.put(scene.ledger.open[launch.key].entry.job_name, state, "exit code 1")
    scene.wandb.fail["cancel_sweep"] = Retry("W&B is down")
    scene.tick()
    assert (launch.key in scene.ledger.open) is ended
    scene.wandb.fail.clear()
    scene.tick()
    assert scene.wandb.cancelled_sweeps == [launch.entry.run] * ended
    assert launch.key in scene.ledger.closed


def test_a_sweep_that_may_not_be_cancelled_does_not_keep_its_launch_open(scene: Scene) -> None:
    """The log says so; its owner stops it."""
    pushed = scene.wandb.push("item", QUEUE, **SCHEDULER)
    launch = scene.submit(scene.ledger.write(from_item("item", QUEUE, pushed.run_spec, scene.clock())))
    scene.run(launch, "failed")
    scene.vertex.put(scene.ledger.open[launch.key].entry.job_name, "JOB_STATE_FAILED", "exit code 1")
    scene.wandb.fail["cancel_sweep"] = Reject("sweep", "may not be cancelled")
    scene.tick()
    assert launch.key in scene.ledger.closed


def test_a_launch_that_an_earlier_version_took_for_a_scheduler_cancels_no_sweep(scene: Scene) -> None:
    """Its command schedules nothing: it only names the sweep."""
    false = {**SCHEDULER, "overrides": {"entry_point": ["sh", "-c", "exit 1"]}}
    pushed = scene.wandb.push("item", QUEUE, **false)
    launch = from_item("item", QUEUE, pushed.run_spec, scene.clock())
    recorded = scene.ledger.write(replace(launch, entry=replace(launch.entry, scheduler=True)))
    scene.run(scene.submit(recorded), "failed")
    scene.vertex.put(scene.ledger.open[launch.key].entry.job_name, "JOB_STATE_FAILED", "exit code 1")
    scene.tick()
    assert launch.key in scene.ledger.closed
    assert scene.wandb.cancelled_sweeps == []


def building(scene: Scene, item: str = "item", image: str = "img:tag") -> Launch:
    """Open a launch that waits for the build of its image, as submit leaves it."""
    launch = scene.queued(item)
    build = scene.builds.ensure(Recipe(image, "gs://staging", "team/cats/train:v1"), PLENTY).build
    claimed = scene.ledger.write(launch.move(State.SUBMITTING, attempt=1, parent=PARENT))
    return scene.ledger.write(claimed.move(State.QUEUED, build=build).tell(f"Building the image {image}."))


def test_a_launch_that_waits_for_a_build_stays_and_its_author_is_notified(scene: Scene) -> None:
    """Once; one call for all that wait for the same build, however long it takes."""
    launches = [building(scene, item) for item in ("one", "two")]
    for _ in range(3):
        scene.tick()
        scene.clock.pass_(3600)
    assert (scene.publisher.published, scene.builds.gets) == ([], 3)
    assert scene.wandb.calls.count("warn_item") == 2
    assert {item.warning for item in scene.wandb.items.values()} == {"Building the image img:tag."}
    assert {scene.ledger.open[launch.key].entry.build for launch in launches} == {launches[0].entry.build}


@pytest.mark.parametrize("gone", [False, True])
def test_a_built_image_brings_its_launches_on_at_once(scene: Scene, gone: bool) -> None:
    """A build that nobody knows any more, too: submit looks whether the image is there."""
    launches = [building(scene, item) for item in ("one", "two")]
    if gone:
        scene.builds.builds.clear()
    else:
        scene.builds.end(launches[0].entry.build)
    assert scene.tick().done == {"Built": 2}
    assert sorted(scene.publisher.published) == sorted(launch.key for launch in launches)
    assert {scene.ledger.open[launch.key].entry.claimable(scene.clock()) for launch in launches} == {True}


def test_a_built_launch_whose_ticket_is_not_published_gets_it_at_the_next_tick(scene: Scene) -> None:
    """The topic was down, or we died after the write."""
    launch = building(scene)
    scene.builds.end(launch.entry.build)
    scene.publisher.unreachable = Retry("topic")
    assert scene.tick().errors
    scene.publisher.unreachable = None
    assert scene.tick().done == {"Publish": 1}
    assert scene.publisher.published == [launch.key]


def test_a_failed_build_fails_every_item_that_waits_for_it(scene: Scene) -> None:
    """At the stage `build`, in Cloud Build's words, with its log; also where W&B hears of it a tick later."""
    launches = [building(scene, item) for item in ("one", "two")]
    scene.builds.end(launches[0].entry.build, "FAILURE", "step 0 exited with 1.")
    scene.wandb.fail["fail_item"] = Retry("down")
    scene.tick()
    del scene.wandb.fail["fail_item"]
    assert scene.tick().done == {"Finish": 2}
    for item in scene.wandb.items.values():
        assert (item.state, item.stage) == ("FAILED", "build")
        assert item.error == (
            "The image could not be built (FAILURE: step 0 exited with 1). The build's log: "
            f"https://console.test/{launches[0].entry.build}"
        )
    assert {scene.ledger.closed[launch.key].entry.outcome for launch in launches} == {Outcome.FAILED}


def test_stop_while_an_image_is_built_ends_the_launch(scene: Scene) -> None:
    """The build goes on, for others may wait for it; a launch that has ended asks for it no more."""
    launch, other = building(scene, "one"), building(scene, "two")
    scene.run(launch, "pending", stopped=True)
    assert scene.tick().done["Finish"] == 1
    assert scene.ledger.closed[launch.key].entry.outcome is Outcome.CANCELLED
    assert scene.ledger.open[other.key].entry.build == other.entry.build


def test_a_build_that_cannot_be_asked_for_holds_nothing_else_up(scene: Scene) -> None:
    """It is asked for again at the next tick."""
    waits, due = building(scene, "one"), scene.submitted("two")
    scene.run(due, "finished")
    scene.vertex.put(due.entry.job_name, "JOB_STATE_SUCCEEDED")
    scene.builds.unreachable = Denied("cloudbuild.builds.get")
    report = scene.tick()
    assert report.errors == [f"{waits.entry.build}: Denied: cloudbuild.builds.get"]
    assert due.key in scene.ledger.closed
    assert waits.key in scene.ledger.open


def test_one_run_that_cannot_be_asked_for_leaves_only_its_own_launch_undecided(scene: Scene) -> None:
    """Its launch is named; all others are reported, cancelled and published."""
    refused, stopped, never, due = (scene.submitted(i) for i in ("refused", "stopped", "never", "due"))
    for launch in (refused, stopped):
        scene.run(launch, stopped=launch is stopped)
    for launch in (refused, never):
        scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "exit code 1")
    claim = replace(due, entry=replace(due.entry, state=State.SUBMITTING, lease_until=scene.clock()))
    scene.ledger.write(claim)
    scene.wandb.failed[refused.entry.run] = Denied("the project is not yours")
    scene.clock.pass_(61)
    report = scene.tick()
    assert report.done == {"NoteStop": 1, "Finish": 1, "Publish": 1}
    assert report.errors == [f"W&B: {refused.key}: Denied: the project is not yours"]
    assert scene.wandb.items["never"].state == "FAILED"
    assert scene.publisher.published == [due.key]
    assert sorted(scene.ledger.open) == sorted([refused.key, stopped.key, due.key])


def test_an_answer_of_wandb_that_nobody_foresaw_is_no_fact(scene: Scene) -> None:
    """Decisions without an answer go on: a claim that ended, and a report that is owed."""
    claimed, ended, runs = scene.queued("claimed"), scene.queued("ended"), scene.submitted("runs")
    scene.ledger.write(claimed.move(State.SUBMITTING, attempt=1, lease_until=scene.clock()))
    attempted = ended.move(State.SUBMITTING, attempt=1)
    scene.ledger.write(attempted.end(Outcome.REJECTED, "no", scene.clock()))
    scene.wandb.fail |= {"run_statuses": KeyError("project"), "item_statuses": TypeError("null")}
    report = scene.tick()
    assert report.done == {"Publish": 1, "Finish": 1}
    assert ["KeyError" in error and runs.key in error for error in report.errors] == [True]


@pytest.mark.parametrize(
    ("acker", "done", "state"),
    [("ours", {"Finish": 1}, "FAILED"), ("", {}, "LEASED"), ("another", {"Withdraw": 1}, "CLAIMED")],
)
def test_an_item_that_poll_refused_is_reported_once_it_is_ours(
    scene: Scene, acker: str, done: dict[str, int], state: str
) -> None:
    """Poll may have ended before its ack, and another agent may have the item by now."""
    launch = scene.queued()
    item = scene.wandb.items[launch.entry.item_id]
    item.state = state if acker != "ours" else "CLAIMED"
    item.run_name = launch.entry.run.run_id if acker == "ours" else acker
    scene.ledger.write(launch.end(Outcome.REJECTED, "run_spec.lr: is NaN", scene.clock()))
    assert scene.tick().done == done
    assert (item.state, item.error) == (state, "run_spec.lr: is NaN" if acker == "ours" else "")
    assert (launch.key in scene.ledger.open) == (acker == "")


def test_a_lease_that_ends_while_jobs_are_listed_is_published_in_that_tick(scene: Scene) -> None:
    """One pass decides what is due, after observing."""
    launch = scene.queued()
    scene.ledger.write(launch.move(State.SUBMITTING, attempt=1, lease_until=scene.clock() + timedelta(seconds=5)))

    class Slow(FakeVertex):
        def list_jobs(self, parent, span=None):  # type: ignore[no-untyped-def]
            scene.clock.pass_(10)
            return super().list_jobs(parent, span)

    scene.vertex = Slow(scene.clock)
    assert scene.tick().done == {"Publish": 1}


def test_launches_that_are_due_are_published_with_every_region_down(scene: Scene) -> None:
    """A ticket needs no job."""
    launch = scene.queued()
    scene.ledger.write(launch.move(State.SUBMITTING, attempt=1, lease_until=scene.clock()))
    scene.vertex.unreachable = Retry("down")
    scene.wandb.fail |= {"run_statuses": Retry("down"), "item_statuses": Retry("down")}
    assert scene.tick().done == {"Publish": 1}
    assert scene.publisher.published == [launch.key]


@pytest.mark.parametrize("error", [Retry("503"), Reject("item", "is gone"), KeyRefused("401"), ValueError("odd")])
def test_a_warning_that_fails_holds_no_decision_up(scene: Scene, error: Exception) -> None:
    """The job is cancelled all the same; the warning's failure is its own error, and it is sent again."""
    launch = scene.submitted()
    scene.ledger.write(scene.ledger.open[launch.key].tell("Launched after 5s"))
    scene.run(launch, stopped=True)
    scene.wandb.fail["warn_item"] = error
    report = scene.tick()
    assert (report.done, len(report.errors)) == ({"NoteStop": 1, "Fail": 1}, 1)
    assert report.errors[0].startswith(f"{launch.key}: warning: ")
    scene.clock.pass_(60)
    assert scene.tick().done == {"Cancel": 1, "Fail": 1}
    assert scene.vertex.cancelled == [launch.entry.job_name]
    scene.wandb.fail.clear()
    scene.tick()
    assert scene.wandb.items["item"].warning == "Launched after 5s"


def test_the_warning_of_an_end_is_sent_before_the_launch_is_closed(scene: Scene) -> None:
    """A W&B that is down gets it later; one that refuses it for a day does not keep the launch open."""
    launch = scene.submitted()
    scene.run(launch)
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "The job timed out.", started_at=scene.clock())
    scene.wandb.fail["warn_item"] = Retry("down")
    scene.tick()
    assert scene.ledger.open[launch.key].entry.state is State.ENDED
    scene.clock.pass_(3600)
    del scene.wandb.fail["warn_item"]
    scene.tick()
    assert "The job timed out." in scene.wandb.items["item"].warning
    assert scene.wandb.items["item"].state == "CLAIMED"
    assert launch.key in scene.ledger.closed


def test_a_warning_that_is_refused_for_a_day_is_given_up(scene: Scene) -> None:
    """The log names it."""
    launch = scene.submitted()
    scene.run(launch)
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "The job timed out.", started_at=scene.clock())
    scene.wandb.fail["warn_item"] = Denied("403")
    scene.tick()
    scene.clock.pass_(86_400)
    scene.tick()
    assert launch.key in scene.ledger.closed


@pytest.mark.parametrize("state", ["finished", "running"])
def test_an_item_never_goes_on_saying_that_it_waits(scene: Scene, state: str) -> None:
    """It is not published while its job runs, or if the job ended before status looked."""
    launch = scene.submitted()
    entry = replace(launch.entry, notice="Waiting: no room", noticed=True)
    scene.ledger.write(replace(scene.ledger.open[launch.key], entry=entry))
    scene.wandb.items["item"].warning = "Waiting: no room"
    scene.run(launch, state)
    if state == "finished":
        scene.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED")
    scene.tick()
    assert scene.wandb.items["item"].warning.startswith("Launched")


def test_a_job_that_is_queued_for_quota_says_so_and_holds_no_queue(scene: Scene) -> None:
    """For any length of time; once it is pending, its start timeout begins."""
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_QUEUED")
    for _ in range(3):
        scene.tick()
        scene.clock.pass_(86_400)
    assert scene.wandb.items["item"].warning.startswith("Waiting: Vertex AI keeps the job queued")
    assert scene.wandb.calls.count("warn_item") == 1
    assert not scene.ledger.open[launch.key].entry.holds_queue
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_PENDING")
    assert scene.tick().done == {"Note": 1}
    assert scene.wandb.items["item"].warning.startswith("Launched after 3d0h: https://")
    scene.clock.pass_(1800)
    assert scene.tick().done == {}
    scene.clock.pass_(1)
    assert scene.tick().done == {"Cancel": 1}


def test_a_job_that_is_paused_for_a_day_is_an_error_once(scene: Scene) -> None:
    """Its item says so, too."""
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_PAUSED")
    errors = []
    for _ in range(4):
        errors.append(len(scene.tick().errors))
        scene.clock.pass_(43_200)
    assert errors == [0, 0, 1, 0]
    assert "has been PAUSED in Vertex AI" in scene.wandb.items["item"].warning


def test_an_internal_error_of_google_s_is_tried_again_three_times(scene: Scene) -> None:
    """Then its author reads why not again."""
    launch = scene.queued()
    for attempt in range(1, 5):
        launch = scene.submit(launch, attempt=attempt)
        scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "Internal error occurred for the current attempt.")
        scene.clock.pass_(61)
        done = scene.tick().done
        if attempt < 4:
            assert done == {"Repeat": 1}
            launch = scene.ledger.open[launch.key]
            assert not launch.entry.holds_queue
            assert f"launched again ({attempt} of 3 times)" in scene.wandb.items["item"].warning
    assert scene.wandb.items["item"].state == "FAILED"
    assert "Not launched again after 4 such jobs" in scene.wandb.items["item"].error
    assert "Internal error occurred" in scene.wandb.items["item"].error


def test_a_job_without_quota_at_all_is_not_waited_for(scene: Scene) -> None:
    """Its quota is zero."""
    launch = scene.submitted()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "Quota 'T4' exceeded. Limit: 0.0 in region r.")
    scene.tick()
    assert scene.wandb.items["item"].state == "FAILED"
    assert "waiting does not help" in scene.wandb.items["item"].error
    assert launch.key in scene.ledger.closed


def test_a_living_job_of_an_older_attempt_is_cancelled_beside_a_newer_one(scene: Scene) -> None:
    """It is named at every tick until it is gone."""
    old = scene.submitted()
    scene.run(old)
    queued = replace(old, entry=replace(old.entry, state=State.QUEUED, job_name=""))
    new = scene.submit(scene.ledger.write(queued), attempt=2)
    report = scene.tick()
    assert report.done == {"CancelDoubled": 1}
    assert scene.vertex.cancelled == [old.entry.job_name]
    assert [old.entry.job_name in error for error in report.errors] == [True]
    assert scene.ledger.open[new.key].entry.state is State.SUBMITTED
    scene.vertex.put(old.entry.job_name, "JOB_STATE_CANCELLING")
    assert (scene.tick().done, len(scene.vertex.cancelled)) == ({}, 1)


def test_a_living_job_of_an_attempt_that_was_given_up_is_named_and_left_alone(scene: Scene) -> None:
    """There is no newer one yet: it may be the only one."""
    old = scene.submitted()
    scene.ledger.write(replace(old, entry=replace(old.entry, state=State.QUEUED, job_name="", retry_at=LATER)))
    report = scene.tick()
    assert (report.done, scene.vertex.cancelled) == ({}, [])
    assert [old.entry.job_name in error for error in report.errors] == [True]


def test_a_copy_of_a_job_that_ended_is_not_taken_for_it(scene: Scene) -> None:
    """The job that the ledger names decides."""
    launch = scene.submitted()
    scene.run(launch, "finished")
    copied = scene.vertex.jobs[launch.entry.job_name]
    scene.vertex.jobs[f"{PARENT}/customJobs/copy"] = replace(copied, name=f"{PARENT}/customJobs/copy")
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED")
    assert scene.tick().done == {"Finish": 1}
    assert launch.key in scene.ledger.closed


def test_a_record_that_cannot_be_read_is_named_and_its_job_is_no_orphan(scene: Scene) -> None:
    """It counts as open."""
    launch = scene.submitted()
    scene.ledger.withdraw(launch.key)
    scene.ledger.unreadable[launch.key] = "field x is odd"
    scene.clock.pass_(301)
    report = scene.tick()
    assert (report.orphans, report.open_launches) == ([], 1)
    assert report.errors == [f"{launch.key}: this version cannot read its record: field x is odd"]


def test_a_run_that_our_key_cannot_see_is_not_reported(scene: Scene) -> None:
    """Its item has a key of its own, and its job has succeeded."""
    pushed = scene.wandb.push("item", QUEUE, _wandb_api_key="a" * 40, project="secret")
    opened = scene.ledger.write(from_item("item", QUEUE, pushed.run_spec, scene.clock()))
    pushed.state, pushed.run_name = "CLAIMED", opened.entry.run.run_id
    launch = scene.submit(opened)
    scene.wandb.hidden.add(launch.entry.run)
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED")
    scene.clock.pass_(61)
    scene.tick()
    assert (pushed.state, pushed.error) == ("CLAIMED", "")
    assert "this deployment's W&B key cannot see it" in pushed.warning
    assert scene.ledger.closed[launch.key].entry.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("unanswered", [True, False])
def test_a_notice_of_a_claim_is_sent_once_its_holder_has_let_go(scene: Scene, unanswered: bool) -> None:
    """Its record is not written to while its holder may use it."""
    lease = scene.clock() + timedelta(minutes=2)
    claim = {"attempt": 1, "lease_until": lease, "unanswered": unanswered}
    launch = scene.ledger.write(scene.queued().move(State.SUBMITTING, **claim).tell("Waiting: no answer"))
    scene.tick()
    assert scene.wandb.items["item"].warning == "Waiting: no answer" * unanswered
    assert (scene.ledger.open[launch.key] == launch) is not unanswered


def test_a_launch_published_in_this_tick_is_warned_but_not_written_to(scene: Scene) -> None:
    """A submit may claim it at any moment, and would lose its claim."""
    launch = scene.ledger.write(scene.queued().tell("Waiting: no room"))
    scene.clock.pass_(61)
    assert scene.tick().done == {"Publish": 1}
    assert scene.wandb.items["item"].warning == "Waiting: no room"
    assert scene.ledger.open[launch.key].generation == launch.generation


@pytest.mark.parametrize("seconds", [44, 60])
def test_looking_for_longer_than_the_time_leaves_some_for_acting(scene: Scene, seconds: int) -> None:
    """The rest is done, and the region with an incomplete listing is an error."""
    for number in range(3):
        scene.ledger.write(scene.queued(f"item{number}").end(Outcome.REJECTED, "no", scene.clock()))
    living = scene.submitted("living")

    class Slow(FakeVertex):
        def list_jobs(self, parent, span=None):  # type: ignore[no-untyped-def]
            for job in super().list_jobs(parent, span):
                scene.clock.pass_(seconds)
                yield job

    scene.vertex = Slow(scene.clock, scene.vertex.jobs)
    report = scene.tick()
    assert report.done == {"Finish": 3}
    assert [error.startswith(f"{PARENT}: OutOfTime: ") for error in report.errors] == [True]
    assert list(scene.ledger.open) == [living.key]


@pytest.mark.parametrize(
    ("looking", "acting", "finished"),
    [(0, 44.5, 2), (0, 45.5, 1), (25, 29.5, 2), (25, 30.5, 1), (74.5, 0, 2), (75.5, 0, 0), (60, 14, 2), (60, 16, 1)],
)
def test_acting_has_the_budget_and_at_least_thirty_seconds(
    scene: Scene, looking: float, acting: float, finished: int
) -> None:
    """Not beyond thirty seconds after the budget: the function's timeout is near."""
    for number in range(2):
        scene.ledger.write(scene.queued(f"item{number}").end(Outcome.REJECTED, "no", scene.clock()))

    class Slow(FakeWandb):
        def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
            scene.clock.pass_(looking)
            return super().item_statuses(items)

        def fail_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
            scene.clock.pass_(acting)
            super().fail_item(queue, item_id, message, stage)

    scene.wandb = Slow(items=scene.wandb.items)
    done = {"Finish": finished, "Postpone": 2 - finished}
    assert scene.tick().done == {name: count for name, count in done.items() if count}


def test_an_invocation_that_froze_while_looking_does_nothing(scene: Scene) -> None:
    """Its observation is no longer true."""
    launch = scene.submitted()
    scene.run(launch, stopped=True)

    class Frozen(FakeWandb):
        def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
            scene.clock.pass_(3600)
            return super().run_statuses(runs)

    scene.wandb = Frozen(items=scene.wandb.items, runs=scene.wandb.runs)
    report = scene.tick()
    assert report.done == {"Postpone": 1}
    assert report.errors
    assert scene.ledger.open[launch.key].entry.stop_seen_at is None


def test_a_failed_build_shows_the_end_of_its_log(scene: Scene) -> None:
    """In pip's own words, without a key."""
    launch = building(scene)
    scene.builds.end(launch.entry.build, "FAILURE", "step 0 exited with 1")
    key = "0123456789" * 4
    logs = FakeJobLogs({launch.entry.build: f"ERROR: No matching distribution found for torch==9\nkey {key}"})
    parts = (scene.ledger, scene.vertex, scene.wandb, scene.publisher, scene.clock, scene.builds)
    Status(*parts, parents=(PARENT,), connections=1, logs=logs).run(budget(scene.clock))
    item = scene.wandb.items["item"]
    assert (item.state, item.stage) == ("FAILED", "build")
    assert item.error.endswith("No matching distribution found for torch==9\nkey [redacted]")
    assert logs.asked == [(launch.entry.build, launch.entry.opened_at)]


def test_the_report_has_the_slots_of_launches_that_wait_for_nothing_else(scene: Scene) -> None:
    """In their order. Neither those that are due now, nor one whose run was stopped, nor one that lacks machines."""
    now = scene.clock()

    def waiting(item: str, seconds: float, short_of: Shortage = Shortage.RATE) -> Launch:
        queued = scene.queued(item).move(State.SUBMITTING, attempt=1)
        return scene.ledger.write(queued.again(now, timedelta(seconds=seconds), "x", "x", short_of=short_of))

    later, sooner = waiting("later", 40), waiting("sooner", 20)
    due, stopped = waiting("due", 9), waiting("stopped", 30)
    waiting("other", 30, Shortage.AMOUNT)
    scene.run(stopped, stopped=True)
    report = scene.tick()
    assert report.slots == [(now + timedelta(seconds=wait), key) for wait, key in ((20, sooner.key), (40, later.key))]
    assert scene.publisher.published == [due.key]


def test_a_launch_whose_slot_cannot_be_decided_stops_no_other(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reported; the slots of the others are known, and what ends is closed."""
    now = scene.clock()

    def paced(item: str) -> Launch:
        queued = scene.queued(item).move(State.SUBMITTING, attempt=1)
        return scene.ledger.write(queued.again(now, timedelta(seconds=30), "x", "x", short_of=Shortage.RATE))

    odd, other = paced("odd"), paced("other")

    def fails_later(entry: Entry, *rest: Any) -> Decision:
        if entry.key == odd.key and rest[1] > now:
            raise ValueError("odd")
        return decide(entry, *rest)

    monkeypatch.setattr("functions.status.reconcile.decide", fails_later)
    report = scene.tick()
    assert [key for _, key in report.slots] == [other.key]
    assert [odd.key in error for error in report.errors] == [True]
