"""A launch that another submit, or its own end, has overtaken: its events, its lines and its look-ups."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from functions.submit.submit import SubmitTimings
from shared.core.errors import Conflict, Denied, KeyReused, OutcomeUnknown, Reject, Retry
from shared.core.launch import Launch, Outcome, State
from shared.core.ports import FoundJob
from tests.unit.lines import lines
from tests.unit.submitting import Scene
from tests.unit.test_submit_lines import OTHER, PARENT, REQUEST, TICKET, line


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()


def closed(scene: Scene, **changes: Any) -> Launch:
    """Close the request's launch, and bring a late duplicate of its record back."""
    scene.deliver(REQUEST)
    done = scene.launch(TICKET)
    scene.ledger.close(done.end(Outcome.SUCCEEDED, "", scene.clock()))
    late = replace(done, generation=0, entry=replace(done.entry, job_name="", submitted_at=None, **changes))
    return scene.ledger.write(late)


def refuse(scene: Scene) -> None:
    """Let the rendering refuse each job."""
    scene.refusal = Reject("spec", "is odd")


def unwritable(scene: Scene) -> None:
    """Let each claim fail in an odd way."""
    write = scene.ledger.write

    def odd(launch: Launch) -> Launch:
        if launch.entry.lease_until:
            raise TypeError("odd")
        return write(launch)

    scene.ledger.write = odd  # type: ignore[method-assign]


LATE: dict[str, tuple[State, Callable[[Scene], None]]] = {
    "at its claim": (State.QUEUED, lambda _: None),
    "before its claim": (State.QUEUED, refuse),
    "at a claim that cannot be written": (State.QUEUED, unwritable),
    "after another's claim": (State.SUBMITTING, lambda _: None),
}


@pytest.mark.parametrize("moment", LATE)
def test_a_late_duplicate_is_deleted_wherever_it_is_noticed(
    scene: Scene, moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is sent or recorded, and the closed launch stays as it is."""
    state, arrange = LATE[moment]
    closed(scene, state=state)
    before, jobs = dict(scene.ledger.closed), len(scene.vertex.jobs)
    arrange(scene)
    lines(caplog)
    assert scene.deliver(TICKET) == "launch.late_duplicate"
    assert lines(caplog) == [line("launch.late_duplicate")]
    assert (scene.ledger.open, scene.ledger.closed, len(scene.vertex.jobs)) == ({}, before, jobs)


@pytest.mark.parametrize("moment", LATE)
def test_a_late_duplicate_with_other_content_is_an_error(scene: Scene, moment: str) -> None:
    """As while the first launch was open; its record is deleted all the same."""
    state, arrange = LATE[moment]
    late = closed(scene, state=state)
    scene.ledger.write(replace(late, digest=""))  # of an older version: the open record is not compared
    arrange(scene)
    with pytest.raises(KeyReused):
        scene.deliver(OTHER)
    assert scene.ledger.open == {}


CONFLICTS: dict[str, tuple[Callable[[Scene], None], int, str]] = {
    "its claim": (lambda _: None, 1, "launch.claimed_elsewhere"),
    "its job": (lambda _: None, 2, "launch.claim_lost"),
    "its refusal": (refuse, 1, "launch.claimed_elsewhere"),
}


@pytest.mark.parametrize("what", CONFLICTS)
def test_a_launch_that_another_submit_has_written_meanwhile_is_left_to_it(
    scene: Scene, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Only a lost claim alerts operators: its job is recorded by the next look-up."""
    arrange, number, event = CONFLICTS[what]
    arrange(scene)
    ticket, write = scene.open(), scene.ledger.write
    writes = list[Launch]()

    def overtaken(launch: Launch) -> Launch:
        writes.append(launch)
        if len(writes) == number:
            raise Conflict(launch.key)
        return write(launch)

    scene.ledger.write = overtaken  # type: ignore[method-assign]
    assert scene.deliver(ticket) == event
    level = "ERROR" if event == "launch.claim_lost" else "INFO"
    assert lines(caplog) == [(level, event, {"launch_key": ticket.launch_key})]
    assert len(scene.vertex.jobs) == (what == "its job")


def test_a_look_up_that_another_submit_has_recorded_is_left_to_it(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Both have found the job."""
    ticket = scene.open()
    scene.vertex.next_errors, scene.vertex.lost = [OutcomeUnknown("timed out")], True
    scene.deliver(ticket)
    scene.clock.pass_(SubmitTimings().settle.total_seconds())
    lines(caplog)

    def overtaken(launch: Launch) -> Launch:
        raise Conflict(launch.key)

    scene.ledger.write = overtaken  # type: ignore[method-assign]
    assert scene.deliver(ticket) == "launch.claimed_elsewhere"
    assert lines(caplog) == [("INFO", "launch.claimed_elsewhere", {"launch_key": ticket.launch_key})]


def test_a_claim_that_ended_before_anything_was_sent_is_a_failure(scene: Scene) -> None:
    """Its job has no region, so there is nothing to look for."""
    ticket = scene.open()
    lease = {"attempt": 1, "lease_until": scene.clock()}
    scene.ledger.write(scene.launch(ticket).move(State.SUBMITTING, **lease))
    scene.vertex.unreachable = ValueError("no region")
    assert scene.deliver(ticket) == "launch.retry"
    launch = scene.launch(ticket)
    assert (launch.reason, launch.entry.failures) == ("attempt 1 ended before it was sent", 1)


def test_each_look_up_asks_for_the_right_jobs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request's first create for jobs of any attempt; a take-over for those of its own attempt, once that is done."""
    asked = list[tuple[str, Mapping[str, str]]]()
    find = scene.vertex.find

    def noted(parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        asked.append((parent, labels))
        return find(parent, labels)

    monkeypatch.setattr(scene.vertex, "find", noted)
    item = scene.open()
    for message in (REQUEST, item):
        scene.vertex.next_errors = [OutcomeUnknown("timed out")]
        scene.deliver(message)
        scene.clock.pass_(SubmitTimings().settle.total_seconds())
        scene.deliver(message)
    mine = [{"launch_key": key, "launch_attempt": "1"} for key in (REQUEST.launch_key, item.launch_key)]
    assert asked == [(PARENT, {"launch_key": REQUEST.launch_key}), *((PARENT, labels) for labels in mine)]


def test_a_request_that_ended_while_it_was_opened_is_unknown_or_reused(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Another delivery opened it, and status has closed it since."""
    scene.deliver(REQUEST)
    done = scene.launch(TICKET)
    write = scene.ledger.write

    def closed_meanwhile(launch: Launch) -> Launch:
        scene.ledger.close(done.end(Outcome.SUCCEEDED, "", scene.clock()))
        raise Conflict(launch.key)

    scene.ledger.write = closed_meanwhile  # type: ignore[method-assign]
    lines(caplog)
    assert scene.deliver(REQUEST) == "launch.unknown"
    assert lines(caplog) == [line("launch.unknown")]
    with pytest.raises(KeyReused):
        scene.deliver(OTHER)
    scene.ledger.write = write  # type: ignore[method-assign]
    assert (scene.ledger.open, len(scene.vertex.jobs)) == ({}, 1)


@pytest.mark.parametrize(("labelled", "attempt"), [(0, 1), (1, 1), (3, 3)])
@pytest.mark.parametrize("taken_over", [False, True])
def test_a_job_that_is_found_says_which_attempt_it_is(
    scene: Scene, taken_over: bool, labelled: int, attempt: int
) -> None:
    """A job without the label counts as the first, or as that of the claim."""
    if taken_over:
        scene.vertex.next_errors = [OutcomeUnknown("timed out")]
        scene.deliver(REQUEST)
        scene.clock.pass_(SubmitTimings().settle.total_seconds())
    scene.vertex.find = lambda *_: FoundJob(f"{PARENT}/customJobs/9", labelled)  # type: ignore[method-assign]
    assert scene.deliver(REQUEST) == "launch.found"
    entry = scene.launch(TICKET).entry
    assert (entry.attempt, entry.job_name) == (attempt, f"{PARENT}/customJobs/9")


@pytest.mark.parametrize("error", [Retry("503"), Denied("needs storage.objects.create")])
@pytest.mark.parametrize("number", [1, 2])
def test_a_ledger_that_takes_no_write_brings_the_message_again(scene: Scene, error: Exception, number: int) -> None:
    """Of the claim, before anything is sent; of the outcome, with the claim as the record."""
    ticket, write = scene.open(), scene.ledger.write
    writes = list[Launch]()

    def down(launch: Launch) -> Launch:
        writes.append(launch)
        if len(writes) == number:
            raise error
        return write(launch)

    scene.ledger.write = down  # type: ignore[method-assign]
    with pytest.raises(type(error)) as raised:
        scene.deliver(ticket)
    assert raised.value is error
    state = State.QUEUED if number == 1 else State.SUBMITTING
    assert (scene.launch(ticket).entry.state, len(scene.vertex.jobs)) == (state, number - 1)
