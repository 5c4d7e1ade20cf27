"""The machine-hours of launches: pure functions of their entries, and of resumed ones' events."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from deploy.operate.cost.prices import PriceTable, hourly_cost, pools_of
from shared.core.entry import Entry
from shared.core.event import EventType
from shared.core.launch import Launch
from shared.core.states import State

Span = tuple[datetime, datetime]
HOUR = 3600
NONE = "(none)"


@dataclass(frozen=True, slots=True)
class Use:
    """The machines that one launch has used; `cost` is None without a price table."""

    entry: Entry
    machine_hours: float
    cost: Decimal | None = None
    missing: tuple[str, ...] = ()  # prices that the table lacks


@dataclass(slots=True)
class Total:
    """The uses of one queue, author, machine or region. `cost` omits the unpriced hours."""

    launches: int = 0
    machine_hours: float = 0.0
    cost: Decimal = field(default_factory=Decimal)
    unpriced_hours: float = 0.0

    def add(self, use: Use) -> None:
        """Add the use of a launch."""
        self.launches += 1
        self.machine_hours += use.machine_hours
        self.cost += use.cost or 0
        self.unpriced_hours += use.machine_hours if use.missing else 0


def region_of(entry: Entry) -> str:
    """Return the region of a launch's last job."""
    parts = (entry.job_name or entry.parent).split("/")
    return parts[3] if len(parts) > 3 else ""


DIMENSIONS: Mapping[str, Callable[[Entry], str]] = {
    "queue": lambda entry: entry.queue_name,
    "author": lambda entry: entry.author,
    "machine": lambda entry: entry.machine,
    "region": region_of,
}


def spans(entry: Entry, record: Launch | None, now: datetime) -> Iterator[Span]:
    """Yield the times in which a launch's jobs ran; a job that runs counts until now.

    A record's events show the jobs before a preemption; the entry shows the last job only.
    """
    began: datetime | None = None
    for event in record.events if record else ():
        if event.type is EventType.RUNNING:
            began = event.at
        elif began:
            yield began, event.at
            began = None
    last = began if record else entry.started_at
    if last is None:
        return
    if entry.state is State.SUBMITTED:
        yield last, now
    elif entry.ended_at:
        yield last, entry.ended_at


def use_of(
    entry: Entry,
    record: Launch | None,
    now: datetime,
    since: datetime | None = None,
    table: PriceTable | None = None,
) -> Use:
    """Return what a launch has used since a time, and its cost by a price table."""
    pools, _ = pools_of(entry.machine)
    count = sum(pool.count for pool in pools) or 1
    seconds = sum(
        max(0.0, (end - max(begin, since or begin)).total_seconds())
        for begin, end in spans(entry, record, now)
    )
    if table is None or not seconds:
        return Use(entry, count * seconds / HOUR)
    hourly = hourly_cost(entry.machine, region_of(entry), table)
    cost = hourly.amount * Decimal(seconds) / HOUR
    return Use(entry, count * seconds / HOUR, cost, hourly.missing)


def described_use(use: Use, table: PriceTable | None) -> str:
    """Return the machine-hours and the cost of one launch, for people; empty if nothing ran."""
    if not use.machine_hours:
        return ""
    hours = f"{use.machine_hours:.2f} machine-hours"
    if table is None or use.cost is None:
        return hours
    if use.missing:
        return f"{hours}; the price table has no price for {', '.join(use.missing)}"
    return f"{hours}, {use.cost:.2f} {table.says}"


def totals(uses: Iterable[Use], dimension: str) -> dict[str, Total]:
    """Return the totals by a dimension, the largest first."""
    by_name: dict[str, Total] = defaultdict(Total)
    for use in uses:
        by_name[DIMENSIONS[dimension](use.entry) or NONE].add(use)
    ordered = sorted(by_name.items(), key=lambda pair: (-pair[1].machine_hours, pair[0]))
    return dict(ordered)


def total(uses: Iterable[Use]) -> Total:
    """Return the total of all uses."""
    all_of_them = Total()
    for use in uses:
        all_of_them.add(use)
    return all_of_them
