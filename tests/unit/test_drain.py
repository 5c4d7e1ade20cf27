"""Poll drains queues: it records and publishes each acked item, and no other."""

import threading
import tracemalloc
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from shared.core.errors import KeyRefused, OutcomeUnknown, Retry
from shared.core.intake import from_item
from shared.core.launch import Launch, Outcome, State
from shared.core.message import Queue
from shared.core.ports import OpenLaunches, QueueItem
from shared.core.shortage import Shortage
from tests.fakes import FakeWandb, InMemoryLedger
from tests.fakes.wandb import Item
from tests.unit.polling import A, B, Scene, scheduler


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()


def test_each_item_is_written_down_acked_and_published_once(scene: Scene) -> None:
    """The report says so."""
    for number in range(5):
        scene.wandb.push(f"i{number}", A if number % 2 else B)
    report = scene.poll()
    assert scene.states() == ["CLAIMED"] * 5
    assert sorted(scene.publisher.published) == sorted(scene.ledger.open)
    assert report.launched == {"a": 2, "b": 3}
    assert scene.poll().launched == {}


@pytest.mark.parametrize(("max_jobs", "open_before", "taken"), [(1, 0, 1), (3, 1, 2), (2, 2, 0), (-1, 3, 6), (0, 0, 0)])
def test_headroom_is_max_jobs_less_what_is_open(scene: Scene, max_jobs: int, open_before: int, taken: int) -> None:
    """Counted from the ledger, whatever state the launches are in."""
    for number in range(open_before):
        launch = scene.ledger.write(from_item(f"old{number}", A, {}, scene.clock()))
        scene.ledger.write(launch.move(State.SUBMITTING, attempt=1))
    for number in range(6):
        scene.wandb.push(f"i{number}", A)
    scene.poll(max_jobs=max_jobs)
    assert scene.states().count("CLAIMED") == taken


def test_an_item_that_cannot_run_yet_stays_in_the_queue_of_wandb(scene: Scene) -> None:
    """No more than max_queued launches wait in the ledger."""
    for number in range(6):
        scene.wandb.push(f"i{number}", A)
    scene.poll(max_queued=4)
    assert scene.states().count("CLAIMED") == 4


@pytest.mark.parametrize(
    ("state", "shortage", "held"),
    [
        (State.QUEUED, Shortage.STOCKOUT, True),
        (State.QUEUED, Shortage.AMOUNT, True),
        (State.SUBMITTING, Shortage.AMOUNT, True),  # it is being tried again at this moment
        (State.QUEUED, Shortage.RATE, False),
        (State.QUEUED, None, False),
    ],
)
def test_a_queue_with_a_launch_that_waits_for_capacity_is_not_popped(
    scene: Scene, state: State, shortage: Shortage | None, held: bool
) -> None:
    """Items that could not run stay in W&B, with their priority; other queues go on, and the report says so."""
    launch = scene.ledger.write(from_item("old", A, {}, scene.clock()))
    launch = scene.ledger.write(launch.move(State.SUBMITTING, attempt=1, short_of=shortage))
    if state is State.QUEUED:
        launch = scene.ledger.write(launch.move(State.QUEUED, short_of=shortage))
    for queue in (A, B):
        scene.wandb.push(f"i{queue.name}", queue)
    report = scene.poll()
    assert report.launched == ({"b": 1} if held else {"a": 1, "b": 1})
    assert report.held == ({"a": f"1 of its launches wait for capacity ({shortage})"} if held else {})
    if state is State.QUEUED:
        launch = scene.ledger.write(launch.move(State.SUBMITTING, attempt=2))
    scene.ledger.write(launch.move(State.SUBMITTED, short_of=None))
    assert scene.poll().launched == ({"a": 1} if held else {})


def test_a_busy_queue_does_not_starve_the_others(scene: Scene) -> None:
    """The queues are asked in turn."""
    for number in range(10):
        scene.wandb.push(f"a{number}", A)
        scene.wandb.push(f"b{number}", B)
    assert scene.poll(max_jobs=4).launched == {"a": 2, "b": 2}


@pytest.mark.parametrize("dies_at", ["ack", "publish"])
def test_an_item_survives_a_poll_that_dies(scene: Scene, dies_at: str) -> None:
    """Before its ack it comes again, to the same launch; after it, it is in the ledger for status to publish."""
    scene.wandb.push("i", A)
    if dies_at == "ack":
        scene.wandb.fail["ack"] = Retry("died")
    else:
        scene.publisher.unreachable = Retry("died")
    assert scene.poll().errors
    assert scene.publisher.published == []
    [launch] = scene.ledger.open.values()
    assert launch.entry.state is State.QUEUED
    scene.wandb.fail.clear()
    scene.publisher.unreachable = None
    scene.wandb.end_leases()
    scene.poll()
    assert scene.publisher.published == ([launch.key] if dies_at == "ack" else [])
    assert list(scene.ledger.open) == [launch.key]
    assert scene.states() == ["CLAIMED"]


class Died(BaseException):
    """The end of a process: nothing that handles errors handles it."""


@pytest.mark.parametrize("step", ["pop", "open", "ack", "publish"])
def test_a_poll_may_die_after_each_of_its_steps(scene: Scene, step: str) -> None:
    """One launch and an acked item in the end; what was acked and not published is in the ledger, for status to see."""
    part, method = {
        "pop": (scene.wandb, scene.wandb.pop),
        "open": (scene.ledger, scene.ledger.write),
        "ack": (scene.wandb, scene.wandb.ack),
        "publish": (scene.publisher, scene.publisher.publish),
    }[step]

    def and_die(*arguments: Any) -> None:
        method(*arguments)  # type: ignore[operator]
        raise Died

    scene.wandb.push("i", A)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part, method.__name__, and_die)
        with pytest.raises(Died):
            scene.poll()
    scene.wandb.end_leases()
    scene.clock.pass_(151)
    scene.poll()
    [launch] = scene.ledger.open.values()
    assert (scene.states(), launch.entry.state) == (["CLAIMED"], State.QUEUED)
    assert scene.publisher.published == ([] if step == "ack" else [launch.key])


def test_an_item_that_was_never_acked_holds_no_slot(scene: Scene) -> None:
    """With one slot, the launch of a poll that died before its ack does not lock the queue for ever."""
    scene.ledger.write(from_item("i", A, {"entity": "team", "project": "cats"}, scene.clock()))
    scene.wandb.push("i", A)
    assert scene.poll(max_jobs=1).launched == {}
    scene.clock.pass_(61)
    assert scene.poll(max_jobs=1).launched == {"a": 1}
    scene.wandb.push("next", A)
    scene.clock.pass_(61)
    assert scene.poll(max_jobs=1).launched == {}, "acked by now, so it holds its slot"


def test_a_lost_answer_to_an_ack_is_looked_up(scene: Scene) -> None:
    """The item shows our run: it is ours."""
    scene.wandb.push("i", A)
    scene.wandb.lose["ack"] = OutcomeUnknown("timed out")
    assert scene.poll().launched == {"a": 1}
    assert len(scene.publisher.published) == 1


def test_a_lost_answer_to_a_pop_costs_one_lease(scene: Scene) -> None:
    """The item comes again when its lease has ended."""
    scene.wandb.push("i", A)
    scene.wandb.lose["pop"] = OutcomeUnknown("timed out")
    assert scene.poll().errors == ["queue a: timed out"]
    scene.wandb.end_leases()
    assert scene.poll().launched == {"a": 1}


def test_an_item_of_another_agent_is_withdrawn(scene: Scene) -> None:
    """Another agent popped and acked it while our ack was under way."""
    item = scene.wandb.push("i", A)

    class Quicker(FakeWandb):
        def ack(self, item_id: str, run_id: str) -> bool:
            item.state, item.run_name = "CLAIMED", "theirs"
            return False

    scene.wandb = Quicker(items=scene.wandb.items)
    assert scene.poll().left == {"another agent has it": 1}
    assert (scene.ledger.open, scene.publisher.published) == ({}, [])


def test_a_lease_that_ended_leaves_the_launch_for_the_next_pop(scene: Scene) -> None:
    """Nothing is published for what W&B has not acked to us."""
    item = scene.wandb.push("i", A)

    class Slow(FakeWandb):
        late = True

        def ack(self, item_id: str, run_id: str) -> bool:
            if self.late:
                return False
            return super().ack(item_id, run_id)

    scene.wandb = slow = Slow(items=scene.wandb.items)
    report = scene.poll(queues=(A,), max_jobs=1)
    assert report.left == {"lease ended": 1}
    assert scene.publisher.published == []
    scene.clock.pass_(61)
    item.state, slow.late = "PENDING", False
    scene.poll(queues=(A,), max_jobs=1)
    assert scene.publisher.published == list(scene.ledger.open)


def test_one_agent_is_registered_and_found_again(scene: Scene) -> None:
    """It is RUNNING while launches are open, and POLLING otherwise; other queues make another agent."""
    scene.poll()
    scene.poll()
    scene.wandb.push("i", A)
    scene.poll()
    scene.poll()
    assert scene.wandb.agents == {"agent-1": ["POLLING", "POLLING", "RUNNING"]}
    scene.poll(queues=(A,))
    assert list(scene.wandb.agents) == ["agent-1", "agent-2"]


def test_a_deleted_agent_is_registered_anew(scene: Scene) -> None:
    """W&B does not know it any more."""
    scene.poll()
    scene.wandb.agents.clear()
    assert scene.poll().agent_id == "agent-1"
    assert list(scene.wandb.agents) == ["agent-1"]


def test_stop_polling_stops_popping_and_nothing_else(scene: Scene) -> None:
    """The open launches go on."""
    scene.wandb.push("i", A)
    scene.poll()
    scene.wandb.push("j", A)
    scene.wandb.stop_polling = True
    report = scene.poll()
    assert not report.polled
    assert report.why_not == ("W&B asks this agent to stop polling; `vertex-launch agent start` lets it poll again")
    assert scene.states() == ["CLAIMED", "PENDING"]


def test_two_polls_do_not_work_at_the_same_time(scene: Scene) -> None:
    """The second one leaves at once, until the first one's lease has ended."""
    scene.agents.take("other", scene.clock(), scene.clock() + timedelta(seconds=75))
    report = scene.poll()
    assert (report.polled, report.why_not) == (False, "another poll is working")
    assert scene.wandb.calls == []
    scene.clock.pass_(76)
    assert scene.poll().polled


def test_the_lease_is_given_back_after_an_error(scene: Scene) -> None:
    """A key that W&B refuses does not lock the next call out."""
    scene.wandb.fail["register"] = KeyRefused("401")
    with pytest.raises(KeyRefused):
        scene.poll()
    scene.wandb.fail.clear()
    assert scene.poll().polled


FREEZES = {  # the call after which the process freezes: what is written and what is acked by then
    "read": (0, ["PENDING", "PENDING"]),  # of the agent's note
    "hold": (0, ["LEASED", "PENDING"]),  # the lease
    "list_open": (0, ["PENDING", "PENDING"]),
    "heartbeat": (0, ["PENDING", "PENDING"]),
    "pop": (0, ["LEASED", "PENDING"]),
    "write": (1, ["LEASED", "PENDING"]),
    "ack": (1, ["CLAIMED", "PENDING"]),
}


@pytest.mark.parametrize("call", FREEZES)
def test_a_poll_that_freezes_begins_nothing_when_it_goes_on(
    scene: Scene, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour later, its lease is over: it pops, writes and acks nothing more. The next poll takes what is left."""
    scene.poll()
    written, states = FREEZES[call]
    scene.wandb.push("i", A)
    scene.wandb.push("j", A)
    part: Any = scene.wandb
    part = scene.agents if call in ("read", "hold") else scene.ledger if call in ("write", "list_open") else part
    call = call.replace("hold", "write")
    method = getattr(part, call)

    def freeze(*arguments: Any, **named: Any) -> Any:
        done = method(*arguments, **named)
        scene.clock.pass_(3600)
        return done

    monkeypatch.setattr(part, call, freeze)
    scene.poll(connections=1)
    assert (len(scene.ledger.open), scene.states()) == (written, states)
    assert len(scene.publisher.published) == (call == "ack"), "a late ticket changes nothing"
    monkeypatch.undo()
    scene.wandb.end_leases()
    scene.poll()
    assert (len(scene.ledger.open), scene.states()) == (2, ["CLAIMED", "CLAIMED"])


def test_an_item_that_was_popped_too_late_is_left_to_the_next_call(scene: Scene) -> None:
    """That is no error; a call that finds its time over before it has asked any queue is one."""
    scene.wandb.push("i", A)

    class Slow(FakeWandb):
        def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
            scene.clock.pass_(60)
            return super().pop(queue, agent_id)

    scene.wandb = Slow(items=scene.wandb.items)
    report = scene.poll(queues=(A,))
    assert (report.left, report.errors) == ({"the time is over": 1}, [])

    class SlowListing(InMemoryLedger):
        def list_open(self) -> OpenLaunches:
            scene.clock.pass_(60)
            return super().list_open()

    scene.ledger = SlowListing()
    [error] = scene.poll().errors
    assert error == "time: the budget was spent before the first pop (POLL_BUDGET_SECONDS)"


@pytest.mark.parametrize(("items", "most"), [(0, 1), (1, 3), (2, 5), (40, 81)])
def test_an_empty_queue_costs_one_pop(scene: Scene, items: int, most: int) -> None:
    """Whatever the connections; each item found lets two workers go on, and both may find nothing."""
    for number in range(items):
        scene.wandb.push(f"i{number}", A)
    scene.poll(connections=32)
    assert scene.states() == ["CLAIMED"] * items
    assert items < scene.wandb.pops.count("a") <= most
    assert scene.wandb.pops.count("b") == 1


def test_many_items_are_popped_side_by_side(scene: Scene) -> None:
    """Eight pops wait for each other; the first items start more workers."""
    together = threading.Barrier(8, timeout=20)

    class Gathered(FakeWandb):
        def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
            item = super().pop(queue, agent_id)
            if len(self.pops) > 15:  # one, two, four and eight workers
                together.wait()
            return item

    for number in range(23):
        scene.wandb.push(f"i{number}", A)
    scene.wandb = Gathered(items=scene.wandb.items)
    scene.poll(queues=(A,), connections=8)
    assert not together.broken
    assert scene.states() == ["CLAIMED"] * 23


def test_one_queue_that_fails_does_not_stop_the_others(scene: Scene) -> None:
    """It is named in the report."""

    class Half(FakeWandb):
        def pop(self, queue: Queue, agent_id: str):  # type: ignore[no-untyped-def]
            if queue == A:
                raise Retry("no such queue")
            return super().pop(queue, agent_id)

    scene.wandb = Half()
    scene.wandb.push("i", B)
    report = scene.poll()
    assert (report.launched, report.errors) == ({"b": 1}, ["queue a: no such queue"])


def test_a_mistake_of_ours_with_one_item_does_not_hold_back_the_others(scene: Scene) -> None:
    """Items acked before it are published."""
    scene.wandb.push("a", A)
    scene.wandb.push("b", B)

    class Odd(InMemoryLedger):
        def write(self, launch: Launch) -> Launch:
            if launch.entry.queue_name == "b":
                raise KeyError("odd")
            return super().write(launch)

    scene.ledger = Odd()
    report = scene.poll()
    assert (report.launched, report.errors) == ({"a": 1}, ["queue b, item b: KeyError: 'odd'"])
    assert len(scene.publisher.published) == 1


def test_a_closed_launch_does_not_come_back_through_a_queue(scene: Scene) -> None:
    """Whatever poll opens again, submit finds closed; poll itself only writes and acks."""
    launch = from_item("i", A, {}, scene.clock())
    scene.ledger.close(launch.end(Outcome.FAILED, "", scene.clock()))
    scene.wandb.push("i", A)
    scene.poll()
    assert scene.ledger.is_closed(launch.key)


@pytest.mark.parametrize(("most", "taken"), [(1, 1), (2, 2), (-1, 3), (0, 0)])
@pytest.mark.parametrize("connections", [1, 4])
def test_no_more_schedulers_of_sweeps_than_the_setting_allows(
    scene: Scene, most: int, taken: int, connections: int
) -> None:
    """Another is not acked, so that W&B keeps it; it is taken when one has ended."""
    for number in range(3):
        scene.wandb.push(f"s{number}", A, **scheduler(f"s{number}"))
    report = scene.poll(max_schedulers=most, connections=connections)
    assert report.left == ({"max_schedulers are open": 3 - taken} if taken < 3 else {})
    scene.wandb.end_leases()
    scene.poll(max_schedulers=most, connections=connections)
    assert scene.states().count("CLAIMED") == taken == len(scene.ledger.open)
    if 0 < taken < 3:
        [first, *_] = scene.ledger.open.values()
        scene.ledger.close(first.end(Outcome.SUCCEEDED, "", scene.clock()))
        scene.wandb.end_leases()
        scene.poll(max_schedulers=most, connections=connections)
        assert scene.states().count("CLAIMED") == taken + 1


def test_a_scheduler_takes_no_slot_of_its_runs(scene: Scene) -> None:
    """With max_jobs 1 the sweep would wait for itself. A waiting scheduler does not hold back the runs behind it."""
    scene.wandb.push("s1", A, **scheduler("s1"))
    scene.poll(max_jobs=1)
    scene.wandb.push("s2", A, **scheduler("s2"))
    scene.wandb.push("run", A, sweep_id="sw1")
    report = scene.poll(max_jobs=1)
    assert (scene.wandb.items["s1"].state, scene.wandb.items["run"].state) == ("CLAIMED", "CLAIMED")
    assert (report.left, report.launched) == ({"max_schedulers are open": 1}, {"a": 1})


@pytest.mark.parametrize("passed", [0, 61], ids=["at once", "overdue"])
def test_a_scheduler_that_was_never_acked_is_taken_again(scene: Scene, passed: int) -> None:
    """A poll died before its ack: the launch that it opened does not count against itself."""
    scene.wandb.push("s1", A, **scheduler("s1"))
    scene.wandb.fail["ack"] = Retry("died")
    assert scene.poll().errors
    scene.wandb.fail.clear()
    scene.wandb.end_leases()
    scene.clock.pass_(passed)
    assert scene.poll().launched == {"a": 1}
    assert scene.states() == ["CLAIMED"]


@dataclass
class Long(FakeWandb):
    """A queue so long that its next item is not looked for: it is at hand."""

    waiting: deque[Item] = field(default_factory=deque)

    def fill(self, count: int) -> None:
        """Enqueue as many."""
        self.waiting.extend(self.push(f"i{number}", A) for number in range(count))

    def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
        """Lease the next item."""
        if queue != A or not self.waiting:
            return None
        item = self.waiting.popleft()
        item.state = "LEASED"
        return QueueItem(item.id, item.run_spec)


@pytest.mark.slow
def test_ten_thousand_items_are_drained_within_the_limits(scene: Scene) -> None:
    """Never more open than may be, each once, none left."""
    scene.wandb = many = Long()
    many.fill(10_000)
    for _ in range(20):
        assert scene.poll(max_jobs=500, max_queued=500).launched == {"a": 500}
        assert scene.poll(max_jobs=500, max_queued=500).launched == {}
        assert len(scene.ledger.open) == 500
        for launch in list(scene.ledger.open.values()):
            scene.ledger.close(launch.end(Outcome.SUCCEEDED, "", scene.clock()))
    assert set(scene.states()) == {"CLAIMED"}
    assert len(set(scene.publisher.published)) == len(scene.publisher.published) == len(scene.ledger.closed) == 10_000


def test_a_poll_needs_no_more_memory_for_a_longer_queue(scene: Scene) -> None:
    """It holds what it takes, not what waits."""
    peaks = []
    for waiting in (1_000, 10_000):
        scene.wandb, scene.ledger = many, _ = Long(), InMemoryLedger()
        many.fill(waiting)
        tracemalloc.start()
        assert scene.poll(max_jobs=200, max_queued=200).launched == {"a": 200}
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
