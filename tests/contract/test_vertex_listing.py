"""The jobs that status lists by REST, judged by Google's generated client: same jobs, order and errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from google.api_core import exceptions as google_errors
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.aiplatform_v1 import JobServiceClient, ListCustomJobsRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.servers.vertex.app import create_app
from deploy.local.servers.vertex.messages import JOB_STATES, parse_custom_job
from deploy.local.servers.vertex.state import VertexState
from deploy.local.serving import serving
from shared.adapters.vertex.jobs import LARGEST, VertexJobs
from shared.core.errors import Denied, Retry
from shared.core.ports import Span

PARENT = "projects/p/locations/us-central1"
SPEC = {
    "workerPoolSpecs": [
        {
            "replicaCount": 1,
            "containerSpec": {"imageUri": "x", "env": [{"name": "HF_TOKEN", "value": "planted-secret"}]},
        }
    ],
    "scheduling": {"strategy": "FLEX_START", "maxWaitDuration": "7200s"},
}
EVER = Span(datetime.now(UTC) - timedelta(days=1), ended=True)
OVER = {
    JOB_STATES[f"JOB_STATE_{name}"] for name in ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED")
}


@pytest.fixture(scope="module")
def state() -> VertexState:
    """Return a region with a job in each state, and others' jobs."""
    state = VertexState()
    for number, name in enumerate([*JOB_STATES, "JOB_STATE_99"]):
        for agent in ("ours", "theirs"):
            labels = {"launch_key": f"k{number}", "launch_attempt": "1", "launch_agent": agent}
            body = {"displayName": "x", "labels": labels, "jobSpec": SPEC}
            job = state.add(PARENT, parse_custom_job(body), "JOB_STATE_RUNNING")
            if name != "JOB_STATE_RUNNING":
                state.force(job.name, name, "planted-secret is odd" if "FAILED" in name else "")
    return state


@pytest.fixture(scope="module")
def url(state: VertexState) -> Iterator[str]:
    """Serve it."""
    with serving(create_app(state)) as address:
        yield address


@pytest.fixture(scope="module")
def judge(url: str) -> JobServiceClient:
    """Return Google's generated client."""
    options = ClientOptions(api_endpoint=url)
    return JobServiceClient(transport="rest", client_options=options, credentials=AnonymousCredentials())


@pytest.mark.parametrize("span", [None, EVER])
def test_the_generated_client_lists_the_same_jobs(url: str, judge: JobServiceClient, span: Span | None) -> None:
    """In the same order, with the same states and times."""
    ours = list(VertexJobs("ours", url).list_jobs(PARENT, span))
    theirs = [
        job
        for job in judge.list_custom_jobs(request=ListCustomJobsRequest(parent=PARENT))
        if job.labels["launch_agent"] == "ours" and (span or int(job.state) not in OVER)
    ]
    assert [job.name for job in ours] == [job.name for job in theirs]
    for job, judged in zip(ours, theirs, strict=True):
        assert job.created_at == judged.create_time
        assert job.started_at == (judged.start_time or None)
        assert job.updated_at == judged.update_time
        assert job.state == getattr(judged.state, "name", f"JOB_STATE_{int(judged.state)}")
        assert job.max_wait == timedelta(hours=2) == judged.job_spec.scheduling.max_wait_duration
        assert bool(job.error) == bool(judged.error.message)


def test_parts_of_the_time_show_each_job_once(url: str, state: VertexState) -> None:
    """Also a job of the very moment at which one part ends and the next begins."""
    moments = [datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC) for second in (1, 2, 3)]
    ours = [job for job in state.jobs() if job.labels["launch_agent"] == "ours" and not job.end_time]
    before = {job.name: job.create_time for job in ours}
    for job, moment in zip(ours, moments * len(ours), strict=False):
        job.create_time = moment
    cut = datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)
    jobs = VertexJobs("ours", url)
    whole = [job.name for job in jobs.list_jobs(PARENT)]
    parts = [[job.name for job in jobs.list_jobs(PARENT, span)] for span in (Span(before=cut), Span(cut))]
    for job in ours:
        job.create_time = before[job.name]
    assert all(parts)
    assert sorted([*parts[0], *parts[1]]) == sorted(whole)


def test_one_job_has_what_may_not_be_quoted(url: str, state: VertexState) -> None:
    """A listing carries no spec; the whole job says which of its values are secrets."""
    jobs = VertexJobs("ours", url)
    failed = next(job for job in jobs.list_jobs(PARENT, EVER) if job.error)
    assert failed.secrets == frozenset()
    whole = jobs.get_job(failed.name)
    assert whole
    assert whole.secrets == {"planted-secret"}
    assert whole.error == "[redacted] is odd"


@pytest.mark.parametrize(
    ("status", "code", "means", "judged"),
    [
        (400, "INVALID_ARGUMENT", Retry, google_errors.BadRequest),
        (403, "PERMISSION_DENIED", Denied, google_errors.Forbidden),
        (404, "NOT_FOUND", Retry, google_errors.NotFound),
        (429, "RESOURCE_EXHAUSTED", Retry, google_errors.TooManyRequests),
        (500, "INTERNAL", Retry, google_errors.InternalServerError),
        (503, "UNAVAILABLE", Retry, google_errors.ServiceUnavailable),
    ],
)
def test_a_refusal_means_what_it_means_to_the_generated_client(
    url: str, state: VertexState, judge: JobServiceClient, status: int, code: str, means: Any, judged: Any
) -> None:
    """With Google's own words."""
    state.faults.refuse_next(status, code, "words of Google", method="list")
    with pytest.raises(judged, match="words of Google"):
        judge.list_custom_jobs(parent=PARENT, retry=None)
    state.faults.refuse_next(status, code, "words of Google", method="list")
    with pytest.raises(means, match=rf"^customJobs.list on {PARENT}: words of Google"):
        list(VertexJobs("ours", url).list_jobs(PARENT))


ODD: dict[str, Any] = {
    "no JSON": b"<html>",
    "a list": [],
    "jobs that are no list": {"customJobs": 7},
    "deep": b"[" * 100_000,
    "the same page for ever": {"nextPageToken": "2"},
    "too large": b" " * (LARGEST + 1),
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
def test_an_odd_answer_says_nothing_about_jobs(answer: Any) -> None:
    """It is an error of its region, which the next tick asks again."""
    with served(answer) as jobs, pytest.raises(Retry, match=f"^customJobs.list on {PARENT}: "):
        list(jobs.list_jobs(PARENT))


def test_an_odd_job_hides_no_other() -> None:
    """Each value that cannot be read counts as absent."""
    good = {"name": f"{PARENT}/customJobs/1", "labels": {"launch_key": "k", "launch_attempt": "2"}, "state": 3}
    odd = [None, 7, {}, {"name": 1}, {"name": "n", "labels": []}, {**good, "labels": {"launch_key": ["k"]}}]
    times = {"createTime": 5, "endTime": "yesterday", "updateTime": "2026-01-01T00:00:00", "error": "x", "jobSpec": []}
    with served({"customJobs": [*odd, {**good, **times}]}) as jobs:
        [job] = jobs.list_jobs(PARENT)
    assert (job.attempt, job.state, job.ended_at, job.error) == (2, "JOB_STATE_RUNNING", None, "")
    assert job.updated_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_the_listing_asks_for_no_spec() -> None:
    """Of 100 jobs it would be megabytes; and the next page is asked for with the same question."""
    asked: list[dict[str, list[str]]] = []

    async def answer(request: Request) -> Response:
        asked.append(parse_qs(request.url.query))
        return JSONResponse({"nextPageToken": "2"} if len(asked) == 1 else {})

    with serving(Starlette(routes=[Route("/{path:path}", answer)])) as address:
        assert list(VertexJobs("ours", address).list_jobs(PARENT)) == []
    first, second = asked
    assert second == {**first, "pageToken": ["2"]}
    assert first["fields"] == [
        "customJobs(name,labels,state,createTime,startTime,endTime,updateTime,error,jobSpec/scheduling),nextPageToken"
    ]


@pytest.mark.parametrize("region", ["evil.com#", "evil.com:80@x", "a b", "", "EU", "us-central1.evil.com"])
def test_a_token_goes_to_a_region_of_googles_only(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    """A region becomes part of the host."""
    monkeypatch.setattr("shared.adapters.vertex.jobs.rest_session", lambda *_: pytest.fail("it connects"))
    with pytest.raises(Retry, match="is no region"):
        VertexJobs("ours").get_job(f"projects/p/locations/{region}/customJobs/1")


@contextmanager
def served(answer: Any) -> Iterator[VertexJobs]:
    """Serve one answer to everything; gives the adapter."""

    async def reply(_: Request) -> Response:
        return Response(answer) if isinstance(answer, bytes) else JSONResponse(answer)

    with serving(Starlette(routes=[Route("/{path:path}", reply)])) as address:
        yield VertexJobs("ours", address)
