"""Answer Cloud Scheduler: the report of a tick as JSON, with an HTTP status."""

import logging
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import flask

from shared import log as logs
from shared.core.errors import LaunchError, Reject, SettingsError
from shared.core.redaction import redacted

log = logging.getLogger(__name__)


def answer(request: flask.Request, tick: Callable[[], Any]) -> tuple[dict[str, Any], int]:
    """Do a tick and return its report, a dataclass with `errors`; ignore the request's body.

    200: no errors. 503: the next tick tries again. 500: an operator must fix a setting.
    In the log event `tick.done`, the report's measurements replace its fields of the same name:
    metrics are made of numbers.
    """
    logs.follow(request.headers.get("X-Cloud-Trace-Context", ""))
    try:
        report = tick()
    except LaunchError as exc:
        log.exception("tick.failed")
        status = 500 if isinstance(exc, SettingsError | Reject) else 503
        return {"error": redacted(str(exc))}, status
    # asdict() cannot copy a Counter
    shown = [field.name for field in fields(report) if field.metadata.get("shown", True)]
    done = redacted({name: getattr(report, name) for name in shown})
    known = {name: value for name, value in done.items() if value is not None}
    log.info("tick.done", extra={"fields": {**known, **report.measured()}})
    return done, 503 if report.errors else 200
