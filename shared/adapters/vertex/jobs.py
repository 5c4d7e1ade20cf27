"""Vertex AI for status: list, get and cancel CustomJobs by plain REST calls (ADR 22).

The generated client takes nine times the CPU and 35 MB more. A listing asks for
the fields that decisions need, without the jobs' specs.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any
from urllib.parse import quote

from shared.adapters.google import code_of, meaning, rest_session
from shared.adapters.rest import Answer, Refusal, Rest
from shared.adapters.vertex.job import job_of
from shared.core.errors import LaunchError, Retry
from shared.core.jobstate import ENDED_STATES, phase_of
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
        self.traffic = Traffic()
        self._rest = Rest(
            lambda: rest_session(self._endpoint, SCOPE),
            connections=CONNECTIONS,
            answered=lambda status: self.traffic.answered(status, {}),
        )

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
        except Exception as exc:
            if code_of(exc) == 404:
                return None
            raise _error(exc, "get", name) from exc

    def cancel_job(self, name: str) -> None:
        """Cancel a job; does nothing if it has ended meanwhile, or was deleted."""
        try:
            self._call("POST", f"{name}:cancel")
        except Exception as exc:
            if code_of(exc) == 404:
                return
            if code_of(exc) == 400:  # without more, for a job that has ended
                job = self.get_job(name)
                if not job or phase_of(job.state).ended:
                    return
            raise _error(exc, "cancel", name) from exc

    def _call(self, method: str, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Make a call; return the object that answers it. Raises Refusal, Retry."""
        url = f"{self._endpoint or _host(path)}/v1/{quote(path, safe='/:')}"
        body: dict[str, str] | None = {} if method == "POST" else None

        def send() -> Answer:
            return self._rest.call(
                method, url, timeout=self._timeout, largest=LARGEST, params=query, json=body
            )

        try:
            answer = within(self._timeout, send)
        except Refusal:
            raise
        except Exception:
            self.traffic.unanswered()
            raise
        return answer.fields()


def _host(path: str) -> str:
    """Return the host of a resource name's region, which only its own characters can name."""
    region = path.split("/")[3]
    if not _REGION.fullmatch(region):
        raise Retry(f"{region!r} is no region")
    return f"https://{region}-aiplatform.googleapis.com"


def _error(exc: Exception, method: str, name: str) -> LaunchError:
    call = f"customJobs.{method} on {name}"
    if isinstance(exc, Retry):  # of ours: it does not name the call
        return Retry(f"{call}: {exc}")
    return meaning(exc, call, f"the permission aiplatform.customJobs.{method}")
