"""The ledger in a GCS bucket: one JSON object per launch, written only by compare-and-swap on its generation.

`open/<key>` is a launch that is not finished, `closed/<key>` one that is; a lifecycle rule deletes the latter after 30
days. An object's custom metadata carries the whole entry, so that a listing (1,000 launches a call) reads no object.
"""

import json
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from pydantic import TypeAdapter
from requests.adapters import HTTPAdapter

from shared.core.errors import Conflict, Denied, LaunchError, Retry
from shared.core.launch import Entry, Launch
from shared.core.ports import AgentNote

log = logging.getLogger(__name__)
T = TypeVar("T")

TIMEOUT = 10  # seconds a request
PATIENCE = 20  # seconds in all, for what fails in passing
CONNECTIONS = 32
WRITER = "writer"  # metadata: the token of whoever wrote this generation

# The client would fetch the bucket's own record in a thread of its own, for traces: a call more, and a permission more.
_NO_SIDE_CALL = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"

_ENTRY = TypeAdapter(Entry)
_LAUNCH = TypeAdapter(Launch)
_NOTE = TypeAdapter(AgentNote)


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


class GcsLedger:
    """Implements Ledger."""

    def __init__(self, bucket: str, patience: float = PATIENCE) -> None:
        self._bucket = Bucket(bucket, patience)

    def read(self, key: str) -> Launch | None:
        """Return the open launch, or None."""
        found = self._bucket.read(f"open/{key}")
        if found is None:
            return None
        blob, content = found
        return replace(_LAUNCH.validate_json(content), generation=int(blob.generation))

    def write(self, launch: Launch) -> Launch:
        """Write by compare-and-swap; raises Conflict."""
        generation = self._bucket.write(
            f"open/{launch.key}", _content(launch), _metadata(launch.entry), launch.generation
        )
        return replace(launch, generation=generation)

    def is_closed(self, key: str) -> bool:
        """Tell whether this launch was closed before."""
        return self._bucket.exists(f"closed/{key}")

    def close(self, launch: Launch) -> None:
        """Write `closed/<key>`, then delete `open/<key>`."""
        try:
            self._bucket.write(f"closed/{launch.key}", _content(launch), _metadata(launch.entry), 0)
        except Conflict:
            log.info("ledger.closed_before", extra={"fields": {"launch_key": launch.key}})
        self._bucket.delete(f"open/{launch.key}")

    def withdraw(self, key: str) -> None:
        """Delete `open/<key>`."""
        self._bucket.delete(f"open/{key}")

    def list_open(self) -> Iterator[Entry]:
        """Yield the entries of all open launches; one that cannot be read is logged and left out."""
        for name, metadata in self._bucket.list_metadata("open/"):
            try:
                yield _ENTRY.validate_python(_entry_fields(metadata))
            except ValueError as exc:  # of JSON, or of what is in it
                log.error("ledger.unreadable_entry", extra={"fields": {"object": name, "problem": str(exc)[:300]}})


class GcsAgentBook:
    """Implements AgentBook: `agents/<name>.json`."""

    def __init__(self, bucket: str, name: str) -> None:
        self._bucket = Bucket(bucket)
        self._object = f"agents/{name}.json"

    def take(self, holder: str, now: datetime, until: datetime) -> AgentNote | None:
        """Take the lease by compare-and-swap; None where somebody else holds it or was quicker."""
        found = self._bucket.read(self._object)
        note = AgentNote(holder)
        if found:
            blob, content = found
            note = replace(_NOTE.validate_json(content), generation=int(blob.generation))
            if note.lease_until and note.lease_until > now and note.holder != holder:
                return None
        try:
            return self._write(replace(note, holder=holder, lease_until=until))
        except Conflict:
            return None

    def give_back(self, note: AgentNote) -> None:
        """End the lease and keep what the note says; where the lease ended under us there is nothing to keep."""
        try:
            self._write(replace(note, lease_until=None))
        except Conflict:
            log.warning("agent.lease_lost", extra={"fields": {"holder": note.holder}})

    def _write(self, note: AgentNote) -> AgentNote:
        generation = self._bucket.write(
            self._object, _NOTE.dump_json(note, exclude={"generation"}), {}, note.generation
        )
        return replace(note, generation=generation)


def _content(launch: Launch) -> bytes:
    return _LAUNCH.dump_json(launch, exclude={"generation"}, indent=2)


def _metadata(entry: Entry) -> dict[str, str]:
    """Write an entry as metadata: text only, what is empty left out, the nested run as JSON."""
    fields: dict[str, Any] = _ENTRY.dump_python(entry, mode="json", exclude_defaults=True)
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}


def _entry_fields(metadata: dict[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = dict(metadata)
    if "run" in fields:
        fields["run"] = json.loads(fields["run"])
    return fields
