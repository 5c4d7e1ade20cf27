"""The limits of Cloud Storage ("Quotas & limits"), in their strictest reading.

The keys and values of an object's custom metadata have at most 8 KiB. An object is written or
deleted at most once per second; GCS may answer an earlier write with 429, and this stand-in does.
"""

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, unquote

from starlette.responses import JSONResponse, Response

METADATA_BYTES = 8_192
WRITE_SECONDS = 1.0  # between two writes of one object
RATE = (
    "The object {name} exceeded the rate limit for object mutation operations "
    "(create, update, and delete). Please reduce your request rate. "
    "See https://cloud.google.com/storage/docs/gcs429."
)
SIZE = (
    "Your metadata headers exceed the maximum allowed metadata size: "
    "{size} bytes, the most is {most}."
)
CONDITION = "At least one of the pre-conditions you specified did not hold."

_OBJECT = re.compile(r"/(?:upload/|resumable/upload/)?storage/v1/b/([^/]+)/o(?:/([^/]+))?")


@dataclass
class Limits:
    """The writes and refusals so far; `shift` is the lead of the server's clock in seconds."""

    upstream: str
    shift: float = 0.0
    write_seconds: float = WRITE_SECONDS
    refused: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # by reason
    operations: dict[str, int] = field(default_factory=lambda: {"A": 0, "B": 0, "free": 0})
    written: dict[str, float] = field(default_factory=dict)  # monotonic time by bucket/object
    locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def too_soon(self, name: str) -> bool:
        """Return whether an object was written less than `write_seconds` ago."""
        return time.monotonic() - self.written.get(name, float("-inf")) < self.write_seconds

    def refuse(self, code: int, reason: str, message: str) -> Response:
        """Return a refusal in the form of GCS's JSON API."""
        self.refused[reason] += 1
        detail = {"message": message, "domain": "global", "reason": reason}
        return JSONResponse(
            {"error": {"code": code, "message": message, "errors": [detail]}}, code, self.date()
        )

    def date(self) -> dict[str, str]:
        """Return the Date header."""
        return {
            "date": format_datetime(datetime.now(UTC) + timedelta(seconds=self.shift), usegmt=True)
        }


@dataclass(frozen=True)
class Write:
    """A call that creates, changes or deletes an object."""

    name: str  # bucket/object
    metadata: Mapping[str, str]


def write_of(
    method: str, path: str, query: Mapping[str, list[str]], content_type: str, body: bytes
) -> Write | None:
    """Return the object that a call writes; None for other calls."""
    found = _OBJECT.fullmatch(path)
    if (
        method not in {"POST", "PUT", "PATCH", "DELETE"}
        or not found
        or (method == "PUT" and "upload_id" in query)
    ):
        return None
    bucket, name = found[1], unquote(found[2] or query.get("name", [""])[0])
    document = _document(content_type, body)
    name = name or str(document.get("name", ""))
    metadata = document.get("metadata")
    return Write(f"{bucket}/{name}", metadata if isinstance(metadata, dict) else {})


def operation_class(method: str, path: str) -> str:
    """Return the class by which Google bills a call of the JSON API: A, B or free.

    The source is the table "Operations by class" of Cloud Storage's prices.
    """
    if method == "DELETE":
        return "free"
    found = _OBJECT.fullmatch(path)
    reads = found is None or found[2]  # without an object's name, GET lists
    return "B" if method in {"GET", "HEAD"} and reads else "A"


def metadata_bytes(metadata: Mapping[str, str]) -> int:
    """Return the largest size of metadata: in UTF-8, with JSON's escapes, or with a URL's."""
    texts = "".join(f"{name}{value}" for name, value in metadata.items())
    return max(
        len(texts.encode("utf-8", "replace")),
        len(json.dumps(texts)) - 2,
        len(quote(texts, "", errors="replace")),
    )


def _document(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the JSON that describes an object: the body, or the first part of a multipart body."""
    boundary = re.search(r"""boundary=["']?([^"';]+)""", content_type)
    if boundary:
        parts = body.split(f"--{boundary[1]}".encode(), 2)
        body = re.split(rb"\r?\n\r?\n", parts[1], maxsplit=1)[-1] if len(parts) > 1 else b""
    elif "json" not in content_type:
        return {}
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
