"""Cloud Logging over REST, since Google's client would be large.

Status reads the end of a job's or a build's log. No report waits for an excerpt: status asks once
and briefly; after a failure it asks for none for a while. A command reads whole logs.
"""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests

from shared.adapters.google import meaning, rest_session
from shared.core.asjson import as_list, as_mapping
from shared.core.errors import Denied, Retry
from shared.core.lazy import Lazy
from shared.core.within import within

log = logging.getLogger(__name__)

GOOGLES = "https://logging.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/logging.read"
TIMEOUT = 5.0  # seconds for the whole call
PAUSE = 60.0  # seconds after a failure; Google allows 60 such calls a minute
ENTRIES = 20
PAGE = 1000  # entries of a whole log
PAGE_TIMEOUT = 60.0  # seconds
VIEWER = "roles/logging.viewer on the project"


class CloudLoggingJobLogs:
    """Implements JobLogs. An `endpoint` (a URL) replaces Google's and needs no credentials."""

    def __init__(self, endpoint: str = "", timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._url = f"{endpoint or GOOGLES}/v2/entries:list"
        self._session = Lazy(lambda: rest_session(endpoint, SCOPE))
        self._pause_until: dict[str, float] = {}  # by kind: job or build

    def tail(self, job_name: str, since: datetime) -> str:
        """Return the last lines of a job's log; empty if there are none, or they cannot be read."""
        return self._tail("job", job_name, _filters(job_name), since)

    def tail_of_build(self, build_name: str, since: datetime) -> str:
        """Return the last lines of a build's log, as `tail` does."""
        return self._tail("build", build_name, _filters(build_name), since)

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
        request = _request(project, filters, since, "desc", ENTRIES)
        response = self._session.get().post(self._url, json=request, timeout=self._timeout)
        response.raise_for_status()
        answer = response.json()
        entries = answer.get("entries") if isinstance(answer, dict) else None
        lines = [_line(entry) for entry in reversed(entries or [])]
        return "\n".join(line for line in lines if line)


@dataclass(frozen=True, slots=True)
class LogLine:
    """An entry of a log. `id` is unique among the entries of its time."""

    at: datetime
    text: str
    id: str = ""
    task: str = ""  # of a job: workerpool0-0, …


class CloudLogging:
    """Whole logs, page by page. An `endpoint` (a URL) replaces Google's without credentials."""

    def __init__(self, endpoint: str = "") -> None:
        self._url = f"{endpoint or GOOGLES}/v2/entries:list"
        self._session = Lazy(lambda: rest_session(endpoint, SCOPE))

    def lines(self, project: str, name: str, since: datetime) -> Iterator[LogLine]:
        """Yield the log of a job or a build from a time on, the oldest line first.

        `name` is its resource name.

        Raises:
            Retry, Denied: Cloud Logging does not answer, or may not be read.
        """
        token = ""
        while True:
            request = _request(project, _filters(name), since, "asc", PAGE)
            answer = self._page(f"read the log of {name}", {**request, "pageToken": token})
            for entry in as_list(answer.get("entries")):
                if line := _log_line(entry):
                    yield line
            # a page can be empty although more follow
            before, token = token, str(answer.get("nextPageToken") or "")
            if not token or token == before:
                return

    def _page(self, call: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            response = self._session.get().post(self._url, json=request, timeout=PAGE_TIMEOUT)
            if response.status_code in (401, 403):
                refusal = as_mapping(as_mapping(_json(response)).get("error")).get("message", "")
                problem = f"{call}: Cloud Logging answers {response.status_code}: {refusal}"
                raise Denied(f"{problem.rstrip('.: ')}. The function's account needs {VIEWER}")
            if response.status_code == 429:
                raise Retry(f"{call}: Cloud Logging allows 60 reads a minute; try again later")
            response.raise_for_status()
            return dict(as_mapping(_json(response)))
        except Exception as exc:
            raise meaning(exc, call, VIEWER) from exc


def _json(response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _filters(name: str) -> tuple[str, ...]:
    """Return the filters of a job's or a build's log."""
    *_, collection, number = name.split("/")
    kind, label = ("build", "build_id") if collection == "builds" else ("ml_job", "job_id")
    return f'resource.type="{kind}"', f'resource.labels.{label}="{number}"'


def _request(
    project: str, filters: tuple[str, ...], since: datetime, order: str, entries: int
) -> dict[str, Any]:
    moment = f'timestamp>="{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"'
    return {
        "resourceNames": [f"projects/{project}"],
        "filter": " AND ".join((*filters, moment)),
        "orderBy": f"timestamp {order}",
        "pageSize": entries,
    }


def _log_line(entry: Any) -> LogLine | None:
    """Return an entry; None if it has no text or no time. Fields without a message are JSON."""
    fields = as_mapping(as_mapping(entry).get("jsonPayload"))
    text = _line(entry) or (json.dumps(fields, ensure_ascii=False) if fields else "")
    try:
        at = datetime.fromisoformat(str(as_mapping(entry).get("timestamp")))
    except ValueError:
        return None
    labels = as_mapping(as_mapping(entry.get("resource")).get("labels"))
    zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
    task = str(labels.get("task_name") or "")
    return LogLine(zoned, text, str(entry.get("insertId") or ""), task) if text else None


def _line(entry: Any) -> str:
    """Return an entry's text: plain, or the `message` of a structured entry."""
    if not isinstance(entry, dict):
        return ""
    payload = entry.get("jsonPayload")
    message = payload.get("message") if isinstance(payload, dict) else None
    return str(entry.get("textPayload") or message or "").rstrip()
