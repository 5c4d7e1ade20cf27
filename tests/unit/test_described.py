"""An error whose text cannot be made is an error like any other: logged, reported, and the work goes on."""

import json
import logging
import sys

import pytest

from functions.status.report import Report
from shared.core.errors import Retry, described
from shared.log import CloudLoggingFormatter

LONG = ValueError(10**5000)  # Python prints no integer of so many digits


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("odd"), "ValueError: odd"),
        (KeyError(), "KeyError"),
        (Retry("later"), "Retry: later"),
        (LONG, "ValueError"),
    ],
)
def test_an_error_is_described(error: Exception, text: str) -> None:
    """By its type and its message, if it has one."""
    assert described(error) == text


def test_its_log_line_is_written() -> None:
    """With the stack trace."""
    try:
        raise LONG
    except ValueError:
        record = logging.LogRecord("shared", logging.ERROR, "", 1, "submit.failed", (), sys.exc_info())
    line = json.loads(CloudLoggingFormatter("p").format(record))
    assert line["error"] == "ValueError"
    assert "test_described.py" in line["stack_trace"]


def test_status_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Its report names the place."""
    report = Report()
    report.failed("launch k", LONG)
    assert report.errors == ["launch k: ValueError"]
