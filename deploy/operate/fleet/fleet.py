"""All launches of a deployment, from one listing of the ledger, and the names that find one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from deploy.operate.fleet.target import Target
from shared.core.entry import Entry
from shared.core.message import launch_key
from shared.core.states import State


@dataclass(frozen=True, slots=True)
class Fleet:
    """The launches at one time. `unreadable`: why a record cannot be read, by launch key."""

    now: datetime
    open: Sequence[Entry]
    closed: Sequence[Entry] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, target: Target, *, closed: bool = False) -> "Fleet":
        """List the open launches, and those of the last 30 days if `closed`; reads no record.

        Raises:
            Retry, Denied: the ledger cannot be reached, or may not be read.
        """
        now = target.now()
        opened = target.ledger.list_open()
        over = target.ledger.list_closed() if closed else None
        unreadable = {**opened.unreadable, **(over.unreadable if over else {})}
        # a launch that is closing is in both folders
        keys = {entry.key for entry in over.entries} if over else set()
        still = [entry for entry in opened.entries if entry.key not in keys]
        return cls(now, still, over.entries if over else (), unreadable)

    @property
    def all(self) -> Iterator[Entry]:
        """Yield every launch, the open ones first."""
        yield from self.open
        yield from self.closed

    def find(self, text: str) -> list[Entry]:
        """Return the launches that an ID names; several if it is ambiguous.

        An ID is a launch key, run id, item id, W&B URL of a run, `source/idempotency_key`, job
        number or resource name, or a prefix of one. A whole name wins over prefixes.
        """
        wanted = _names(text)
        exact = [entry for entry in self.all if wanted & _ids(entry)]
        if exact:
            return exact
        return [
            entry
            for entry in self.all
            if any(name.startswith(part) for part in wanted if part for name in _ids(entry))
        ]


def state_of(entry: Entry, now: datetime) -> str:
    """Return the state of a launch in one word for people."""
    if entry.state is State.ENDED:
        return str(entry.outcome or entry.state).lower()
    if entry.wish:
        return "cancelling"
    if entry.state is State.SUBMITTED:
        if entry.cancel_reason or entry.stop_seen_at:
            return "stopping"
        return "running" if entry.started_at else "pending"
    if entry.build:
        return "building"
    if entry.state is State.QUEUED and (entry.short_of or (entry.retry_at or now) > now):
        return "waiting"
    return "queued" if entry.state is State.QUEUED else "submitting"


def _names(text: str) -> set[str]:
    """Return the names that a text may stand for."""
    text = text.strip()
    path = text.partition("?")[0].partition("#")[0].rstrip("/")
    last = path.rpartition("/")[2]
    names = {text}
    if "://" in text or "/customJobs/" in text:  # a page of W&B or Google, a resource name
        return {last}
    source, slash, key = text.partition("/")
    if slash:
        names.add(launch_key(f"request:{source}", key))
    return names


def _ids(entry: Entry) -> set[str]:
    number = entry.job_name.rpartition("/")[2]
    ids = {entry.key, entry.run.run_id, entry.item_id, number, entry.job_name}
    return {name for name in ids if name}
