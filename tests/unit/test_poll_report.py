"""The errors of poll's report: their texts, and that each is reported once."""

import pytest

from functions.poll.intake import words
from functions.poll.report import Report
from shared.core.errors import KeyRefused, Retry
from tests.unit.lines import lines
from tests.unit.test_poll_lines import failed


def test_a_repeated_failure_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Each round of a call finds it again."""
    report = Report()
    for problem in ("503", "503", "504"):
        report.failed("agent", problem)
    assert lines(caplog) == [failed("agent", "503"), failed("agent", "504")]
    assert report.errors == ["agent: 503", "agent: 504"]
    assert (report.note("agent", "503"), report.note("topic", "503")) == (False, True)


def test_the_report_of_a_refused_key(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was polled; the response and the metrics say why."""
    report = Report.of_refused_key(KeyRefused("W&B answers 401"))
    assert (report.polled, report.why_not, report.key_refused) == (False, "W&B refuses the key", True)
    assert report.errors == ["key: W&B answers 401"]
    assert lines(caplog) == [failed("key", "W&B answers 401", traced=True)]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Retry("503: password=hunter2"), "503: password=[redacted]"),
        (Retry(""), "Retry"),
        (KeyError(), "KeyError"),
        (ValueError("password=hunter2"), "ValueError: password=[redacted]"),
    ],
)
def test_an_error_in_words(error: Exception, text: str) -> None:
    """Ours speak for themselves; others need their names. None shows a secret."""
    assert words(error) == text
