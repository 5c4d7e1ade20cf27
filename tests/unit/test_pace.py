"""The pace of creates: learned from refusals, counted in the ledger, kept by every submit."""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from functions.submit.pace import COUNTED, FORGOTTEN, PATIENCE, WINDOW, ahead, free_slot
from shared.core.budget import Budget
from shared.core.entry import PACED_AHEAD, Entry, RunPath
from shared.core.errors import Capacity, Denied, Retry
from shared.core.launch import State
from shared.core.message import Ticket
from shared.core.ports import CustomJobCall, LearnedPace
from shared.core.shortage import Shortage, rate_of, retry_delay
from tests.fakes import FakeVertex
from tests.unit.submitting import Scene

NOW = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
PARENT = "projects/p/locations/us-central1"
METADATA = {"quota_limit": "JobSubmissionRequestsPerMinutePerProjectPerRegion", "quota_limit_value": "60"}


def after(seconds: float) -> datetime:
    """Return a time."""
    return NOW + timedelta(seconds=seconds)


def entry(key: str, state: State, **changes: object) -> Entry:
    """Return an entry of the same region."""
    made = Entry(key, state, NOW, RunPath("e", "p", "r"), parent=PARENT)
    return replace(made, **changes)  # type: ignore[arg-type]


MINE = entry("m", State.SUBMITTING, lease_until=after(600))
AHEAD = [
    (entry("a", State.SUBMITTED, submitted_at=after(-5)), [after(-5)]),
    (entry("a", State.SUBMITTED, submitted_at=after(-5), parent="projects/p/locations/europe-west4"), []),
    (entry("a", State.SUBMITTING, lease_until=after(599)), [NOW]),
    (entry("a", State.SUBMITTING, lease_until=after(600)), [NOW]),
    (entry("z", State.SUBMITTING, lease_until=after(600)), []),
    (entry("a", State.SUBMITTING, lease_until=after(601)), []),
    (entry("z", State.SUBMITTING, lease_until=after(900), unanswered=True), [NOW]),
    (entry("a", State.QUEUED, short_of=Shortage.RATE, retry_at=after(20)), [after(20)]),
    (entry("a", State.QUEUED, short_of=Shortage.RATE, retry_at=after(-20)), [NOW]),
    (entry("a", State.QUEUED, short_of=Shortage.RATE, retry_at=NOW), []),
    (entry("a", State.QUEUED, short_of=Shortage.RATE), []),
    (entry("a", State.QUEUED, short_of=Shortage.STOCKOUT, retry_at=after(20)), []),
    (entry("a", State.QUEUED, unanswered=True, lease_until=after(9)), []),
    (entry("a", State.SUBMITTING, unanswered=True), []),
    (entry("a", State.SUBMITTING), []),
    (entry("a", State.SUBMITTED), []),
    (entry("a", State.QUEUED), []),
    (entry("m", State.SUBMITTED, submitted_at=after(-5)), []),
    (entry("a", State.ENDED, submitted_at=after(-5)), []),
]


@pytest.mark.parametrize(("other", "times"), AHEAD)
def test_what_comes_before_a_launch(other: Entry, times: list[datetime]) -> None:
    """Each create is counted once, by the launch that comes after it."""
    assert ahead(MINE, None, [other], NOW) == times


def test_an_overdue_slot_comes_before_a_later_one_only() -> None:
    """Of many overdue launches, the earliest go on; the others do not wait for each other."""
    others = [entry(str(second), State.QUEUED, short_of=Shortage.RATE, retry_at=after(-second)) for second in (1, 2, 3)]
    assert ahead(MINE, after(-2), others, NOW) == [NOW]


def test_a_launch_with_a_slot_comes_after_all_earlier_ones_and_counts_the_later_ones() -> None:
    """A later slot that is near may be within its minute."""
    others = [
        entry(str(second), State.QUEUED, short_of=Shortage.RATE, retry_at=after(second)) for second in (-5, 5, 15)
    ]
    assert ahead(MINE, after(10), others, NOW) == [NOW, after(5), after(15)]


@pytest.mark.parametrize(
    ("sent", "known", "named", "learned"),
    [
        (0, None, 60, 60),
        (0, None, 0, 1),
        (3, None, 0, 3),
        (8, 10, 60, 60),
        (7, 10, 60, 7),
        (7, 10, 5, 5),
        (7, 10, 0, 7),
        (0, 10, 60, 1),
    ],
)
def test_a_refusal_teaches_the_smaller_of_what_it_names_and_what_was_sent(
    sent: int, known: int | None, named: int, learned: int
) -> None:
    """What was sent counts only far below a known quota; a create of a minute ago is not of this minute."""
    scene = Scene()
    scene.deliver(scene.open("old"))
    scene.clock.pass_(60)
    for number in range(sent):
        scene.deliver(scene.open(str(number)))
    if known:
        scene.paces.paces[PARENT] = LearnedPace(known, scene.clock(), scene.clock())
    scene.vertex.next_errors = [Capacity("a minute", Shortage.RATE, timedelta(seconds=21), named)]
    assert scene.deliver(scene.open("refused")) == "launch.waiting"
    later = scene.clock() + timedelta(seconds=21)
    assert scene.paces.paces[PARENT] == LearnedPace(learned, scene.clock(), later)


@pytest.mark.parametrize(
    ("times", "limit", "slot"),
    [
        ([], 1, NOW),
        ([after(-59)], 1, after(1.5)),
        ([after(-60.5)], 1, NOW),
        ([after(-59), after(-30)], 2, after(1.5)),
        ([after(-59), after(-30), after(0.5)], 2, after(30.5)),
        ([after(-59), after(-30), after(1)], 2, after(30.5)),
        ([after(40)], 1, NOW),
        ([NOW] * 5, 3, after(60.5)),
    ],
)
def test_the_first_free_slot(times: list[datetime], limit: int, slot: datetime) -> None:
    """Never more than the limit in any minute, by clocks that differ a little."""
    assert free_slot(NOW, times, limit) == slot


def test_a_refusal_names_its_quota() -> None:
    """As its details do; a quota of another kind, or an odd value, is no pace."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "metadata": METADATA}
    assert rate_of([info]) == 60
    for odd in ({"quota_limit_value": "many"}, {"quota_limit": "GpusPerRegion"}, {"quota_limit_value": None}):
        assert rate_of([{**info, "metadata": {**METADATA, **odd}}]) == 0
    assert rate_of([{**info, "metadata": {**METADATA, "quota_limit_value": "9" * 5000}}]) == 1_000_000
    assert rate_of([]) == 0


@dataclass
class Limited(FakeVertex):
    """Vertex AI with a quota of creates in any minute, in Google's own shape."""

    quota: int = 60
    accepted: deque[datetime] = field(default_factory=deque)
    refused: int = 0
    names_it: bool = True

    def create(self, call: CustomJobCall, budget: Budget) -> str:
        """Create a job, or refuse it."""
        now = self.clock()
        while self.accepted and self.accepted[0] <= now - WINDOW:
            self.accepted.popleft()
        if len(self.accepted) >= self.quota:
            self.refused += 1
            limit = self.quota if self.names_it else 0
            raise Capacity("Quota exceeded per minute", Shortage.RATE, timedelta(seconds=21), limit)
        self.accepted.append(now)
        self.clock.pass_(0.05)
        return super().create(call, budget)


def drained(scene: Scene, vertex: Limited, items: int, tick: float = 10) -> float:
    """Launch many items at once; status publishes what is due at each tick. Return the seconds until the last job."""
    scene.submit = replace(scene.submit, compute=vertex)
    began = scene.clock()
    tickets = deque(scene.open(f"item-{number}") for number in range(items))
    next_tick = began + timedelta(seconds=tick)
    while len(vertex.jobs) < items:
        while tickets:
            scene.deliver(tickets.popleft())
        scene.clock.now = max(next_tick, scene.clock())
        next_tick = scene.clock() + timedelta(seconds=tick)
        due = [launch.entry for launch in scene.ledger.open.values() if launch.entry.claimable(scene.clock())]
        due = [each for each in due if each.state is State.QUEUED]
        tickets.extend(Ticket(launch_key=each.key) for each in sorted(due, key=lambda each: str(each.retry_at)))
    return (max(job.created_at for job in vertex.jobs.values()) - began).total_seconds()


@pytest.mark.parametrize("names_it", [True, False])
def test_three_hundred_items_use_the_quota_and_are_rarely_refused(names_it: bool) -> None:
    """At most 5 % of the calls are answered 429, and at least 95 % of the quota is used, before the last minute."""
    scene = Scene()
    vertex = Limited(scene.clock, names_it=names_it)
    seconds = drained(scene, vertex, 300)
    assert vertex.refused <= 0.05 * (300 + vertex.refused)
    assert 240 / (vertex.quota * seconds / 60) >= 0.95, seconds


def test_a_refusal_holds_the_other_threads_at_once() -> None:
    """Before the book has it: each call until then would be refused, too."""
    scene = Scene()
    vertex = Limited(scene.clock, quota=1)
    scene.submit = replace(scene.submit, compute=vertex)
    first, second, third = (scene.open(str(number)) for number in range(3))
    scene.deliver(first)
    scene.paces.learn = lambda *_: scene.deliver(third)  # type: ignore[method-assign, assignment]
    assert scene.deliver(second) == "launch.waiting"
    assert (vertex.refused, scene.launch(third).entry.short_of) == (1, Shortage.RATE)


def test_a_pace_is_forgotten_after_an_hour() -> None:
    """Google may have raised the quota."""
    scene = Scene()
    scene.paces.paces[PARENT] = LearnedPace(1, scene.clock() - FORGOTTEN, scene.clock())
    assert [scene.deliver(scene.open(str(number))) for number in range(3)] == ["launch.submitted"] * 3
    assert scene.ledger.listings == 0


def test_without_a_refusal_nothing_is_counted() -> None:
    """The usual create costs no listing."""
    scene = Scene()
    scene.deliver(scene.open())
    assert scene.ledger.listings == 0


def test_a_near_slot_is_waited_for_and_a_later_one_in_the_ledger() -> None:
    """With a notice, no failure, and the time of the slot."""
    scene = Scene()
    scene.paces.paces[PARENT] = LearnedPace(1, scene.clock(), scene.clock())
    first, second = scene.open("1"), scene.open("2")
    assert scene.deliver(first) == "launch.submitted"
    assert scene.deliver(second) == "launch.paced"
    waiting = scene.launch(second).entry
    slot = scene.launch(first).entry.submitted_at
    assert slot
    assert (waiting.state, waiting.retry_at, waiting.failures) == (State.QUEUED, slot + COUNTED, 0)
    assert "creates a minute in us-central1" in waiting.notice
    scene.clock.now = slot + COUNTED - PACED_AHEAD - timedelta(seconds=1)
    assert scene.deliver(second) == "launch.nothing_to_do"
    scene.clock.pass_(1)
    assert scene.deliver(second) == "launch.submitted"
    assert scene.launch(second).entry.submitted_at == slot + COUNTED
    assert PATIENCE > PACED_AHEAD


def test_a_wait_that_google_asks_for_holds_for_all() -> None:
    """RetryInfo: nobody sends before."""
    scene = Scene()
    scene.vertex.next_errors = [Capacity("Quota exceeded per minute", Shortage.RATE, timedelta(seconds=40), 60)]
    assert scene.deliver(scene.open("1")) == "launch.waiting"
    assert scene.deliver(scene.open("2")) == "launch.paced"
    assert len(scene.vertex.jobs) == 0


def test_one_odd_refusal_holds_nobody_for_long() -> None:
    """Its own launch waits as Google asks; the others, a minute."""
    scene = Scene()
    scene.vertex.next_errors = [Capacity("Quota exceeded per minute", Shortage.RATE, timedelta(days=1), 60)]
    assert scene.deliver(scene.open("1")) == "launch.waiting"
    second = scene.open("2")
    assert scene.deliver(second) == "launch.paced"
    assert scene.launch(second).entry.retry_at == scene.clock() + WINDOW


def test_a_pace_from_the_future_is_none() -> None:
    """A clock that was wrong stops nothing."""
    scene = Scene()
    scene.paces.paces[PARENT] = LearnedPace(1, scene.clock() + timedelta(days=9), scene.clock() + timedelta(days=9))
    assert scene.deliver(scene.open("3")) == "launch.submitted"
    delay = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "999999999s"}]
    assert retry_delay(delay) == timedelta(days=1)


def test_a_slot_is_no_farther_away_than_the_pace_is_known() -> None:
    """After an hour Google is asked again."""
    scene = Scene()
    scene.paces.paces[PARENT] = LearnedPace(1, scene.clock(), scene.clock())
    tickets = [scene.open(str(number)) for number in range(90)]
    assert {scene.deliver(ticket) for ticket in tickets} == {"launch.submitted", "launch.paced"}
    slots = [retry_at for ticket in tickets if (retry_at := scene.launch(ticket).entry.retry_at)]
    assert max(slots) == scene.clock() + FORGOTTEN


def test_a_quota_that_others_use_too_is_shared() -> None:
    """Refused far below the quota: the pace becomes what was sent in the last minute."""
    scene = Scene()
    for number in range(10):
        scene.deliver(scene.open(str(number)))
    refusal = Capacity("Quota exceeded per minute", Shortage.RATE, timedelta(0), 60)
    for pace in (60, 10):
        scene.vertex.next_errors = [refusal]
        scene.deliver(scene.open(f"refused at {pace}"))
        assert scene.paces.paces[PARENT].limit == pace


@pytest.mark.parametrize("shortage", [Shortage.AMOUNT, Shortage.STOCKOUT, Shortage.ZERO])
def test_a_lack_of_machines_is_no_pace(shortage: Shortage) -> None:
    """It holds its queue, as before."""
    scene = Scene()
    scene.vertex.next_errors = [Capacity("none", shortage)]
    scene.deliver(scene.open())
    assert scene.paces.paces == {}


@pytest.mark.parametrize("error", [Retry("no answer"), Denied("no permission")])
def test_a_pace_that_cannot_be_read_stops_nothing(error: Exception) -> None:
    """Vertex AI still refuses what is too much."""
    scene = Scene()
    scene.paces.unreachable = error
    assert scene.deliver(scene.open("1")) == "launch.submitted"
    scene.vertex.next_errors = [Capacity("Quota exceeded per minute", Shortage.RATE, timedelta(0), 60)]
    assert scene.deliver(scene.open("2")) == "launch.waiting"


def test_a_slot_after_the_budget_is_waited_for_in_the_ledger() -> None:
    """A submit never waits past the time at which it may still send."""
    scene = Scene()
    scene.paces.paces[PARENT] = LearnedPace(1, scene.clock(), scene.clock() + timedelta(seconds=8))
    assert scene.submit.launch(scene.open(), Budget(5)) == "launch.paced"
