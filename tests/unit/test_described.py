"""An error whose text cannot be made is an error like any other: logged, reported, and the work goes on."""

import json
import logging
import sys

import pytest

from functions.poll.report import Report as PollReport
from functions.status.report import Report as StatusReport
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


def test_poll_and_status_go_on() -> None:
    """Their reports name the place."""
    of_poll, of_status = PollReport(), StatusReport()
    of_poll.failed("agent", LONG, LONG)
    of_status.failed("launch k", LONG)
    assert (of_poll.errors, of_status.errors) == (["agent: ValueError"], ["launch k: ValueError"])
