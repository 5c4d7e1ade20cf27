"""Log lines as Cloud Logging reads them: JSON objects with severity, message, fields and trace."""

import contextvars
import json
import logging
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from shared.core.errors import described
from shared.core.redaction import redacted, remember

_trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="")


class CloudLoggingFormatter(logging.Formatter):
    """Format a record as a JSON line; an event's fields are in `extra={"fields": {...}}`.

    Redacts every line, also those of libraries.
    """

    def __init__(self, project: str) -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON line."""
        entry: dict[str, Any] = {
            "severity": record.levelname,
            "message": record.getMessage(),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1]:
            entry["error"] = described(record.exc_info[1])
            entry["stack_trace"] = "".join(traceback.format_exception(record.exc_info[1]))
        if trace := _trace.get():
            entry["logging.googleapis.com/trace"] = f"projects/{self._project}/traces/{trace}"
        return json.dumps(redacted(entry))


def configure(project: str, level: str = "INFO", secrets: Iterable[str] = ()) -> None:
    """Send all logs of this process to standard output, as Cloud Logging reads them.

    `secrets` are the operator's: no text of this process contains them.
    """
    remember(secrets)
    root = logging.getLogger()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(CloudLoggingFormatter(project))
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, logger in logging.root.manager.loggerDict.items():
        if not isinstance(logger, logging.Logger):
            continue
        logger.handlers.clear()  # some libraries print plain text through their own handlers
        logger.propagate = True
        if name.startswith(("google.", "urllib3.")):  # at DEBUG, urllib3 logs signed addresses
            logger.setLevel(max(logging.WARNING, root.level))


def follow(header: str) -> None:
    """Add this request's trace to its lines: `X-Cloud-Trace-Context: TRACE/SPAN;o=1`."""
    _trace.set(header.partition("/")[0])
