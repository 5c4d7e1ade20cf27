"""Poll's cadence in virtual time: how often it asks, what it writes, who is turned away, what a wake-up does."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.poll.drain import SINCE, Poll, PollLimits
from functions.poll.lease import ANOTHER, Lease, LeaseLost
from functions.poll.report import Report
from shared.core.cadence import Cadence, Intervals, Mode
from shared.core.errors import Retry
from shared.core.launch import State
from shared.core.ports import AgentNote
from shared.core.shortage import Shortage
from tests.unit.polling import A, Scene

MINUTE = timedelta(minutes=1)


@pytest.fixture
def scene() -> Scene:
    """Return a poll with the default cadence."""
    return Scene(cadence=Cadence())


def minutes(scene: Scene, number: int, **changed: Any) -> None:
    """Let Cloud Scheduler call poll every minute."""
    for _ in range(number):
        due = scene.clock.now + MINUTE
        scene.poll(queues=(A,), **changed)
        assert scene.clock.now < due, "the next call finds poll ready"
        scene.clock.now = due


def close(scene: Scene) -> None:
    """End all launches, as status does."""
    for launch in list(scene.ledger.open.values()):
        scene.ledger.close(launch)


def during(scene: Scene, seconds: float, happen: Callable[[], object]) -> None:
    """Let something happen while poll waits, so many seconds from now."""
    due, wait = scene.clock.now + timedelta(seconds=seconds), scene.clock.pass_

    def pass_(seconds: float) -> None:
        wait(seconds)
        if scene.clock.now >= due and not happened:
            happened.append(True)
            happen()

    happened: list[bool] = []
    scene.clock.pass_ = pass_  # type: ignore[method-assign]


def test_idle_poll_makes_three_calls_of_wandb_and_two_writes_a_minute(scene: Scene) -> None:
    """180 an hour; one listing and one write of the note. With status' listing: three of class A."""
    minutes(scene, 2)
    scene.wandb.calls.clear()
    writes, listings = scene.agents.writes, scene.ledger.listings
    minutes(scene, 60)
    calls = Counter(scene.wandb.calls)
    assert calls == {"heartbeat": 60, "pop": 60}  # a heartbeat is two requests
    assert (scene.agents.writes - writes, scene.ledger.listings - listings) == (60, 60)


def test_warm_poll_of_an_empty_queue_makes_at_most_800_calls_an_hour(scene: Scene) -> None:
    """Eleven rounds and two requests of the heartbeat a minute."""
    scene.cadence = replace(scene.cadence, mode=Mode.ALWAYS)
    minutes(scene, 60)
    calls = Counter(scene.wandb.calls)
    assert calls["pop"] == 660
    assert calls["pop"] + 2 * calls["heartbeat"] <= 800


def test_warmth_ends_a_quarter_of_an_hour_after_the_last_item(scene: Scene) -> None:
    """The window opens with the first item, and closes without another: poll is not fast for ever."""
    minutes(scene, 1)
    assert scene.wandb.calls.count("pop") == 1
    scene.wandb.push("i", A)
    minutes(scene, 1)
    close(scene)
    minutes(scene, 13)
    assert scene.wandb.calls.count("pop") > 13 * 11
    minutes(scene, 3)
    scene.wandb.calls.clear()
    minutes(scene, 10)
    assert scene.wandb.calls.count("pop") == 10


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=5000)])
def test_a_warm_time_that_nobody_can_have_written_does_not_count(scene: Scene, ahead: timedelta) -> None:
    """A wrong clock or a slip in the bucket does not make poll fast for years."""
    scene.agents.note = replace(scene.agents.note, warm_until=scene.clock.now + ahead)
    minutes(scene, 5)
    assert scene.wandb.calls.count("pop") == 5
    scene.wandb.push("i", A)
    minutes(scene, 1)
    assert scene.agents.note.warm_until is not None
    assert scene.agents.note.warm_until < scene.clock.now + timedelta(minutes=15), "the next work puts it right"


def test_an_item_that_comes_in_the_window_is_launched_within_one_interval(scene: Scene) -> None:
    """And a full poll stops asking: status is the fast one then."""
    scene.wandb.push("i", A)
    opened: list[datetime] = []

    def arrive() -> None:
        scene.wandb.push("j", A)
        opened.append(scene.clock.now)

    during(scene, 21, arrive)
    scene.poll(queues=(A,), max_jobs=2)
    assert scene.states() == ["CLAIMED", "CLAIMED"]
    second = max(launch.entry.opened_at for launch in scene.ledger.open.values())
    assert second - opened[0] <= timedelta(seconds=5)
    assert scene.clock.now - second < timedelta(seconds=1), "the call ends with the last slot"
    assert scene.agents.note.full
    pops = scene.wandb.calls.count("pop")
    minutes(scene, 3, max_jobs=2)
    assert scene.wandb.calls.count("pop") == pops


def test_held_queues_alone_do_not_keep_poll_fast(scene: Scene) -> None:
    """An empty list of usable queues is like no free slot."""
    scene.cadence = replace(scene.cadence, mode=Mode.ALWAYS)
    scene.wandb.push("i", A)
    scene.poll(queues=(A,), max_jobs=1)
    [launch] = scene.ledger.open.values()
    waits = replace(launch, entry=replace(launch.entry, short_of=Shortage.STOCKOUT, state=State.QUEUED))
    scene.ledger.write(waits)
    listings = scene.ledger.listings
    scene.poll(queues=(A,), max_jobs=5)
    assert scene.ledger.listings == listings + 1


@pytest.mark.parametrize("mode", [Mode.NEVER, Mode.ADAPTIVE])
def test_one_round_a_call(scene: Scene, mode: Mode) -> None:
    """With `never` always; otherwise while cold."""
    scene.cadence = replace(scene.cadence, mode=mode)
    minutes(scene, 5)
    if mode is Mode.NEVER:
        scene.wandb.push("i", A)
        minutes(scene, 5)
        assert scene.agents.note.warm_until is None
    assert scene.wandb.calls.count("pop") <= 11


def test_the_first_launch_takes_the_lease_and_the_end_gives_it_back(scene: Scene) -> None:
    """Nothing is opened without it."""
    held = []
    write = scene.ledger.write

    def see(launch: object) -> object:
        note = scene.agents.note
        held.append((note.holder, note.lease_until is not None))
        return write(launch)  # type: ignore[arg-type]

    scene.ledger.write = see  # type: ignore[method-assign, assignment]
    scene.wandb.push("i", A)
    scene.wandb.push("j", A)
    scene.poll(queues=(A,), max_jobs=2)
    assert held == [("poll-1", True)] * 2
    assert scene.agents.note.lease_until is None


def test_who_was_overtaken_between_counting_and_its_first_launch_opens_nothing(scene: Scene) -> None:
    """The other poll has taken the slot; the popped item comes again after its lease."""
    scene.poll(queues=(A,))
    pop = scene.wandb.pop

    def overtaken(*arguments: object) -> object:
        item = pop(*arguments)  # type: ignore[arg-type]
        if item:
            other = Lease(scene.agents, "another", scene.clock, timedelta(seconds=150))
            assert other.open()
            other.hold()
            other.close({})
        return item

    scene.wandb.push("i", A)
    scene.wandb.pop = overtaken  # type: ignore[method-assign, assignment]
    report = scene.poll(queues=(A,))
    assert (report.launched, report.left) == ({}, {ANOTHER: 1})
    assert not scene.ledger.open


def test_who_finds_another_holder_does_not_end_its_lease(scene: Scene) -> None:
    """Two calls that begin at the same time: the slower one leaves the lease that it has read."""
    quick, slow = (Lease(scene.agents, name, scene.clock, timedelta(seconds=150)) for name in ("quick", "slow"))
    assert quick.open()
    assert slow.open()
    quick.hold()
    for _ in range(2):
        with pytest.raises(LeaseLost):
            slow.hold()
        assert not slow.close({})
        assert (scene.agents.note.holder, scene.agents.note.lease_until is None) == ("quick", False)


def test_what_status_writes_meanwhile_costs_no_lease(scene: Scene) -> None:
    """It changes the note and no holder: both writes stay."""
    scene.poll(queues=(A,))
    pop, warm_until = scene.wandb.pop, scene.clock.now + timedelta(minutes=14)

    def beside(*arguments: object) -> object:
        if scene.agents.note.warm_until != warm_until:
            scene.agents.write(replace(scene.agents.note, warm_until=warm_until))
        return pop(*arguments)  # type: ignore[arg-type]

    scene.wandb.pop = beside  # type: ignore[method-assign, assignment]
    scene.wandb.push("i", A)
    scene.cadence = replace(scene.cadence, window=0)
    assert scene.poll(queues=(A,)).launched == {"a": 1}
    assert scene.agents.note.warm_until == warm_until, "a minute more is worth no write"
    assert scene.agents.note.agent_id == "agent-1"


def test_what_a_person_changes_meanwhile_stays_and_counts_at_the_next_round(scene: Scene) -> None:
    """`agent start` forgets the agent, `agent stop` ends the window: neither waits for poll, nor is overwritten."""
    scene.cadence = replace(scene.cadence, mode=Mode.ALWAYS)
    scene.poll(queues=(A,))

    def stop() -> None:
        scene.agents.write(replace(scene.agents.note, stopped=True, agent_id="", failures=0))

    during(scene, 12, stop)
    began, pops = scene.clock.now, scene.wandb.calls.count("pop")
    report = scene.poll(queues=(A,))
    assert scene.clock.now - began == timedelta(seconds=15)
    assert scene.wandb.calls.count("pop") == pops + 3
    assert (report.polled, scene.agents.note.stopped, scene.agents.note.agent_id) == (False, True, "")
    assert scene.agents.note.lease_until is None


def test_a_call_that_is_turned_away_asks_for_another_round_once(scene: Scene) -> None:
    """A hundred of them write the note once; the holder makes one round more, no sooner than in a window."""
    scene.wandb.push("i", A)
    reports: list[Report] = []
    rounds = []

    def come(*_: object) -> None:
        if not reports:
            writes = scene.agents.writes
            reports.extend(scene.poll(queues=(A,), woken=True) for _ in range(100))
            assert scene.agents.writes == writes + 1
        rounds.append(scene.clock.now)

    publish = scene.publisher.publish
    scene.publisher.publish = lambda keys: (publish(keys), come())[0]  # type: ignore[method-assign, func-returns-value]
    before = scene.ledger.listings
    scene.poll(queues=(A,), max_jobs=1)
    assert {report.why_not for report in reports} == {ANOTHER}
    assert scene.ledger.listings == before + 2, "the last slot ends a call, the mark adds a round"
    assert scene.clock.now - rounds[0] == timedelta(seconds=5)
    assert not scene.agents.note.woken
    assert scene.agents.note.lease_until is None


def test_a_thousand_wake_ups_one_after_the_other_make_a_round_every_five_seconds_at_most(scene: Scene) -> None:
    """As often as a warm poll."""
    scene.poll(queues=(A,))
    began, scene.wandb.calls = scene.clock.now, []
    for _ in range(1000):
        scene.poll(queues=(A,), woken=True)
    passed = (scene.clock.now - began).total_seconds()
    assert scene.wandb.calls.count("pop") <= passed / 5 + 1


def test_a_wake_up_whose_round_another_call_has_made_makes_none(scene: Scene) -> None:
    """It waits for its turn, and finds that a round has begun since it came."""
    scene.poll(queues=(A,), woken=True)
    during(scene, 1, lambda: scene.poll(queues=(A,)))
    pops = scene.wandb.calls.count("pop")
    assert scene.poll(queues=(A,), woken=True).why_not == SINCE
    assert scene.wandb.calls.count("pop") == pops + 1


def test_a_wake_up_that_finds_another_poll_at_work_after_its_wait_leaves_it_the_lease(scene: Scene) -> None:
    """And asks it for a round, because that poll may have counted before the wake-up came."""
    scene.poll(queues=(A,), woken=True)
    other = Lease(scene.agents, "another", scene.clock, timedelta(seconds=150))

    def begin() -> None:
        other.open()
        other.hold()

    during(scene, 1, begin)
    assert scene.poll(queues=(A,), woken=True).why_not == ANOTHER
    assert other.close({}, stay=True), "it stays for the mark"


def test_a_wake_up_goes_on_until_the_scheduler_calls_again(scene: Scene) -> None:
    """With free slots it takes the rest of the window, and not a window of its own."""
    scene.wandb.push("i", A)
    scene.poll(queues=(A,), max_jobs=1)
    began = scene.clock.now
    scene.clock.pass_(30)
    close(scene)
    scene.poll(queues=(A,), max_jobs=1, woken=True)
    assert timedelta(seconds=45) < scene.clock.now - began <= timedelta(seconds=56)


def test_a_wake_up_takes_the_slot_that_a_launch_has_freed(scene: Scene) -> None:
    """At once."""
    scene.wandb.push("i", A)
    scene.wandb.push("j", A)
    scene.poll(queues=(A,), max_jobs=1)
    scene.clock.pass_(7)
    close(scene)
    before = scene.clock.now
    assert scene.poll(queues=(A,), max_jobs=1, woken=True).launched == {"a": 1}
    assert scene.clock.now == before


@pytest.mark.parametrize("holder", ["a crashed poll", "a frozen poll"])
def test_nobody_is_blocked_for_longer_than_a_lease(scene: Scene, holder: str) -> None:
    """Neither by a poll that died with its lease, nor by the mark that turned-away calls leave in its note."""
    minutes(scene, 1)
    lease = Lease(scene.agents, holder, scene.clock, timedelta(seconds=150))
    lease.open()
    lease.hold()
    minutes(scene, 3)
    assert scene.wandb.calls.count("pop") == 1
    minutes(scene, 1)
    assert scene.wandb.calls.count("pop") == 2
    assert not lease.close({})
    assert scene.agents.note.holder == holder, "nobody has had to take it since"


def test_an_answer_that_was_lost_leaves_no_lease(scene: Scene) -> None:
    """The write that took it had its effect: the end of the call gives it back."""
    scene.poll(queues=(A,))
    write = scene.agents.write
    lost: list[AgentNote] = []

    def lose(note: AgentNote) -> AgentNote:
        written = write(note)
        if note.lease_until and not lost:
            lost.append(note)
            raise Retry("503")
        return written

    scene.agents.write = lose  # type: ignore[method-assign]
    scene.wandb.push("i", A)
    scene.cadence = replace(scene.cadence, mode=Mode.NEVER)
    scene.poll(queues=(A,))
    assert lost
    assert scene.agents.note.lease_until is None


def test_an_hour_of_429_slows_the_rounds_and_ends_with_it(scene: Scene) -> None:
    """One round a call after a few; at the first good answer, poll is fast again."""
    scene.cadence = replace(scene.cadence, mode=Mode.ALWAYS)
    intervals = Intervals(scene.cadence, others=[scene.traffic])

    pop = scene.wandb.pop

    def refused(*arguments: object) -> object:
        found = pop(*arguments)  # type: ignore[arg-type]
        scene.traffic.answered(429 if scene.busy else 200, {})
        if scene.busy:
            raise Retry("429")
        return found

    scene.wandb.pop = refused  # type: ignore[method-assign, assignment]

    def call() -> int:
        due, before = scene.clock.now + MINUTE, scene.wandb.calls.count("pop")
        parts = (scene.wandb, scene.ledger, scene.agents, scene.publisher, scene.clock)
        limits = PollLimits(queues=(A,), connections=1, max_jobs=-1)
        poll = Poll(*parts, limits, wait=scene.clock.pass_, cadence=scene.cadence, intervals=intervals)
        poll.run("p", scene.budget())
        scene.clock.now = due
        return scene.wandb.calls.count("pop") - before

    scene.traffic.answered(429, {})  # before this call
    assert call() == 11
    scene.busy = True
    assert [call() for _ in range(60)][1:] == [1] * 59
    scene.busy = False
    assert call() >= 10


def test_a_call_that_freezes_while_it_waits_ends_with_its_note_and_without_a_lease(scene: Scene) -> None:
    """An hour later, it knows nothing of now: it asks no queue again."""
    scene.cadence = replace(scene.cadence, mode=Mode.ALWAYS)
    began = scene.clock.now
    during(scene, 1, lambda: scene.clock.pass_(3600))
    scene.poll(queues=(A,))
    assert Counter(scene.wandb.calls)["pop"] == 1
    assert (scene.agents.note.lease_until, scene.agents.note.polled_at) == (None, began)
    assert scene.agents.note.window_until == began + timedelta(seconds=scene.cadence.window)


@pytest.mark.parametrize("held", [True, False])
def test_only_who_had_the_lease_has_lost_it(scene: Scene, caplog: pytest.LogCaptureFixture, held: bool) -> None:
    """A call that found nothing to do, and whose last write comes too late, is nothing to look at."""
    slow, other = (Lease(scene.agents, name, scene.clock, timedelta(seconds=150)) for name in ("slow", "other"))
    assert slow.open()
    if held:
        slow.hold()
        scene.clock.pass_(3600)
    assert other.open()
    other.hold()
    assert not slow.close({})
    assert [record.message for record in caplog.records] == ["agent.lease_lost"] * held
