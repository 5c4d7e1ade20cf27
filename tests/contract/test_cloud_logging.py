"""The end of a job's log, read from the stand-in of Cloud Logging; what cannot be read holds nothing up."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth import exceptions as auth_errors
from google.cloud.aiplatform_v1.types import CustomJob
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.local.servers.vertex.app import create_app
from deploy.local.servers.vertex.state import Job, VertexState
from deploy.local.serving import serving
from shared.adapters.logging import ENTRIES, PAGE, CloudLogging, CloudLoggingJobLogs
from shared.core.errors import Denied, Retry

PARENT = "projects/p/locations/us-central1"


@pytest.fixture
def vertex() -> VertexState:
    """Return the jobs of one test."""
    return VertexState()


@pytest.fixture
def url(vertex: VertexState) -> Iterator[str]:
    """Serve them."""
    with serving(create_app(vertex)) as address:
        yield address


def printing(vertex: VertexState, folder: Path, *lines: str) -> Job:
    """Put in a job that has printed these lines."""
    job = vertex.add(PARENT, CustomJob.pb(CustomJob()))
    log = folder / f"{job.name.rpartition('/')[2]}.log"
    log.write_text("\n".join(lines), encoding="utf-8")
    job.log = str(log)
    return job


def test_the_last_lines_of_one_job_are_read_in_their_order(vertex: VertexState, url: str, tmp_path: Path) -> None:
    """No other job's, and no more than a page."""
    lines = [f"line {n}" for n in range(ENTRIES + 5)]
    job = printing(vertex, tmp_path, *lines)
    printing(vertex, tmp_path, "of another job")
    assert CloudLoggingJobLogs(url).tail(job.name, job.create_time) == "\n".join(lines[-ENTRIES:])
    assert CloudLoggingJobLogs(url).tail(job.name, datetime.now(UTC) + timedelta(hours=1)) == ""


def test_a_job_that_printed_nothing_has_no_log(vertex: VertexState, url: str) -> None:
    """A job that never had a container has no log either."""
    job = vertex.add(PARENT, CustomJob.pb(CustomJob()))
    assert CloudLoggingJobLogs(url).tail(job.name, job.create_time) == ""


def test_a_filter_that_is_not_understood_is_refused(url: str) -> None:
    """As Google does: an error names what is wrong, rather than showing everything."""
    asked = {"resourceNames": ["projects/p"], "filter": 'resource.type="ml_job" OR colour=ERROR'}
    answer = requests.post(f"{url}/v2/entries:list", json=asked, timeout=20)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert requests.post(f"{url}/v2/entries:list", json={}, timeout=20).status_code == 400


ANSWERS = {
    "may not": (403, '{"error": {"code": 403}}'),
    "too many calls": (429, "{}"),
    "no JSON": (200, "<html>"),
    "no object": (200, '["entries"]'),
    "entries of other shapes": (200, '{"entries": [1, {}, {"jsonPayload": null}, {"protoPayload": {}}]}'),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_a_log_that_cannot_be_read_gives_no_excerpt(case: str, caplog: pytest.LogCaptureFixture) -> None:
    """After a failure there is a pause: a tick with a hundred ends is not held up a hundred times."""
    status, body = ANSWERS[case]
    asked: list[bytes] = []

    async def answer(request: Request) -> Response:
        asked.append(await request.body())
        return PlainTextResponse(body, status)

    with serving(Starlette(routes=[Route("/v2/entries:list", answer, methods=["POST"])])) as address:
        logs = CloudLoggingJobLogs(address)
        for _ in range(3):
            assert logs.tail(f"{PARENT}/customJobs/1", datetime.now(UTC)) == ""
    fails = case in ("may not", "too many calls", "no JSON")
    assert len(asked) == (1 if fails else 3)
    assert [record.message for record in caplog.records] == (["status.no_excerpt"] if fails else [])


def test_a_text_is_read_where_nothing_is_structured() -> None:
    """Output of a container may come as either."""

    async def answer(_: Request) -> Response:
        return PlainTextResponse('{"entries": [{"textPayload": "two\\n"}, {"jsonPayload": {"message": "one"}}]}')

    with serving(Starlette(routes=[Route("/v2/entries:list", answer, methods=["POST"])])) as address:
        assert CloudLoggingJobLogs(address).tail(f"{PARENT}/customJobs/1", datetime.now(UTC)) == "one\ntwo"


def test_the_log_of_a_build_is_asked_for_by_its_id() -> None:
    """Its refusal does not keep jobs' logs from being read."""
    asked: list[str] = []

    async def answer(request: Request) -> Response:
        asked.append((await request.json())["filter"])
        if "build" in asked[-1]:
            return PlainTextResponse("{}", 403)
        return PlainTextResponse('{"entries": [{"textPayload": "pip: no matching distribution"}]}')

    since = datetime(2026, 1, 1, tzinfo=UTC)
    with serving(Starlette(routes=[Route("/v2/entries:list", answer, methods=["POST"])])) as address:
        logs = CloudLoggingJobLogs(address)
        assert logs.tail_of_build("projects/p/locations/us-central1/builds/b-1", since) == ""
        assert logs.tail(f"{PARENT}/customJobs/1", since) == "pip: no matching distribution"
    build = 'resource.type="build" AND resource.labels.build_id="b-1" AND timestamp>="2026-01-01T00:00:00Z"'
    assert asked[0] == build


def test_without_credentials_there_is_no_excerpt(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Google's own endpoint wants them."""

    def none(scopes: list[str]) -> None:
        raise auth_errors.DefaultCredentialsError("none")

    monkeypatch.setattr("google.auth.default", none)
    with caplog.at_level(logging.WARNING):
        assert CloudLoggingJobLogs().tail(f"{PARENT}/customJobs/1", datetime.now(UTC)) == ""
    assert [record.message for record in caplog.records] == ["status.no_excerpt"]


def test_a_server_that_is_not_there_holds_nothing_up() -> None:
    """One attempt."""
    assert CloudLoggingJobLogs("http://127.0.0.1:9").tail(f"{PARENT}/customJobs/1", datetime.now(UTC)) == ""


def test_a_whole_log_is_read_page_by_page(vertex: VertexState, url: str, tmp_path: Path) -> None:
    """From the first line on, with the time and the id of each."""
    lines = [f"line {n}" for n in range(PAGE + 5)]
    job = printing(vertex, tmp_path, *lines)
    printing(vertex, tmp_path, "of another job")
    read = list(CloudLogging(url).lines("p", job.name, job.create_time))
    assert [line.text for line in read] == lines
    assert [line.at for line in read] == sorted(line.at for line in read)
    assert len({line.id for line in read}) == len(lines)
    assert {line.task for line in read} == {"workerpool0-0"}
    assert not list(CloudLogging(url).lines("p", job.name, datetime.now(UTC) + timedelta(hours=1)))


FIELDS = {"timestamp": "2026-01-01T00:00:01Z", "jsonPayload": {"loss": 1}}


def test_an_empty_page_does_not_end_a_log() -> None:
    """Cloud Logging answers so while it searches. A token that comes again ends the reading; an odd entry does not."""
    pages: list[dict[str, Any]] = [
        {"nextPageToken": "1"},
        {"entries": [1, {}, {"textPayload": "no time"}, {"timestamp": "2026-01-01T00:00:00.123456789Z"}]},
    ]
    pages[1]["nextPageToken"] = "2"
    last = {
        "entries": [{"timestamp": "2026-01-01T00:00:00.123456789Z", "textPayload": "a\n"}, FIELDS],
        "nextPageToken": "2",
    }
    asked: list[str] = []

    async def answer(request: Request) -> Response:
        asked.append((await request.json())["pageToken"])
        return JSONResponse(pages[len(asked) - 1] if len(asked) <= len(pages) else last)

    with serving(Starlette(routes=[Route("/v2/entries:list", answer, methods=["POST"])])) as address:
        read = list(CloudLogging(address).lines("p", f"{PARENT}/customJobs/1", datetime.now(UTC)))
    assert ([line.text for line in read], asked) == (["a", '{"loss": 1}'], ["", "1", "2"])


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (
            403,
            '{"error": {"message": "bob may not"}}',
            Denied,
            "403: bob may not. The function's account needs roles/log",
        ),
        (401, "<html>", Denied, "Cloud Logging answers 401. The function's"),
        (429, "{}", Retry, "60 reads a minute"),
        (500, "{}", Retry, "500"),
    ],
)
def test_a_log_that_cannot_be_read_says_why(status: int, body: str, error: type[Exception], words: str) -> None:
    """To the person who asks for it."""

    async def answer(_: Request) -> Response:
        return PlainTextResponse(body, status)

    with serving(Starlette(routes=[Route("/v2/entries:list", answer, methods=["POST"])])) as address:
        logs = CloudLogging(address).lines("p", f"{PARENT}/builds/b-1", datetime.now(UTC))
        with pytest.raises(error, match=words):
            next(logs)
    with pytest.raises(Retry):
        next(CloudLogging("http://127.0.0.1:9").lines("p", f"{PARENT}/builds/b-1", datetime.now(UTC)))
