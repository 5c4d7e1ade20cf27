"""A client's call, and the cloud's answer or refusal."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

Json = dict[str, Any]
Function = Callable[["Call"], tuple[int, bytes]]  # a deployed function: its status and body
REGION_CODES = {"us-central1": "uc", "us-east1": "ue", "europe-west1": "ew", "europe-west4": "ez"}


@dataclass(frozen=True)
class Call:
    """One call: `body` is parsed JSON or else bytes, `identity` is the caller's email."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    body: Any
    identity: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    raw: bytes = field(default=b"", repr=False, compare=False)

    @property
    def service(self) -> str:
        """Return the API: `run` for run.googleapis.com and for us-central1-run.googleapis.com."""
        return self.host.removesuffix(".googleapis.com").rpartition("-")[2] if is_api(self.host) else "web"

    @property
    def document(self) -> Json:
        """Return the body, which must be a JSON object; no body is an empty object."""
        if isinstance(self.body, dict):
            return self.body
        if self.body in (b"", None):
            return {}
        raise Refusal(400, "Invalid JSON payload received.")


def is_api(host: str) -> bool:
    """Return whether `host` is one of Google's APIs, not a function's or service's own host."""
    return host.endswith(".googleapis.com")


@dataclass(frozen=True)
class Answer:
    """An answer that is not plain JSON with status 200."""

    content: bytes = b""
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}


class Refusal(Exception):
    """An error in the form of Google's APIs: an HTTP code, a message, and the name of the status."""

    def __init__(self, code: int, message: str, name: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.name = name or _NAMES.get(code, HTTPStatus(code).name)

    def answer(self) -> Answer:
        """Return the refusal as Google's JSON error."""
        error = {"code": self.code, "message": self.message, "status": self.name}
        return Answer(json.dumps({"error": error}).encode(), self.code)
