"""Cloud Logging as status sees it: the end of what a job printed, by one REST call; Google's client would be large.

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
from google.auth import exceptions as auth_errors
from google.auth.transport.requests import AuthorizedSession

log = logging.getLogger(__name__)

GOOGLES = "https://logging.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/logging.read"
TIMEOUT = 5.0  # seconds for all of a call
PAUSE = 60.0  # seconds after a failure; Google allows 60 such calls a minute
ENTRIES = 20


class CloudLogging:
    """Implements JobLogs. An `endpoint` (a URL) takes the place of Google's, without credentials."""

    def __init__(self, endpoint: str = "") -> None:
        self._endpoint = endpoint
        self._session: requests.Session | None = None
        self._pause_until = 0.0
        self._lock = threading.Lock()

    def tail(self, job_name: str, since: datetime) -> str:
        """Return the last lines of what a job printed; empty where it printed nothing or they cannot be read."""
        if time.monotonic() < self._pause_until:
            return ""
        try:
            return self._read(job_name, since)
        except (requests.RequestException, auth_errors.GoogleAuthError, ValueError) as exc:
            self._pause_until = time.monotonic() + PAUSE
            status = (
                exc.response.status_code if isinstance(exc, requests.HTTPError) and exc.response is not None else ""
            )
            problem = f"{type(exc).__name__} {status}".strip()
            log.warning("status.no_excerpt", extra={"fields": {"job": job_name, "problem": problem}})
            return ""

    def _read(self, job_name: str, since: datetime) -> str:
        _, project, *_, number = job_name.split("/")
        wanted = (
            'resource.type="ml_job"',
            f'resource.labels.job_id="{number}"',
            f'timestamp>="{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"',
        )
        asked = {
            "resourceNames": [f"projects/{project}"],
            "filter": " AND ".join(wanted),
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
