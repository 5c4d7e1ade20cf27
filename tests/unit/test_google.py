"""What the adapters of Google's services share: the meaning of errors, clients, sessions, lazy values."""

import threading
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.auth.credentials import AnonymousCredentials
from grpc import StatusCode

from shared.adapters.google import code_of, meaning, reason, require_owner, rest_client, rest_session
from shared.adapters.rest import Refusal
from shared.core.errors import Conflict, Denied, Retry
from shared.core.lazy import Lazy, LazyMap
from shared.core.redaction import remember

CALL, NEEDS = "jobs.list on projects/p", "the permission jobs.list"


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [
        (google_errors.Forbidden("GET https://x/y: no."), Denied, f"{CALL}: no. The function's account needs {NEEDS}"),
        (google_errors.Unauthorized("who?"), Denied, f"{CALL}: who?. The function's account needs {NEEDS}"),
        (google_errors.NotFound("no topic"), Retry, f"{CALL}: no topic"),
        (google_errors.ServiceUnavailable("later"), Retry, f"{CALL}: later"),
        (auth_errors.DefaultCredentialsError("none here"), Denied, "no Google credentials: none here"),
        (auth_errors.TransportError("down"), Retry, "Google's token service cannot be reached: down"),
        (requests.ConnectionError("refused"), Retry, f"{CALL}: refused"),
        (TimeoutError(), Retry, f"{CALL}: TimeoutError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_has_one_meaning_for_all_adapters(error: Exception, expected: type[Exception], text: str) -> None:
    """A refusal names the permission, without the request that it answers."""
    found = meaning(error, CALL, NEEDS)
    assert (type(found), str(found)) == (expected, text)


def test_an_adapter_chooses_what_is_a_refusal() -> None:
    """A topic that does not exist is an operator's affair."""
    found = meaning(google_errors.NotFound("no topic"), CALL, NEEDS, (401, 403, 404))
    assert isinstance(found, Denied)


def test_an_error_of_ours_means_itself() -> None:
    """It comes from below, with its own text."""
    error = Conflict("written meanwhile")
    assert meaning(error, CALL, NEEDS) is error


class Unprintable(Exception):
    """An error that quotes an integer with more digits than Python prints."""

    def __str__(self) -> str:
        """Raise, as Python does then."""
        raise ValueError("Exceeds the limit")


KEY = "planted-key-" * 4


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (google_errors.BadGateway("<html>\n502"), "HTTP 502 without a reason"),
        (ValueError(" two\nlines. "), "two lines"),
        (KeyError(), "KeyError"),
        (ValueError("x" * 5000), "x" * 500 + "…" + "x" * 500),
        (Refusal(502, "<html>"), "HTTP 502 without a reason"),
        (ValueError("<html>"), "HTTP  without a reason"),
        (Refusal(400, "POST https://x/y?z: no.."), "no"),
        (ValueError("see GET https://x/y: no"), "see GET https://x/y: no"),
        (Refusal(400, ""), "400:"),
        (Unprintable(), "Unprintable"),
        (ValueError(f"{KEY} is wrong"), "[redacted] is wrong"),
    ],
    ids=[
        "page",
        "lines",
        "nothing",
        "long",
        "refusal",
        "page of a library",
        "request",
        "in between",
        "empty",
        "odd",
        "key",
    ],
)
def test_a_reason_is_one_short_line(error: Exception, text: str) -> None:
    """Whatever a server or a library writes."""
    remember([KEY])
    assert reason(error) == text


@pytest.mark.parametrize(
    ("code", "expected"),
    [(403, 403), (0, 0), (None, 0), ("403", 0), (HTTPStatus.NOT_FOUND, 404), (StatusCode.ABORTED, 0)],
)
def test_the_code_of_an_error(code: object, expected: int) -> None:
    """It is an HTTP status; 0 for an error of gRPC or without a code."""
    error = Exception("x")
    assert code_of(error) == 0
    vars(error)["code"] = code
    assert code_of(error) == expected


def test_a_bucket_without_an_expected_owner_is_not_asked_about() -> None:
    """The settings name no owner."""

    def owner() -> object:
        raise AssertionError

    require_owner("b", "", owner)
    require_owner("b", "77", lambda: 77)
    require_owner("b", "77", lambda: "77")
    with pytest.raises(Denied, match=r"^gs://b belongs to the project number 0, not to 77: this function"):
        require_owner("b", "77", lambda: 0)
    with pytest.raises(Retry, match=r"^gs://b: the answer does not say whose it is$"):
        require_owner("b", "77", lambda: None)
    for error in (google_errors.NotFound("x"), google_errors.Unauthorized("x"), OSError("x")):
        with pytest.raises(type(error)) as raised:
            require_owner("b", "77", Mock(side_effect=error))
        assert raised.value is error
    with pytest.raises(Denied) as denied:
        require_owner("b", "77", Mock(side_effect=google_errors.Forbidden("no")))
    needs = "the permission storage.buckets.get on this bucket: run `vertex-launch bootstrap`"
    assert str(denied.value) == f"gs://b: read whose it is: no. The function's account needs {needs}"


class Client:
    """A generated client: its arguments, and a transport with a session."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.transport = SimpleNamespace(_session=requests.Session())


def test_an_endpoint_needs_no_credentials() -> None:
    """Google's own host takes the default ones. None follows a redirection."""
    own = rest_client(Client, "http://127.0.0.1:1", "eu.googleapis.com")
    assert own.arguments["client_options"] == {"api_endpoint": "http://127.0.0.1:1"}
    assert isinstance(own.arguments["credentials"], AnonymousCredentials)
    assert rest_client(Client, "", "eu.googleapis.com").arguments == {
        "transport": "rest",
        "client_options": {"api_endpoint": "eu.googleapis.com"},
    }
    assert rest_client(Client).arguments == {"transport": "rest"}
    assert own.transport._session.max_redirects == 0  # noqa: SLF001 - as in Google's clients
    assert type(rest_session("http://127.0.0.1:1", "scope")) is requests.Session


def test_a_lazy_value_is_made_once_for_all_threads() -> None:
    """At its first use; the others wait for it."""
    made: list[int] = []
    begin = threading.Barrier(8)

    def make() -> int:
        made.append(1)
        return len(made)

    lazy = Lazy(make)
    assert made == []

    def get(_: int) -> int:
        begin.wait(10)
        return lazy.get()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(get, range(8))) == [1] * 8
    assert made == [1]


def test_a_value_that_could_not_be_made_is_tried_again() -> None:
    """An outage at the first use does not last as long as the process."""
    answers = iter([Retry("down"), "client"])

    def make() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    lazy = Lazy(make)
    with pytest.raises(Retry):
        lazy.get()
    assert lazy.get() == "client"


def test_each_key_has_its_own_value() -> None:
    """As each region has its client."""
    clients: LazyMap[str, list[str]] = LazyMap(lambda region: [region])
    assert clients.get("eu") is clients.get("eu")
    assert clients.get("us") == ["us"]
