"""Logs as Cloud Logging reads them: a JSON object a line, with severity, message, the event's fields and the trace."""

import contextvars
import itertools
import json
import logging
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from shared.core.redaction import without

_trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="")


class CloudLoggingFormatter(logging.Formatter):
    """Format a record as a JSON line; an event's fields come in `extra={"fields": {...}}`.

    `secrets` are replaced wherever they appear, whatever library wrote the line; so are the logins of URLs.
    """

    def __init__(self, project: str, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._project = project
        self.secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry: dict[str, Any] = {
            "severity": record.levelname,
            "message": record.getMessage(),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1]:
            entry["error"] = f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
            entry["stack_trace"] = "".join(traceback.format_exception(record.exc_info[1]))
        if trace := _trace.get():
            entry["logging.googleapis.com/trace"] = f"projects/{self._project}/traces/{trace}"
        return without(json.dumps(entry, default=str), self.secrets)


def configure(project: str, level: str = "INFO", secrets: Iterable[str] = ()) -> None:
    """Send all logs of this process to standard output, as Cloud Logging reads them.

    The secrets of an earlier call stay: a key that was replaced is no less secret.
    """
    root = logging.getLogger()
    earlier = [
        one.formatter.secrets
        for one in root.handlers
        if isinstance(one.formatter, CloudLoggingFormatter)
    ]
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        CloudLoggingFormatter(project, dict.fromkeys(itertools.chain(secrets, *earlier)))
    )
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(
            logger, logging.Logger
        ):  # some libraries print through handlers of their own, as plain text
            logger.handlers.clear()
            logger.propagate = True
            if name.startswith(
                ("google.", "urllib3.")
            ):  # at DEBUG the latter tells addresses that are permissions
                logger.setLevel(max(logging.WARNING, root.level))


def follow(header: str) -> None:
    """Tie this request's lines to its trace: `X-Cloud-Trace-Context: TRACE/SPAN;o=1`."""
    _trace.set(header.partition("/")[0])
