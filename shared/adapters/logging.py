"""Cloud Logging for status: the end of a job's or a build's log, by one REST call.

Google's client would be large. No report waits for an excerpt: status asks once and briefly; after
a failure it asks for none for a while.
"""

import logging
import time
from datetime import UTC, datetime
from typing import Any

from shared.adapters.google import rest_session
from shared.core.lazy import Lazy
from shared.core.within import within

log = logging.getLogger(__name__)

GOOGLES = "https://logging.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/logging.read"
TIMEOUT = 5.0  # seconds for the whole call
PAUSE = 60.0  # seconds after a failure; Google allows 60 such calls a minute
ENTRIES = 20


class CloudLoggingJobLogs:
    """Implements JobLogs. An `endpoint` (a URL) replaces Google's and needs no credentials."""

    def __init__(self, endpoint: str = "", timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._url = f"{endpoint or GOOGLES}/v2/entries:list"
        self._session = Lazy(lambda: rest_session(endpoint, SCOPE))
        self._pause_until: dict[str, float] = {}  # by kind: job or build

    def tail(self, job_name: str, since: datetime) -> str:
        """Return the last lines of a job's log; empty if there are none, or they cannot be read."""
        filters = (
            'resource.type="ml_job"',
            f'resource.labels.job_id="{job_name.rpartition("/")[2]}"',
        )
        return self._tail("job", job_name, filters, since)

    def tail_of_build(self, build_name: str, since: datetime) -> str:
        """Return the last lines of a build's log, as `tail` does."""
        filters = (
            'resource.type="build"',
            f'resource.labels.build_id="{build_name.rpartition("/")[2]}"',
        )
        return self._tail("build", build_name, filters, since)

    def _tail(self, kind: str, name: str, filters: tuple[str, ...], since: datetime) -> str:
        if time.monotonic() < self._pause_until.get(kind, 0.0):
            return ""
        project = name.split("/")[1]
        try:
            return within(self._timeout, lambda: self._read(project, filters, since))
        except Exception as exc:  # noqa: BLE001 - the report goes on without an excerpt
            self._pause_until[kind] = time.monotonic() + PAUSE
            status = getattr(getattr(exc, "response", None), "status_code", "")
            problem = f"{type(exc).__name__} {status}".strip()
            log.warning("status.no_excerpt", extra={"fields": {kind: name, "problem": problem}})
            return ""

    def _read(self, project: str, filters: tuple[str, ...], since: datetime) -> str:
        moment = f'timestamp>="{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"'
        request = {
            "resourceNames": [f"projects/{project}"],
            "filter": " AND ".join((*filters, moment)),
            "orderBy": "timestamp desc",
            "pageSize": ENTRIES,
        }
        response = self._session.get().post(self._url, json=request, timeout=self._timeout)
        response.raise_for_status()
        answer = response.json()
        entries = answer.get("entries") if isinstance(answer, dict) else None
        lines = [_line(entry) for entry in reversed(entries or [])]
        return "\n".join(line for line in lines if line)


def _line(entry: Any) -> str:
    """Return an entry's text: plain, or the `message` of a structured entry."""
    if not isinstance(entry, dict):
        return ""
    payload = entry.get("jsonPayload")
    message = payload.get("message") if isinstance(payload, dict) else None
    return str(entry.get("textPayload") or message or "").rstrip()
