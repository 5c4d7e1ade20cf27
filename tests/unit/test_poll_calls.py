"""Every call of poll to W&B with its arguments, and the rounds that fit into its window."""

from datetime import timedelta
from typing import Any

import pytest

from functions.poll.slots import MAX_STRIKES
from shared.core.budget import Budget
from shared.core.cadence import Cadence
from shared.core.errors import OutOfTime, Retry
from shared.core.message import launch_key
from shared.core.ports import AgentNote, OpenLaunches
from tests.fakes import FakeWandb, InMemoryLedger
from tests.unit.polling import A, B, Scene

CALLS = ("heartbeat", "known_queues", "register", "pop", "ack", "item_statuses", "count_waiting")
RUN = launch_key("wandb", "i")[1:13]


class Recording(FakeWandb):
    """W&B; keeps each call with its arguments."""

    def __getattribute__(self, name: str) -> Any:
        """Return a method that keeps its call."""
        found = super().__getattribute__(name)
        if name not in CALLS:
            return found

        def called(*arguments: Any, **named: Any) -> Any:
            self.__dict__.setdefault("asked", []).append((name, *arguments, *named.items()))
            return found(*arguments, **named)

        return called


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene whose W&B keeps its calls."""
    return Scene(wandb=Recording())


def asked(scene: Scene) -> list[Any]:
    """Return the calls of W&B since the last time."""
    return list(scene.wandb.__dict__.pop("asked", []))


def of(name: str, calls: list[Any]) -> list[Any]:
    """Return the calls of one kind."""
    return [call for call in calls if call[0] == name]


def test_a_poll_asks_wandb_for_its_own_entity_queues_and_agent(scene: Scene) -> None:
    """First it registers its agent; the next call shows that one, and whether launches are open."""
    config = {"max_jobs": 7}
    scene.wandb.push("i", A)
    scene.poll(agent_config=config)
    assert asked(scene)[:2] == [("known_queues", "team"), ("register", "team", ("a", "b"), config)]
    scene.wandb.push("j", A)
    scene.clock.pass_(300)
    scene.poll(max_jobs=1)
    assert asked(scene) == [
        ("item_statuses", [(A, "i")]),
        ("heartbeat", "agent-1", ("running", True)),
        ("count_waiting", A),
        ("count_waiting", B),
    ]
    scene.ledger.open.clear()
    scene.poll()
    assert asked(scene)[0] == ("heartbeat", "agent-1", ("running", False))


def test_each_item_is_popped_for_the_agent_and_acked_for_its_run(scene: Scene) -> None:
    """With several workers, too."""
    scene.poll()
    asked(scene)
    scene.wandb.push("i", A)
    scene.poll(queues=(A, B), connections=3)
    calls = asked(scene)
    assert set(of("pop", calls)) == {("pop", A, "agent-1"), ("pop", B, "agent-1")}
    assert of("ack", calls) == [("ack", "i", RUN)]


def test_an_ack_without_success_asks_for_the_item_in_its_queue(scene: Scene) -> None:
    """So does an overdue launch."""
    scene.wandb.push("i", A)
    scene.wandb.lose["ack"] = Retry("503")
    scene.poll()
    statuses = [("item_statuses", [(A, "i")])]
    assert of("item_statuses", asked(scene)) == statuses
    scene.clock.pass_(61)
    scene.poll()
    assert of("item_statuses", asked(scene)) == statuses


def test_a_pop_without_time_ends_its_worker_and_keeps_what_it_has(scene: Scene) -> None:
    """It is no failure of the queue, and takes no slot."""
    scene.poll()
    scene.wandb.push("i", A)
    scene.wandb.fail["pop"] = OutOfTime("the time is over")
    report = scene.poll(max_jobs=1)
    assert (report.launched, report.left, report.errors, report.pending) == ({}, {}, [], 0)
    del scene.wandb.fail["pop"]
    assert scene.poll(max_jobs=1).launched == {"a": 1}


@pytest.mark.parametrize(
    ("takes", "rounds", "ends"), [(0.0, 11, 50.0), (1.0, 11, 51.0), (4.0, 5, 52.0), (9.0, 2, 36.0)]
)
def test_a_round_begins_only_if_it_ends_in_the_window(takes: float, rounds: int, ends: float) -> None:
    """As long as the last one took; the pause before it is three times that, or five seconds."""
    scene = Scene(cadence=Cadence())
    began = scene.clock()

    class Slow(InMemoryLedger):
        def list_open(self) -> OpenLaunches:
            scene.clock.pass_(takes)
            return super().list_open()

    scene.ledger = Slow()
    scene.agents.note = AgentNote("", warm_until=scene.clock() + timedelta(minutes=10))
    scene.poll()
    assert (scene.ledger.listings, (scene.clock() - began).total_seconds()) == (rounds, ends)


@pytest.mark.parametrize(("seconds", "rounds"), [(55.0, 11), (55.5, 12), (60.0, 12)])
def test_the_budget_ends_a_call_before_its_window(seconds: float, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round may begin in its last second."""
    scene = Scene(cadence=Cadence(window=100))
    monkeypatch.setattr(scene, "budget", lambda: Budget(seconds, lambda: scene.clock().timestamp()))
    scene.agents.note = AgentNote("", warm_until=scene.clock() + timedelta(minutes=10))
    scene.poll()
    assert scene.ledger.listings == rounds


def test_what_waits_is_unknown_after_an_error(scene: Scene) -> None:
    """One queue could not be popped until it was empty."""
    scene.poll()
    scene.wandb.fail["pop"] = Retry("503")
    report = scene.poll()
    assert (report.pending, "pending" in report.measured()) == (None, False)


@pytest.mark.parametrize(("takes", "launched"), [(54.5, {"a": 1}), (55.0, {})])
def test_a_slow_listing_leaves_its_time_to_the_items(takes: float, launched: dict[str, int]) -> None:
    """Down to the end of the budget."""
    scene = Scene()
    scene.poll()
    scene.wandb.push("i", A)

    class Slow(InMemoryLedger):
        def list_open(self) -> OpenLaunches:
            scene.clock.pass_(takes)
            return super().list_open()

    scene.ledger = Slow()
    assert scene.poll().launched == launched


@pytest.mark.parametrize(("since", "waits"), [(-1, 0), (0, 5), (3, 2), (5, 0), (6, 0)])
def test_a_wake_up_begins_its_round_five_seconds_after_the_last_one(since: float, waits: float) -> None:
    """One that comes later, or before a time of another clock, waits for nothing."""
    scene = Scene(cadence=Cadence())
    began = scene.clock()
    scene.agents.note = AgentNote("", woken_at=began - timedelta(seconds=since))
    assert scene.poll(woken=True).polled
    assert (scene.clock() - began).total_seconds() == waits
    assert scene.agents.note.woken_at == scene.clock()


def test_acks_without_success_end_the_pops_of_their_queue_in_this_round() -> None:
    """Each popped item is away for a minute; the other queue has its own count."""
    scene = Scene()
    scene.wandb.ack = lambda *_: False  # type: ignore[method-assign]
    for number in range(10):
        scene.wandb.push(f"a{number}", A)
        scene.wandb.push(f"b{number}", B)
    assert scene.poll().left == {"lease ended": 2 * MAX_STRIKES}
    assert (scene.wandb.pops.count("a"), scene.wandb.pops.count("b")) == (MAX_STRIKES, MAX_STRIKES)
