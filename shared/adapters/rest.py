"""Plain calls of Google's REST APIs, by requests and google-auth (ADR 22, 24).

Google's clients for the same calls take several times the CPU and the memory, and import gRPC.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from shared.core.errors import Retry
from shared.core.lazy import Lazy

PIECE = 1 << 16  # bytes


class TooLarge(Retry):
    """An answer has more bytes than a function can hold."""


class Refusal(Exception):
    """Google answers with an error, or in a way that no call expects.

    `code` is the HTTP status, as in the errors of Google's clients.
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call that worked brought."""

    content: bytes
    headers: Mapping[str, str]

    def fields(self) -> dict[str, Any]:
        """Return the JSON object that it is. Raises Retry for anything else."""
        try:
            found = json.loads(self.content)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Retry("the answer is not a JSON object")
        return found


class Rest:
    """Calls of one API, by one session for all threads, which `connect` makes at its first use."""

    def __init__(
        self,
        connect: Callable[[], requests.Session],
        *,
        connections: int,
        answered: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._connect = connect
        self._connections = connections
        self._answered = answered
        self.session = Lazy(self._pooled)

    def call(
        self, method: str, url: str, *, timeout: float, largest: int, **request: Any
    ) -> Answer:
        """Make a call; `request` has further arguments of requests, such as `params`.

        `timeout` (seconds) bounds the connecting and each read, not the whole call.

        Raises:
            Refusal: any status but 2xx.
            TooLarge: the answer has more than `largest` bytes.
            requests.RequestException: there is no whole answer.
        """
        session = self.session.get()
        with session.request(method, url, timeout=timeout, stream=True, **request) as response:
            self._answered(response.status_code)
            content = _content(response, largest)
            if not 200 <= response.status_code < 300:
                raise Refusal(response.status_code, _message(content))
            return Answer(content, response.headers)

    def _pooled(self) -> requests.Session:
        session = self._connect()
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=self._connections))
        return session


def _content(response: requests.Response, largest: int) -> bytes:
    content = bytearray()
    for piece in response.iter_content(PIECE):
        content += piece
        if len(content) > largest:
            raise TooLarge(f"it has more than {largest:,} bytes")
    return bytes(content)


def _message(content: bytes) -> str:
    """Return the message of an error's answer; all of it if it is not Google's JSON."""
    try:
        return str(json.loads(content)["error"]["message"])
    except (ValueError, RecursionError, LookupError, TypeError):
        return content.decode("utf-8", "replace")
