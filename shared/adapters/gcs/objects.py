"""GCS's REST calls about the objects of one bucket, without repetitions (ADR 24).

Google's client doubles the cold start of poll.
"""

import base64
import json
import os
import uuid
from typing import Any
from urllib.parse import quote

import google_crc32c
import requests

from shared.adapters.gcs.clock import ServerClock
from shared.adapters.google import rest_session
from shared.adapters.rest import Answer, Refusal, Rest
from shared.core.errors import Retry

GOOGLES = "https://storage.googleapis.com"
EMULATOR = "STORAGE_EMULATOR_HOST"  # the variable that Google's clients read, too
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT = 10  # seconds to connect, and seconds between two parts of an answer
LARGEST = 8_000_000  # bytes of an object that is read whole
LARGEST_PAGE = 64_000_000  # bytes of a listing's page: 1,000 objects, each with 8 kB of metadata
CONNECTIONS = 32


class Objects:
    """The objects of a bucket. All methods raise Refusal, Retry and requests.RequestException."""

    def __init__(self, bucket: str, clock: ServerClock) -> None:
        self._bucket = bucket
        self._clock = clock
        self._emulator = os.environ.get(EMULATOR, "").rstrip("/")
        self.rest = Rest(self._connect, connections=CONNECTIONS)

    def content(self, name: str) -> tuple[int, bytes]:
        """Return an object's generation and content; 0: this server does not tell the generation.

        Raises TooLarge for more than LARGEST bytes.
        """
        # a compressed answer would not have the checksum of the object
        whole = {"params": {"alt": "media"}, "headers": {"Accept-Encoding": "identity"}}
        answer = self._call("GET", f"download/{self._path(name)}", LARGEST, **whole)
        sums = (part.strip() for part in answer.headers.get("X-Goog-Hash", "").split(","))
        expected = [part for part in sums if part.startswith("crc32c=")]
        if expected and expected != [f"crc32c={_checksum(answer.content)}"]:
            raise Retry("the content does not have its checksum")
        return int(answer.headers.get("X-Goog-Generation") or 0), answer.content

    def description(self, name: str) -> dict[str, Any] | None:
        """Return an object's `generation`, `metadata`, …; None if it is absent."""
        try:
            return self._call("GET", self._path(name)).fields()
        except Refusal as exc:
            if exc.code == 404 and not self.is_missing(exc):
                return None
            raise

    def upload(self, name: str, content: bytes, metadata: dict[str, str], generation: int) -> int:
        """Write an object if it still has this generation (0: if absent); return the new one."""
        described = {
            "name": name,
            "metadata": metadata,
            "contentType": "application/json",
            "crc32c": _checksum(content),
        }
        query = {"uploadType": "multipart", "ifGenerationMatch": generation}
        path = f"upload/storage/v1/b/{self._bucket}/o"
        written = self._call("POST", path, params=query, **_related(described, content)).fields()
        return int(written["generation"])

    def delete(self, name: str, generation: int) -> None:
        """Delete an object; with a generation, only that one."""
        query = {"ifGenerationMatch": generation} if generation else {}
        self._call("DELETE", self._path(name), params=query)

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        """Return one page of a listing."""
        return self._call("GET", f"storage/v1/b/{self._bucket}/o", params=query).fields()

    def owner(self) -> object:
        """Return the number of the project that owns the bucket."""
        query = {"fields": "projectNumber"}
        found = self._call("GET", f"storage/v1/b/{self._bucket}", params=query).fields()
        return found.get("projectNumber")

    def is_missing(self, exc: Refusal) -> bool:
        """Tell whether a 404 says that there is no bucket, rather than no object.

        The name of an agent, and so of its object, may contain the word.
        """
        message = exc.message.replace(self._bucket, "").lower()
        return "bucket" in message and "no such object" not in message

    def _call(self, method: str, path: str, largest: int = LARGEST_PAGE, **request: Any) -> Answer:
        url = f"{self._emulator or GOOGLES}/{path}"
        return self.rest.call(method, url, timeout=TIMEOUT, largest=largest, **request)

    def _path(self, name: str) -> str:
        return f"storage/v1/b/{self._bucket}/o/{quote(name, safe='')}"

    def _connect(self) -> requests.Session:
        session = rest_session(self._emulator, SCOPE)
        session.hooks["response"].append(self._clock.observe)
        return session


def _checksum(content: bytes) -> str:
    """Return the CRC32C of a content, as GCS writes it."""
    checksum: int = google_crc32c.value(content)
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()


def _related(described: dict[str, Any], content: bytes) -> dict[str, Any]:
    """Return the body and the headers of an upload: what describes an object, and its content."""
    line = uuid.uuid4().hex
    parts = (
        f"--{line}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode(),
        json.dumps(described).encode(),
        f"\r\n--{line}\r\nContent-Type: application/json\r\n\r\n".encode(),
        content,
        f"\r\n--{line}--".encode(),
    )
    headers = {"Content-Type": f"multipart/related; boundary={line}"}
    return {"data": b"".join(parts), "headers": headers}
