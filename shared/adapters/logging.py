"""Cloud Logging as status sees it: the end of what a job or a build printed, by one REST call.

Google's client would be large.

An excerpt is a courtesy, which no report waits for: it is asked for once, briefly, and after a failure for a while not
at all.
"""

import logging
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import google.auth
import requests
from google.auth.transport.requests import AuthorizedSession

from shared.core.within import within

log = logging.getLogger(__name__)

GOOGLES = "https://logging.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/logging.read"
TIMEOUT = 5.0  # seconds for all of a call
PAUSE = 60.0  # seconds after a failure; Google allows 60 such calls a minute
ENTRIES = 20


class CloudLoggingJobLogs:
    """Implements JobLogs. An `endpoint` (a URL) takes the place of Google's, without credentials."""

    def __init__(self, endpoint: str = "") -> None:
        self._endpoint = endpoint
        self._session: requests.Session | None = None
        self._pause_until: dict[str, float] = {}  # by the kind of what was asked for
        self._lock = threading.Lock()

    def tail(self, job_name: str, since: datetime) -> str:
        """Return the last lines of what a job printed; empty where it printed nothing or they cannot be read."""
        wanted = (
            'resource.type="ml_job"',
            f'resource.labels.job_id="{job_name.rpartition("/")[2]}"',
        )
        return self._tail("job", job_name, wanted, since)

    def tail_of_build(self, build_name: str, since: datetime) -> str:
        """Return the last lines of a build's log; empty where there are none or they cannot be read."""
        wanted = (
            'resource.type="build"',
            f'resource.labels.build_id="{build_name.rpartition("/")[2]}"',
        )
        return self._tail("build", build_name, wanted, since)

    def _tail(self, kind: str, name: str, wanted: tuple[str, ...], since: datetime) -> str:
        if time.monotonic() < self._pause_until.get(kind, 0.0):
            return ""
        try:
            return within(TIMEOUT, lambda: self._read(name.split("/")[1], wanted, since))
        except Exception as exc:  # noqa: BLE001 - a courtesy: whatever the answer is, the report goes on
            self._pause_until[kind] = time.monotonic() + PAUSE
            response = getattr(exc, "response", None)
            problem = f"{type(exc).__name__} {getattr(response, 'status_code', '')}".strip()
            log.warning("status.no_excerpt", extra={"fields": {kind: name, "problem": problem}})
            return ""

    def _read(self, project: str, wanted: tuple[str, ...], since: datetime) -> str:
        moment = f'timestamp>="{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"'
        asked = {
            "resourceNames": [f"projects/{project}"],
            "filter": " AND ".join((*wanted, moment)),
            "orderBy": "timestamp desc",
            "pageSize": ENTRIES,
        }
        url = f"{self._endpoint or GOOGLES}/v2/entries:list"
        response = self._connected().post(url, json=asked, timeout=TIMEOUT)
        response.raise_for_status()
        entries = _mapping(response.json()).get("entries") or []
        return "\n".join(filter(None, map(_said, reversed(entries))))

    def _connected(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                self._session = requests.Session() if self._endpoint else _authorized()
            return self._session


def _authorized() -> requests.Session:
    credentials, _ = google.auth.default(scopes=[SCOPE])
    session: requests.Session = AuthorizedSession(credentials)
    return session


def _said(entry: Any) -> str:
    """Return an entry's text: plain, or what a structured one calls its message."""
    found = _mapping(entry)
    said = found.get("textPayload") or _mapping(found.get("jsonPayload")).get("message") or ""
    return str(said).rstrip()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
