"""The ledger in a GCS bucket: one JSON object per launch.

`open/<key>` is an unfinished launch, `closed/<key>` a finished one, which a lifecycle rule deletes
after 30 days. An object's custom metadata contains the whole entry, so that a listing (1,000
launches a call) reads no object.
"""

import json
import logging
from dataclasses import replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from shared.adapters.gcs.bucket import PATIENCE, Bucket
from shared.adapters.gcs.index import check, entry_of, held_by_record, metadata_of, problem_of
from shared.adapters.rest import TooLarge
from shared.core.asjson import as_mapping
from shared.core.errors import Conflict, UnreadableRecord
from shared.core.launch import Entry, Launch
from shared.core.lazy import Lazy
from shared.core.ports import OpenLaunches
from shared.core.record import NEEDS, require_readable
from shared.core.redaction import hide, secrets_in

log = logging.getLogger(__name__)

_LAUNCH = Lazy(lambda: TypeAdapter(Launch))
INDENTED = 100_000  # bytes; spaces can multiply nested JSON by twenty
ANOTHER = "key: it is the record of another launch"


class GcsLedger:
    """Implements Ledger. A method takes at most `bucket.LONGEST` seconds, `close` three times."""

    def __init__(self, bucket: str | Bucket, patience: float = PATIENCE) -> None:
        self._bucket = bucket if isinstance(bucket, Bucket) else Bucket(bucket, patience)

    def now(self) -> datetime:
        """Return the time of the bucket's server: the same for all functions."""
        return self._bucket.now()

    def read(self, key: str) -> Launch | None:
        """Return the open launch, or None. Raises UnreadableRecord, NewerRecord."""
        return self._read("open", key)

    def read_closed(self, key: str) -> Launch | None:
        """Return the closed launch, or None. Raises UnreadableRecord."""
        return self._read("closed", key)

    def _read(self, folder: str, key: str) -> Launch | None:
        try:
            found = self._bucket.read(f"{folder}/{key}")
        except TooLarge as exc:
            raise _unreadable(folder, key, str(exc)) from exc
        if found is None:
            return None
        generation, content = found
        try:
            raw = from_json(content)
            require_readable(as_mapping(raw), f"{folder}/{key}")
            launch = _LAUNCH.get().validate_python(raw)
            check(launch.entry)
            if launch.key != key:
                raise ValueError(ANOTHER)
        except ValueError as exc:
            problem = problem_of(exc) if isinstance(exc, ValidationError) else str(exc)
            raise _unreadable(folder, key, problem) from None
        hide(secrets_in(launch.run_spec))
        return replace(launch, generation=generation)

    def write(self, launch: Launch) -> Launch:
        """Write by compare-and-swap; return the launch as written. Raises Conflict."""
        written, content = content_of(launch, launch.needs)
        metadata = metadata_of(written.entry, launch.needs)
        generation = self._bucket.write(f"open/{launch.key}", content, metadata, launch.generation)
        return replace(written, generation=generation)

    def is_closed(self, key: str) -> bool:
        """Tell whether this launch was closed before."""
        return self._bucket.exists(f"closed/{key}")

    def close(self, launch: Launch) -> None:
        """Write `closed/<key>`, then delete this generation of `open/<key>`.

        The open record is deleted only if the closed one exists. Any version may read that one.
        """
        written, content = content_of(launch)
        try:
            self._bucket.write(f"closed/{launch.key}", content, metadata_of(written.entry), 0)
        except Conflict:
            if not self.is_closed(launch.key):
                raise
            log.info("ledger.closed_before", extra={"fields": {"launch_key": launch.key}})
        try:
            self.withdraw(launch.key, launch.generation)
        except Conflict:  # the next tick reads the new record, and closes that
            log.info("ledger.changed_while_closing", extra={"fields": {"launch_key": launch.key}})

    def withdraw(self, key: str, generation: int = 0) -> None:
        """Delete `open/<key>`; with a generation only that one, else raise Conflict."""
        self._bucket.delete(f"open/{key}", generation)

    def list_open(self) -> OpenLaunches:
        """List all open launches, and the keys of unreadable records."""
        return self._list("open")

    def list_closed(self) -> OpenLaunches:
        """List the launches that are over, for 30 days, and the keys of unreadable records."""
        return self._list("closed")

    def _list(self, folder: str) -> OpenLaunches:
        unreadable: dict[str, str] = {}

        def read(name: str, metadata: dict[str, str]) -> Entry | None:
            key = name.removeprefix(f"{folder}/")
            try:
                return self._entry(folder, key, metadata)
            except (ValueError, UnreadableRecord) as exc:
                unreadable[key] = str(exc)
                fields = {"object": name, "problem": str(exc)}
                log.error("ledger.unreadable_entry", extra={"fields": fields})
                return None

        found = self._bucket.list_metadata(f"{folder}/", read)
        return OpenLaunches([entry for entry in found if entry], unreadable)

    def _entry(self, folder: str, key: str, metadata: dict[str, str]) -> Entry | None:
        """Return the entry of a listed object; None if the object is gone meanwhile."""
        require_readable(metadata, f"{folder}/{key}")
        if held_by_record(metadata):
            launch = self._read(folder, key)
            return launch.entry if launch else None
        entry = entry_of(metadata)
        if entry.key != key:
            raise ValueError(ANOTHER)
        return entry


def content_of(launch: Launch, needs: int = 0) -> tuple[Launch, bytes]:
    """Return a launch as JSON can hold it, without lone surrogates; and that JSON."""
    try:
        return launch, _json(launch, needs)
    except PydanticSerializationError:
        text = json.dumps(_LAUNCH.get().dump_python(launch), default=str, ensure_ascii=False)
        clean = _LAUNCH.get().validate_json(text.encode("utf-8", "replace"))
        return clean, _json(clean, needs)


def _json(launch: Launch, needs: int) -> bytes:
    """Return a launch as JSON; a large one without the spaces that help a person read it."""
    values = _LAUNCH.get().dump_python(launch, mode="json", exclude={"generation"})
    if needs:
        values = {NEEDS: needs, **values}
    content = to_json(values)
    return content if len(content) > INDENTED else to_json(values, indent=2)


def _unreadable(folder: str, key: str, problem: str) -> UnreadableRecord:
    return UnreadableRecord(f"{folder}/{key}: this version cannot read the record: {problem}")
