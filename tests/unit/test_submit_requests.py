"""Requests of other systems: their own headroom, their keys, and records that come back."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from functions.submit.submit import SubmitTimings
from shared.core.budget import Budget
from shared.core.errors import Capacity, Denied, KeyReused, NotAMessage, OutcomeUnknown, Retry
from shared.core.launch import Launch, Outcome, State
from shared.core.message import Queue, Request, Ticket
from shared.core.ports import CustomJobCall, FoundJob, OpenLaunches
from shared.core.shortage import Shortage
from tests.fakes.clock import PLENTY
from tests.unit.submitting import Scene, labels

QUEUE = Queue(entity="team", name="vertex")


def a_request(key: str = "42", **spec: Any) -> Request:
    """Return a request of another system."""
    return Request(source="ci", idempotency_key=key, run_spec={"entity": "e", "project": "p", **spec})


def ticket_of(request: Request) -> Ticket:
    """Return a ticket for its launch."""
    return Ticket(launch_key=request.launch_key)


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()


def limited(scene: Scene, most: int) -> Scene:
    """Return the scene with room for this many running requests."""
    timings = replace(SubmitTimings(), max_requests=most)
    scene.submit = replace(scene.submit, timings=timings, pause=lambda _: None)
    return scene


def test_a_request_beyond_its_headroom_waits_in_the_ledger(scene: Scene) -> None:
    """The wait is no failure; when one of the others has ended, it is launched."""
    pauses = list[float]()
    limited(scene, 1)
    scene.submit = replace(scene.submit, pause=pauses.append)
    first, second = a_request("1"), a_request("2")
    assert scene.deliver(first) == "launch.submitted"
    for _ in range(50):
        assert scene.deliver(second) == "launch.waiting"
        entry = scene.launch(ticket_of(second)).entry
        assert (entry.state, entry.failures, entry.holds_queue) == (State.QUEUED, 0, False)
        assert entry.retry_at
        assert "LAUNCH_MAX_REQUESTS" in entry.notice
        scene.clock.now = entry.retry_at
    scene.ledger.close(scene.launch(ticket_of(first)).end(Outcome.SUCCEEDED, "", scene.clock()))
    assert scene.deliver(second) == "launch.submitted"
    assert pauses == []  # nobody waits, with a claim, for a job that runs


def test_submits_in_many_threads_do_not_exceed_the_headroom(scene: Scene) -> None:
    """Whatever they interleave; a place that none of them took is taken by the next."""
    limited(scene, 3)
    lock, create = threading.Lock(), scene.vertex.create

    def one_at_a_time(call: CustomJobCall, budget: Budget) -> str:
        with lock:
            return create(call, budget)

    scene.vertex.create = one_at_a_time  # type: ignore[method-assign]
    requests = [a_request(str(number)) for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        events = list(pool.map(scene.deliver, requests))
    assert set(events) <= {"launch.submitted", "launch.waiting"}
    assert len(scene.vertex.jobs) == events.count("launch.submitted") <= 3
    scene.clock.pass_(3600)
    for request in requests:
        scene.deliver(request)
    assert len(scene.vertex.jobs) == 3


def test_items_of_queues_have_their_own_headroom(scene: Scene) -> None:
    """They take no place of a request, and are never held back here."""
    limited(scene, 1)
    assert [scene.deliver(scene.open(f"item-{n}")) for n in range(3)] == ["launch.submitted"] * 3
    assert scene.deliver(a_request("1")) == "launch.submitted"
    assert scene.deliver(scene.open("item-4")) == "launch.submitted"


def test_concurrent_submits_do_not_exceed_the_headroom(scene: Scene) -> None:
    """Between a claim and its count, anything may happen: the younger gives way, and the older waits for that."""
    limited(scene, 1)
    older, younger = a_request("1"), a_request("2")
    list_open, events = scene.ledger.list_open, list[str]()

    def between() -> OpenLaunches:
        if not events:
            events.append("")
            scene.clock.pass_(1)
            events[0] = scene.submit.launch(younger, PLENTY)
        return list_open()

    scene.ledger.list_open = between  # type: ignore[method-assign]
    assert scene.deliver(older) == "launch.submitted"
    assert events == ["launch.waiting"]
    assert len(scene.vertex.jobs) == 1


def test_a_claim_whose_elder_does_not_give_way_is_given_back(scene: Scene) -> None:
    """The limit holds: a claim of a dead process counts until its lease ends."""
    limited(scene, 1)
    dead = scene.ledger.write(_opened(scene, "1").move(State.SUBMITTING, attempt=1))
    assert scene.deliver(a_request("2")) == "launch.waiting"
    assert scene.ledger.open[dead.key].entry.state is State.SUBMITTING


def test_a_claim_waits_four_seconds_for_a_younger_one_to_give_way(scene: Scene) -> None:
    """Not longer: the other process may be dead."""
    limited(scene, 1)
    older = _opened(scene, "1")
    scene.clock.pass_(60)
    scene.ledger.write(_opened(scene, "2").move(State.SUBMITTING, attempt=1))
    pauses, scene.ledger.listings = list[float](), 0
    scene.submit = replace(scene.submit, pause=pauses.append)
    assert scene.deliver(Ticket(launch_key=older.key)) == "launch.waiting"
    assert (pauses, scene.ledger.listings) == ([1.0] * 4, 5)


def test_a_record_that_cannot_be_read_takes_a_place(scene: Scene) -> None:
    """It may be of a request that runs."""
    limited(scene, 1)
    scene.ledger.unreadable = {"kodd": "is no JSON"}
    assert scene.deliver(a_request()) == "launch.waiting"


@pytest.mark.parametrize("as_ticket", [True, False], ids=["ticket", "request"])
def test_a_launch_that_needs_a_newer_version_is_left_alone(scene: Scene, as_ticket: bool) -> None:
    """Its message is done with: a newer status publishes a ticket again. A dead letter would help nobody."""
    opened = _opened(scene, "1")
    scene.clock.pass_(3600)
    before = scene.ledger.open[opened.key]
    scene.ledger.unreadable = {opened.key: "needs version 2 of the records; this is 1"}
    message = ticket_of(a_request("1")) if as_ticket else a_request("1")
    assert scene.deliver(message) == "launch.needs_newer"
    assert scene.ledger.open[opened.key] == before
    assert not scene.vertex.jobs


def _opened(scene: Scene, key: str) -> Launch:
    """Write a request down without launching it."""
    scene.vertex.next_errors = [Capacity("no room")]
    scene.deliver(a_request(key))
    return scene.launch(ticket_of(a_request(key)))


@pytest.mark.parametrize("shortage", list(Shortage))
def test_a_request_never_holds_a_queue(scene: Scene, shortage: Shortage) -> None:
    """Even if it takes that queue's configuration and waits for machines."""
    request = replace_queue(a_request(resource_args={"vertex": {}}))
    scene.vertex.next_errors = [Capacity("no room", shortage)]
    scene.deliver(request)
    assert not scene.launch(ticket_of(request)).entry.holds_queue


def replace_queue(request: Request) -> Request:
    """Return a request on behalf of a queue."""
    return request.model_copy(update={"queue": QUEUE})


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_a_key_with_other_content_is_a_visible_error(
    scene: Scene, closed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends in the dead letters; the log names source and key, and the first launch is untouched."""
    first, other = a_request(), a_request(lr=1)
    scene.deliver(first)
    if closed:
        scene.ledger.close(scene.launch(ticket_of(first)).end(Outcome.SUCCEEDED, "", scene.clock()))
    before = dict(scene.ledger.open)
    for _ in range(2):
        with pytest.raises(KeyReused, match="'ci' used the idempotency key '42' before, with other content"):
            scene.deliver(other)
    assert (scene.ledger.open, len(scene.vertex.jobs)) == (before, 1)
    [first_line, _] = [record for record in caplog.records if record.message == "request.key_reused"]
    fields = first_line.__dict__["fields"]
    assert (first_line.levelname, fields["source"], fields["idempotency_key"]) == ("ERROR", "ci", "42")
    assert scene.deliver(first) == ("launch.late_duplicate" if closed else "launch.nothing_to_do")


def test_the_same_content_may_be_written_differently(scene: Scene) -> None:
    """The order of keys does not count; another queue does."""
    scene.deliver(Request(source="ci", idempotency_key="42", run_spec={"entity": "e", "project": "p"}))
    same = Request(source="ci", idempotency_key="42", run_spec={"project": "p", "entity": "e"})
    assert scene.deliver(same) == "launch.nothing_to_do"
    with pytest.raises(KeyReused):
        scene.deliver(replace_queue(same))


def test_a_record_of_an_older_version_is_not_compared(scene: Scene) -> None:
    """It has no digest."""
    scene.deliver(a_request())
    launch = scene.launch(ticket_of(a_request()))
    scene.ledger.write(replace(launch, digest=""))
    assert scene.deliver(a_request(lr=1)) == "launch.nothing_to_do"


def test_a_request_that_cannot_be_stored_is_no_message(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """It can never be launched, and goes to the dead letters."""

    def full(launch: Launch) -> Launch:
        raise ValueError("Exceeds the limit (4300 digits) for integer string conversion")

    scene.ledger.write = full  # type: ignore[method-assign]
    with pytest.raises(NotAMessage):
        scene.deliver(a_request())
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["request.not_storable"]


def test_an_integer_of_any_length_in_a_request_is_no_exception(scene: Scene) -> None:
    """Python refuses to print it."""
    with pytest.raises(NotAMessage):
        scene.deliver(a_request(seed=10**5000))


def restored(scene: Scene, request: Request, attempt: int = 1) -> str:
    """Leave a job of an earlier record of this request, and no record."""
    launch = Scene(clock=scene.clock)
    launch.deliver(request)
    [earlier] = launch.ledger.open.values()
    entry = replace(earlier.entry, attempt=attempt)
    call = CustomJobCall("p", "us-central1", {"labels": labels(replace(earlier, entry=entry))}, {})
    return scene.vertex.create(call, PLENTY)


@pytest.mark.parametrize("attempt", [1, 3])
def test_a_new_record_finds_the_job_of_an_earlier_one(scene: Scene, attempt: int) -> None:
    """Deleted by hand, restored from soft delete, or closed more than 30 days ago and replayed."""
    name = restored(scene, a_request(), attempt)
    assert scene.deliver(a_request()) == "launch.found"
    entry = scene.launch(ticket_of(a_request())).entry
    assert (entry.state, entry.job_name, entry.attempt) == (State.SUBMITTED, name, attempt)
    assert len(scene.vertex.jobs) == 1


@pytest.mark.parametrize("error", [Retry("503"), Denied("needs customJobs.list"), ValueError("odd")])
def test_nothing_is_sent_before_that_look_up_succeeds(scene: Scene, error: Exception) -> None:
    """Its failures are counted; the next attempt looks once more."""
    restored(scene, a_request())
    scene.vertex.unreachable = error
    for failures in (1, 2):
        event = "launch.denied" if isinstance(error, Denied) else "launch.retry"
        assert scene.deliver(a_request()) == event
        entry = scene.launch(ticket_of(a_request())).entry
        assert (entry.state, entry.failures) == (State.QUEUED, failures)
        scene.clock.pass_(3600)
    scene.vertex.unreachable = None
    assert scene.deliver(a_request()) == "launch.found"
    assert len(scene.vertex.jobs) == 1


def test_a_submit_that_died_during_that_look_up_is_taken_over_by_one_that_finds_the_job(scene: Scene) -> None:
    """A takeover of a first attempt looks for jobs of any attempt."""
    name = restored(scene, a_request(), 3)
    request = a_request()

    def dies(parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        raise KeyboardInterrupt

    find, scene.vertex.find = scene.vertex.find, dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        scene.deliver(request)
    scene.vertex.find = find  # type: ignore[method-assign]
    scene.clock.pass_(SubmitTimings().lease.total_seconds())
    assert scene.deliver(ticket_of(request)) == "launch.found"
    assert scene.launch(ticket_of(request)).entry.job_name == name


def test_a_run_that_another_agent_resumed_is_looked_up_too(scene: Scene) -> None:
    """Its first attempt here may be one of a record that came back."""
    request = a_request(_resume_count=3)
    restored(scene, request)
    assert scene.deliver(request) == "launch.found"


@pytest.mark.parametrize("older", [False, True], ids=["now", "a record of an older version"])
def test_a_preempted_request_does_not_find_its_own_last_job(scene: Scene, older: bool) -> None:
    """It gets a new one; so does one whose job found no machines."""
    request, ticket = a_request(), ticket_of(a_request())
    scene.deliver(request)
    launch = scene.launch(ticket)
    scene.ledger.write(replace(launch, searched=not older).resume(scene.clock(), 5))
    assert scene.launch(ticket).searched
    assert scene.deliver(ticket) == "launch.submitted"
    launch = replace(scene.launch(ticket), searched=not older)
    launch = replace(launch, entry=replace(launch.entry, resumes=0))
    scene.ledger.write(launch.wait_for_capacity(scene.clock(), Shortage.STOCKOUT, "no T4", SubmitTimings().backoff))
    scene.clock.pass_(3600)
    assert scene.deliver(ticket) == "launch.submitted"
    assert len(scene.vertex.jobs) == 3


def test_an_item_of_a_queue_is_not_looked_up(scene: Scene) -> None:
    """Its record cannot come back: W&B gives an item once."""
    asked = []
    scene.vertex.find = lambda *one: asked.append(one)  # type: ignore[method-assign]
    scene.deliver(scene.open())
    assert asked == []


def test_a_first_create_without_an_answer_is_looked_up_twice(scene: Scene) -> None:
    """As that of an item is."""
    scene.vertex.next_errors = [OutcomeUnknown("timed out")]
    events = []
    for _ in range(4):
        events.append(scene.deliver(a_request()))
        scene.clock.pass_(SubmitTimings().look_again.total_seconds())
    assert events == ["launch.outcome_unknown", "launch.looked", "launch.retry", "launch.submitted"]


def test_two_look_ups_of_a_submit_that_died_are_enough(scene: Scene) -> None:
    """They were made by the launch's key alone, so no third one stands before the next create."""
    looks: list[str] = []
    find, create = scene.vertex.find, scene.vertex.create

    def dies(call: CustomJobCall, budget: Budget) -> str:
        raise KeyboardInterrupt

    def counted(parent: str, labels: Mapping[str, str]) -> FoundJob | None:
        looks.append(parent)
        return find(parent, labels)

    scene.vertex.create = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        scene.deliver(a_request())
    scene.vertex.create, scene.vertex.find = create, counted  # type: ignore[method-assign]
    for event in ("launch.looked", "launch.retry", "launch.submitted"):
        scene.clock.pass_(SubmitTimings().lease.total_seconds())
        assert scene.deliver(ticket_of(a_request())) == event
    assert len(looks) == 2


def test_an_unforeseen_error_of_its_queue_is_a_counted_failure(scene: Scene) -> None:
    """A request takes its configuration from there."""
    scene.queues.unreachable = KeyError("runQueue")
    request = replace_queue(a_request())
    assert scene.deliver(request) == "launch.retry"
    assert scene.launch(ticket_of(request)).entry.failures == 1
