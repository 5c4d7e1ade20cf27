"""The ledger, and the record of our W&B agent: objects in one private bucket."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from shared.core.entry import Entry
from shared.core.launch import Launch
from shared.core.pause import Pause
from shared.core.record import Record

TOO_LONG = timedelta(days=2)
Clock = Callable[[], datetime]  # the time now, aware, in UTC


@dataclass(frozen=True, slots=True)
class OpenLaunches:
    """A listing of the ledger.

    `unreadable` holds, by launch key, why this version cannot read a record. An unreadable record
    counts as an open launch and holds its slot.
    """

    entries: Sequence[Entry] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)


class Ledger(Protocol):
    """The launches: `open/<key>` until a launch is finished, `closed/<key>` afterwards.

    Every method raises Retry if the bucket cannot be reached, and Denied without permission.
    """

    def now(self) -> datetime:
        """Return the time of the bucket's clock, aware, in UTC: one clock for all functions."""

    def read(self, key: str) -> Launch | None:
        """Return the open launch, or None. Raises Retry for an unreadable record."""

    def read_closed(self, key: str) -> Launch | None:
        """Return the closed launch, or None. Raises Retry for an unreadable record."""

    def write(self, launch: Launch) -> Launch:
        """Write the record if it is unchanged since it was read; return it as written.

        Generation 0 means that no record existed.

        Raises:
            Conflict: another process has written the record since.
        """

    def is_closed(self, key: str) -> bool:
        """Tell whether this launch was closed before."""

    def close(self, launch: Launch) -> None:
        """Write `closed/<key>`, then delete `open/<key>` if it is unchanged. Safe to repeat."""

    def withdraw(self, key: str, generation: int = 0) -> None:
        """Delete `open/<key>`: never ours to launch, or a late duplicate of a closed launch.

        Raises:
            Conflict: the record no longer has this generation; nothing was deleted.
        """

    def list_open(self) -> OpenLaunches:
        """List all open launches from their metadata: one call per 1,000, no record is read."""


@dataclass(frozen=True, slots=True)
class AgentNote(Record):
    """What poll remembers about its W&B agent from one call to the next.

    A note of an older version lacks fields; its agent is then registered again.
    """

    holder: str
    agent_id: str = ""
    base_url: str = ""  # of the W&B that knows this agent
    entity: str = ""
    queues: tuple[str, ...] = ()  # as the settings name them
    # the queues that W&B did not have when the agent was registered
    missing: tuple[str, ...] = ()
    failures: int = 0  # consecutive calls in which W&B did not confirm this agent
    stopped: bool = False  # by `agent stop`: poll pops no item
    paused: tuple[Pause, ...] = ()  # by `pause`
    polled_at: datetime | None = None  # the last call of poll
    why_not: str = ""  # why that call popped no item
    # max_jobs, max_schedulers and max_queued as that call knew them; -1: no limit
    limits: Mapping[str, int] = field(default_factory=dict)
    lease_until: datetime | None = None
    full: bool = False  # no slot was free at the end of that call
    warm_until: datetime | None = None  # work was seen: until then, poll or status is fast
    window_until: datetime | None = None  # Cloud Scheduler's next call comes soon afterwards
    woken_at: datetime | None = None  # the last round that a wake-up began
    woken: bool = False  # a wake-up came while the holder of the lease was working
    generation: int = field(default=0, compare=False)

    def leased(self, now: datetime, until: datetime, holder: str = "") -> bool:
        """Tell whether another holder has the lease. A new lease would end at `until`.

        A lease that ends two days later than that was not written by a poll: it has ended.
        """
        lease = self.lease_until
        return bool(lease and now < lease < until + TOO_LONG and self.holder != holder)


class AgentBook(Protocol):
    """The agent's note.

    Both methods raise Retry if the bucket cannot be reached, and Denied without permission.
    """

    def read(self) -> AgentNote | None:
        """Return the note, or None. Raises NewerRecord for a newer poll's."""

    def write(self, note: AgentNote) -> AgentNote:
        """Write the note if it is unchanged since it was read; return it as written.

        Raises:
            Conflict: another process has written it since.
        """
