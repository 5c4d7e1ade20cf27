"""The ledger in a GCS bucket: one JSON object per launch.

`open/<key>` is a launch that is not finished, `closed/<key>` one that is; a lifecycle rule deletes the latter after 30
days. An object's custom metadata carries the whole entry, so that a listing (1,000 launches a call) reads no object.
"""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from shared.adapters.gcs.bucket import PATIENCE, Bucket
from shared.core.errors import Conflict
from shared.core.launch import Entry, Launch
from shared.core.ports import OpenLaunches

log = logging.getLogger(__name__)

_ENTRY = TypeAdapter(Entry)
_LAUNCH = TypeAdapter(Launch)


class GcsLedger:
    """Implements Ledger."""

    def __init__(self, bucket: str, patience: float = PATIENCE) -> None:
        self._bucket = Bucket(bucket, patience)

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    def read(self, key: str) -> Launch | None:
        """Return the open launch, or None."""
        return self._read(f"open/{key}")

    def read_closed(self, key: str) -> Launch | None:
        """Return the closed launch, or None."""
        return self._read(f"closed/{key}")

    def _read(self, name: str) -> Launch | None:
        found = self._bucket.read(name)
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

    def list_open(self) -> OpenLaunches:
        """List all open launches; a record that cannot be read is named."""
        entries, unreadable = [], {}
        for name, metadata in self._bucket.list_metadata("open/"):
            try:
                entries.append(_ENTRY.validate_python(_entry_fields(metadata)))
            except ValueError as exc:  # of JSON, or of what is in it
                unreadable[name.removeprefix("open/")] = str(exc)[:300]
                log.error("ledger.unreadable_entry", extra={"fields": {"object": name, "problem": str(exc)[:300]}})
        return OpenLaunches(entries, unreadable)


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
