"""A failure stays with its launch: counted, bounded, reported, and logged for operators."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.submit.submit import SubmitTimings
from shared.core.budget import Budget
from shared.core.building import Recipe
from shared.core.errors import Capacity, Denied, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.launch import Launch, Outcome, State
from shared.core.ports import CustomJobCall
from shared.log import CloudLoggingFormatter
from shared.runspec.model import Draft
from shared.runspec.prepare import PreparedJob
from tests.unit.submitting import Scene, labels

TWO_MINUTES = SubmitTimings().look_again.total_seconds()
UNFORESEEN = [
    ValueError("Please provide a valid project"),
    KeyError("x"),
    RecursionError("maximum recursion depth exceeded"),
    MemoryError(),
    OverflowError("int too large to convert to float"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
]


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()


def plant(scene: Scene, place: str, error: Exception) -> None:
    """Let one part of an attempt raise this, always."""

    def fails(*_: object) -> Any:
        raise error

    match place:
        case "job resolution":
            scene.jobs.unreachable = error
        case "build":
            scene.recipe = Recipe("us-docker.pkg.dev/p/r/jobs:tag", "gs://staging", "team/cats/train:v1")
            scene.builds.next_errors = [error] * 100
        case "create":
            scene.vertex.next_errors = [error] * 100
        case _:
            changes: dict[str, Any] = {place: fails}
            if place == "prepare":
                scene.submit = replace(scene.submit, **changes)
            else:
                scene.prepare_with(**changes)


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["render", "prepare", "check_key", "job resolution", "build"])
def test_an_unforeseen_error_is_a_counted_failure(
    scene: Scene, place: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its stack trace; the author reads why it waits and, in the end, why it failed."""
    plant(scene, place, error)
    spec = {"job": "team/cats/train:v1"} if place == "job resolution" else {}
    ticket = scene.open(**spec)
    events = []
    for _ in range(SubmitTimings().max_failures):
        events.append(scene.deliver(ticket))
        assert scene.launch(ticket).entry.notice.startswith("Waiting: ") or events[-1] == "launch.gave_up"
        scene.clock.pass_(3600)
    launch = scene.launch(ticket)
    assert (set(events[:-1]), events[-1]) == ({"launch.retry"}, "launch.gave_up")
    assert (launch.entry.outcome, launch.entry.report_owed) == (Outcome.FAILED, True)
    assert type(error).__name__ in launch.reason
    unforeseen = [record for record in caplog.records if record.message == "launch.unforeseen_error"]
    assert len(unforeseen) == SubmitTimings().max_failures
    assert all(record.levelname == "ERROR" and record.exc_info for record in unforeseen)
    assert not scene.vertex.jobs


def test_an_unforeseen_error_shows_no_key(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the reason nor in the log."""
    plant(scene, "render", ValueError("odd: own-key-of-mine"))
    ticket = scene.open(_wandb_api_key="own-key-of-mine")
    monkeypatch.setattr(caplog.handler, "formatter", CloudLoggingFormatter("p"))  # all tests share the handler
    scene.deliver(ticket)
    assert "[redacted]" in scene.launch(ticket).reason
    assert "launch.unforeseen_error" in caplog.text
    assert "own-key-of-mine" not in scene.launch(ticket).reason + caplog.text


def test_an_error_of_the_create_that_nobody_foresaw_is_no_answer(scene: Scene) -> None:
    """There may be a job, so it is looked up before another create."""
    scene.vertex.lost = True
    plant(scene, "create", AttributeError("no such thing"))
    ticket = scene.open()
    assert scene.deliver(ticket) == "launch.outcome_unknown"
    scene.clock.pass_(SubmitTimings().settle.total_seconds())
    assert scene.deliver(ticket) == "launch.found"
    assert len(scene.vertex.jobs) == 1


def test_a_launch_that_cannot_be_stored_after_rendering_is_a_counted_failure(scene: Scene) -> None:
    """The claim is written without it."""
    ticket, write = scene.open(), scene.ledger.write

    def picky(launch: Any) -> Any:
        if "queue's" in launch.run_spec:
            raise ValueError("Exceeds the limit (4300 digits) for integer string conversion")
        return write(launch)

    scene.ledger.write = picky  # type: ignore[method-assign]
    grown = replace(scene.launch(ticket), run_spec={"queue's": 1})
    prepare = scene.submit.prepare

    def growing(launch: Launch) -> PreparedJob:
        job = prepare(launch)
        return replace(job, launch=replace(job.launch, run_spec=grown.run_spec))

    scene.submit = replace(scene.submit, prepare=growing)
    assert scene.deliver(ticket) == "launch.retry"
    assert scene.launch(ticket).entry.failures == 1
    assert not scene.vertex.jobs


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (Denied("needs customJobs.list"), "launch.denied"),
        (Retry("503"), "launch.outcome_unknown"),
        (Reject("parent", "is odd"), "launch.outcome_unknown"),
        (ValueError("Please provide a valid location"), "launch.outcome_unknown"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else "",
)
def test_a_look_up_that_fails_for_ever_is_reported_and_bounded(scene: Scene, error: Exception, event: str) -> None:
    """Nothing is sent meanwhile; in the end the author reads that a job may exist, and how to search for it."""
    ticket = scene.open()
    scene.vertex.next_errors, scene.vertex.lost = [OutcomeUnknown("500")], True
    assert scene.deliver(ticket) == "launch.outcome_unknown"
    assert scene.launch(ticket).entry.unanswered
    scene.vertex.unreachable = error
    events = []
    for _ in range(SubmitTimings().max_failures):
        scene.clock.pass_(3600)
        events.append(scene.deliver(ticket))
        entry = scene.launch(ticket).entry
        if entry.state is State.SUBMITTING:
            assert (entry.unanswered, entry.notice.startswith("Waiting: ")) == (True, True)
    launch = scene.launch(ticket)
    assert (set(events[:-1]), events[-1]) == ({event}, "launch.gave_up")
    assert (launch.entry.outcome, launch.entry.report_owed) == (Outcome.FAILED, True)
    assert "so a job may exist" in launch.reason
    assert f'labels.launch_key="{launch.key}"' in launch.reason
    assert len(scene.vertex.jobs) == 1


def test_a_denied_look_up_is_an_error_in_the_log(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Operators are alerted by its level."""
    ticket = scene.open()
    scene.vertex.next_errors, scene.vertex.lost = [OutcomeUnknown("500")], True
    scene.deliver(ticket)
    scene.clock.pass_(SubmitTimings().settle.total_seconds())
    scene.vertex.unreachable = Denied("needs customJobs.list")
    scene.deliver(ticket)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["launch.denied"]


def test_a_second_create_comes_after_two_look_ups_two_minutes_apart(scene: Scene) -> None:
    """A job that appears in the listing between the two is found."""
    for late in (False, True):
        ticket = scene.open(f"item-{late}")
        scene.vertex.next_errors = [OutcomeUnknown("timed out")]
        scene.deliver(ticket)
        scene.clock.pass_(SubmitTimings().settle.total_seconds())
        assert scene.deliver(ticket) == "launch.looked"
        entry = scene.launch(ticket).entry
        assert (entry.state, entry.unanswered, entry.looked_at) == (State.SUBMITTING, True, scene.clock())
        scene.clock.pass_(TWO_MINUTES - 1)
        assert scene.deliver(ticket) == "launch.nothing_to_do"
        if late:
            call = CustomJobCall("p", "us-central1", {"labels": labels(scene.launch(ticket))}, {})
            scene.vertex.create(call, Budget(1e9))
        scene.clock.pass_(1)
        assert scene.deliver(ticket) == ("launch.found" if late else "launch.retry")
        entry = scene.launch(ticket).entry
        assert (entry.unanswered, entry.looked_at, entry.failures) == (False, None, not late)


def test_a_look_up_that_comes_too_early_does_not_count_as_the_second(scene: Scene) -> None:
    """Even if the record says that its lease is over, as one that was changed by hand may."""
    ticket = scene.open()
    scene.vertex.next_errors = [OutcomeUnknown("timed out")]
    scene.deliver(ticket)
    scene.clock.pass_(SubmitTimings().settle.total_seconds())
    scene.deliver(ticket)
    launch = scene.launch(ticket)
    scene.ledger.write(replace(launch, entry=replace(launch.entry, lease_until=None)))
    assert scene.deliver(ticket) == "launch.looked"
    assert scene.launch(ticket).entry.lease_until == scene.clock() + SubmitTimings().look_again


def spent(seconds: float) -> tuple[Budget, list[float]]:
    """Return a budget, and the time that it goes by."""
    now = [0.0]
    return Budget(seconds, lambda: now[0]), now


def test_the_lease_begins_after_the_rendering(scene: Scene) -> None:
    """A slow rendering takes nothing of it."""
    ticket, write, leases = scene.open(), scene.ledger.write, []

    def slow(draft: Draft, *_: object) -> CustomJobCall:
        scene.clock.pass_(3600)
        constructor = {"labels": labels(draft.launch), "worker_pool_specs": []}
        return CustomJobCall("p", "us-central1", constructor, {})

    def noting(launch: Any) -> Any:
        leases.append(launch.entry.lease_until)
        return write(launch)

    scene.prepare_with(render=slow)
    scene.ledger.write = noting  # type: ignore[method-assign]
    began = scene.clock()
    assert scene.deliver(ticket) == "launch.submitted"
    assert leases == [began + timedelta(hours=1) + SubmitTimings().lease, None]


@pytest.mark.parametrize("recipe", [None, Recipe("us-docker.pkg.dev/p/r/jobs:tag", "gs://s", "team/cats/train:v1")])
def test_an_invocation_without_time_sends_nothing(scene: Scene, recipe: Recipe | None) -> None:
    """No create and no build starts: the launch is queued again, for a later invocation."""
    scene.recipe = recipe
    ticket, (budget, now) = scene.open(), spent(450)

    def frozen() -> None:
        now[0] = 3600

    scene.prepare_with(check_key=frozen)
    assert scene.submit.launch(ticket, budget) == "launch.retry"
    entry = scene.launch(ticket).entry
    assert (entry.state, entry.lease_until, entry.failures) == (State.QUEUED, None, 1)
    assert (scene.vertex.jobs, scene.builds.begun) == ({}, [])
    scene.clock.pass_(60)
    assert scene.deliver(ticket) == ("launch.building" if recipe else "launch.submitted")


def test_an_invocation_that_thaws_after_its_lease_leaves_the_launch_alone(scene: Scene) -> None:
    """Another invocation has it; there is one job."""
    ticket, (budget, now) = scene.open(), spent(450)
    is_closed = scene.ledger.is_closed
    thawed: list[str] = []

    def frozen(key: str) -> bool:
        if not thawed:
            thawed.append(key)
            now[0] = 3600
            scene.clock.pass_(3600)
            for _ in range(3):
                scene.deliver(ticket)
                scene.clock.pass_(TWO_MINUTES)
            assert len(scene.vertex.jobs) == 1
        return is_closed(key)

    scene.ledger.is_closed = frozen  # type: ignore[method-assign]
    assert scene.submit.launch(ticket, budget) == "launch.claim_lost"
    assert len(scene.vertex.jobs) == 1
    assert scene.launch(ticket).entry.state is State.SUBMITTED


@pytest.mark.parametrize("error", [Retry("503"), Capacity("no room"), Denied("needs customJobs.create")])
def test_the_last_notice_says_that_it_was_launched(scene: Scene, error: LaunchError) -> None:
    """It replaces the notice of the reason why the launch waits."""
    ticket = scene.open()
    scene.vertex.next_errors = [error] * 2
    scene.deliver(ticket)
    scene.clock.pass_(60)
    scene.deliver(ticket)
    assert scene.launch(ticket).entry.notice.startswith("Waiting: ")
    scene.clock.pass_(106)
    assert scene.deliver(ticket) == "launch.submitted"
    entry = scene.launch(ticket).entry
    assert entry.notice == (
        "Launched after 2m46s and 3 attempts: "
        "https://console.cloud.google.com/agent-platform/locations/us-central1/training/1?project=p"
    )
    assert not entry.noticed


def test_a_launch_that_did_not_wait_gives_no_notice(scene: Scene) -> None:
    """Its item shows nothing."""
    ticket = scene.open()
    scene.deliver(ticket)
    assert scene.launch(ticket).entry.notice == ""


def test_a_run_that_goes_on_counts_its_own_wait_only(scene: Scene) -> None:
    """From the end of the job before it."""
    ticket = scene.open()
    scene.deliver(ticket)
    scene.clock.pass_(86_400)
    scene.ledger.write(scene.launch(ticket).resume(scene.clock(), 5))
    scene.vertex.next_errors = [Capacity("no room")]
    scene.deliver(ticket)
    scene.clock.pass_(30)
    scene.deliver(ticket)
    assert scene.launch(ticket).entry.notice.startswith("Launched after 30s and 2 attempts: ")
