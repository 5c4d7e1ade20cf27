"""Google without a network: each request of a real client is noted, with its time limit, and answered by the test."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import google.auth
import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.contract.test_production_clients import Account

Given = requests.Response | Exception


@dataclass
class Sent:
    """A request, and the arguments of its session for the transport."""

    request: requests.PreparedRequest
    named: Mapping[str, Any]

    @property
    def line(self) -> str:
        """Return the method and the address without its query."""
        return f"{self.request.method} {str(self.request.url).partition('?')[0]}"

    @property
    def query(self) -> dict[str, str]:
        """Return the query."""
        return dict(parse_qsl(urlsplit(str(self.request.url)).query, keep_blank_values=True))

    @property
    def body(self) -> Any:
        """Return the JSON that was sent; None without any."""
        return json.loads(self.request.body) if self.request.body else None

    @property
    def timeout(self) -> Any:
        """Return the seconds to connect and to wait for each part."""
        return self.named["timeout"]


def answer(body: Any = b"{}", status: int = 200, headers: Mapping[str, str] | None = None) -> requests.Response:
    """Return an answer of these bytes, or of this JSON."""
    response = requests.Response()
    response.status_code, response.reason = status, "Bad Day"
    response.headers.update({"Content-Type": "application/json", **(headers or {})})
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    vars(response).update(_content=content, _content_consumed=True)  # requests has no public way
    return response


def refusal(status: int, message: str = "no") -> requests.Response:
    """Return an error of Google's."""
    return answer({"error": {"code": status, "message": message}}, status)


class Wire:
    """Answers each request by a function, or with these answers one after another; the last one stays."""

    def __init__(self, *answers: Given | Callable[[Sent], Given]) -> None:
        self.sent: list[Sent] = []
        self.answers = list(answers)

    def take(self, request: requests.PreparedRequest, named: Mapping[str, Any]) -> requests.Response:
        """Note a request, and answer it."""
        sent = Sent(request, named)
        self.sent.append(sent)
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        found = given(sent) if callable(given) else given
        if isinstance(found, Exception):
            raise found
        fresh = answer(found.content, found.status_code, found.headers)
        fresh.url, fresh.request = str(request.url), request
        return fresh

    @property
    def lines(self) -> list[str]:
        """Return the method and the address of each request."""
        return [each.line for each in self.sent]


def connected(monkeypatch: pytest.MonkeyPatch, wire: Wire) -> Wire:
    """Let all clients of Google's services in this process send to the wire, as a function in the cloud would."""
    really = HTTPAdapter.send

    def send(adapter: HTTPAdapter, request: requests.PreparedRequest, **named: Any) -> requests.Response:
        if "//127.0.0.1" in str(request.url):  # from a thread that an earlier test has left behind
            return really(adapter, request, **named)
        return wire.take(request, named)

    for name in ("STORAGE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p1")
    monkeypatch.setattr(google.auth, "default", lambda *_, **__: (Account(), "p1"))
    monkeypatch.setattr(HTTPAdapter, "send", send)
    return wire
