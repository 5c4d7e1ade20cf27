"""The ledger in memory, with the bucket's rules and GCS's limit on an object's metadata."""

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import TypeAdapter

from shared.adapters.gcs.index import MOST, metadata_of, weight
from shared.adapters.gcs.ledger import content_of
from shared.core.errors import Conflict, NewerRecord, Retry, UnreadableRecord
from shared.core.launch import Launch
from shared.core.ports import AgentNote, Clock, LearnedPace, OpenLaunches

_LAUNCH = TypeAdapter(Launch)


def readable(launch: Launch) -> None:
    """Require that a record in GCS would be read as it was written: a value of a wrong type is not."""
    written, content = content_of(launch)
    assert replace(_LAUNCH.validate_json(content), generation=launch.generation) == written


class InMemoryLedger:
    """Implements Ledger; tests may read `open` and `closed`."""

    def __init__(self, clock: Clock = lambda: datetime.now(UTC)) -> None:
        self.clock = clock
        self.unreadable: dict[str, str] = {}  # reason by key
        self.open: dict[str, Launch] = {}
        self.closed: dict[str, Launch] = {}
        self.listings = 0
        self.reads = 0
        self._generation = 0
        self._lock = threading.Lock()

    def read(self, key: str) -> Launch | None:
        """Return the open launch, or None."""
        self.reads += 1
        if key in self.unreadable:
            kind = NewerRecord if "needs" in self.unreadable[key] else UnreadableRecord
            raise kind(f"open/{key}: this version cannot read the record: {self.unreadable[key]}")
        return self.open.get(key)

    def write(self, launch: Launch) -> Launch:
        """Write by compare-and-swap; raises Conflict."""
        if weight(metadata_of(launch.entry)) > MOST:
            raise Retry(f"write open/{launch.key}: BadRequest")
        readable(launch)
        with self._lock:
            there = self.open.get(launch.key)
            if launch.generation != (there.generation if there else 0):
                raise Conflict(launch.key)
            self._generation += 1
            self.open[launch.key] = replace(launch, generation=self._generation)
            return self.open[launch.key]

    def is_closed(self, key: str) -> bool:
        """Return whether this launch is closed."""
        return key in self.closed

    def close(self, launch: Launch) -> None:
        """Write `closed/<key>`, then delete `open/<key>` unless another writer has changed it."""
        readable(launch)
        self.closed.setdefault(launch.key, launch)
        with suppress(Conflict):
            self.withdraw(launch.key, launch.generation)

    def withdraw(self, key: str, generation: int = 0) -> None:
        """Delete `open/<key>`; raise Conflict if its generation is not the given one."""
        with self._lock:
            there = self.open.get(key)
            if there and generation and there.generation != generation:
                raise Conflict(key)
            self.open.pop(key, None)

    def list_open(self) -> OpenLaunches:
        """List all open launches."""
        self.listings += 1
        return OpenLaunches([launch.entry for launch in list(self.open.values())], dict(self.unreadable))

    def list_closed(self) -> OpenLaunches:
        """List all closed launches."""
        return OpenLaunches([launch.entry for launch in list(self.closed.values())])

    def now(self) -> datetime:
        """Return the time."""
        return self.clock()

    def read_closed(self, key: str) -> Launch | None:
        """Return the closed launch, or None."""
        return self.closed.get(key)


class InMemoryAgentBook:
    """Implements AgentBook."""

    def __init__(self) -> None:
        self.note = AgentNote("")
        self.reads = self.writes = 0
        self._lock = threading.Lock()

    def read(self) -> AgentNote | None:
        """Return the note."""
        self.reads += 1
        return self.note

    def write(self, note: AgentNote) -> AgentNote:
        """Write by compare-and-swap; raises Conflict."""
        with self._lock:
            self.writes += 1
            if note.generation != self.note.generation:
                raise Conflict("agents/vertex-launch.json")
            self.note = replace(note, generation=note.generation + 1)
            return self.note

    def take(self, holder: str, now: datetime, until: datetime) -> AgentNote | None:
        """Take the lease as an operator's command does."""
        if self.note.leased(now, until, holder):
            return None
        return self.write(replace(self.note, holder=holder, lease_until=until))

    def give_back(self, note: AgentNote) -> None:
        """End the lease and keep the note."""
        with suppress(Conflict):
            self.write(replace(note, lease_until=None))


class InMemoryPaceBook:
    """Implements PaceBook; tests may read `paces`."""

    def __init__(self) -> None:
        self.paces: dict[str, LearnedPace] = {}
        self.unreachable: Exception | None = None

    def pace_of(self, parent: str) -> LearnedPace | None:
        """Return what was learned last."""
        if self.unreachable:
            raise self.unreachable
        return self.paces.get(parent)

    def learn(self, parent: str, pace: LearnedPace) -> None:
        """Record a pace."""
        if self.unreachable:
            raise self.unreachable
        self.paces[parent] = pace
