"""Entries of Cloud Logging: which are asked for, and which text, time and task each has."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from shared.adapters import logging as module
from shared.adapters.logging import CloudLogging, CloudLoggingJobLogs, LogLine
from shared.core.errors import Denied, LaunchError, Retry

JOB, BUILD = "projects/p1/locations/l/customJobs/7", "projects/p2/locations/l/builds/b-7"
SINCE = datetime.fromisoformat("2026-01-01T02:30:59.9+02:00")


class Session:
    """Answers each request with the next of these: a status and JSON, or an error."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Any, float]] = []

    def post(self, url: str, *, timeout: float, **named: Any) -> requests.Response:
        """Note the request, and answer it."""
        self.asked.append((url, dict(named.pop("json")), timeout))
        assert not named
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        response = requests.Response()
        response.status_code, content = given
        response.reason, response.url = "Bad Day", "u"
        vars(response).update(_content=content, _content_consumed=True)  # requests has no public way
        return response


Serve = Callable[..., Session]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Return what puts a session instead of Google's."""

    def serving(*answers: Any) -> Session:
        session = Session(*answers)
        opened: list[tuple[str, str]] = []

        def open_(endpoint: str, scope: str) -> Session:
            opened.append((endpoint, scope))
            assert opened == [("", "https://www.googleapis.com/auth/logging.read")], "once, with its scope"
            return session

        monkeypatch.setattr(module, "rest_session", open_)
        return session

    return serving


EMPTY = (200, b"{}")


@pytest.mark.parametrize(
    ("kind", "name", "project", "label"),
    [("job", JOB, "p1", ("ml_job", "job_id", "7")), ("build", BUILD, "p2", ("build", "build_id", "b-7"))],
)
@pytest.mark.parametrize("seconds", [None, 2.5])
def test_the_last_twenty_entries_are_asked_for(
    serve: Serve, seconds: float | None, kind: str, name: str, project: str, label: tuple[str, str, str]
) -> None:
    """The newest first, of one job or build, in its own project."""
    session = serve(EMPTY, EMPTY)
    logs = CloudLoggingJobLogs(timeout=seconds) if seconds else CloudLoggingJobLogs()
    tail = logs.tail if kind == "job" else logs.tail_of_build
    assert [tail(name, SINCE) for _ in range(2)] == ["", ""]
    resource, id_, number = label
    expected = {
        "resourceNames": [f"projects/{project}"],
        "filter": f'resource.type="{resource}" AND resource.labels.{id_}="{number}"'
        ' AND timestamp>="2026-01-01T00:30:59Z"',
        "orderBy": "timestamp desc",
        "pageSize": 20,
    }
    assert session.asked == [("https://logging.googleapis.com/v2/entries:list", expected, seconds or 5.0)] * 2


def test_after_a_failure_none_is_asked_for_during_a_minute(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the same kind only: each has a permission of its own."""
    caplog.set_level(logging.WARNING)
    now, text = [1000.0], (200, b'{"entries": [{"textPayload": "two"}, {"textPayload": "one"}]}')
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    serve((403, b"{}"), text, text, requests.ConnectionError("reset"))
    logs = CloudLoggingJobLogs()
    monkeypatch.setattr(module, "within", lambda _, call: call())
    seen = [logs.tail(JOB, SINCE), logs.tail(JOB, SINCE), logs.tail_of_build(BUILD, SINCE)]
    now[0] += 59.9
    seen.append(logs.tail(JOB, SINCE))
    now[0] += 0.1
    seen += [logs.tail(JOB, SINCE), logs.tail_of_build(BUILD, SINCE), logs.tail_of_build(BUILD, SINCE)]
    assert seen == ["", "", "one\ntwo", "", "one\ntwo", "", ""]
    assert [vars(line)["fields"] for line in caplog.records] == [
        {"job": JOB, "problem": "HTTPError 403"},
        {"build": BUILD, "problem": "ConnectionError"},
    ]


def test_an_excerpt_is_not_waited_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five seconds bound the whole answer."""
    bounds: list[float] = []

    def within(seconds: float, _: object) -> str:
        bounds.append(seconds)
        raise TimeoutError

    monkeypatch.setattr(module, "within", within)
    serve()
    for logs in (CloudLoggingJobLogs(), CloudLoggingJobLogs(timeout=2.5)):
        assert logs.tail(JOB, SINCE) == ""
    assert bounds == [5.0, 2.5]


AT = datetime(2026, 1, 1, tzinfo=UTC)
TIMED = {"timestamp": "2026-01-01T00:00:00Z"}
ENTRIES: list[tuple[Any, LogLine | None]] = [
    ({**TIMED, "textPayload": "a \n"}, LogLine(AT, "a")),
    ({**TIMED, "textPayload": "a", "jsonPayload": {"message": "b"}}, LogLine(AT, "a")),
    ({**TIMED, "jsonPayload": {"message": " b\n", "c": 1}}, LogLine(AT, " b")),
    ({**TIMED, "jsonPayload": {"message": ""}}, LogLine(AT, '{"message": ""}')),
    ({**TIMED, "jsonPayload": {"é": 1}}, LogLine(AT, '{"é": 1}')),
    ({**TIMED, "jsonPayload": {}}, None),
    ({**TIMED, "jsonPayload": "x"}, None),
    ({**TIMED}, None),
    ({"textPayload": "a"}, None),
    ({"textPayload": "a", "timestamp": 7}, None),
    ({"textPayload": "a", "timestamp": "2026-01-01T00:00:00"}, LogLine(AT, "a")),
    ({"textPayload": "a", "timestamp": "2026-01-01T01:00:00+01:00", "insertId": "i"}, LogLine(AT, "a", "i")),
    (
        {**TIMED, "textPayload": 7, "insertId": 8, "resource": {"labels": {"task_name": "workerpool0-0"}}},
        LogLine(AT, "7", "8", "workerpool0-0"),
    ),
    ({**TIMED, "textPayload": "a", "resource": "x", "insertId": None}, LogLine(AT, "a")),
    ("a", None),
    (None, None),
]


@pytest.mark.parametrize(("entry", "line"), ENTRIES, ids=str)
def test_an_entry_is_a_line(serve: Serve, entry: Any, line: LogLine | None) -> None:
    """Its text, or its fields as JSON; none without a text or a time."""
    serve((200, json.dumps({"entries": [entry]}).encode()))
    assert list(CloudLogging().lines("p", JOB, SINCE)) == [line] * (line is not None)


def test_pages_follow_each_other(serve: Serve) -> None:
    """Until there is none, or the same again."""
    page = b'{"entries": [{"textPayload": "%d", "timestamp": "2026-01-01T00:00:00Z"}], "nextPageToken": "%d"}'
    session = serve((200, page % (1, 1)), (200, page % (2, 2)), (200, page % (3, 2)))
    assert [line.text for line in CloudLogging().lines("p", JOB, SINCE)] == ["1", "2", "3"]
    assert [(each["pageToken"], each["pageSize"], each["orderBy"], seconds) for _, each, seconds in session.asked] == [
        (token, 1000, "timestamp asc", 60.0) for token in ("", "1", "2")
    ]


CALL = f"read the log of {JOB}"
NEEDS = "The function's account needs roles/logging.viewer on the project"
FAILURES: list[tuple[Any, type[LaunchError], str]] = [
    ((401, b"<html>"), Denied, f"{CALL}: Cloud Logging answers 401. {NEEDS}"),
    ((403, b'{"error": {"message": "no."}}'), Denied, f"{CALL}: Cloud Logging answers 403: no. {NEEDS}"),
    ((403, b'{"error": "no"}'), Denied, f"{CALL}: Cloud Logging answers 403. {NEEDS}"),
    ((429, b"{}"), Retry, f"{CALL}: Cloud Logging allows 60 reads a minute; try again later"),
    ((500, b"{}"), Retry, f"{CALL}: 500 Server Error: Bad Day for url: u"),
    (requests.ConnectionError("reset"), Retry, f"{CALL}: reset"),
]


@pytest.mark.parametrize(("given", "kind", "words"), FAILURES, ids=str)
def test_a_page_that_cannot_be_read_is_an_error(serve: Serve, given: Any, kind: type[LaunchError], words: str) -> None:
    """An operator reads which permission it needs."""
    serve(given)
    with pytest.raises(kind) as raised:
        list(CloudLogging().lines("p", JOB, SINCE))
    assert (type(raised.value), str(raised.value)) == (kind, words)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"entries": 7}'])
def test_an_odd_page_has_no_lines(serve: Serve, body: bytes) -> None:
    """It ends the log."""
    serve((200, body))
    assert list(CloudLogging().lines("p", JOB, SINCE)) == []
