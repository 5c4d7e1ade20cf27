"""The slots of one round, and the runs of open launches: which queue comes next, and what is counted."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.poll.runs import OpenRuns
from functions.poll.slots import MAX_STRIKES, Limits, Slots
from shared.core.entry import Entry, RunPath
from shared.core.launch import State
from shared.core.message import Queue
from shared.core.pause import Pause
from shared.core.shortage import Shortage

NOW = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
A, B, C = (Queue(entity="team", name=name) for name in "abc")
ALL = (A, B, C)


def entry(key: str, state: State = State.QUEUED, queue: Queue = A, **changes: Any) -> Entry:
    """Return a launch of a queue's item."""
    made = Entry(key, state, NOW, RunPath("team", "p", key), item_id=key)
    return replace(made, queue_entity=queue.entity, queue_name=queue.name, **changes)


QUEUED, RUNS, ENDED = entry("q"), entry("r", State.SUBMITTED), entry("e", State.ENDED)
SCHEDULER = entry("s", State.SUBMITTED, scheduler=True)
REQUEST = replace(entry("x"), item_id="", queue_entity="", queue_name="")


@pytest.mark.parametrize(
    ("entries", "unreadable", "limits", "room", "full", "headroom"),
    [
        ([], 0, Limits(), 1, "", 1),
        ([], 0, Limits(max_jobs=-1, max_queued=-1), 0, "", -1),
        ([QUEUED, RUNS], 0, Limits(5, 1, 3), 2, "", 3),
        ([QUEUED, RUNS], 0, Limits(9, 1, 3), 2, "", 7),
        ([QUEUED, RUNS], 1, Limits(5, 1, 9), 2, "", 2),
        ([QUEUED, RUNS], 1, Limits(9, 1, 5), 3, "", 6),
        ([QUEUED, RUNS, ENDED, REQUEST, SCHEDULER], 0, Limits(4, 1, 9), 2, "", 2),
        ([QUEUED, RUNS], 0, Limits(2, 1, 9), 0, "2 of 2 max_jobs", 0),
        ([QUEUED, RUNS], 1, Limits(1, 1, 2), 0, "2 of 2 max_queued, 3 of 1 max_jobs", 0),
        ([QUEUED, RUNS], 0, Limits(-1, 1, 3), 2, "", -1),
        ([QUEUED, RUNS], 0, Limits(0, 1, 3), 0, "2 of 0 max_jobs", 0),
        ([], 0, Limits(3, 1, 0), 0, "0 of 0 max_queued", 3),
    ],
)
def test_the_room_of_a_round(
    entries: list[Entry], unreadable: int, limits: Limits, room: int, full: str, headroom: int
) -> None:
    """What is open less than each limit; a record that cannot be read takes one of each."""
    slots = Slots([A], entries, unreadable, limits)
    assert (slots.full, slots.headroom, slots.is_full, slots.free) == (full, headroom, not room, bool(room))
    assert [slots.next() for _ in range(room + 1)] == [A] * room + [None]
    assert (slots.is_full, slots.free) == (True, False)


@pytest.mark.parametrize(("first", "order"), [(0, "abca"), (1, "bcab"), (2, "cabc"), (3, "abca")])
def test_queues_come_in_turn(first: int, order: str) -> None:
    """Beginning with another one each time."""
    slots = Slots(ALL, [], 0, Limits(9), first)
    assert [queue.name for _ in order if (queue := slots.next())] == list(order)


def order_of(slots: Slots, most: int = 6) -> str:
    """Return the names of the queues that come next."""
    return "".join(queue.name for _ in range(most) if (queue := slots.next()))


def test_a_queue_without_items_frees_its_slot_and_comes_no_more() -> None:
    """It may have an item at the next round, so another round may help."""
    slots = Slots(ALL, [], 0, Limits(2))
    assert order_of(slots) == "ab"
    slots.drop(B)
    assert order_of(slots) == "c"
    slots.drop(B)
    slots.drop(A)
    slots.drop(C)
    assert order_of(slots) == ""
    assert (slots.is_full, slots.free) == (False, True)


def test_a_queue_that_wandb_does_not_have_is_left_out() -> None:
    """Another round cannot take its items; without any queue there is nothing to do."""
    slots = Slots(ALL, [], 0, Limits(4))
    slots.leave_out("b")
    assert order_of(slots) == "acac"
    slots.give_back()
    assert slots.free
    assert order_of(slots) == "a"
    slots.give_back()
    slots.leave_out("a")
    slots.leave_out("c")
    assert (slots.free, slots.is_full, slots.next()) == (False, False, None)


def test_a_queue_of_useless_items_comes_no_more_in_this_round() -> None:
    """Each of them frees its slot; strikes of one queue do not count for another."""
    slots = Slots((A, B), [], 0, Limits(1))
    for number in range(2 * MAX_STRIKES - 1):
        assert slots.next() == (A, B)[number % 2]
        slots.strike((A, B)[number % 2])
    assert order_of(slots) == "b"
    slots.strike(B)
    slots.strike(B)
    assert (slots.next(), slots.is_full, slots.free) == (None, False, True)


def test_schedulers_have_slots_of_their_own() -> None:
    """An open one keeps its slot; a record that cannot be read may be a scheduler."""
    slots = Slots([A], [SCHEDULER], 1, Limits(9, 3))
    assert [slots.admits(key) for key in ("s", "t", "t", "u", "s")] == [True, True, True, False, True]
    assert [Slots([A], [SCHEDULER], 0, Limits(9, -1)).admits(key) for key in ("t", "u")] == [True, True]
    assert not Slots([A], [], 0, Limits(9, 0)).admits("t")


def test_a_held_queue_is_not_popped() -> None:
    """The reason counts its launches and names what each lacks; a pause comes before it."""
    entries = [
        entry("1", short_of=Shortage.STOCKOUT),
        entry("2", short_of=Shortage.AMOUNT),
        entry("3", short_of=Shortage.AMOUNT),
        entry("4", queue=B, short_of=Shortage.RATE),
        entry("5", queue=C, short_of=Shortage.STOCKOUT),
        entry("6", State.ENDED, B, short_of=Shortage.STOCKOUT),
    ]
    slots = Slots(ALL, entries, 0, Limits(99))
    assert slots.held == {
        A: "3 of its launches wait for capacity (AMOUNT, STOCKOUT)",
        C: "1 of its launches wait for capacity (STOCKOUT)",
    }
    assert order_of(slots, 2) == "bb"
    pauses = [Pause("c", "ana@example.com", NOW), Pause("d", "bo@example.com", NOW)]
    paused = Slots(ALL, entries, 0, Limits(99), paused=iter(pauses)).held
    assert paused == {**slots.held, C: "paused by ana@example.com since 2026-01-01 12:00 UTC"}
    everything = Slots(ALL, [], 0, Limits(99), paused=[Pause("", "ana@example.com", NOW)])
    assert list(everything.held) == list(ALL)
    assert (everything.free, everything.is_full, everything.next()) == (False, False, None)


@pytest.mark.parametrize(
    ("run", "free"),
    [
        (RunPath("Team", "P", "r"), False),
        (RunPath("team", "p", "R"), True),
        (RunPath("team", "q", "r"), True),
        (RunPath("other", "p", "r"), True),
        (RunPath("team", "p", "ended"), True),
        (RunPath("team", "p", "twice"), False),
    ],
)
def test_a_run_has_one_open_launch(run: RunPath, free: bool) -> None:
    """Two spellings of an entity or a project may mean the same one; a run id has one spelling."""
    second = timedelta(seconds=1)
    runs = OpenRuns(
        [
            replace(RUNS, key="ended", run=RunPath("team", "p", "ended"), state=State.ENDED),
            replace(RUNS, key="younger", run=RunPath("team", "p", "twice"), opened_at=NOW + second),
            replace(RUNS, key="older", run=RunPath("team", "p", "twice")),
            replace(RUNS, key="first", run=RunPath("team", "p", "r")),
        ]
    )
    mine = replace(QUEUED, key="mine", run=run)
    owner = "older" if run.run_id == "twice" else "first"
    refusal = (
        f"run_id: is '{run.run_id}', the run of launch {owner}, which is still open. "
        "Leave run_id out, or enqueue the item again when that launch has ended."
    )
    assert runs.reserve(mine) == ("" if free else refusal)
    assert runs.reserve(replace(mine, key="other")) == (refusal.replace(owner, "mine") if free else refusal)
    if free:
        assert runs.reserve(mine) == ""
