"""A GCS bucket whose objects are written only by compare-and-swap on their generation."""

import random
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import requests
from google.auth import exceptions as auth_errors
from requests import exceptions as wire_errors

from shared.adapters.gcs.clock import ServerClock
from shared.adapters.gcs.objects import Objects
from shared.adapters.google import meaning, require_owner
from shared.adapters.rest import Refusal
from shared.core.errors import Conflict, Denied, LaunchError, Retry
from shared.core.lazy import Lazy
from shared.core.within import within

T = TypeVar("T")

FIRST_PAUSE = 0.5  # seconds before a call is repeated, at most; each further pause is twice as long
LONGEST_PAUSE = 2  # seconds between two tries
BUSY_PAUSE = (0.8, 1.0)  # seconds after a 429: an object takes one write per second
PATIENCE = 20  # seconds after which no failed call is repeated
LONGEST = 45  # seconds that a method takes at most, on any network
PAGE = "1000"  # objects; GCS returns no more, and another server may return all
READS = 5  # of an object that is replaced while it is read
WRITER = "writer"  # metadata: the token of the process that wrote this generation
ROLE = "the role Storage Object User on this bucket"
PASSING = (408, 429, 500, 502, 503, 504)  # HTTP statuses that Google says to repeat
_LOST = (wire_errors.ConnectionError, wire_errors.Timeout, wire_errors.ChunkedEncodingError)


class _Replaced(Exception):
    """The object was replaced between two calls."""


class Bucket:
    """The functions' own bucket, with one session for all threads.

    The first use requires that `project_number` owns the bucket, if there is a number.

    Each method ends within `longest` seconds. A slower call is left behind, and raises Retry.
    If it still writes, its compare-and-swap protects the object as always.
    """

    def __init__(
        self,
        name: str,
        patience: float = PATIENCE,
        longest: float = LONGEST,
        project_number: str = "",
    ) -> None:
        self._name = name
        self._project_number = project_number
        self._patience = patience
        self._longest = longest
        self._clock = ServerClock()
        self._objects = Objects(name, self._clock)
        self._ours = Lazy(self._require_ours)

    def now(self) -> datetime:
        """Return the time of the bucket's server; makes a call if no answer has shown it yet."""
        if not self._clock.answered:
            self.exists("clock")
        return self._clock.now()

    def read(self, name: str) -> tuple[int, bytes] | None:
        """Return an object's generation and content, with one call; None if it is absent."""

        def fetch() -> tuple[int, bytes]:
            for _ in range(READS):
                try:
                    return self._repeated(lambda: self._fetch(name))
                except _Replaced:
                    continue
            raise Retry(f"it was replaced {READS} times during the read")

        try:
            return self._call(f"read {name}", fetch)
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, metadata: dict[str, str], generation: int) -> int:
        """Write an object if it still has this generation (0: if absent); return the new one.

        A write whose answer was lost is repeated, and its own success then looks like a 412. Each
        write carries a token: a 412 counts only if the object does not carry it.
        """
        token = uuid.uuid4().hex
        ours = {**metadata, WRITER: token}

        def upload() -> int:
            try:
                return self._repeated(lambda: self._objects.upload(name, content, ours, generation))
            except Refusal as exc:
                if exc.code != 412:
                    raise
                there = self._repeated(lambda: self._objects.description(name))
                if there is None or (there.get("metadata") or {}).get(WRITER) != token:
                    raise
                return int(there["generation"])

        try:
            return self._call(f"write {name}", upload)
        except FileNotFoundError as exc:
            if generation:
                raise Conflict(f"write {name}: another process has deleted it") from exc
            raise self._no_bucket() from exc

    def delete(self, name: str, generation: int = 0) -> None:
        """Delete an object; does nothing if it is absent.

        With a generation, delete only that one, else raise Conflict. Some servers ignore it.
        """
        try:
            self._call(
                f"delete {name}",
                lambda: self._repeated(lambda: self._objects.delete(name, generation)),
            )
        except FileNotFoundError:
            return

    def exists(self, name: str) -> bool:
        """Tell whether the bucket has this object."""

        def look() -> bool:
            return self._repeated(lambda: self._objects.description(name)) is not None

        return self._call(f"read {name}", look)

    def list_metadata(self, prefix: str, read: Callable[[str, dict[str, str]], T]) -> list[T]:
        """Return what `read` makes of the name and metadata of each object below a prefix.

        It makes one call per 1,000 objects, and holds the metadata of as many in memory.
        """
        fields = "items(name,metadata),nextPageToken"
        query = {"prefix": prefix, "fields": fields, "maxResults": PAGE}

        def pages() -> list[T]:
            found: list[T] = []
            while True:
                page = self._repeated(lambda: self._objects.page(query))
                items = page.get("items") or ()
                found += [read(item["name"], item.get("metadata") or {}) for item in items]
                if not (token := page.get("nextPageToken")):
                    return found
                if token == query.get("pageToken"):  # it would never end
                    raise Retry("the next page is the same page again")
                query["pageToken"] = token

        try:
            return self._call(f"list {prefix}", pages)
        except FileNotFoundError as exc:  # a listing finds no object missing, only the bucket
            raise self._no_bucket() from exc

    def _fetch(self, name: str) -> tuple[int, bytes]:
        generation, content = self._objects.content(name)
        if generation:
            return generation, content
        before = self._generation(name)
        _, content = self._objects.content(name)
        if self._generation(name) != before:
            raise _Replaced
        return before, content

    def _generation(self, name: str) -> int:
        found = self._objects.description(name)
        if found is None:
            raise FileNotFoundError(name)
        return int(found["generation"])

    def _require_ours(self) -> None:
        require_owner(self._name, self._project_number, self._owner)

    def _owner(self) -> object:
        try:
            return self._repeated(self._objects.owner)
        except Refusal as exc:
            if exc.code == 404:
                raise self._no_bucket() from exc
            raise

    def _repeated(self, call: Callable[[], T]) -> T:
        """Make a call, again while its failure may pass, for `patience` seconds."""
        until, pause = time.monotonic() + self._patience, FIRST_PAUSE
        while True:
            try:
                return call()
            except (Refusal, requests.RequestException, auth_errors.TransportError) as exc:
                busy = isinstance(exc, Refusal) and exc.code == 429
                bounds = BUSY_PAUSE if busy else (0, pause)
                wait = random.uniform(*bounds)  # noqa: S311 - no secret: it separates callers
                if not _passes(exc) or time.monotonic() + wait > until:
                    raise
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _call(self, what: str, call: Callable[[], T]) -> T:
        def ours() -> T:
            self._ours.get()
            return call()

        try:
            # no timeout of requests bounds a whole answer, or the resolution of a host
            return within(self._longest, ours)
        except FileNotFoundError:
            raise
        except Refusal as exc:
            if exc.code == 404 and self._objects.is_missing(exc):
                raise self._no_bucket() from exc
            if exc.code == 404:
                raise FileNotFoundError(what) from exc
            if exc.code == 412:
                raise Conflict(f"{what}: another process wrote it") from exc
            raise self._error(what, exc) from exc
        except Exception as exc:
            raise self._error(what, exc) from exc

    def _error(self, what: str, exc: Exception) -> LaunchError:
        call = f"gs://{self._name}: {what}"
        if isinstance(exc, Retry):  # it does not name the call
            return type(exc)(f"{call}: {exc}")
        return meaning(exc, call, ROLE)

    def _no_bucket(self) -> Denied:
        return Denied(f"gs://{self._name}: the bucket does not exist; LEDGER_BUCKET names it")


def _passes(exc: Exception) -> bool:
    """Tell whether a failure may pass."""
    if isinstance(exc, Refusal):
        return exc.code in PASSING
    return isinstance(exc, (*_LOST, auth_errors.TransportError))
