"""A GCS bucket whose objects are written only by compare-and-swap on their generation."""

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from shared.core.errors import Conflict, Denied, LaunchError, Retry

T = TypeVar("T")

TIMEOUT = 10  # seconds a request
PATIENCE = 20  # seconds in all, for what fails in passing
CONNECTIONS = 32
WRITER = "writer"  # metadata: the token of whoever wrote this generation
# The client would fetch the bucket's own record in a thread of its own, for traces: a call more, and a permission more.
_NO_SIDE_CALL = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"


class Bucket:
    """The functions' own bucket. The client is made on first use, after gunicorn's fork, and shared by all threads."""

    def __init__(self, name: str, patience: float = PATIENCE) -> None:
        self._name = name
        self._repeat = DEFAULT_RETRY.with_deadline(patience)
        self._client: storage.Client | None = None
        self._lock = threading.Lock()

    def handle(self) -> storage.Bucket:
        """Return the bucket; makes no call."""
        with self._lock:
            if self._client is None:
                os.environ.setdefault(_NO_SIDE_CALL, "true")
                client = storage.Client()
                client._http.mount("https://", HTTPAdapter(pool_maxsize=CONNECTIONS))  # noqa: SLF001 - its pool has 10
                client._http.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))  # noqa: SLF001
                self._client = client
            return self._client.bucket(self._name)

    def read(self, name: str) -> tuple[storage.Blob, bytes] | None:
        """Return an object and its content, both of one generation; None where there is none."""

        def fetch() -> tuple[storage.Blob, bytes] | None:
            blob = self.handle().get_blob(name, timeout=TIMEOUT, retry=self._repeat)
            if blob is None:
                return None
            pinned = self.handle().blob(name, generation=blob.generation)
            return blob, pinned.download_as_bytes(timeout=TIMEOUT, retry=self._repeat)

        try:
            return self._call(f"read {name}", fetch)
        except FileNotFoundError:  # replaced or deleted in between
            return self._call(f"read {name}", fetch)

    def write(self, name: str, content: bytes, metadata: dict[str, str], generation: int) -> int:
        """Write an object where it still has this generation (0: where there is none); return the new one.

        The client repeats a write whose answer was lost, and then gets a 412 for its own success: so every write
        carries a token, and a 412 is believed only where the object does not carry ours.
        """
        token = uuid.uuid4().hex
        blob = self.handle().blob(name)
        blob.metadata = {**metadata, WRITER: token}

        def upload() -> int:
            blob.upload_from_string(
                content,
                content_type="application/json",
                if_generation_match=generation,
                timeout=TIMEOUT,
                retry=self._repeat,
            )
            return int(blob.generation)

        try:
            return self._call(f"write {name}", upload)
        except Conflict:
            there = self._call(
                f"read {name}", lambda: self.handle().get_blob(name, timeout=TIMEOUT, retry=self._repeat)
            )
            if there is not None and (there.metadata or {}).get(WRITER) == token:
                return int(there.generation)
            raise
        except FileNotFoundError as exc:  # of a write only the bucket can be missing
            raise Denied(f"gs://{self._name}: there is no such bucket; LEDGER_BUCKET names it") from exc

    def delete(self, name: str) -> None:
        """Delete an object; one that is gone is fine. Without a precondition: not every server heeds it."""
        try:
            self._call(f"delete {name}", lambda: self.handle().delete_blob(name, timeout=TIMEOUT, retry=self._repeat))
        except FileNotFoundError:
            return

    def exists(self, name: str) -> bool:
        """Tell whether there is such an object."""
        return self._call(
            f"read {name}", lambda: bool(self.handle().blob(name).exists(timeout=TIMEOUT, retry=self._repeat))
        )

    def list_metadata(self, prefix: str) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the names and metadata of all objects below a prefix: one call per 1,000."""
        try:
            fields = "items(name,metadata),nextPageToken"
            for blob in self.handle().list_blobs(prefix=prefix, fields=fields, timeout=TIMEOUT, retry=self._repeat):
                yield blob.name, blob.metadata or {}
        except Exception as exc:
            raise self._error(f"list {prefix}", exc) from exc

    def _call(self, what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except google_errors.NotFound as exc:
            if "bucket" in str(exc).lower():
                raise self._error(what, exc) from exc
            raise FileNotFoundError(what) from exc
        except google_errors.PreconditionFailed as exc:
            raise Conflict(f"{what}: somebody else wrote it") from exc
        except Exception as exc:
            raise self._error(what, exc) from exc

    def _error(self, what: str, exc: Exception) -> LaunchError:
        where = f"gs://{self._name}: {what}"
        match exc:
            case LaunchError():
                return exc
            case google_errors.NotFound():
                return Denied(f"{where}: there is no such bucket; LEDGER_BUCKET names it")
            case google_errors.Unauthorized() | google_errors.Forbidden():
                return Denied(f"{where}: needs the role Storage Object User on this bucket")
            case auth_errors.TransportError() | google_errors.GoogleAPIError() | requests.RequestException():
                return Retry(f"{where}: {type(exc).__name__}")
            case auth_errors.GoogleAuthError():
                return Denied(f"{where}: no Google credentials: {exc}")
        raise exc
