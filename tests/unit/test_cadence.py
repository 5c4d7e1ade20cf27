"""The rules of the cadence as tables: what is warm, who is fast, how long an interval is."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.core.cadence import Cadence, Intervals, Mode
from shared.core.traffic import Seen, Traffic

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Cadence()


@pytest.mark.parametrize(
    ("minutes", "warm"),
    [(None, False), (-1, False), (0, False), (0.1, True), (15, True), (16, True), (18, False), (9e6, False)],
)
def test_warm_until(minutes: float | None, warm: bool) -> None:
    """A clock that is a minute ahead still counts; a time that no function writes does not."""
    until = None if minutes is None else NOW + timedelta(minutes=minutes)
    assert RULES.is_warm(until, NOW) is warm
    assert Cadence(mode=Mode.ALWAYS).is_warm(until, NOW)
    assert not Cadence(mode=Mode.NEVER).is_warm(until, NOW)


@pytest.mark.parametrize(
    ("minutes", "due"), [(None, True), (-1, True), (5, True), (12.9, True), (13.1, False), (15, False), (9e6, True)]
)
def test_work_extends_the_warm_time_in_steps(minutes: float | None, due: bool) -> None:
    """A write every two minutes is enough; one that is far ahead is put right."""
    until = None if minutes is None else NOW + timedelta(minutes=minutes)
    assert RULES.extended(until, NOW) == (NOW + timedelta(minutes=15) if due else None)
    for mode in (Mode.ALWAYS, Mode.NEVER):
        assert Cadence(mode=mode).extended(until, NOW) is None


@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("busy", [True, False])
def test_one_function_is_fast_at_a_time(warm: bool, full: bool, busy: bool) -> None:
    """Poll while slots are free, status while none is; none while cold."""
    poll, status = RULES.of_poll(warm=warm, free=not full), RULES.of_status(warm=warm, full=full, busy=busy)
    assert poll == (5 if warm and not full else None)
    assert status == (None if not warm else 5 if full else 10 if busy else None)


@pytest.mark.parametrize(
    ("base", "took", "pages", "refusals", "reset", "interval"),
    [
        (5, 0, 0, 0, 0, 5),
        (5, 1.6, 0, 0, 0, pytest.approx(4.8 + 0.2)),
        (5, 3, 0, 0, 0, 9),
        (5, 1, 100, 0, 0, 20),
        (10, 0, 0, 0, 0, 10),
        (5, 0, 0, 1, 0, 10),
        (5, 0, 0, 3, 0, 40),
        (5, 0, 0, 4, 0, 60),
        (5, 0, 0, 10_000, 0, 60),
        (5, 30, 0, 1, 0, 90),
        (5, 0, 0, 0, 42, 42),
        (5, 0, 0, 2, 42, 42),
    ],
)
def test_the_interval(base: float, took: float, pages: int, refusals: int, reset: float, interval: float) -> None:
    """At least three times the round and 0.2 s a page; refusals double it up to a minute."""
    assert RULES.interval(base, took, pages, refusals, reset) == interval


@pytest.mark.parametrize("pages", [1, 10, 25, 100, 1000])
def test_vertex_gets_at_most_600_calls_a_minute(pages: int) -> None:
    """Whatever a round needs, also with pages of 10."""
    assert pages / RULES.interval(RULES.fast, 0, pages) * 60 <= 600


@pytest.mark.parametrize(
    ("headers", "reset"),
    [
        ({}, 0),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "30"}, 30),
        ({"RateLimit-Remaining": "900", "RateLimit-Reset": "30", "RateLimit-Limit": "1000"}, 0),
        ({"RateLimit-Remaining": "40", "RateLimit-Reset": "30", "RateLimit-Limit": "1000"}, 30),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "86400"}, 60),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "-3"}, 0),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "nan"}, 0),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "inf"}, 60),
        ({"RateLimit-Remaining": "nan", "RateLimit-Reset": "30"}, 0),
        ({"RateLimit-Remaining": "", "RateLimit-Reset": "soon"}, 0),
        ({"RateLimit-Remaining": "0"}, 0),
    ],
)
def test_rate_limits_of_wandb(headers: dict[str, str], reset: float) -> None:
    """A spent limit waits for its reset, a minute at the longest; an odd header says nothing."""
    traffic = Traffic()
    traffic.answered(200, headers)
    traffic.answered(200, {})
    assert traffic.seen() == Seen(2, refused=False, reset=reset)
    assert traffic.seen() == Seen()


@pytest.mark.parametrize(
    ("status", "refused"), [(200, False), (404, False), (400, False), (401, False), (429, True), (503, True)]
)
def test_which_answers_ask_for_fewer_calls(status: int, refused: bool) -> None:
    """A queue that does not exist slows no other queue down."""
    traffic = Traffic()
    traffic.answered(status, {})
    assert traffic.seen().refused is refused


def test_refusals_add_up_until_a_round_has_none() -> None:
    """Of any of the systems; a call without an answer is one."""
    wandb, vertex = Traffic(), Traffic()
    intervals = Intervals(RULES, vertex, [wandb])
    wandb.answered(429, {})
    assert intervals.interval(5, 0) == 10
    vertex.unanswered()
    assert intervals.interval(5, 0) == 20
    wandb.answered(200, {})
    assert intervals.interval(5, 0) == 5


def test_the_calls_of_an_earlier_invocation_do_not_count() -> None:
    """Only Vertex AI's calls are pages."""
    wandb, vertex = Traffic(), Traffic()
    intervals = Intervals(RULES, vertex, [wandb])
    for _ in range(1000):
        vertex.answered(200, {})
        wandb.answered(200, {})
    intervals.begin()
    assert intervals.interval(5, 0) == 5
    for _ in range(100):
        vertex.answered(200, {})
        wandb.answered(200, {})
    assert intervals.interval(5, 0) == 20
