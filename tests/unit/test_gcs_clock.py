"""The clock that all functions share: a server's Date, carried on by a monotonic clock."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests

from shared.adapters.gcs.clock import ServerClock

SERVER = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Machine:
    """A machine's two clocks, of which the first can be set."""

    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        self.passed = 0.0
        self.ahead = ahead

    def clock(self) -> ServerClock:
        """Return a clock on this machine."""
        return ServerClock(lambda: SERVER + timedelta(seconds=self.passed) + self.ahead, lambda: 1000.0 + self.passed)


def answer(date: str | None, elapsed: float = 0.0) -> requests.Response:
    """Return a server's response."""
    response = requests.Response()
    response.elapsed = timedelta(seconds=elapsed)
    if date is not None:
        response.headers["Date"] = date
    return response


def at(seconds: float) -> str:
    """Return the Date of a response that is sent after so many seconds: in whole ones."""
    return format_datetime(SERVER + timedelta(seconds=int(seconds)), usegmt=True)


def test_machines_three_minutes_apart_agree() -> None:
    """Each by the responses that it has seen, at other moments; the machine's own time does not count."""
    slow, fast = Machine(timedelta(minutes=-3)), Machine(timedelta(minutes=3))
    clocks = [slow.clock(), fast.clock()]
    slow.passed, fast.passed = 10.9, 11.1
    clocks[0].observe(answer(at(10.9)))
    clocks[1].observe(answer(at(11.1)))
    slow.passed = fast.passed = 200
    times = [clock.now() for clock in clocks]
    assert abs(times[0] - times[1]) < timedelta(seconds=2)
    assert all(abs(time - SERVER - timedelta(seconds=200)) < timedelta(seconds=2) for time in times)


def test_a_step_of_the_machines_clock_changes_nothing() -> None:
    """The time goes on with the monotonic clock."""
    machine = Machine()
    clock = machine.clock()
    clock.observe(answer(at(0)))
    machine.ahead, machine.passed = timedelta(hours=-5), 7
    assert clock.now() == SERVER + timedelta(seconds=7)


def test_time_does_not_run_backwards_within_a_second() -> None:
    """A Date is rounded down: the one that says more counts, and a late answer says less."""
    machine = Machine()
    clock = machine.clock()
    clock.observe(answer(at(0)))
    machine.passed = 0.9
    clock.observe(answer(at(0.9)))
    assert clock.now() == SERVER + timedelta(seconds=0.9)
    machine.passed = 30
    clock.observe(answer(at(10), elapsed=20))
    assert clock.now() == SERVER + timedelta(seconds=30)


@pytest.mark.parametrize("step", [-600, 600])
def test_a_step_of_the_servers_clock_is_followed(step: int) -> None:
    """Every response counts, not only the first."""
    clock = Machine().clock()
    clock.observe(answer(at(0)))
    clock.observe(answer(at(step)))
    assert clock.now() == SERVER + timedelta(seconds=step)


@pytest.mark.parametrize("date", [None, "", "soon", "Thu, 99 Jan 2026 12:00:00 GMT", "1" * 5000])
def test_without_a_date_the_machines_own_time_counts(date: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once; an earlier Date stays in use."""
    machine = Machine(timedelta(minutes=3))
    clock = machine.clock()
    for _ in range(3):
        clock.observe(answer(date))
    assert clock.now() == SERVER + timedelta(minutes=3)
    assert [record.message for record in caplog.records] == ["ledger.no_server_time"]
    clock.observe(answer(at(0)))
    clock.observe(answer(date))
    assert clock.now() == SERVER
