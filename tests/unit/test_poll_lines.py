"""The log lines of poll, with their fields: operators read there which queue, item or launch failed, and why."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.core.errors import Denied, OutcomeUnknown, Retry
from shared.core.intake import from_item
from shared.core.launch import Launch
from shared.core.message import launch_key
from shared.core.ports import QueueItem
from tests.fakes import InMemoryLedger
from tests.unit.lines import Line, lines
from tests.unit.polling import A, Scene, scheduler

ITEM = {"queue": "a", "item": "i"}
KEY = launch_key("wandb", "i")
FIX = "Ask the operator of this deployment: the log of poll has the details."
NO_QUEUE = (
    "team has no queue of this name that our key can see. "
    "Create it in W&B, or remove it from LAUNCH_QUEUES (queues in launch-config.yaml)"
)


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene with an agent and an item."""
    made = Scene()
    made.poll()
    made.wandb.push("i", A)
    return made


class Failing(InMemoryLedger):
    """A ledger that fails each write of a run spec."""

    error: Exception = Retry("503")

    def write(self, launch: Launch) -> Launch:
        """Write a launch without a run spec."""
        if launch.run_spec:
            raise self.error
        return super().write(launch)


class Unreadable(dict[str, Any]):
    """A run spec that cannot be read."""

    def items(self) -> Any:
        """Fail."""
        raise TypeError("cannot be read")


def failing(scene: Scene, error: Exception) -> None:
    """Let each write of a run spec fail."""
    scene.ledger = Failing()
    scene.ledger.error = error


def unsettled(scene: Scene) -> None:
    """Lose the answer to the ack, and to the question whether it arrived."""
    scene.wandb.lose["ack"] = OutcomeUnknown("timed out")
    scene.wandb.failed["i"] = Retry("403 for this project")


def unreadable(scene: Scene) -> None:
    """Pop a run spec that cannot be read."""
    pop = scene.wandb.pop
    scene.wandb.pop = lambda *a: (i := pop(*a)) and QueueItem(i.id, Unreadable(i.run_spec))  # type: ignore[method-assign]


def again(scene: Scene) -> None:
    """Write the item's launch, as a poll did that died before its ack."""
    scene.ledger.write(from_item("i", A, scene.wandb.items["i"].run_spec, scene.clock()))


def gone(scene: Scene) -> None:
    """Withdraw the earlier record before it is read."""
    again(scene)
    scene.ledger.read = scene.ledger.withdraw  # type: ignore[method-assign]


def taken_run(scene: Scene) -> None:
    """Open a launch of another item, with the run of this one."""
    scene.ledger.write(from_item("other", A, {"entity": "team", "project": "Cats", "run_id": "run1"}, scene.clock()))
    scene.wandb.items["i"].run_spec["run_id"] = "run1"


def unacked(happen: Callable[[Scene], object]) -> Callable[[Scene], None]:
    """Let something happen to the item before its ack, which fails."""

    def arrange(scene: Scene) -> None:
        scene.wandb.ack = lambda *_: bool(happen(scene)) and False  # type: ignore[method-assign]

    return arrange


def slow(scene: Scene) -> None:
    """Take all of the time for the pop."""
    pop = scene.wandb.pop
    scene.wandb.pop = lambda *a: scene.clock.pass_(60) or pop(*a)  # type: ignore[method-assign, func-returns-value]


def overtaken(scene: Scene) -> None:
    """Let another poll work between the count and the pop."""
    pop, note = scene.wandb.pop, scene.agents.note

    def later(*arguments: Any) -> Any:
        scene.agents.note = replace(note, holder="other", generation=note.generation + 9)
        return pop(*arguments)

    scene.wandb.pop = later  # type: ignore[method-assign, assignment]


def item(left: str = "", key: str = KEY) -> Line:
    """Return the line of the item."""
    return "INFO", "poll.item", {"launch_key": key, **ITEM, "left": left}


def refused(why: str) -> list[Line]:
    """Return the lines of an item that is refused."""
    return [("WARNING", "poll.refused", {"launch_key": KEY, "why": why}), item()]


def failed(where: str, problem: str, *, traced: bool = False) -> Line:
    """Return the line of another failure."""
    return "ERROR", f"poll.failed{' +' * traced}", {"where": where, "problem": problem}


TAKEN = f"run_id: is 'run1', the run of launch {launch_key('wandb', 'other')}, which is still open."
FAILURES: dict[str, tuple[Callable[[Scene], Any], list[Line]]] = {
    "nothing": (lambda _: None, [item()]),
    "pop": (
        lambda scene: scene.wandb.fail.update(pop=Denied("403")),
        [("ERROR", "poll.pop_failed +", {"queue": queue}) for queue in ("a", "b")],
    ),
    "write": (lambda scene: failing(scene, Retry("503")), [("ERROR", "poll.item_failed +", ITEM)]),
    "write, oddly": (
        lambda scene: failing(scene, KeyError("x")),
        [("ERROR", "poll.not_written +", ITEM)] * 2 + refused(f"run_spec: cannot be written into the ledger. {FIX}"),
    ),
    "read": (
        unreadable,
        [("ERROR", "poll.item_unreadable +", ITEM), *refused(f"run_spec: cannot be read (TypeError). {FIX}")],
    ),
    "ack": (unsettled, [("ERROR", "poll.item_unsettled +", ITEM)]),
    "an earlier poll": (again, [("INFO", "poll.again", {"launch_key": KEY}), item()]),
    "an earlier poll whose record is gone": (gone, [("INFO", "poll.again", {"launch_key": KEY}), item()]),
    "a lease of the item that ended": (unacked(lambda _: None), [item("lease ended")]),
    "an item that is gone": (unacked(lambda scene: scene.wandb.delete("i")), [item("the item is gone")]),
    "an item of another agent": (
        unacked(lambda scene: setattr(scene.wandb.items["i"], "run_name", "theirs")),
        [item("another agent has it")],
    ),
    "the time": (slow, [item("the time is over", "")]),
    "another poll": (overtaken, [item("another poll is working", "")]),
    "a problem of the item": (
        lambda scene: scene.wandb.push_unreadable("i", A, "run_spec: is odd"),
        refused("run_spec: is odd"),
    ),
    "a run of another launch": (
        taken_run,
        refused(f"{TAKEN} Leave run_id out, or enqueue the item again when that launch has ended."),
    ),
    "topic": (
        lambda scene: setattr(scene.publisher, "unreachable", TypeError("odd")),
        [item(), failed("topic", "odd", traced=True)],
    ),
    "record": (
        lambda scene: scene.ledger.unreadable.update(kbad="no JSON"),
        [failed("ledger: open/kbad", "cannot be read, and takes a slot: no JSON"), item()],
    ),
    "heartbeat": (lambda scene: scene.wandb.fail.update(heartbeat=Retry("503")), [failed("agent", "503", traced=True)]),
    "an agent that W&B forgot": (
        lambda scene: scene.wandb.forget_agents(),
        [("INFO", "poll.registered", {"agent_id": "agent-2", "queues": ["a", "b"]}), item()],
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_each_failure_has_its_line(scene: Scene, failure: str, caplog: pytest.LogCaptureFixture) -> None:
    """With all that it names; the level alerts operators."""
    arrange, expected = FAILURES[failure]
    arrange(scene)
    caplog.clear()
    scene.poll()
    assert lines(caplog) == expected
    for launch in scene.ledger.open.values():
        assert launch.entry.queue == A


def test_the_lines_of_queues_that_are_missing(caplog: pytest.LogCaptureFixture) -> None:
    """An agent is registered for the others."""
    scene = Scene()
    scene.wandb.missing_queues = {"a"}
    scene.poll()
    registered = ("INFO", "poll.registered", {"agent_id": "agent-1", "queues": ["b"]})
    assert lines(caplog) == [failed("queue a", NO_QUEUE), registered]


@pytest.mark.parametrize("call", ["known_queues", "register"])
def test_the_lines_of_an_agent_that_cannot_be_registered(caplog: pytest.LogCaptureFixture, call: str) -> None:
    """Poll goes on without one."""
    scene = Scene()
    scene.wandb.fail[call] = Retry("503")
    scene.wandb.push("i", A)
    scene.poll()
    assert lines(caplog) == [failed("agent", "503", traced=True), item()]


def test_the_line_of_items_that_cannot_be_counted(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Each queue has its own."""
    scene.clock.pass_(300)
    scene.wandb.fail["count_waiting"] = KeyError("x")
    caplog.clear()
    scene.poll(max_jobs=0)
    assert lines(caplog) == [("ERROR", "poll.not_counted +", {"queue": queue}) for queue in ("a", "b")]


def test_the_line_of_an_overdue_item_that_w_and_b_does_not_show(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """It names the item, not the launch."""
    again(scene)
    scene.wandb.failed["i"] = Retry("403")
    scene.wandb.items["i"].state = "CLAIMED"
    scene.clock.pass_(61)
    caplog.clear()
    scene.poll()
    assert lines(caplog) == [failed("item i", "403", traced=True)]


def test_the_line_of_a_scheduler_without_a_slot(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """It is left to W&B."""
    scene.wandb.push("i", A, **scheduler("sw1"))
    caplog.clear()
    scene.poll(max_schedulers=0)
    assert lines(caplog) == [item("max_schedulers are open")]
