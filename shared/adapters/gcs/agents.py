"""The note of poll's W&B agent in a GCS bucket, with the lease that admits one poll at a time."""

import logging
from dataclasses import replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from shared.adapters.gcs.bucket import Bucket
from shared.core.asjson import as_mapping
from shared.core.errors import Conflict
from shared.core.lazy import Lazy
from shared.core.ports import AgentNote
from shared.core.record import require_readable

log = logging.getLogger(__name__)

_NOTE = Lazy(lambda: TypeAdapter(AgentNote))
_TIMES = ("lease_until", "polled_at", "warm_until", "window_until", "woken_at")


class GcsAgentBook:
    """Implements AgentBook: `agents/<name>.json`."""

    def __init__(self, bucket: str | Bucket, name: str) -> None:
        self._bucket = bucket if isinstance(bucket, Bucket) else Bucket(bucket)
        self._object = f"agents/{name}.json"

    def read(self) -> AgentNote | None:
        """Return the note, or None; the next write replaces an unreadable note.

        Raises:
            NewerRecord: a newer poll wrote it, and works with it.
        """
        found = self._bucket.read(self._object)
        if found is None:
            return None
        generation, content = found
        return replace(self._parsed(content), generation=generation)

    def take(self, holder: str, now: datetime, until: datetime) -> AgentNote | None:
        """Take the lease by compare-and-swap; None if another holder has it."""
        note = self.read() or AgentNote(holder)
        if note.leased(now, until, holder):
            return None
        try:
            return self.write(replace(note, holder=holder, lease_until=until))
        except Conflict:
            return None

    def give_back(self, note: AgentNote) -> None:
        """End the lease and keep the note's content, unless another holder has taken the lease."""
        try:
            self.write(replace(note, lease_until=None))
        except Conflict:
            log.warning("agent.lease_lost", extra={"fields": {"holder": note.holder}})

    def write(self, note: AgentNote) -> AgentNote:
        """Write the note; raises Conflict if another process has written since it was read."""
        generation = self._bucket.write(
            self._object, _NOTE.get().dump_json(note, exclude={"generation"}), {}, note.generation
        )
        return replace(note, generation=generation)

    def _parsed(self, content: bytes) -> AgentNote:
        try:
            raw = as_mapping(from_json(content))
            require_readable(raw, self._object)
            note = _NOTE.get().validate_python(raw)
            for name in _TIMES:
                if (moment := getattr(note, name)) and moment.tzinfo is None:
                    raise ValueError(f"{name} has no time zone")
        except ValueError as exc:
            problems = (
                exc.errors(include_input=False)[:3]
                if isinstance(exc, ValidationError)
                else str(exc)
            )
            log.error(
                "agent.unreadable_note",
                extra={"fields": {"object": self._object, "problem": str(problems)}},
            )
            return AgentNote("")
        return note
