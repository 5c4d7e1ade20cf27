"""A failure of one item, queue or record costs poll only that one: the items behind it are served."""

import math
from typing import Any

import pytest

from functions.poll.slots import MAX_STRIKES
from shared.core.errors import Denied, LaunchError, OutcomeUnknown, Retry
from shared.core.intake import MAX_DIGITS, from_item, from_request
from shared.core.launch import Launch, Outcome, State
from shared.core.message import Queue, Request
from shared.core.ports import Answers, ItemStatus, QueueItem
from shared.core.shortage import Shortage
from tests.fakes import FakeWandb, InMemoryLedger
from tests.unit.polling import A, B, Scene, scheduler
from tests.unit.test_intake import CAT, nested

POISON: dict[str, dict[str, Any]] = {
    "NaN": {"overrides": {"run_config": {"lr": math.nan}}},
    "infinity": {"overrides": {"run_config": {"lr": math.inf}}},
    "half a surrogate pair": {"name": "\ud83d"},
    "a key of half a surrogate pair": {"overrides": {"\udc08": 1}},
    "a long integer": {"seed": 10**MAX_DIGITS},
    "deep nesting": {"resource_args": nested(5000)},
    "a long name": {"run_id": CAT * 256},
}


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()


@pytest.mark.parametrize("poison", POISON)
def test_the_item_behind_a_poison_item_is_served_at_the_same_call(scene: Scene, poison: str) -> None:
    """With one slot. The item is acked to us, so that status may report it, and its refusal waits in the ledger."""
    scene.wandb.push("poison", A, **POISON[poison])
    scene.wandb.push("next", A)
    report = scene.poll(max_jobs=1)
    assert (report.refused, report.launched, report.errors) == ({"a": 1}, {"a": 1}, [])
    assert scene.states() == ["CLAIMED", "CLAIMED"]
    refused = next(each for each in scene.ledger.open.values() if each.entry.item_id == "poison")
    entry = refused.entry
    assert (entry.state, entry.outcome, entry.report_owed) == (State.ENDED, Outcome.REJECTED, True)
    assert scene.wandb.items["poison"].run_name == entry.run.run_id
    assert refused.key not in scene.publisher.published
    assert scene.poll(max_jobs=2).launched == {}


def test_an_item_that_the_adapter_cannot_read_is_refused_in_its_words(scene: Scene) -> None:
    """Too many bytes, or no JSON: its author reads the reason."""

    class Unreadable(FakeWandb):
        def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
            item = super().pop(queue, agent_id)
            return QueueItem(item.id, {}, "run_spec: has 12,000,000 bytes") if item else None

    scene.wandb = Unreadable()
    scene.wandb.push("i", A)
    assert scene.poll(max_jobs=1).refused == {"a": 1}
    assert [launch.reason for launch in scene.ledger.open.values()] == ["run_spec: has 12,000,000 bytes"]


@pytest.mark.parametrize("where", ["reading", "writing"])
def test_a_mistake_of_ours_with_an_item_refuses_it(scene: Scene, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the item would come again for ever. A record without its run spec can be written."""

    class Odd(InMemoryLedger):
        def write(self, launch: Launch) -> Launch:
            if "odd" in launch.run_spec:
                raise TypeError("cannot be written")
            return super().write(launch)

    class Mean(dict[str, Any]):
        def items(self) -> Any:
            raise TypeError("cannot be read")

    scene.ledger = Odd()
    scene.wandb.push("poison", A, odd=1)
    if where == "reading":
        pop = scene.wandb.pop
        monkeypatch.setattr(scene.wandb, "pop", lambda *a: (i := pop(*a)) and QueueItem(i.id, Mean(i.run_spec)))
    report = scene.poll()
    assert (report.refused, report.errors, scene.states()) == ({"a": 1}, [], ["CLAIMED"])
    [launch] = scene.ledger.open.values()
    problem = "cannot be read (TypeError)" if where == "reading" else "cannot be written into the ledger"
    fix = "Ask the operator of this deployment: the log of poll has the details."
    assert launch.reason == f"run_spec: {problem}. {fix}"


def test_a_mistake_that_passes_refuses_nothing(scene: Scene) -> None:
    """One odd answer of the bucket is not the item's fault."""
    failures = [TypeError("odd")]

    class Odd(InMemoryLedger):
        def write(self, launch: Launch) -> Launch:
            if failures:
                raise failures.pop()
            return super().write(launch)

    scene.ledger = Odd()
    scene.wandb.push("i", A)
    assert scene.poll().launched == {"a": 1}


@pytest.mark.parametrize("error", [Retry("503"), Denied("403"), OutcomeUnknown("?")])
def test_a_ledger_that_says_why_it_cannot_write_refuses_no_item(scene: Scene, error: LaunchError) -> None:
    """The item comes again after its lease: the ledger is at fault."""

    class Odd(InMemoryLedger):
        def write(self, launch: Launch) -> Launch:
            if "large" in launch.run_spec:
                raise error
            return super().write(launch)

    scene.ledger = Odd()
    scene.wandb.push("i", A, large=1)
    report = scene.poll(queues=(A,))
    assert (report.refused, report.errors) == ({}, [f"queue a, item i: {error}"])
    assert (scene.ledger.open, scene.states()) == ({}, ["LEASED"])


def test_items_that_always_fail_do_not_stop_what_is_behind_them(scene: Scene) -> None:
    """Up to a few per queue, whatever the error; further ones would mean that the ledger is down."""

    class Odd(InMemoryLedger):
        def write(self, launch: Launch) -> Launch:
            if launch.entry.item_id.startswith("odd"):
                raise Retry("400")
            return super().write(launch)

    scene.ledger = Odd()
    for number in range(MAX_STRIKES - 1):
        scene.wandb.push(f"odd{number}", A)
    scene.wandb.push("next", A)
    report = scene.poll(queues=(A,), max_jobs=1)
    assert (report.launched, len(report.errors)) == ({"a": 1}, MAX_STRIKES - 1)


def test_a_ledger_that_cannot_be_written_takes_few_items_out_of_their_queues(scene: Scene) -> None:
    """Each popped item is away for a minute."""

    class Down(InMemoryLedger):
        def write(self, launch: Launch) -> Launch:
            raise Denied("no role")

    scene.ledger = Down()
    for number in range(20):
        scene.wandb.push(f"a{number}", A)
        scene.wandb.push(f"b{number}", B)
    assert len(scene.poll().errors) == 2 * MAX_STRIKES
    assert scene.states().count("LEASED") == 2 * MAX_STRIKES


@pytest.mark.parametrize(
    "error", [Retry("503"), Denied("404"), OutcomeUnknown("?"), KeyError("data"), LaunchError("deleted")]
)
@pytest.mark.parametrize("first", range(4))
def test_a_queue_that_cannot_be_popped_leaves_its_room_to_the_others(
    scene: Scene, error: Exception, first: int
) -> None:
    """With one slot, whichever queue is asked first."""

    class Half(FakeWandb):
        def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
            if queue == A:
                raise error
            return super().pop(queue, agent_id)

    scene.wandb = Half()
    scene.wandb.push("i", B)
    scene.holders = first
    report = scene.poll(max_jobs=1)
    assert report.launched == {"b": 1}
    assert all(each.startswith("queue a: ") for each in report.errors)


class Refusing(FakeWandb):
    """It refuses every ack of the item `odd`, and shows this of it."""

    error: Exception = Retry("409")
    shown: ItemStatus | None = None

    def ack(self, item_id: str, run_id: str) -> bool:
        """Accept an item."""
        if item_id == "odd":
            raise self.error
        return super().ack(item_id, run_id)

    def item_statuses(self, items: Any) -> Answers[str, ItemStatus]:
        """Return what W&B shows."""
        return Answers({"odd": self.shown} if self.shown else {})


@pytest.mark.parametrize(
    ("error", "shown", "left", "errors", "served"),
    [
        (Retry("409 already claimed"), None, {"the item is gone": 1}, 0, True),
        (OutcomeUnknown("404"), None, {"the item is gone": 1}, 0, True),
        (KeyError("success"), ItemStatus("CLAIMED", "theirs"), {"another agent has it": 1}, 0, True),
        (Denied("403"), ItemStatus("LEASED", ""), {}, 1, True),
        (OutcomeUnknown("timed out"), ItemStatus("LEASED", ""), {}, 1, False),
        (KeyError("success"), ItemStatus("LEASED", ""), {}, 1, False),
    ],
)
def test_an_ack_that_is_refused_is_looked_up(
    scene: Scene,
    error: Exception,
    shown: ItemStatus | None,
    left: dict[str, int],
    errors: int,
    served: bool,
) -> None:
    """In whatever shape. One that may still arrive keeps its slot for a minute; then what is behind it is served."""
    scene.wandb = wandb = Refusing()
    wandb.error, wandb.shown = error, shown
    scene.wandb.push("odd", A)
    scene.wandb.push("next", A)
    report = scene.poll(max_jobs=1)
    assert report.launched == ({"a": 1} if served else {})
    assert (report.left, len(report.errors)) == (left, errors)
    scene.clock.pass_(61)
    assert scene.poll(max_jobs=1).launched == ({} if served else {"a": 1})


def test_an_ack_of_which_nobody_can_tell_is_left_to_status(scene: Scene) -> None:
    """The launch stays in the ledger and is not published: it may not be ours."""
    scene.wandb.push("i", A)
    scene.wandb.lose["ack"] = OutcomeUnknown("timed out")
    scene.wandb.failed["i"] = Retry("403 for this project")
    report = scene.poll()
    assert (report.launched, report.errors) == ({}, ["queue a, item i: 403 for this project"])
    assert (len(scene.ledger.open), scene.publisher.published) == (1, [])


def test_an_overdue_launch_of_which_wandb_says_nothing_keeps_its_slot(scene: Scene) -> None:
    """It may be acked; only this launch is undecided, and the answer names it."""
    for name in ("x", "y"):
        scene.ledger.write(from_item(name, A, {}, scene.clock()))
        scene.wandb.push(name, A)
    scene.wandb.failed["x"] = Retry("403")
    scene.clock.pass_(61)
    scene.wandb.items["x"].state = "CLAIMED"
    report = scene.poll(max_jobs=2)
    assert (report.launched, report.errors) == ({"a": 1}, ["item x: 403"])


@pytest.mark.parametrize("why", ["no JSON", "needs version 2 of the records; this is 1"], ids=["damaged", "newer"])
def test_an_item_whose_record_cannot_be_read_is_acked(scene: Scene, why: str) -> None:
    """An earlier poll wrote it and died before the ack. Popped again each minute, it would serve nobody."""
    scene.wandb.push("one", A)
    launch = scene.ledger.write(from_item("one", A, scene.wandb.items["one"].run_spec, scene.clock()))
    scene.ledger.unreadable = {launch.key: why}
    scene.wandb.push("next", A)
    report = scene.poll(max_jobs=4)
    assert scene.states() == ["CLAIMED", "CLAIMED"]
    assert scene.ledger.open[launch.key] == launch
    assert [error for error in report.errors if "cannot be read, and takes a slot" not in error] == []


def test_unreadable_records_hold_a_slot_and_are_named(scene: Scene) -> None:
    """They count as open launches."""
    scene.ledger.unreadable = {"kbad": "no JSON"}
    for number in range(3):
        scene.wandb.push(f"i{number}", A)
    report = scene.poll(max_jobs=2)
    assert (report.launched, report.open_launches) == ({"a": 1}, 1)
    assert report.errors == ["ledger: open/kbad: cannot be read, and takes a slot: no JSON"]
    assert scene.poll(max_jobs=2).full == "2 of 2 max_jobs"
    assert scene.poll(max_jobs=-1, max_queued=2).full == "2 of 2 max_queued"


def requested(scene: Scene, number: int, **changes: Any) -> Launch:
    """Write another system's request into the ledger."""
    request = Request(source="ci", idempotency_key=str(number), run_spec={}, queue=A)
    return scene.ledger.write(from_request(request, scene.clock()))


def test_an_unreadable_record_may_be_a_scheduler(scene: Scene) -> None:
    """It takes a slot of theirs, too: a second scheduler stays in its queue."""
    scene.ledger.unreadable = {"kbad": "no JSON"}
    scene.wandb.push("sweep", A, **scheduler("sw1"))
    assert scene.poll(max_schedulers=1).left == {"max_schedulers are open": 1}
    scene.wandb.push("another", A, **scheduler("sw2"))
    assert scene.poll(max_schedulers=2).launched == {"a": 1}


def test_requests_of_other_systems_take_no_slot_of_polls_and_hold_no_queue(scene: Scene) -> None:
    """However many there are, and whatever they wait for."""
    for number in range(5):
        launch = requested(scene, number)
        claimed = scene.ledger.write(launch.move(State.SUBMITTING, attempt=1, scheduler=True))
        scene.ledger.write(claimed.move(State.QUEUED, short_of=Shortage.STOCKOUT))
    scene.wandb.push("i", A)
    scene.wandb.push("s", A, **scheduler("sw1"))
    report = scene.poll(max_jobs=2, max_queued=2, max_schedulers=1)
    assert (report.launched, report.held, report.full) == ({"a": 2}, {}, "")


@pytest.mark.parametrize("holds", [None, Shortage.AMOUNT])
def test_launches_that_have_ended_take_no_slot(scene: Scene, holds: Shortage | None) -> None:
    """Only their report is owed."""
    for number in range(3):
        launch = scene.ledger.write(from_item(f"old{number}", A, scheduler("sw1") if number else {}, scene.clock()))
        claimed = scene.ledger.write(launch.move(State.SUBMITTING, attempt=1, short_of=holds))
        scene.ledger.write(claimed.end(Outcome.FAILED, "x", scene.clock()))
    scene.wandb.push("i", A)
    assert scene.poll(max_jobs=1).launched == {"a": 1}


def test_one_slot_is_not_always_given_to_the_same_queue(scene: Scene) -> None:
    """The first queue differs from call to call."""
    for number in range(40):
        scene.wandb.push(f"a{number}", A)
        scene.wandb.push(f"b{number}", B)
    served = set()
    for _ in range(20):
        served |= set(scene.poll(max_jobs=1).launched)
        scene.ledger.open.clear()
    assert served == {"a", "b"}


def test_a_publisher_that_fails_in_an_odd_way_loses_nothing(scene: Scene) -> None:
    """Status publishes what waits too long."""
    scene.wandb.push("i", A)
    scene.publisher.unreachable = TypeError("odd")
    assert scene.poll().errors == ["topic: odd"]
    assert scene.states() == ["CLAIMED"]
