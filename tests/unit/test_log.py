"""Logs as Cloud Logging reads them, without a key in any of them."""

import json
import logging
import sys
import traceback

import pytest

from shared.core.redaction import hiding
from shared.log import CloudLoggingFormatter, configure, follow

KEY = "planted-key-0123456789"


def line(record: logging.LogRecord) -> dict[str, object]:
    """Format a record and read it back."""
    shown: dict[str, object] = json.loads(CloudLoggingFormatter("p").format(record))
    return shown


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    """Make a record."""
    made = logging.LogRecord("x", logging.ERROR, __file__, 1, message, args, None)
    made.__dict__.update(extra)
    return made


def test_a_line_has_what_cloud_logging_looks_for() -> None:
    """Severity, message, the fields of the event, and the trace of the request."""
    follow("abc123/45;o=1")
    shown = line(record("launch.submitted", fields={"launch_key": "k1", "at": object}))
    follow("")
    assert (shown["severity"], shown["message"], shown["launch_key"]) == ("ERROR", "launch.submitted", "k1")
    assert shown["logging.googleapis.com/trace"] == "projects/p/traces/abc123"


def test_no_line_has_a_key() -> None:
    """Not in its text, its fields, or a stack trace."""
    try:
        raise ValueError(f"with {KEY}")
    except ValueError as exc:
        made = record("a %s", KEY, fields={"env": {"WANDB_API_KEY": KEY}})
        made.exc_info = (type(exc), exc, exc.__traceback__)
    with hiding([KEY]):
        text = CloudLoggingFormatter("p").format(made)
    assert KEY not in text
    assert text.count("[redacted]") >= 4
    json.loads(text)


def test_a_key_that_was_replaced_is_no_less_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something that began with it may still end."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    for key in (KEY, "another-key"):
        configure("p", secrets=[key])
    logging.getLogger("x").error("%s and %s", KEY, "another-key")
    assert json.loads(capsys.readouterr().out)["message"] == "[redacted] and [redacted]"


def test_text_that_no_encoding_can_write_is_still_a_line() -> None:
    """Half of a surrogate pair, say."""
    CloudLoggingFormatter("p").format(record("\ud800", fields={"x": "é"})).encode("ascii")


def test_a_line_stays_one_line() -> None:
    """With any text in it."""
    assert "\n" not in CloudLoggingFormatter("p").format(record("two\nlines", fields={"x": "a\nb"}))


def test_a_line_has_its_error_and_the_whole_stack_trace() -> None:
    """Also its logger and its time; a record without an error has none of an error's fields."""
    made = record("odd")
    made.created = 1_800_000_000.25
    assert line(made) == {
        "severity": "ERROR",
        "message": "odd",
        "time": "2027-01-15T08:00:00.250000+00:00",
        "logger": "x",
    }
    try:
        raise ValueError("wrong")
    except ValueError as exc:
        made.exc_info = (type(exc), exc, exc.__traceback__)
        trace = traceback.format_exc()
    shown = line(made)
    assert (shown["error"], shown["stack_trace"]) == ("ValueError: wrong", trace)
    made.exc_info = (None, None, None)
    assert "error" not in line(made)


@pytest.fixture
def _own_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [logging.NullHandler()])
    monkeypatch.setattr(root, "level", root.level)


@pytest.mark.usefixtures("_own_root")
def test_all_loggers_of_a_process_write_through_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Also a library's that has a handler of its own; its project is that of the traces."""
    logger = logging.getLogger("test_log.library")
    logger.addHandler(logging.StreamHandler(sys.stderr))
    logger.propagate = False
    configure("my-project")
    follow("abc/1")
    logger.info("shown")
    logger.debug("not shown")
    follow("")
    printed = capsys.readouterr()
    assert printed.err == ""
    shown = json.loads(printed.out)
    assert (shown["message"], shown["logger"]) == ("shown", "test_log.library")
    assert shown["logging.googleapis.com/trace"] == "projects/my-project/traces/abc"
    assert len(logging.getLogger().handlers) == 1


@pytest.mark.usefixtures("_own_root")
@pytest.mark.parametrize(("level", "quiet"), [("DEBUG", logging.WARNING), ("ERROR", logging.ERROR)])
def test_googles_libraries_are_quieter(level: str, quiet: int) -> None:
    """At DEBUG they would log signed addresses; other libraries have the level of the process."""
    names = ("google.test_log", "urllib3.test_log", "googles.test_log", "test_log.google.x")
    loggers = [logging.getLogger(name) for name in names]
    configure("p", level)
    assert [logger.level for logger in loggers] == [quiet, quiet, logging.NOTSET, logging.NOTSET]
    assert logging.getLogger().level == getattr(logging, level)
    assert loggers[2].getEffectiveLevel() == getattr(logging, level)
