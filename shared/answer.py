"""Answer Cloud Scheduler: what a tick did as JSON, and a status that says whether to look or to try again."""

import logging
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import flask

from shared import log as logs
from shared.core.errors import LaunchError, Reject, SettingsError

log = logging.getLogger(__name__)


def answer(request: flask.Request, tick: Callable[[], Any]) -> tuple[dict[str, Any], int]:
    """Do a tick and return its report, a dataclass with `errors`; the request's body means nothing.

    200: all is done. 503: something has to be tried again, and the next tick will. 500: somebody has to mend a setting.
    """
    logs.follow(request.headers.get("X-Cloud-Trace-Context", ""))
    try:
        report = tick()
    except LaunchError as exc:
        log.exception("tick.failed")
        return {"error": str(exc)}, 500 if isinstance(exc, SettingsError | Reject) else 503
    done = {
        field.name: getattr(report, field.name) for field in fields(report)
    }  # asdict() cannot copy a Counter
    log.info("tick.done", extra={"fields": done})
    return done, 503 if report.errors else 200
