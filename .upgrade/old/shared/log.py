"""Log lines as Cloud Logging reads them: JSON objects with severity, message, fields and trace."""

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
    """Format a record as a JSON line; an event's fields are in `extra={"fields": {...}}`.

    Replaces `secrets` and the logins of URLs in every line, also in those of libraries.
    """

    def __init__(self, project: str, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._project = project
        self.secrets = tuple(secret for secret in secrets if secret)

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
            entry["error"] = f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
            entry["stack_trace"] = "".join(traceback.format_exception(record.exc_info[1]))
        if trace := _trace.get():
            entry["logging.googleapis.com/trace"] = f"projects/{self._project}/traces/{trace}"
        return without(json.dumps(entry, default=str), self.secrets)


def configure(project: str, level: str = "INFO", secrets: Iterable[str] = ()) -> None:
    """Send all logs of this process to standard output, as Cloud Logging reads them.

    Keeps the secrets of earlier calls: a replaced key stays secret.
    """
    root = logging.getLogger()
    formatters = [handler.formatter for handler in root.handlers]
    earlier = [each.secrets for each in formatters if isinstance(each, CloudLoggingFormatter)]
    known = dict.fromkeys(itertools.chain(secrets, *earlier))
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(CloudLoggingFormatter(project, known))
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
