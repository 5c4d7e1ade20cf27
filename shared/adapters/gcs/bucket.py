"""A GCS bucket whose objects are written only by compare-and-swap on their generation."""

import io
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from google.api_core import exceptions as google_errors
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from shared.adapters.gcs.clock import ServerClock
from shared.adapters.google import meaning, require_owner, storage_client
from shared.core.errors import Conflict, Denied, LaunchError, Retry
from shared.core.lazy import Lazy
from shared.core.within import within

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

T = TypeVar("T")

LONGEST_PAUSE = 2  # seconds between two tries; a busy object takes one write per second
TIMEOUT = 10  # seconds to connect, and seconds between two parts of an answer
PATIENCE = 20  # seconds after which no failed call is repeated
LONGEST = 45  # seconds that a method takes at most, on any network
LARGEST = 8_000_000  # bytes of an object that is read whole
READS = 5  # of an object that is replaced while it is read
CONNECTIONS = 32
WRITER = "writer"  # metadata: the token of the process that wrote this generation
ROLE = "the role Storage Object User on this bucket"


class TooLarge(Retry):
    """An object has more bytes than a function can hold."""


class _Replaced(Exception):
    """The object was replaced between two calls."""


class _Content(io.BytesIO):
    """The content of an object, at most LARGEST bytes."""

    def write(self, piece: "Buffer") -> int:
        """Keep a piece."""
        if self.tell() + len(memoryview(piece)) > LARGEST:
            raise TooLarge(f"it has more than {LARGEST:,} bytes")
        return super().write(piece)


class Bucket:
    """The functions' own bucket, with one client for all threads.

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
        self._repeat = DEFAULT_RETRY.with_deadline(patience).with_delay(maximum=LONGEST_PAUSE)
        self._longest = longest
        self._clock = ServerClock()
        self._client = Lazy(self._connect)

    def _connect(self) -> storage.Client:
        client = storage_client()
        session = client._http  # noqa: SLF001 - its pool has 10, and no public attribute has it
        session.mount("https://", HTTPAdapter(pool_maxsize=CONNECTIONS))
        session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))
        session.hooks["response"].append(self._clock.observe)
        require_owner(client, self._name, self._project_number, self._repeat)
        return client

    def handle(self) -> storage.Bucket:
        """Return the bucket; makes no call."""
        return self._client.get().bucket(self._name)

    def now(self) -> datetime:
        """Return the time of the bucket's server; makes a call if no answer has shown it yet."""
        if not self._clock.answered:
            self.exists("clock")
        return self._clock.now()

    def read(self, name: str) -> tuple[storage.Blob, bytes] | None:
        """Return an object and its content, both of one generation, with one call; None if absent.

        Only the blob's generation is filled in.
        """

        def fetch() -> tuple[storage.Blob, bytes]:
            for _ in range(READS):
                try:
                    found: tuple[storage.Blob, bytes] = self._repeat(self._fetch)(name)
                    return found
                except _Replaced:
                    continue
            raise Retry(
                f"gs://{self._name}: read {name}: it was replaced {READS} times during the read"
            )

        try:
            return self._call(f"read {name}", fetch)
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, metadata: dict[str, str], generation: int) -> int:
        """Write an object if it still has this generation (0: if absent); return the new one.

        The client repeats a write whose answer was lost; its own success then looks like a 412.
        Each write carries a token: a 412 counts only if the object does not carry it.
        """
        token = uuid.uuid4().hex

        def upload() -> int:
            blob = self.handle().blob(name)
            blob.metadata = {**metadata, WRITER: token}
            try:
                blob.upload_from_string(
                    content,
                    content_type="application/json",
                    if_generation_match=generation,
                    timeout=TIMEOUT,
                    retry=self._repeat,
                )
            except google_errors.PreconditionFailed:
                there = self.handle().get_blob(name, timeout=TIMEOUT, retry=self._repeat)
                if there is None or (there.metadata or {}).get(WRITER) != token:
                    raise
                return int(there.generation)
            return int(blob.generation)

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

        def delete() -> None:
            precondition = {"if_generation_match": generation} if generation else {}
            self.handle().delete_blob(name, **precondition, timeout=TIMEOUT, retry=self._repeat)

        try:
            self._call(f"delete {name}", delete)
        except FileNotFoundError:
            return

    def exists(self, name: str) -> bool:
        """Tell whether the bucket has this object."""

        def look() -> bool:
            return bool(self.handle().blob(name).exists(timeout=TIMEOUT, retry=self._repeat))

        return self._call(f"read {name}", look)

    def list_metadata(self, prefix: str) -> list[tuple[str, dict[str, str]]]:
        """Return the names and metadata of all objects below a prefix: one call per 1,000."""

        def pages() -> list[tuple[str, dict[str, str]]]:
            fields = "items(name,metadata),nextPageToken"
            blobs = self.handle().list_blobs(
                prefix=prefix, fields=fields, timeout=TIMEOUT, retry=self._repeat
            )
            return [(blob.name, blob.metadata or {}) for blob in blobs]

        try:
            return self._call(f"list {prefix}", pages)
        except FileNotFoundError as exc:  # a listing finds no object missing, only the bucket
            raise self._no_bucket() from exc

    def _fetch(self, name: str) -> tuple[storage.Blob, bytes]:
        blob = self.handle().blob(name)
        content = self._content(blob)
        return (blob, content) if blob.generation else self._pinned(name)

    def _content(self, blob: storage.Blob) -> bytes:
        """Download an object; a range would not be compared with its checksum."""
        content = _Content()
        blob.download_to_file(content, timeout=TIMEOUT, retry=None)
        return content.getvalue()

    def _pinned(self, name: str) -> tuple[storage.Blob, bytes]:
        """Download an object from a server whose downloads do not carry their generation."""
        before = self._generation(name)
        if before is None:
            raise google_errors.NotFound(name)
        blob = self.handle().blob(name)
        content = self._content(blob)
        if self._generation(name) != before:
            raise _Replaced
        return self.handle().blob(name, generation=before), content

    def _generation(self, name: str) -> int | None:
        blob = self.handle().get_blob(name, timeout=TIMEOUT, retry=None)
        return blob and int(blob.generation)

    def _call(self, what: str, call: Callable[[], T]) -> T:
        try:
            # no timeout of requests bounds a whole answer, or the resolution of a host
            return within(self._longest, call)
        except google_errors.NotFound as exc:
            if "bucket" in str(exc).replace(self._name, "").lower():  # the URL contains its name
                raise self._no_bucket() from exc
            raise FileNotFoundError(what) from exc
        except google_errors.PreconditionFailed as exc:
            raise Conflict(f"{what}: another process wrote it") from exc
        except Exception as exc:
            raise self._error(what, exc) from exc

    def _error(self, what: str, exc: Exception) -> LaunchError:
        return meaning(exc, f"gs://{self._name}: {what}", ROLE)

    def _no_bucket(self) -> Denied:
        return Denied(f"gs://{self._name}: the bucket does not exist; LEDGER_BUCKET names it")
