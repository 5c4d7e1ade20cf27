"""The doors of poll and status: which budget a call has, what it answers, and what its log line says."""

from types import SimpleNamespace
from typing import Any

import flask
import pytest
from werkzeug.test import EnvironBuilder

from functions.poll import handler as of_poll
from functions.poll.report import Report as PollReport
from functions.status import handler as of_status
from functions.status.reconcile import ACTING
from functions.status.report import Report as StatusReport
from shared.core.budget import Budget
from shared.core.errors import KeyRefused, LaunchError, Reject, Retry, SettingsError
from tests.unit.lines import lines


def call(name: str, path: str = "/") -> tuple[dict[str, Any], int]:
    """Call a function; return its answer."""
    function: Any = {"poll": of_poll.poll, "status": of_status.status}[name]
    body, code = function(flask.Request(EnvironBuilder(method="POST", path=path).get_environ()))
    return body, code


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Let the parts of both functions keep their calls; the second entry may be an error or a report."""
    kept: list[tuple[Any, ...]] = []

    def poll(holder: str, budget: Budget, *, woken: bool) -> PollReport:
        kept.append((holder, budget.left, woken))
        return PollReport()

    def status(budget: Budget) -> StatusReport:
        kept.append((budget.left,))
        return StatusReport()

    for module, run in ((of_poll, poll), (of_status, status)):
        settings = SimpleNamespace(poll_budget_seconds=100, status_budget_seconds=300)
        monkeypatch.setattr(module, "load", lambda _, settings=settings: settings)
        name = module.__name__.split(".")[1]
        monkeypatch.setattr(module, f"build_{name}", lambda _, run=run: SimpleNamespace(run=run))
    return kept


@pytest.mark.parametrize(("path", "woken"), [("/", False), ("/wake-up", True), ("/wake-up/", True), ("/up", False)])
def test_a_call_of_poll_has_its_own_name_and_the_whole_budget(
    runs: list[tuple[Any, ...]], path: str, woken: bool
) -> None:
    """A wake-up differs in its path only."""
    assert [call("poll", path)[1] for _ in range(2)] == [200, 200]
    (first, left, is_woken), (second, _, _) = runs
    assert first != second
    assert min(len(first), len(second)) == 32
    assert 90 < left <= 100
    assert is_woken is woken


def test_a_call_of_status_has_the_time_for_acting_beside_its_budget(
    runs: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less what reading the settings took."""
    times = iter([1000.0, 1007.0])
    monkeypatch.setattr(of_status, "time", SimpleNamespace(monotonic=lambda: next(times)))
    assert call("status")[1] == 200
    [(left,)] = runs
    assert 280 + ACTING < left <= 293 + ACTING


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Retry("503: password=hunter2"), 503),
        (SettingsError("password=hunter2"), 500),
        (Reject("WANDB_BASE_URL", "password=hunter2"), 500),
    ],
)
@pytest.mark.parametrize("name", ["poll", "status"])
def test_a_call_that_fails_answers_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, error: LaunchError, status: int
) -> None:
    """Cloud Scheduler's page shows it, without a secret; its line has the stack trace."""
    module: Any = of_poll if name == "poll" else of_status

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(module, "load", fail)
    answer, code = call(name)
    assert (code, list(answer)) == (status, ["error"])
    assert "password=[redacted]" in answer["error"]
    assert lines(caplog) == [("ERROR", "tick.failed +", {})]


def test_a_key_that_is_refused_is_a_report(
    runs: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Metrics count it."""

    def refused(_: object) -> None:
        raise KeyRefused("W&B answers 401")

    monkeypatch.setattr(of_poll, "build_poll", refused)
    answer, code = call("poll")
    assert (code, answer["polled"], answer["key_refused"]) == (503, False, True)
    failed, (level, event, fields) = lines(caplog)
    assert (failed[1], level, event) == ("poll.failed +", "INFO", "tick.done")
    assert (fields["key_refused"], fields["function"], fields["problems"]) == (1, "poll", 1)
    assert "pending" not in fields
