"""A tick's answer to Cloud Scheduler: its report, its HTTP status and its log line."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from shared import log as logs
from shared.answer import answer
from shared.core.errors import Denied, LaunchError, Reject, Retry, SettingsError

REQUEST = Request(EnvironBuilder(headers=[("X-Cloud-Trace-Context", "abc/1;o=1")]).get_environ())


@dataclass
class Report:
    """A tick's report."""

    open_launches: int | None = 3
    done: Counter[str] = field(default_factory=lambda: Counter(left=2))
    why_not: str | None = None
    errors: list[str] = field(default_factory=list)
    secret: str = field(default="own", metadata={"shown": False})

    def measured(self) -> dict[str, Any]:
        """Return numbers for metrics."""
        return {"open_launches": 30, "function": "poll", "problems": 1}


@pytest.mark.parametrize(("errors", "status"), [([], 200), (["q: password=hunter2"], 503)])
def test_the_report_is_the_answer(errors: list[str], status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Without secrets; the line has the measured numbers, and no field without a value."""
    caplog.set_level(logging.INFO)
    given, code = answer(REQUEST, lambda: Report(errors=errors))
    shown = [each.replace("hunter2", "[redacted]") for each in errors]
    assert code == status
    assert given == {"open_launches": 3, "done": {"left": 2}, "why_not": None, "errors": shown}
    [line] = caplog.records
    assert line.message == "tick.done"
    fields = {"open_launches": 30, "done": {"left": 2}, "errors": shown, "function": "poll", "problems": 1}
    assert line.fields == fields  # type: ignore[attr-defined]
    assert logs._trace.get() == "abc"  # noqa: SLF001 - of each further line


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SettingsError("LEDGER_BUCKET: is missing"), 500),
        (Reject("queues", "do not exist"), 500),
        (Retry("no answer"), 503),
        (Denied("no permission; password=hunter2"), 503),
        (LaunchError("odd"), 503),
    ],
)
def test_an_error_is_the_answer(error: LaunchError, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """500 only if an operator has to change a setting; the line has the stack trace."""

    def tick() -> Report:
        raise error

    text = str(error).replace("hunter2", "[redacted]")
    assert answer(REQUEST, tick) == ({"error": text}, status)
    [line] = caplog.records
    assert (line.message, line.levelname) == ("tick.failed", "ERROR")
    assert line.exc_info
    assert line.exc_info[1] is error


def test_a_request_without_a_trace_begins_none() -> None:
    """The trace of an earlier request is forgotten."""
    answer(REQUEST, Report)
    answer(Request(EnvironBuilder().get_environ()), Report)
    assert logs._trace.get() == ""  # noqa: SLF001
