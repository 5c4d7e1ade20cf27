"""The error that submit hands to the framework, which logs it."""

import pytest

from functions.submit import handler
from shared.core.errors import Denied, Retry


@pytest.mark.parametrize("kind", [Retry, Denied])
def test_an_error_of_ours_keeps_its_class_and_loses_its_secrets(kind: type[Retry] | type[Denied]) -> None:
    """Pub/Sub delivers the message again in either case."""
    raised = kind("the ledger cannot be read: password=hunter2")
    handed = handler._without_secrets(raised)  # noqa: SLF001 - its caller is the framework's
    assert handed is raised
    assert str(handed) == "the ledger cannot be read: password=[redacted]"


def test_any_other_error_is_logged_and_becomes_one_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """Its class is part of the text; its cause stays in the log."""
    raised = KeyError("password=hunter2")
    handed = handler._without_secrets(raised)  # noqa: SLF001 - its caller is the framework's
    assert type(handed) is Retry
    assert str(handed) == "KeyError: 'password=[redacted]'"
    (line,) = caplog.records
    assert (line.message, line.levelname) == ("submit.failed", "ERROR")
    assert line.exc_info is not None
    assert line.exc_info[1] is raised
