"""A launch's states: every pair of them, and what any item or request is written down as."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.core.intake import from_item, from_request
from shared.core.launch import NOTICE_BYTES, TRANSITIONS, IllegalTransition, Launch, Outcome, State
from shared.core.message import Queue, Request
from shared.core.shortage import Shortage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = Queue(entity="team", name="vertex")


def launch_in(state: State) -> Launch:
    """Return a launch that came to a state by legal moves."""
    ways = {
        State.QUEUED: [],
        State.SUBMITTING: [State.SUBMITTING],
        State.SUBMITTED: [State.SUBMITTING, State.SUBMITTED],
        State.ENDED: [State.ENDED],
    }
    launch = from_item("item", QUEUE, {}, NOW)
    for step in ways[state]:
        launch = launch.move(step)
    return launch


@pytest.mark.parametrize(("start", "end"), list(itertools.product(State, State)))
def test_every_pair_of_states(start: State, end: State) -> None:
    """A move that the table does not have is a mistake of ours, and changes nothing."""
    launch = launch_in(start)
    if end in TRANSITIONS[start]:
        assert launch.move(end).entry.state is end
    else:
        with pytest.raises(IllegalTransition):
            launch.move(end)
    assert launch.entry.state is start


def test_nothing_leads_out_of_the_end() -> None:
    """The end can be reached from every state."""
    assert TRANSITIONS[State.ENDED] == frozenset()
    assert all(State.ENDED in TRANSITIONS[state] for state in State if state is not State.ENDED)


def test_the_report_is_owed_to_an_item_only() -> None:
    """Requests of other systems have no item in W&B to report to."""
    item = from_item("item", QUEUE, {}, NOW)
    request = from_request(Request(source="ci", idempotency_key="1", run_spec={}, queue=QUEUE), NOW)
    assert [launch.end(Outcome.FAILED, "x", NOW).entry.report_owed for launch in (item, request)] == [True, False]
    assert not item.end(Outcome.SUCCEEDED, "", NOW, report=False).entry.report_owed


def test_only_a_launch_of_a_queue_holds_it() -> None:
    """Another system's request that waits for capacity holds nobody's queue."""
    item = from_item("item", QUEUE, {}, NOW)
    request = from_request(Request(source="ci", idempotency_key="1", run_spec={}, queue=QUEUE), NOW)
    waiting = [
        launch.move(State.SUBMITTING).move(State.QUEUED, short_of=Shortage.STOCKOUT) for launch in (item, request)
    ]
    assert [launch.entry.holds_queue for launch in waiting] == [True, False]


def test_the_same_request_has_the_same_key_and_run_id() -> None:
    """Nothing is drawn at random."""
    first, again, other = (from_item(item, QUEUE, {}, NOW) for item in ("a", "a", "b"))
    assert (first.key, first.entry.run) == (again.key, again.entry.run)
    assert first.key != other.key
    assert from_item("a", QUEUE, {"run_id": "mine"}, NOW).entry.run.run_id == "mine"


def test_a_run_that_another_agent_has_requeued_goes_on_counting() -> None:
    """An agent's requeue is a new item with its run id and its count; any other value of the count is ignored."""
    counts = [3, 0, -1, "2", None, True, 10**9]
    opened = [from_item("a", QUEUE, {"run_id": "mine", "_resume_count": count}, NOW) for count in counts]
    assert [launch.entry.resumes for launch in opened] == [3, 0, 0, 0, 0, 0, 1000]
    requested = from_request(Request(source="ci", idempotency_key="1", run_spec={"_resume_count": 2}), NOW)
    assert requested.entry.resumes == 2


def test_each_attempt_and_each_resume_is_the_same_run() -> None:
    """Also where nobody has named it."""
    launch = from_item("a", QUEUE, {"sweep_id": "s"}, NOW)
    submitted = launch.move(State.SUBMITTING, attempt=1).move(State.SUBMITTED, job_name="j", submitted_at=NOW)
    resumed = submitted.resume(NOW, 5)
    assert (resumed.entry.run, resumed.entry.attempt, resumed.entry.resumes) == (launch.entry.run, 1, 1)
    assert resumed.entry.claimable(NOW)
    assert resumed.run_spec == {"_resume_count": 1}
    assert submitted.run_spec == {"sweep_id": "s"}


def test_the_same_notice_is_sent_once() -> None:
    """Another notice is sent again, and a long one is cut to the limit of metadata."""
    noticed = from_item("a", QUEUE, {}, NOW).tell("no room")
    heard = Launch(noticed.entry.__class__(**{**_fields(noticed), "noticed": True}), {})
    assert heard.tell("no room").entry.noticed
    assert not heard.tell("still no room").entry.noticed
    assert len(heard.tell("🐈" * 5000).entry.notice.encode()) <= NOTICE_BYTES


def _fields(launch: Launch) -> dict[str, Any]:
    return {name: getattr(launch.entry, name) for name in launch.entry.__slots__}
