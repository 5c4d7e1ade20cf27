"""The cadence of status in virtual time: how often it looks, when it wakes poll, what it writes."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import cycle, pairwise
from typing import Any

import pytest

from functions.status.report import Report
from functions.status.watch import Watch
from shared.core.budget import Budget
from shared.core.cadence import Cadence, Intervals, Mode
from shared.core.entry import PACED_AHEAD
from shared.core.errors import Retry
from shared.core.ports import AgentNote
from shared.core.traffic import Traffic
from tests.fakes import FakeClock, InMemoryAgentBook

MINUTE = timedelta(minutes=1)
IDLE = {"pending": 0, "stopping": 0, "young": 0, "freed": 0}


@dataclass
class Ticks:
    """Stands for Status: its reports are what a test says, and each tick takes some time."""

    clock: FakeClock
    facts: Callable[[], dict[str, int]] = lambda: IDLE
    takes: float = 0.0
    calls: int = 0  # of Vertex AI, each tick
    answer: int = 200
    times: list[float] = field(default_factory=list)
    fails: Callable[[], bool] = lambda: False
    traffic: Traffic = field(default_factory=Traffic)
    slots: list[tuple[datetime, str]] = field(default_factory=list)  # of paced launches, as the ledger has them
    published: list[tuple[datetime, str]] = field(default_factory=list)

    def publish(self, keys: list[str], _: Report) -> None:
        """Publish tickets; these launches get their jobs."""
        self.published += [(self.clock(), key) for key in keys]
        self.slots = [each for each in self.slots if each[1] not in keys]

    def run(self, budget: Budget) -> Report:
        """Do one tick."""
        self.times.append(self.clock().timestamp())
        for _ in range(self.calls):
            self.traffic.answered(self.answer, {})
        self.clock.pass_(self.takes)
        if self.fails():
            raise Retry("503")
        near = [key for slot, key in self.slots if slot <= self.clock() + PACED_AHEAD]
        self.publish(near, Report())
        return Report(**self.facts(), slots=list(self.slots))  # type: ignore[arg-type]


@dataclass
class Scene:
    """A watch with fakes around it."""

    clock: FakeClock = field(default_factory=FakeClock)
    agents: InMemoryAgentBook = field(default_factory=InMemoryAgentBook)
    cadence: Cadence = field(default_factory=Cadence)
    rung: int = 0

    def __post_init__(self) -> None:
        self.ticks = Ticks(self.clock)
        self.allowed = Intervals(self.cadence, self.ticks.traffic)

    def ring(self) -> None:
        """Take a wake-up."""
        self.rung += 1

    def know(self, **changes: object) -> None:
        """Let poll write the note."""
        self.agents.write(replace(self.agents.note, **changes))  # type: ignore[arg-type]

    def parts(self) -> Any:
        """Return the arguments of a watch."""
        return self.ticks, self.agents, self, self.clock, self.clock.pass_, self.cadence, self.allowed

    def minute(self) -> Report:
        """Let Cloud Scheduler call once, a minute before the next call."""
        due = self.clock.now + MINUTE
        report = Watch(*self.parts()).run(Budget(75, lambda: self.clock().timestamp()))
        assert self.clock.now < due, "the next call finds status ready"
        self.clock.now = due
        return report

    @property
    def intervals(self) -> list[float]:
        """Return the seconds between two ticks."""
        times = self.ticks.times
        return [later - earlier for earlier, later in pairwise(times)]


@pytest.fixture
def scene() -> Scene:
    """Return a cold deployment."""
    return Scene()


def test_idle_status_looks_once_a_minute_and_writes_nothing(scene: Scene) -> None:
    """One listing, one read of the note, no write: class A is the listing alone."""
    for _ in range(60):
        scene.minute()
    assert scene.intervals == [60] * 59
    assert (scene.agents.writes, scene.agents.reads, scene.rung) == (0, 60, 0)


def test_a_full_and_warm_deployment_is_looked_at_every_five_seconds(scene: Scene) -> None:
    """Also from one minute to the next, up to the window's end."""
    scene.know(full=True, warm_until=scene.clock.now + timedelta(minutes=14))
    for _ in range(3):
        scene.minute()
    assert set(scene.intervals) == {5.0, 10.0}
    assert scene.ticks.times[:11] == [scene.ticks.times[0] + 5 * number for number in range(11)]


@pytest.mark.parametrize("fact", ["young", "stopping", "pending"])
def test_a_full_deployment_is_the_faster_one(scene: Scene, fact: str) -> None:
    """Whatever its jobs do; the note is read once a tick."""
    scene.know(full=True, warm_until=scene.clock.now + timedelta(minutes=14))
    scene.ticks.facts = lambda: {**IDLE, fact: 1}
    scene.minute()
    assert scene.intervals == [5] * 10
    assert scene.agents.reads == len(scene.ticks.times)


def test_a_full_deployment_gets_cold_and_warm_again_with_the_first_end(scene: Scene) -> None:
    """A job that runs for hours costs one look a minute."""
    scene.know(full=True)
    for _ in range(5):
        scene.minute()
    assert scene.intervals == [60] * 4
    scene.ticks.facts = lambda: {**IDLE, "freed": 1}
    scene.minute()
    assert scene.agents.note.warm_until
    assert scene.intervals[-1] == 5


@pytest.mark.parametrize("fact", ["young", "stopping"])
def test_a_young_or_stopping_job_is_looked_at_every_ten_seconds(scene: Scene, fact: str) -> None:
    """While slots are free."""
    scene.know(warm_until=scene.clock.now + timedelta(minutes=14))
    scene.ticks.facts = lambda: {**IDLE, fact: 1}
    scene.minute()
    assert scene.intervals == [10] * 5


def test_while_slots_are_free_status_looks_again_when_poll_has_filled_them(scene: Scene) -> None:
    """Status that has left its window between two jobs would see the second one's end a minute late."""
    scene.know(warm_until=scene.clock.now + timedelta(minutes=14))
    began, wait = scene.clock.now, scene.clock.pass_

    def pass_(seconds: float) -> None:
        wait(seconds)
        if scene.clock.now - began >= timedelta(seconds=20) and not scene.agents.note.full:
            scene.know(full=True)

    scene.clock.pass_ = pass_  # type: ignore[method-assign]
    scene.minute()
    assert scene.ticks.times[1] - scene.ticks.times[0] == 20
    assert set(scene.intervals[1:]) == {5}


def test_one_wake_up_for_each_tick_that_freed_slots(scene: Scene) -> None:
    """However many; none while slots are free, because poll asks by itself then."""
    scene.know(full=True, warm_until=scene.clock.now + timedelta(minutes=14))
    scene.ticks.facts = lambda: {**IDLE, "freed": 100 if len(scene.ticks.times) in (2, 4) else 0}
    report = scene.minute()
    assert (scene.rung, report.freed, report.ticks) == (2, 200, 11)
    scene.know(full=False)
    scene.ticks.facts = lambda: {**IDLE, "freed": 1}
    scene.minute()
    assert scene.rung == 2


@pytest.mark.parametrize("fact", ["pending", "stopping", "freed"])
def test_work_keeps_the_deployment_warm_with_few_writes(scene: Scene, fact: str) -> None:
    """A write every two minutes; young alone is no reason: its pop was."""
    scene.know()
    scene.ticks.facts = lambda: {**IDLE, fact: 1}
    for _ in range(20):
        scene.minute()
    assert scene.agents.writes - 1 <= 11
    left = scene.agents.note.warm_until - scene.clock.now  # type: ignore[operator]
    assert left > timedelta(minutes=12)


def test_what_poll_writes_at_the_same_time_stays(scene: Scene) -> None:
    """The second write goes on from it."""
    scene.know()
    read = scene.agents.read
    raced: list[bool] = []

    def overtaken() -> AgentNote | None:
        note = read()
        if not raced:
            raced.append(True)
            scene.know(agent_id="agent-7", full=True)
        return note

    scene.agents.read = overtaken  # type: ignore[method-assign]
    scene.ticks.facts = lambda: {**IDLE, "freed": 1}
    scene.minute()
    assert scene.agents.note.agent_id == "agent-7"
    assert scene.agents.note.warm_until


@pytest.mark.parametrize("mode", Mode)
def test_the_modes(scene: Scene, mode: Mode) -> None:
    """`never` is one tick a call, and neither reads nor wakes; `always` needs no note of warmth."""
    scene.cadence = replace(scene.cadence, mode=mode)
    scene.know(full=True)
    scene.ticks.facts = lambda: {**IDLE, "freed": 1}
    scene.minute()
    assert len(scene.ticks.times) == (1 if mode is Mode.NEVER else 11)
    assert scene.rung == (0 if mode is Mode.NEVER else 11)
    assert bool(scene.agents.note.warm_until) is (mode is Mode.ADAPTIVE)


@pytest.mark.parametrize(
    ("takes", "calls", "interval"),
    [(1, 1, 5), (2, 1, 6), (4, 10, 12), (0, 40, 8), (0, 100, 20), (13, 100, 39), (15, 100, None)],
)
def test_slow_and_large_ticks_leave_room(scene: Scene, takes: float, calls: int, interval: float | None) -> None:
    """A third of the time at most, and at most 300 calls of Vertex AI a minute."""
    scene.ticks.takes, scene.ticks.calls = takes, calls
    scene.know(full=True, warm_until=scene.clock.now + timedelta(minutes=14))
    scene.minute()
    assert set(scene.intervals) == ({interval} if interval else set())


def test_a_tick_that_fails_ends_the_window_only_if_it_is_the_first(scene: Scene) -> None:
    """A later one is an error of the answer, and the next look follows."""
    scene.know(full=True, warm_until=scene.clock.now + timedelta(minutes=14))
    scene.ticks.fails = lambda: len(scene.ticks.times) == 3
    report = scene.minute()
    assert report.errors == ["tick: Retry: 503"]
    assert scene.intervals[:4] == [5, 5, 10, 5]
    scene.ticks.fails = lambda: True
    with pytest.raises(Retry):
        scene.minute()


@pytest.mark.parametrize("method", ["read", "write", "ring"])
def test_without_the_note_or_the_topic_status_does_its_tick(scene: Scene, method: str) -> None:
    """And says what failed; the next minute comes anyway."""
    scene.know(full=True, warm_until=scene.clock.now + timedelta(minutes=2))

    def fail(*_: object) -> None:
        raise Retry("503")

    setattr(scene if method == "ring" else scene.agents, method, fail)
    scene.ticks.facts = lambda: {**IDLE, "freed": 1}
    report = scene.minute()
    assert report.errors == ["agent: Retry: 503"]
    assert scene.ticks.times


def test_a_tick_that_froze_warms_nothing_and_wakes_nobody(scene: Scene) -> None:
    """What it saw is long ago; the calls that came meanwhile have seen more."""
    scene.know(full=True)
    scene.ticks.facts = lambda: {**IDLE, "freed": 1}
    scene.ticks.takes = 1200
    Watch(*scene.parts()).run(Budget(75, lambda: scene.clock().timestamp()))
    assert (scene.agents.note.warm_until, scene.rung) == (None, 0)


@pytest.mark.parametrize("call", ["read", "write"])
def test_a_tick_that_freezes_at_the_note_warms_nothing_and_wakes_nobody(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A long history found this: another poll has written the note meanwhile."""
    scene.know(full=True)
    scene.ticks.facts = lambda: {**IDLE, "freed": 1}
    whole, left = getattr(scene.agents, call), [1]

    def frozen(*args: object) -> object:
        if left:
            left.clear()
            scene.clock.pass_(7200)
            monkeypatch.setattr(scene.agents, call, whole)
            scene.know(holder="another")
        return whole(*args)

    monkeypatch.setattr(scene.agents, call, frozen)
    Watch(*scene.parts()).run(Budget(75, lambda: scene.clock().timestamp()))
    assert not left
    assert (scene.agents.note.warm_until, scene.agents.note.holder, scene.rung) == (None, "another", 0)


@pytest.mark.parametrize("good", [0, 1])
def test_a_note_that_cannot_be_read_ends_the_call_and_is_named(scene: Scene, good: int) -> None:
    """After a tick, or while status waits for the last slot to be filled."""
    scene.know(warm_until=scene.clock.now + timedelta(minutes=14))
    notes = [scene.agents.note] * good

    def read() -> AgentNote | None:
        if notes:
            return notes.pop()
        raise Retry("503")

    scene.agents.read = read  # type: ignore[method-assign]
    assert scene.minute().errors == ["agent: Retry: 503"]
    assert len(scene.ticks.times) == 1


def test_without_a_note_status_looks_once(scene: Scene) -> None:
    """Poll has never worked here."""
    scene.agents.read = lambda: None  # type: ignore[method-assign]
    scene.ticks.facts = lambda: {**IDLE, "freed": 1}
    assert scene.minute().errors == []
    assert len(scene.ticks.times) == 1


@pytest.mark.parametrize(("seconds", "ticks"), [(20.0, 4), (20.5, 5), (25.0, 5)])
@pytest.mark.parametrize("filled", [False, True])
def test_the_budget_ends_a_call_before_its_window(scene: Scene, seconds: float, ticks: int, filled: bool) -> None:
    """Down to its last second, also if poll fills the last slot while status waits."""
    scene.know(warm_until=scene.clock.now + timedelta(minutes=14))
    note, full = scene.agents.note, cycle([not filled, True])
    scene.agents.read = lambda: replace(note, full=next(full))  # type: ignore[method-assign]
    Watch(*scene.parts()).run(Budget(seconds, lambda: scene.clock().timestamp()))
    assert len(scene.ticks.times) == ticks


def test_what_another_call_was_refused_slows_no_tick(scene: Scene) -> None:
    """Its process counts the calls since this one began."""
    scene.know(full=True, warm_until=scene.clock.now + timedelta(minutes=14))
    scene.ticks.traffic.answered(429, {})
    scene.minute()
    assert scene.intervals == [5] * 10


def test_vertex_that_refuses_slows_status_down_and_recovers(scene: Scene) -> None:
    """It doubles the interval, and the first good answer ends that."""
    scene.know(full=True, warm_until=scene.clock.now + timedelta(minutes=14))
    scene.ticks.calls, scene.ticks.answer = 1, 429
    scene.minute()
    assert scene.intervals == [10, 20]
    scene.ticks.answer = 200
    scene.minute()
    assert scene.intervals[-1] == 5


@pytest.mark.parametrize("takes", [0.0, 3.0])
def test_a_paced_launch_gets_its_ticket_just_before_its_slot(scene: Scene, takes: float) -> None:
    """Neither too early, because submit waits for the slot, nor after it, because the quota would stay unused."""
    scene.know(warm_until=scene.clock.now + timedelta(minutes=14))
    scene.ticks.takes, scene.ticks.facts = takes, lambda: {**IDLE, "young": 1}
    began = scene.clock.now
    slots = [(began + timedelta(seconds=second), f"k{second}") for second in range(12, 240, 3)]
    scene.ticks.slots = list(slots)
    for _ in range(4):
        scene.minute()
    due = {key: slot for slot, key in slots}
    ahead = [(due[key] - at).total_seconds() for at, key in scene.ticks.published]
    assert len(ahead) == len(slots)
    assert min(ahead) >= 5 - takes
    assert max(ahead) <= PACED_AHEAD.total_seconds()


def test_without_paced_launches_nothing_is_published(scene: Scene) -> None:
    """A pause is one wait."""
    scene.know(warm_until=scene.clock.now + timedelta(minutes=14))
    scene.ticks.facts = lambda: {**IDLE, "young": 1}
    scene.minute()
    assert scene.ticks.published == []
