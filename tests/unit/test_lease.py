"""The lease of one poll, where status, a wake-up or another poll writes the note meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from functions.poll.lease import TRIES, Lease, LeaseLost
from shared.core.errors import Conflict, Retry
from shared.core.ports import AgentNote
from tests.fakes import FakeClock, InMemoryAgentBook
from tests.unit.lines import lines
from tests.unit.polling import A, Scene

LASTS = timedelta(seconds=150)


@pytest.fixture
def book() -> InMemoryAgentBook:
    """Return the agent's note."""
    return InMemoryAgentBook()


def lease(book: InMemoryAgentBook, holder: str = "me", clock: FakeClock | None = None) -> Lease:
    """Return a lease that is not taken yet."""
    return Lease(book, holder, clock or FakeClock(), LASTS)


def test_a_lease_is_open_to_its_own_holder(book: InMemoryAgentBook) -> None:
    """To others when it has ended; its end is the holder's, to the second."""
    clock = FakeClock()
    mine = lease(book, clock=clock)
    assert mine.open()
    mine.hold()
    assert (book.note.holder, book.note.lease_until) == ("me", clock() + LASTS)
    assert (lease(book, clock=clock).open(), lease(book, "other", clock).open()) == (True, False)
    clock.pass_(LASTS.total_seconds() - 1)
    assert not lease(book, "other", clock).open()
    clock.pass_(1)
    assert lease(book, "other", clock).open()


def meanwhile(book: InMemoryAgentBook, *happen: Callable[[], object]) -> None:
    """Let something happen before each of the next writes."""
    write, waiting = book.write, list(happen)

    def after(note: AgentNote) -> AgentNote:
        if waiting:
            waiting.pop(0)()
        return write(note)

    book.write = after  # type: ignore[method-assign]


def conflict(book: InMemoryAgentBook) -> Callable[[], None]:
    """Return what writes the note and leaves its holder."""
    return lambda: setattr(book, "note", replace(book.note, generation=book.note.generation + 1))


def test_a_note_that_is_deleted_meanwhile_loses_no_lease(book: InMemoryAgentBook) -> None:
    """The next write makes another note."""
    mine = lease(book)
    mine.open()

    def deleted() -> None:
        book.read = lambda: None  # type: ignore[method-assign]
        raise Conflict("note")

    meanwhile(book, deleted)
    mine.hold()
    assert (mine.held, book.note.holder) == (True, "me")


@pytest.mark.parametrize("writes", [TRIES - 1, TRIES])
def test_a_note_that_is_written_all_the_time_is_given_up(book: InMemoryAgentBook, writes: int) -> None:
    """After a few tries: the call fails, and the next one tries again."""
    mine = lease(book)
    mine.open()
    meanwhile(book, *[conflict(book)] * writes)
    if writes < TRIES:
        mine.hold()
        assert mine.held
        return
    with pytest.raises(Retry, match=r"^the agent's note is written all the time$"):
        mine.hold()
    assert (mine.held, mine.tried) == (False, True)


def test_another_holder_between_two_tries_has_the_lease(book: InMemoryAgentBook) -> None:
    """Even if it has ended its own by then: what this call has counted may be wrong."""
    mine, other = lease(book), lease(book, "other")
    mine.open()

    def overtake() -> None:
        book.note = replace(book.note, holder="other", generation=book.note.generation + 1)

    meanwhile(book, overtake)
    with pytest.raises(LeaseLost, match=r"^another poll is working$"):
        mine.hold()
    assert (mine.held, mine.tried, other.open()) == (False, False, True)


def test_a_lease_answers_the_wake_ups_before_it(book: InMemoryAgentBook) -> None:
    """The round that follows is the round that they ask for."""
    book.note = replace(book.note, woken=True)
    mine = lease(book)
    mine.open()
    mine.hold()
    assert not book.note.woken


@pytest.mark.parametrize("tried", [True, False])
def test_only_a_lease_that_was_asked_for_is_lost(
    book: InMemoryAgentBook, tried: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if the answer to that write was lost, and another poll has worked since."""
    mine, write = lease(book), book.write
    mine.open()

    def unanswered(_: AgentNote) -> AgentNote:
        raise Retry("timed out")

    if tried:
        book.write = unanswered  # type: ignore[method-assign, assignment]
        with pytest.raises(Retry):
            mine.hold()
    book.write = write  # type: ignore[method-assign]
    book.note = replace(book.note, holder="other", generation=book.note.generation + 1)
    assert not mine.close({"why_not": "x"})
    assert lines(caplog) == [("WARNING", "agent.lease_lost", {"holder": "me"})] * tried
    assert (book.note.why_not, mine.held, mine.tried) == ("", False, False)


@pytest.mark.parametrize("stay", [True, False])
@pytest.mark.parametrize("woken", [True, False])
def test_a_lease_is_kept_for_a_wake_up_that_came_meanwhile(book: InMemoryAgentBook, stay: bool, woken: bool) -> None:
    """If the call can stay; the wake-up is answered in either case."""
    clock = FakeClock()
    mine = lease(book, clock=clock)
    mine.open()
    mine.hold()
    clock.pass_(10)
    if woken:
        other = lease(book, "other", clock)
        assert not other.open()
        assert other.mark()
        assert other.mark()
        mine.look()
    kept = stay and woken
    assert mine.close({"why_not": "x"}, stay=stay) is kept
    assert (book.note.lease_until, book.note.woken) == (clock() + LASTS if kept else None, False)
    assert (book.note.why_not, mine.held, mine.tried) == ("" if kept else "x", kept, kept)


def test_a_mark_is_not_needed_once_the_holder_has_ended(book: InMemoryAgentBook) -> None:
    """Then this call may take the lease itself; a note that is always written is given up."""
    mine, other = lease(book), lease(book, "other")
    other.open()
    other.hold()
    assert not mine.open()

    def ends() -> None:
        book.note = replace(book.note, lease_until=None, generation=book.note.generation + 1)

    meanwhile(book, ends)
    assert not mine.mark()

    def busy(note: AgentNote) -> AgentNote:
        raise Conflict("note")

    book.note = replace(book.note, lease_until=FakeClock()() + LASTS)
    book.write = busy  # type: ignore[method-assign]
    assert not mine.mark()


def test_a_call_whose_predecessor_ends_meanwhile_polls_itself() -> None:
    """Nobody else would see its mark."""
    scene = Scene()
    scene.agents.take("other", scene.clock(), scene.clock() + LASTS)

    def ends() -> None:
        book = scene.agents
        book.note = replace(book.note, lease_until=None, generation=book.note.generation + 1)

    meanwhile(scene.agents, ends)
    scene.wandb.push("i", A)
    assert scene.poll().launched == {"a": 1}
    assert (scene.agents.note.woken, scene.agents.note.lease_until) == (False, None)


def test_a_call_that_is_turned_away_marks_once() -> None:
    """One read, one write."""
    scene = Scene()
    scene.agents.take("other", scene.clock(), scene.clock() + LASTS)
    scene.agents.reads = scene.agents.writes = 0
    assert not scene.poll().polled
    assert (scene.agents.reads, scene.agents.writes, scene.agents.note.woken) == (1, 1, True)


def test_a_process_that_is_ended_gives_its_lease_back() -> None:
    """The next call need not wait for the lease to run out."""
    scene = Scene()
    scene.wandb.push("i", A)

    def ended(keys: object) -> None:
        raise KeyboardInterrupt

    scene.publisher.publish = ended  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        scene.poll()
    assert (scene.agents.note.holder, scene.agents.note.lease_until) == ("poll-1", None)
