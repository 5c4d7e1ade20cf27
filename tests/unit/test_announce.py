"""Status announces what the ledger shows as not yet published, in one batch; the last event comes before the close."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from functions.status.announce import BATCH
from functions.status.reconcile import Status
from functions.status.report import Report
from shared.core.errors import Conflict, Denied, Reject, Retry
from shared.core.event import EventType
from shared.core.intake import from_item, from_request
from shared.core.launch import Backoff, Launch, Outcome, State
from shared.core.message import Request
from shared.core.shortage import Shortage
from tests.fakes import FakeEventTopic
from tests.unit import test_reconcile as reconciling
from tests.unit.test_reconcile import PARENT, QUEUE, budget

DAY = timedelta(days=1).total_seconds()


@dataclass
class Scene(reconciling.Scene):
    """A status with a topic of events."""

    topic: FakeEventTopic | None = field(default_factory=FakeEventTopic)

    @property
    def events(self) -> FakeEventTopic:
        """Return the topic."""
        assert self.topic
        return self.topic

    def tick(self) -> Report:
        """Call status once."""
        parts = (self.ledger, self.vertex, self.wandb, self.publisher, self.clock, self.builds)
        status = Status(*parts, parents=(PARENT,), connections=1, events=self.topic)
        return status.run(budget(self.clock))

    def works(self, item: str = "item") -> Launch:
        """Open a launch whose job runs, with the events that poll and submit add."""
        launch = self.submitted(item)
        happened = launch.happened(EventType.SUBMITTED, self.clock())
        return self.ledger.write(happened)

    def ends(self, launch: Launch) -> None:
        """Let its job succeed."""
        self.run(launch, "finished")
        self.vertex.put(launch.entry.job_name, "JOB_STATE_SUCCEEDED")

    def announced(self, launch: Launch) -> tuple[int, int]:
        """Return how many events the record shows as published, of how many."""
        entry = (self.ledger.open.get(launch.key) or self.ledger.closed[launch.key]).entry
        return entry.announced, entry.events


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()


def test_events_are_published_once(scene: Scene) -> None:
    """In order; a tick without news makes no call."""
    launch = scene.works()
    scene.tick()
    scene.tick()
    assert scene.events.ids == [f"{launch.key}/1", f"{launch.key}/2"]
    assert scene.announced(launch) == (2, 2)
    asked = scene.events.asked
    scene.tick()
    assert scene.events.asked == asked == 1


def test_a_launch_that_ends_within_a_tick_is_announced_whole_and_closed(scene: Scene) -> None:
    """The closed record says so, and no write beside its end and its close was needed."""
    launch = scene.works()
    scene.ends(launch)
    written = scene.ledger._generation  # noqa: SLF001 - counts the writes
    assert scene.tick().done == {"Finish": 1}
    assert scene.events.types(launch.key) == ["queued", "submitted", "ended"]
    assert scene.announced(launch) == (3, 3)
    assert not scene.ledger.open
    assert scene.ledger._generation == written + 1  # noqa: SLF001 - the end


def test_a_hundred_launches_that_end_in_one_tick_need_one_call(scene: Scene) -> None:
    """And all are closed in it."""
    launches = [scene.works(f"i{number}") for number in range(100)]
    for launch in launches:
        scene.ends(launch)
    scene.tick()
    assert (scene.events.asked, len(scene.events.ids)) == (1, 300)
    assert len(scene.ledger.closed) == 100


def test_a_batch_has_no_more_messages_than_a_request_may_have(scene: Scene) -> None:
    """A launch's events stay together."""
    for number in range(30):
        launch = scene.works(f"i{number}")
        for second in range(46):
            why = "RATE" if second % 2 else "AMOUNT"
            launch = launch.happened(EventType.WAITING, scene.clock(), why)
        scene.ledger.write(launch)
    scene.tick()
    assert [len(batch) for batch in scene.events.batches] == [20 * 48, 10 * 48]
    assert BATCH < 21 * 48
    assert {launch.entry.announced for launch in scene.ledger.open.values()} == {48}


FAILURES = [Denied("the topic does not exist"), Retry("503"), ValueError("odd")]


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_a_failing_topic_stops_no_report_cancel_or_decision(scene: Scene, failure: Exception) -> None:
    """Launches stay open as ENDED, and are counted as owed."""
    scene.events.unreachable = failure
    failed, stopped = scene.works("failed"), scene.works("stopped")
    scene.vertex.put(failed.entry.job_name, "JOB_STATE_FAILED", "no such image")
    scene.run(stopped, stopped=True)
    scene.clock.pass_(61)
    scene.tick()
    scene.clock.pass_(61)
    report = scene.tick()
    assert scene.wandb.items["failed"].state == "FAILED"
    assert stopped.entry.job_name in scene.vertex.cancelled
    assert scene.ledger.open[failed.key].entry.state is State.ENDED
    assert (report.owed, len([each for each in report.errors if each.startswith("events: ")])) == (2, 1)
    scene.events.unreachable = None
    scene.tick()
    assert scene.events.types(failed.key) == ["queued", "submitted", "ended"]
    assert failed.key in scene.ledger.closed


def test_a_report_is_made_once_however_long_the_topic_fails(scene: Scene) -> None:
    """The launch waits for its events only."""
    scene.events.unreachable = Retry("503")
    launch = scene.works()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "no such image")
    scene.clock.pass_(61)
    for _ in range(5):
        scene.tick()
    assert scene.wandb.calls.count("fail_item") == 1
    assert scene.wandb.calls.count("warn_item") == 0


@pytest.mark.parametrize(("seconds", "closed"), [(-5, False), (5, True)])
def test_a_topic_that_fails_for_a_day_keeps_no_launch_open(
    scene: Scene, seconds: int, closed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says which events were never published."""
    caplog.set_level(logging.ERROR)
    scene.events.unreachable = Denied("403")
    launch = scene.works()
    scene.ends(launch)
    scene.tick()
    scene.clock.pass_(DAY + seconds)
    report = scene.tick()
    assert (launch.key in scene.ledger.closed) is closed
    assert ("status.never_told" in [each.message for each in caplog.records]) is closed
    assert report.owed == int(not closed)


def test_one_refused_launch_stops_no_other(scene: Scene) -> None:
    """Its batch is split down to the culprit, which stays open."""
    launches = [scene.works(f"i{number}") for number in range(9)]
    for launch in launches:
        scene.ends(launch)
    scene.events.refused = {launches[4].key}
    report = scene.tick()
    assert list(scene.ledger.open) == [launches[4].key]
    assert [each for each in report.errors if "events of" in each] == [
        f"events of {launches[4].key}: Reject: event: is refused."
    ]
    assert report.owed == 1


def test_after_a_lost_answer_the_same_events_come_again(scene: Scene) -> None:
    """With the same ids and contents, so that readers drop them."""
    launch = scene.works()
    scene.events.lost = Retry("timed out")
    scene.tick()
    scene.tick()
    first, second = scene.events.batches
    assert first == second
    assert scene.announced(launch) == (2, 2)


def test_a_crash_between_the_publication_and_its_mark_repeats_it(scene: Scene) -> None:
    """The next tick sees what the ledger shows."""
    launch = scene.works()
    write = scene.ledger.write

    def dies(_: Launch) -> Launch:
        raise Conflict("somebody else wrote it")

    scene.ledger.write = dies  # type: ignore[method-assign, assignment]
    scene.tick()
    scene.ledger.write = write  # type: ignore[method-assign]
    scene.tick()
    assert scene.events.ids == [f"{launch.key}/1", f"{launch.key}/2"] * 2
    assert scene.announced(launch) == (2, 2)


def test_without_a_topic_nothing_is_owed(scene: Scene) -> None:
    """Launches are closed at once, and no record is read for its events."""
    scene.topic = None
    launch = scene.works()
    reads = scene.ledger.reads
    scene.tick()
    assert scene.ledger.reads == reads
    scene.ends(launch)
    assert scene.tick().owed == 0
    assert scene.announced(launch) == (0, 3)


def _claimed(scene: Scene) -> Launch:
    """Return a launch that a submit has claimed."""
    launch = scene.queued()
    lease = scene.clock() + timedelta(minutes=11)
    return scene.ledger.write(launch.move(State.SUBMITTING, attempt=1, lease_until=lease))


def _refused(scene: Scene) -> Launch:
    """Return a launch that was refused at intake; its ack is not known."""
    pushed = scene.wandb.push("item", QUEUE)
    return scene.ledger.write(from_item("item", QUEUE, pushed.run_spec, scene.clock(), "run_id: is odd"))


def _unacked(scene: Scene) -> Launch:
    """Return an overdue launch whose item was never acked."""
    launch = scene.queued(acked=False)
    scene.clock.pass_(90)
    return launch


def _anothers(scene: Scene) -> Launch:
    """Return an overdue launch whose item another agent has."""
    launch = _unacked(scene)
    scene.wandb.items["item"].run_name = "theirs"
    return launch


NOT_YET: dict[str, Callable[[Scene], Launch]] = {
    "young: its ack may be under way": lambda scene: scene.queued(acked=False),
    "claimed: a mark would take the claim away": _claimed,
    "refused at intake, not acked": _refused,
    "never acked": _unacked,
    "another agent's": _anothers,
}


@pytest.mark.parametrize("opened", NOT_YET.values(), ids=NOT_YET)
def test_a_launch_that_may_not_be_ours_is_not_announced(scene: Scene, opened: Callable[[Scene], Launch]) -> None:
    """And its record, which somebody else is about to write, stays as it is."""
    launch = opened(scene)
    scene.tick()
    assert scene.events.ids == []
    there = scene.ledger.open.get(launch.key)
    assert there is None or there.generation == launch.generation


@pytest.mark.parametrize("call", ["read", "withdraw"])
def test_another_agents_item_gets_nothing_while_its_record_cannot_be_deleted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Neither an event nor a warning, and the next tick deletes it. The simulation found this."""
    launch = scene.ledger.write(_anothers(scene).tell("Waiting: no room"))
    whole, failing = getattr(scene.ledger, call), [Denied("no")]

    def once(*args: object) -> object:
        if failing:
            raise failing.pop()
        return whole(*args)

    monkeypatch.setattr(scene.ledger, call, once)
    assert scene.tick().errors == [f"{launch.key}: Denied: no"]
    assert (scene.events.ids, scene.wandb.items["item"].warning) == ([], "")
    assert scene.tick().done == {"Withdraw": 1}
    assert (scene.events.ids, scene.ledger.open) == ([], {})


def test_a_refused_item_is_announced_after_its_ack(scene: Scene) -> None:
    """Both events at once."""
    launch = _refused(scene)
    scene.wandb.items["item"].run_name = launch.entry.run.run_id
    scene.tick()
    assert scene.events.types(launch.key) == ["queued", "ended"]
    assert launch.key in scene.ledger.closed


def test_a_launch_whose_ticket_goes_out_is_not_marked(scene: Scene) -> None:
    """A submit claims it now; the repetition of its event is dropped by its id."""
    launch = scene.queued()
    scene.clock.pass_(90)
    scene.tick()
    assert scene.publisher.published == [launch.key]
    assert scene.events.ids == [f"{launch.key}/1"]
    assert scene.ledger.open[launch.key].generation == launch.generation


def test_a_waiting_launch_is_announced_and_marked(scene: Scene) -> None:
    """No submit may claim it before `retry_at`; the mark and the warning are one write."""
    launch = _claimed(scene)
    waiting = launch.wait_for_capacity(scene.clock(), Shortage.STOCKOUT, "no machines", Backoff(), timedelta(minutes=5))
    written = scene.ledger.write(waiting)
    scene.tick()
    entry = scene.ledger.open[launch.key].entry
    assert (entry.announced, entry.noticed) == (2, True)
    assert scene.ledger.open[launch.key].generation == written.generation + 1
    assert scene.events.types(launch.key) == ["queued", "waiting"]


def test_events_do_not_wait_for_wandb(scene: Scene) -> None:
    """A W&B that is down delays the report and the close only."""
    launch = scene.works()
    scene.vertex.put(launch.entry.job_name, "JOB_STATE_FAILED", "no such image")
    scene.clock.pass_(61)
    scene.wandb.fail["fail_item"] = Retry("503")
    scene.tick()
    scene.tick()
    assert scene.events.types(launch.key) == ["queued", "submitted", "ended"]
    assert launch.key in scene.ledger.open
    asked = scene.events.asked
    scene.tick()
    assert scene.events.asked == asked


def test_a_warning_that_fails_keeps_the_mark_of_the_events(scene: Scene) -> None:
    """Otherwise they were repeated until W&B is up."""
    launch = scene.works()
    scene.ledger.write(launch.tell("a notice"))
    scene.wandb.fail["warn_item"] = Retry("503")
    scene.tick()
    assert scene.announced(launch) == (2, 2)
    assert not scene.ledger.open[launch.key].entry.noticed


def test_a_record_of_an_older_version_owes_nothing(scene: Scene) -> None:
    """It has no events."""
    launch = scene.submitted()
    older = replace(launch, entry=replace(launch.entry, events=0), events=())
    written = scene.ledger.write(older)
    reads = scene.ledger.reads
    scene.tick()
    assert (scene.events.asked, scene.ledger.reads) == (0, reads)
    assert scene.ledger.open[launch.key].generation == written.generation


def test_events_that_the_record_no_longer_keeps_are_not_owed_for_ever(scene: Scene) -> None:
    """It keeps the last 50."""
    launch = scene.works()
    for second in range(60):
        launch = launch.happened(EventType.WAITING, scene.clock(), "RATE" if second % 2 else "AMOUNT")
    scene.ledger.write(launch)
    scene.tick()
    assert len(scene.events.ids) == 50
    assert scene.announced(launch) == (62, 62)


def test_a_rejected_request_is_announced_and_a_late_duplicate_is_not(scene: Scene) -> None:
    """The duplicate of a closed launch has no news."""
    spec = {"entity": "team", "project": "x" * 300}
    request = Request(source="ci", idempotency_key="7", run_spec=spec)
    launch = scene.ledger.write(from_request(request, scene.clock()))
    scene.tick()
    assert scene.events.types(launch.key) == ["queued", "ended"]
    assert scene.ledger.closed[launch.key].entry.outcome is Outcome.REJECTED
    scene.clock.pass_(3600)
    scene.ledger.write(from_request(request, scene.clock()))
    scene.tick()
    assert len(scene.events.ids) == 2
    assert not scene.ledger.open


def test_many_owing_launches_are_read_over_several_ticks(scene: Scene) -> None:
    """After the topic was created, each open launch owes events."""
    for number in range(BATCH + 5):
        launch = scene.submitted(f"i{number}")
        scene.run(launch)
    assert scene.tick().errors == []
    assert len(scene.events.ids) == BATCH
    scene.tick()
    assert len(scene.events.ids) == BATCH + 5


def test_a_reject_without_a_culprit_is_reported(scene: Scene) -> None:
    """Such as of a topic whose schema our events do not match."""
    scene.events.unreachable = Reject("event", "the topic has a schema")
    scene.works("a")
    scene.works("b")
    report = scene.tick()
    assert len([each for each in report.errors if "has a schema" in each]) == 2
