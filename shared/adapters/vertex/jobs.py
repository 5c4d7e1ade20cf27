"""Vertex AI for status: list, get and cancel CustomJobs by plain REST calls (ADR 22).

The generated client takes nine times the CPU and 35 MB more. A listing asks for
the fields that decisions need, without the jobs' specs.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any
from urllib.parse import quote

import requests
from google.api_core import exceptions as google_errors
from requests.adapters import HTTPAdapter

from shared.adapters.google import meaning, rest_session
from shared.adapters.vertex.job import job_of
from shared.core.errors import LaunchError, Retry
from shared.core.jobstate import ENDED_STATES, phase_of
from shared.core.lazy import Lazy
from shared.core.ports import Job, Span
from shared.core.traffic import Traffic
from shared.core.within import within

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT = 15.0  # seconds a call, from its beginning to its end
PAGE = 100  # Vertex's own maximum
LARGEST = 32_000_000  # bytes of an answer, if a server ignores `fields`
CONNECTIONS = 16
_TIMES = "createTime,startTime,endTime,updateTime"
_LISTED = f"name,labels,state,{_TIMES},error,jobSpec/scheduling"
_REGION = re.compile(r"[a-z]+(-[a-z0-9]+)+")


class VertexJobs:
    """Implements CustomJobs, for the jobs whose label launch_agent is `agent`.

    Each region has its own host. An `endpoint` (a URL) replaces all of them and needs no
    credentials.
    """

    def __init__(self, agent: str, endpoint: str = "", timeout: float = TIMEOUT) -> None:
        self._agent = agent
        self._timeout = timeout
        self._endpoint = endpoint.rstrip("/")
        self._session = Lazy(self._connect)
        self.traffic = Traffic()

    def list_jobs(self, parent: str, span: Span | None = None) -> Iterator[Job]:
        """Yield our jobs of a region, 100 a call; without a span, all that have not ended.

        It filters only by fields that Vertex documents: labels, state and create_time. The jobs
        have no `secrets`: a caller that quotes a job gets the whole job first.
        """
        span = span or Span()
        filters = [f'labels.launch_agent="{self._agent}"']
        if not span.ended:
            filters += [f'state!="{state}"' for state in ENDED_STATES]
        for bound, moment in ((">=", span.since), ("<", span.before)):
            if moment:
                filters.append(f'create_time{bound}"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"')
        query: dict[str, str | int] = {
            "filter": " AND ".join(filters),
            "pageSize": PAGE,
            "fields": f"customJobs({_LISTED}),nextPageToken",
        }
        try:
            while True:
                page = self._call("GET", f"{parent}/customJobs", query)
                jobs = [job_of(each) for each in page.get("customJobs") or ()]
                yield from (job for job in jobs if job)
                if not (token := page.get("nextPageToken")):
                    return
                if token == query.get("pageToken"):  # it would never end
                    raise Retry("the next page is the same page again")
                query["pageToken"] = token
        except Exception as exc:
            raise _error(exc, "list", parent) from exc

    def get_job(self, name: str) -> Job | None:
        """Return one job; None if it was deleted."""
        try:
            return job_of(self._call("GET", name))
        except google_errors.NotFound:
            return None
        except Exception as exc:
            raise _error(exc, "get", name) from exc

    def cancel_job(self, name: str) -> None:
        """Cancel a job; does nothing if it has ended meanwhile, or was deleted."""
        try:
            self._call("POST", f"{name}:cancel")
        except google_errors.NotFound:
            return
        except google_errors.BadRequest as exc:
            # REST answers 400, without more, for a job that has ended
            job = self.get_job(name)
            if job and not phase_of(job.state).ended:
                raise _error(exc, "cancel", name) from exc
        except Exception as exc:
            raise _error(exc, "cancel", name) from exc

    def _connect(self) -> requests.Session:
        session = rest_session(self._endpoint, SCOPE)
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
        return session

    def _call(self, method: str, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Make a call; return the object that answers it. Raises GoogleAPICallError, Retry."""
        url = f"{self._endpoint or _host(path)}/v1/{quote(path, safe='/:')}"
        session = self._session.get()

        def send() -> tuple[int, bytes]:
            body: dict[str, str] | None = {} if method == "POST" else None
            with session.request(
                method, url, params=query, json=body, timeout=self._timeout, stream=True
            ) as response:
                self.traffic.answered(response.status_code, {})
                return response.status_code, _body(response)

        try:
            status, content = within(self._timeout, send)
        except Exception:
            self.traffic.unanswered()
            raise
        if status >= 400:
            raise google_errors.from_http_status(status, _message(content))
        answer = json.loads(content)
        if not isinstance(answer, dict):
            raise Retry("the answer is not a JSON object")
        return answer


def _host(path: str) -> str:
    """Return the host of a resource name's region, which only its own characters can name."""
    region = path.split("/")[3]
    if not _REGION.fullmatch(region):
        raise Retry(f"{region!r} is no region")
    return f"https://{region}-aiplatform.googleapis.com"


def _body(response: requests.Response) -> bytes:
    content = bytearray()
    for piece in response.iter_content(1 << 16):
        content += piece
        if len(content) > LARGEST:
            raise Retry(f"the answer has more than {LARGEST:,} bytes")
    return bytes(content)


def _message(content: bytes) -> str:
    """Return the message of an error's answer; all of it if it is not Google's JSON."""
    try:
        return str(json.loads(content)["error"]["message"])
    except (ValueError, RecursionError, LookupError, TypeError):
        return content.decode("utf-8", "replace")


def _error(exc: Exception, method: str, name: str) -> LaunchError:
    call = f"customJobs.{method} on {name}"
    if isinstance(exc, Retry):  # of ours: it does not name the call
        return Retry(f"{call}: {exc}")
    return meaning(exc, call, f"the permission aiplatform.customJobs.{method}")
