"""A GCS bucket whose objects are written only by compare-and-swap on their generation."""

import os
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import TypeVar

from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from shared.adapters.gcs.clock import ServerClock
from shared.core.errors import Conflict, Denied, LaunchError, Retry

T = TypeVar("T")

LONGEST_PAUSE = 2  # seconds between two tries; a busy object takes one write per second
TIMEOUT = 10  # seconds to connect, and seconds between two parts of an answer
PATIENCE = 20  # seconds after which what fails in passing is not begun again
LONGEST = 45  # seconds that a method here takes at the most, on any network
READS = 5  # of an object that is replaced while it is read
CONNECTIONS = 32
WRITER = "writer"  # metadata: the token of whoever wrote this generation
# The client would fetch the bucket's own record in a thread of its own, for traces: a call more, and a permission more.
_NO_SIDE_CALL = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"


class _Replaced(Exception):
    """The object was replaced between two calls."""


class Bucket:
    """The functions' own bucket. The client is made on first use, after gunicorn's fork, and shared by all threads.

    Each method ends within `longest` seconds: one that takes longer is left to itself, and raises Retry here. If it
    writes in the end, that is a compare-and-swap as any other.
    """

    def __init__(self, name: str, patience: float = PATIENCE, longest: float = LONGEST) -> None:
        self._name = name
        self._repeat = DEFAULT_RETRY.with_deadline(patience).with_delay(maximum=LONGEST_PAUSE)
        self._longest = longest
        self._client: storage.Client | None = None
        self._lock = threading.Lock()
        self._clock = ServerClock()

    def handle(self) -> storage.Bucket:
        """Return the bucket; makes no call."""
        with self._lock:
            if self._client is None:
                os.environ.setdefault(_NO_SIDE_CALL, "true")
                client = storage.Client()
                session = client._http  # noqa: SLF001 - its pool has 10, and it gives no response away
                session.mount("https://", HTTPAdapter(pool_maxsize=CONNECTIONS))
                session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))
                session.hooks["response"].append(self._clock.observe)
                self._client = client
            return self._client.bucket(self._name)

    def now(self) -> datetime:
        """Return the time by the bucket's own clock; asks once for an object if no answer has come from it yet."""
        if not self._clock.answered:
            self.exists("clock")
        return self._clock.now()

    def read(self, name: str) -> tuple[storage.Blob, bytes] | None:
        """Return an object and its content, both of one generation; None if there is none. Makes one call.

        Of the blob only the generation is filled in.
        """

        def fetch() -> tuple[storage.Blob, bytes]:
            for _ in range(READS):
                try:
                    found: tuple[storage.Blob, bytes] = self._repeat(self._fetch)(name)
                    return found
                except _Replaced:
                    continue
            raise Retry(f"gs://{self._name}: read {name}: it was replaced {READS} times meanwhile")

        try:
            return self._call(f"read {name}", fetch)
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, metadata: dict[str, str], generation: int) -> int:
        """Write an object if it still has this generation (0: if there is none); return the new one.

        The client repeats a write whose answer was lost, and then gets a 412 for its own success. So every write
        carries a token, and a 412 is believed only if the object does not carry ours.
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
                raise Conflict(f"write {name}: somebody has deleted it") from exc
            raise self._no_bucket() from exc

    def delete(self, name: str, generation: int = 0) -> None:
        """Delete an object; one that is gone is fine.

        With a generation, only that one: Conflict if there is another. Not every server heeds that.
        """

        def delete() -> None:
            precondition = {"if_generation_match": generation} if generation else {}
            self.handle().delete_blob(name, **precondition, timeout=TIMEOUT, retry=self._repeat)

        try:
            self._call(f"delete {name}", delete)
        except FileNotFoundError:
            return

    def exists(self, name: str) -> bool:
        """Tell whether there is such an object."""
        return self._call(
            f"read {name}",
            lambda: bool(self.handle().blob(name).exists(timeout=TIMEOUT, retry=self._repeat)),
        )

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
        except FileNotFoundError as exc:  # of a listing only the bucket can be missing
            raise self._no_bucket() from exc

    def _fetch(self, name: str) -> tuple[storage.Blob, bytes]:
        """Download an object once. The client's own repetition would put an answer together from several."""
        blob = self.handle().blob(name)
        content: bytes = blob.download_as_bytes(timeout=TIMEOUT, retry=None)
        return (blob, content) if blob.generation else self._pinned(name)

    def _pinned(self, name: str) -> tuple[storage.Blob, bytes]:
        """Download an object from a server whose downloads do not tell their generation."""
        before = self._generation(name)
        if before is None:
            raise google_errors.NotFound(name)
        blob = self.handle().blob(name)
        content = blob.download_as_bytes(timeout=TIMEOUT, retry=None)
        if self._generation(name) != before:
            raise _Replaced
        return self.handle().blob(name, generation=before), content

    def _generation(self, name: str) -> int | None:
        blob = self.handle().get_blob(name, timeout=TIMEOUT, retry=None)
        return blob and int(blob.generation)

    def _call(self, what: str, call: Callable[[], T]) -> T:
        try:
            return self._bounded(what, call)
        except google_errors.NotFound as exc:
            if "bucket" in str(exc).replace(self._name, "").lower():  # its name stands in the URL
                raise self._error(what, exc) from exc
            raise FileNotFoundError(what) from exc
        except google_errors.PreconditionFailed as exc:
            raise Conflict(f"{what}: somebody else wrote it") from exc
        except Exception as exc:
            raise self._error(what, exc) from exc

    def _bounded(self, what: str, call: Callable[[], T]) -> T:
        """Call in a thread of its own: no timeout of requests bounds a whole answer, or the search for an address."""
        answer: Future[T] = Future()

        def work() -> None:
            try:
                answer.set_result(call())
            except BaseException as exc:  # noqa: BLE001 - the caller raises it
                answer.set_exception(exc)

        threading.Thread(target=work, name="gcs", daemon=True).start()
        try:
            return answer.result(self._longest)
        except TimeoutError:
            if answer.done():
                raise
            raise Retry(
                f"gs://{self._name}: {what}: no answer within {self._longest:g} seconds"
            ) from None

    def _error(self, what: str, exc: Exception) -> LaunchError:
        where = f"gs://{self._name}: {what}"
        match exc:
            case LaunchError():
                return exc
            case google_errors.NotFound():
                return self._no_bucket()
            case google_errors.Unauthorized() | google_errors.Forbidden():
                return Denied(f"{where}: needs the role Storage Object User on this bucket")
            case auth_errors.GoogleAuthError() if not isinstance(exc, auth_errors.TransportError):
                return Denied(f"{where}: no Google credentials: {exc}")
        return Retry(
            f"{where}: {type(exc).__name__}"
        )  # the network, or an answer that nobody foresaw

    def _no_bucket(self) -> Denied:
        return Denied(f"gs://{self._name}: there is no such bucket; LEDGER_BUCKET names it")
