"""The failures of a tick of status: each has a line and an error that name the same place."""

from collections.abc import Callable

import pytest

from functions.status.reconcile import Status
from shared.core.errors import Denied, Retry
from shared.core.ports import AgentNote
from tests.fakes import InMemoryAgentBook
from tests.unit.lines import lines
from tests.unit.test_reconcile import PARENT, Scene, budget, building
from tests.unit.test_status_lines import KEY, ended, failed, stopped


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()


def region(scene: Scene) -> None:
    """Refuse the listing of jobs."""
    scene.vertex.unreachable = Denied("needs customJobs.list")


def run(scene: Scene) -> None:
    """Refuse to show a run."""
    scene.wandb.failed[stopped(scene).entry.run] = Denied("not yours")


def overdue(scene: Scene) -> None:
    """Open a launch whose ticket was lost."""
    scene.queued()
    scene.clock.pass_(61)


def item(scene: Scene) -> None:
    """Refuse to show the item of an overdue launch."""
    overdue(scene)
    scene.wandb.failed["item"] = Retry("503")


def report(scene: Scene) -> None:
    """Take no report."""
    ended(scene)
    scene.wandb.fail["fail_item"] = Retry("down")


def noticed(scene: Scene) -> None:
    """Open a launch with a notice."""
    scene.ledger.write(scene.queued().tell("Waiting: no room"))


def warning(scene: Scene) -> None:
    """Take no warning."""
    noticed(scene)
    scene.wandb.fail["warn_item"] = Retry("down")


def record(scene: Scene) -> None:
    """Show no record of a launch with a notice."""
    noticed(scene)
    scene.ledger.read = lambda key: int(f"{key[:0]}x")  # type: ignore[method-assign, assignment, return-value]


def closing(scene: Scene) -> None:
    """Close no launch."""
    ended(scene)
    scene.ledger.close = lambda _: int("x")  # type: ignore[method-assign, assignment]


def topic(scene: Scene) -> None:
    """Take no ticket of an overdue launch."""
    overdue(scene)
    scene.publisher.unreachable = TypeError("odd")


def build(scene: Scene) -> None:
    """Show no build."""
    building(scene)
    scene.builds.unreachable = Denied("needs builds.get")


ODD = "ValueError: invalid literal for int() with base 10: 'x'"
FAILURES: dict[str, tuple[Callable[[Scene], None], str, str]] = {
    "region": (region, PARENT, "Denied: needs customJobs.list"),
    "run": (run, f"W&B: {KEY}", "Denied: not yours"),
    "item": (item, f"W&B: {KEY}", "Retry: 503"),
    "report": (report, KEY, "Retry: down"),
    "warning": (warning, f"{KEY}: warning", "Retry: down"),
    "record": (record, KEY, ODD),
    "close": (closing, f"{KEY}: mark or close", ODD),
    "topic": (topic, "topic", "TypeError: odd"),
    "build": (build, f"{PARENT}/builds/1", "Denied: needs builds.get"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_each_failure_has_its_line_and_its_error(scene: Scene, failure: str, caplog: pytest.LogCaptureFixture) -> None:
    """Both name the same place."""
    arrange, where, problem = FAILURES[failure]
    arrange(scene)
    lines(caplog)
    errors = scene.tick().errors
    assert failed(where) in lines(caplog)
    assert errors == [f"{where}: {problem}"]


def test_a_decision_that_fails_stops_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the mistake of ours; the launch stays as it is."""
    stopped(scene)

    def odd(*_: object) -> None:
        raise ValueError("odd")

    monkeypatch.setattr("functions.status.reconcile.decide", odd)
    report = scene.tick()
    assert (report.done, report.errors) == ({}, [f"{KEY}: ValueError: odd"])
    assert lines(caplog) == [failed(KEY)]


def test_the_agents_note_that_cannot_be_read_has_its_line(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """It may contain a pause, so no ticket goes out."""
    scene.queued()
    scene.clock.pass_(61)
    agents = InMemoryAgentBook()

    def odd() -> AgentNote | None:
        raise Retry("503")

    agents.read = odd  # type: ignore[method-assign]
    parts = (scene.ledger, scene.vertex, scene.wandb, scene.publisher, scene.clock, scene.builds)
    report = Status(*parts, parents=(PARENT,), connections=1, agents=agents).run(budget(scene.clock))
    assert (report.done, report.errors) == ({}, ["the agent's note: Retry: 503"])
    assert lines(caplog) == [failed("the agent's note")]
