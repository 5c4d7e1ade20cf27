"""All launches of a deployment, from one listing of the ledger, and the launch that an ID names."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import click

from deploy.operate.fleet.ids import KEY, names
from deploy.operate.fleet.target import Target
from deploy.operate.plain import plain
from shared.core.entry import Entry
from shared.core.errors import UnreadableRecord
from shared.core.states import State

SHOWN = 20  # launches of an ambiguous ID
RECORDS = 300  # that are read to find the job of an earlier attempt
AT_ONCE = 16


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
        with ThreadPoolExecutor(1) as pool:
            later = pool.submit(target.ledger.list_closed) if closed else None
            opened = target.ledger.list_open()
            over = later.result() if later else None
        ended = over.entries if over else ()
        # a launch that is closing is in both folders
        keys = {entry.key for entry in ended}
        still = [entry for entry in opened.entries if entry.key not in keys]
        keys |= {entry.key for entry in still}
        problems = {**opened.unreadable, **(over.unreadable if over else {})}
        unreadable = {key: why for key, why in problems.items() if key not in keys}
        return cls(target.now(), still, ended, unreadable)

    @property
    def all(self) -> Iterator[Entry]:
        """Yield every launch, the open ones first."""
        yield from self.open
        yield from self.closed

    def find(self, text: str) -> list[Entry]:
        """Return the launches that an ID names; several if it is ambiguous.

        An ID is a launch key, run id, item id, W&B URL of a run, `source/idempotency_key`, job
        number, resource name or console link, or a prefix of one. A whole name wins over prefixes.
        """
        wanted = names(text)
        exact = [entry for entry in self.all if wanted.name(entry)]
        return exact or [entry for entry in self.all if wanted.begin(entry)]

    def unreadable_of(self, text: str) -> dict[str, str]:
        """Return the problems of the unreadable records that an ID names, by launch key."""
        wanted = names(text)
        exact = {key: why for key, why in self.unreadable.items() if key in wanted.whole}
        begun = wanted.start and {
            key: why for key, why in self.unreadable.items() if key.startswith(wanted.start)
        }
        return exact or begun or {}


def find_one(target: Target, text: str) -> Entry:
    """Return the launch that an ID names.

    Raises:
        click.UsageError: the ID names several launches; the message lists them.
        click.ClickException: it names none, or one whose record is unreadable.
        Retry, Denied: the ledger cannot be reached, or may not be read.
    """
    if KEY.fullmatch(text.strip()):  # two reads instead of a listing
        return _by_key(target, text.strip())
    return _only(target, Fleet.read(target, closed=True), text)


def find_each(target: Target, texts: Sequence[str]) -> list[Entry]:
    """Return the launches that IDs name, each launch once, from one listing; raises as find_one."""
    if len(texts) == 1:
        return [find_one(target, texts[0])]
    fleet = Fleet.read(target, closed=True)
    found = [_only(target, fleet, text) for text in texts]
    return list({entry.key: entry for entry in found}.values())


def _only(target: Target, fleet: Fleet, text: str) -> Entry:
    found = fleet.find(text) or _of_earlier_jobs(target, fleet, text)
    if len(found) == 1:
        return found[0]
    if found:
        raise click.UsageError(ambiguous(text, found, fleet.now))
    if unreadable := fleet.unreadable_of(text):
        lines = [f"{key}: {plain(why)}" for key, why in unreadable.items()]
        raise click.ClickException("its record cannot be read:\n" + "\n".join(lines[:SHOWN]))
    raise click.ClickException(
        f"no launch has the ID {plain(text)!r}. Searched: {len(fleet.open)} open launches, and "
        f"{len(fleet.closed)} that were closed in the last 30 days, in gs://{target.bucket_name}, "
        "by launch key, run id, item id, job and source/idempotency_key. An item that poll has not "
        "popped is in W&B only."
    )


def _of_earlier_jobs(target: Target, fleet: Fleet, text: str) -> list[Entry]:
    """Return the launches that had this job in an earlier attempt: only their records name it."""
    numbers = {name for name in names(text).whole if name.isdecimal()}
    again = [entry for entry in fleet.all if numbers and entry.attempt > 1]
    newest = sorted(again, key=lambda entry: entry.opened_at, reverse=True)[:RECORDS]

    def had(entry: Entry) -> bool:
        try:
            launch = target.launch(entry)
        except UnreadableRecord:
            return False
        jobs = [event.job for event in launch.events] if launch else []
        return any(job.rpartition("/")[2] in numbers for job in jobs)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [entry for entry, found in zip(newest, pool.map(had, newest), strict=True) if found]


def _by_key(target: Target, key: str) -> Entry:
    try:
        launch = target.ledger.read_closed(key) or target.ledger.read(key)
    except UnreadableRecord as exc:
        raise click.ClickException(plain(exc)) from exc
    if launch:
        return launch.entry
    raise click.ClickException(
        f"no launch has the key {key}. Searched: open/{key} and closed/{key} in "
        f"gs://{target.bucket_name}. A closed record is deleted after 30 days."
    )


def ambiguous(text: str, found: Sequence[Entry], now: datetime) -> str:
    """Return the message about an ID that names several launches: it lists them."""
    lines = [
        f"  {entry.key}  {state_of(entry, now):<10}  {entry.opened_at:%Y-%m-%d %H:%M}  "
        f"{plain(entry.name or entry.run.run_id)}"
        for entry in found[:SHOWN]
    ]
    more = [f"  and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    begin = f"{plain(text)!r} names {len(found)} launches; use the key of one:"
    return "\n".join([begin, *lines, *more])


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


def since_of(entry: Entry) -> datetime:
    """Return the time at which a launch came into its state, as far as its index shows."""
    if entry.state is State.ENDED:
        return entry.ended_at or entry.opened_at
    if entry.wish:
        return entry.wish.at
    return entry.started_at or entry.submitted_at or entry.opened_at
