"""The log lines that a test has caused: level, event and fields; `+` after the event if it has a stack trace."""

from typing import Any

import pytest

Line = tuple[str, str, dict[str, Any]]


def lines(caplog: pytest.LogCaptureFixture) -> list[Line]:
    """Return the product's lines since the last call, in order."""
    records = [record for record in caplog.records if record.name.startswith(("functions", "shared"))]
    caplog.clear()
    return [
        (record.levelname, f"{record.msg}{' +' if record.exc_info else ''}", dict(getattr(record, "fields", {})))
        for record in records
    ]
