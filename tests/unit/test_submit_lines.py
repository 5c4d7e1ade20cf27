"""The log lines of submit, with their fields: for a request, they are the only report of its end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.submit.submit import SubmitTimings
from shared.core.errors import (
    Capacity,
    Denied,
    KeyRefused,
    KeyReused,
    NotAMessage,
    OutcomeUnknown,
    Reject,
    Retry,
)
from shared.core.message import Request, Ticket
from shared.core.ports import LearnedPace
from shared.core.shortage import Shortage
from tests.unit.lines import Line, lines
from tests.unit.submitting import Scene

PARENT = "projects/p/locations/us-central1"
JOB = f"{PARENT}/customJobs/1"
REQUEST = Request(source="ci", idempotency_key="42", run_spec={"entity": "e", "project": "p"})
TICKET = Ticket(launch_key=REQUEST.launch_key)
OTHER = Request(source="ci", idempotency_key="42", run_spec={"entity": "e", "project": "p", "lr": 1})
NAMES = {"source": "ci", "idempotency_key": "42"}


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return Scene()


def line(event: str, level: str = "INFO", **fields: Any) -> Line:
    """Return a line about the launch."""
    return level, event, {"launch_key": REQUEST.launch_key, **fields}


def attempted(event: str, why: str, level: str = "INFO") -> list[Line]:
    """Return the line of a first attempt without a job."""
    return [line(event, level, attempt=1, why=why)]


ERRORS: dict[str, tuple[Exception, list[Line]]] = {
    "refusal": (Reject("spec", "is odd"), attempted("launch.rejected", "spec: is odd.", "WARNING")),
    "capacity": (Capacity("no T4"), attempted("launch.waiting", "no T4", "WARNING")),
    "permission": (Denied("needs x"), attempted("launch.denied", "needs x", "ERROR")),
    "key": (KeyRefused("401"), attempted("launch.denied", "401", "ERROR")),
    "no answer": (OutcomeUnknown("timed out"), attempted("launch.outcome_unknown", "timed out")),
    "outage": (Retry("503"), attempted("launch.retry", "503")),
}


@pytest.mark.parametrize("error", ERRORS)
def test_each_error_of_a_create_has_its_line(scene: Scene, error: str, caplog: pytest.LogCaptureFixture) -> None:
    """With the reason; the next delivery finds nothing to do, and says in which state."""
    raised, expected = ERRORS[error]
    scene.vertex.next_errors = [raised]
    scene.deliver(REQUEST)
    assert lines(caplog) == expected
    scene.deliver(TICKET)
    [(level, event, fields)] = lines(caplog)
    state = scene.launch(TICKET).entry.state
    assert (level, event) == ("INFO", "launch.nothing_to_do")
    assert fields == {"launch_key": REQUEST.launch_key, "state": state}


def test_the_lines_of_a_launch_with_its_job(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """And of a ticket without a launch."""
    scene.deliver(REQUEST)
    assert lines(caplog) == [line("launch.submitted", attempt=1, job=JOB)]
    scene.ledger.open.clear()
    scene.deliver(REQUEST)
    assert lines(caplog) == [line("launch.found", attempt=1, job=JOB)]
    scene.ledger.open.clear()
    scene.deliver(TICKET)
    assert lines(caplog) == [line("launch.unknown")]


def test_the_line_of_a_launch_that_was_refused_at_intake(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """A request has no item that would show the reason."""
    request = Request(source="ci", idempotency_key="42", run_spec={"entity": "e" * 300, "project": "p"})
    assert scene.deliver(request) == "launch.rejected"
    [(level, event, fields)] = lines(caplog)
    reason = scene.launch(TICKET).reason
    assert "entity" in reason
    assert (level, event, fields) == line("launch.rejected", "WARNING", why=reason)


def test_the_lines_of_requests_that_are_no_messages(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """They name the publisher and its key."""
    scene.deliver(REQUEST)
    lines(caplog)
    with pytest.raises(KeyReused):
        scene.deliver(OTHER)
    assert lines(caplog) == [line("request.key_reused", "ERROR", **NAMES)]
    scene.ledger.write = lambda _: int("x")  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(NotAMessage, match=r"^the request cannot be stored: ValueError$"):
        scene.deliver(REQUEST)
    assert lines(caplog) == [line("request.not_storable +", "ERROR", **NAMES)]


def test_the_line_of_a_record_that_a_newer_version_wrote(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """With the ledger's own words."""
    scene.ledger.unreadable = {REQUEST.launch_key: "needs version 2"}
    scene.deliver(TICKET)
    problem = f"open/{REQUEST.launch_key}: this version cannot read the record: needs version 2"
    assert lines(caplog) == [line("launch.needs_newer", "WARNING", problem=problem)]


def test_the_lines_of_an_unforeseen_error(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Its stack trace, and the reason that the author reads: shortened, on one line."""
    scene.vertex.unreachable = KeyError("x" * 900)
    scene.deliver(REQUEST)
    first, (_, event, fields) = lines(caplog)
    assert (first, event) == (line("launch.unforeseen_error +", "ERROR"), "launch.retry")
    assert fields["why"].startswith("unexpected error; its details are in this deployment's log: KeyError: 'xxx")
    assert 550 < len(fields["why"]) < 600
    scene.vertex.unreachable = ValueError("  two\n lines: ")
    scene.clock.pass_(60)
    scene.deliver(TICKET)
    assert lines(caplog)[1][2]["why"].endswith("log: ValueError: two lines")


class Speechless(Exception):
    """An error that has no text."""

    def __str__(self) -> str:
        """Fail, as the text of an integer with very many digits does."""
        raise ValueError("Exceeds the limit (4300 digits)")


@pytest.mark.parametrize("error", [Speechless(), ValueError(), ValueError(" \n")])
def test_an_unforeseen_error_without_a_text_is_its_class(scene: Scene, error: Exception) -> None:
    """Nothing follows it."""
    scene.vertex.unreachable = error
    scene.deliver(REQUEST)
    details = "unexpected error; its details are in this deployment's log"
    assert scene.launch(TICKET).reason == f"{details}: {type(error).__name__}"


@pytest.mark.parametrize("error", [Retry("503"), Denied("needs x")])
def test_the_line_of_a_pace_that_cannot_be_read_or_learned(
    scene: Scene, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the create, and after a refusal."""
    scene.paces.unreachable = error
    scene.vertex.next_errors = [Capacity("a minute", Shortage.RATE)]
    scene.deliver(REQUEST)
    unpaced = line("submit.unpaced", "WARNING", problem=f"{type(error).__name__}: {error}")
    assert lines(caplog) == [unpaced, unpaced, *attempted("launch.waiting", "a minute", "WARNING")]


def test_the_line_of_a_launch_that_waits_for_its_slot(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Its author reads which region is full."""
    later = scene.clock() + timedelta(seconds=30)
    scene.paces.paces[PARENT] = LearnedPace(1, scene.clock(), later)
    scene.deliver(REQUEST)
    why = "Vertex AI limits the creates a minute in us-central1; this launch has a later slot"
    assert lines(caplog) == attempted("launch.paced", why)
    assert scene.launch(TICKET).entry.retry_at == later


def test_the_line_of_a_request_beyond_the_headroom(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """It names the limit and its setting."""
    scene.submit = replace(scene.submit, timings=replace(SubmitTimings(), max_requests=0))
    scene.deliver(REQUEST)
    why = "0 launches of other systems are running (LAUNCH_MAX_REQUESTS)"
    assert lines(caplog) == attempted("launch.waiting", why, "WARNING")
