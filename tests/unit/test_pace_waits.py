"""How long a launch waits for its slot in the pace of creates, and which pace counts."""

from datetime import timedelta

import pytest

from functions.submit.pace import FORGOTTEN, PATIENCE, WINDOW
from shared.core.budget import Budget
from shared.core.ports import LearnedPace
from tests.unit.submitting import Scene

PARENT = "projects/p/locations/us-central1"


@pytest.mark.parametrize(
    ("learned", "held"),
    [
        (FORGOTTEN, False),
        (FORGOTTEN - timedelta(seconds=1), True),
        (-WINDOW, True),
        (-WINDOW - timedelta(seconds=1), False),
    ],
)
def test_a_pace_counts_for_an_hour(learned: timedelta, held: bool) -> None:
    """From a minute before, by another clock."""
    scene = Scene()
    scene.paces.paces[PARENT] = LearnedPace(1, scene.clock() - learned, scene.clock() + timedelta(seconds=50))
    assert scene.deliver(scene.open()) == ("launch.paced" if held else "launch.submitted")


@pytest.mark.parametrize(
    ("wait", "seconds", "event"),
    [
        (PATIENCE.total_seconds(), 900, "launch.submitted"),
        (PATIENCE.total_seconds() + 1, 900, "launch.paced"),
        (5, 5, "launch.paced"),
        (5, 6, "launch.submitted"),
        (0, 5, "launch.submitted"),
    ],
)
def test_the_longest_wait_for_a_slot(wait: float, seconds: float, event: str) -> None:
    """Longer ones are in the ledger; the job is created at the time of its slot."""
    scene = Scene()
    slot = scene.clock() + timedelta(seconds=wait)
    scene.paces.paces[PARENT] = LearnedPace(9, scene.clock(), slot)
    ticket = scene.open()
    assert scene.submit.launch(ticket, Budget(seconds, lambda: scene.clock().timestamp())) == event
    entry = scene.launch(ticket).entry
    assert (entry.submitted_at or entry.retry_at) == slot


def test_a_slot_that_moves_again_and_again_is_waited_for_in_the_ledger() -> None:
    """After five looks; others are quicker each time."""
    scene = Scene()
    began = scene.clock()
    scene.paces.pace_of = lambda _: LearnedPace(9, began, scene.clock() + timedelta(seconds=3))  # type: ignore[method-assign, assignment]
    ticket = scene.open()
    assert scene.deliver(ticket) == "launch.paced"
    assert (scene.clock() - began, scene.ledger.listings) == (timedelta(seconds=15), 5)
    assert scene.launch(ticket).entry.retry_at == scene.clock()


def test_the_later_of_two_paces_holds() -> None:
    """This process heard one, and the book has another."""
    scene = Scene()
    now, second = scene.clock(), timedelta(seconds=1)
    slow, fast = now + timedelta(seconds=50), now
    for book, heard, held in ((slow, fast, False), (fast, slow, True)):
        scene.paces.paces[PARENT] = LearnedPace(9, now - second, book)
        scene.submit.heard[PARENT] = LearnedPace(9, now, heard)
        assert (scene.deliver(scene.open(f"1{held}")) == "launch.paced") is held
        scene.submit.heard[PARENT] = LearnedPace(9, now - 2 * second, heard)
        assert (scene.deliver(scene.open(f"2{held}")) == "launch.paced") is not held
