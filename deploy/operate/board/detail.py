"""The page of one launch: what its record tells on top of its index."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from deploy.operate.board.rows import Row, row_of
from deploy.operate.board.spans import before_start, lengths_of, spans_of
from deploy.operate.fleet.fleet import Fleet
from deploy.operate.fleet.target import Target
from shared.core.entry import Entry
from shared.core.errors import LaunchError
from shared.core.event import Event
from shared.core.launch import Attempt, Launch
from shared.core.phases import phases_of
from shared.core.redaction import redacted

GONE = "The record is gone: a rule deletes it 30 days after the end."


@dataclass(frozen=True, slots=True)
class Step:
    """One event, and the time since the one before."""

    event: Event
    since: timedelta | None


@dataclass(frozen=True, slots=True)
class Detail:
    """One launch. `problem`: why its record cannot be read; the index is shown nevertheless."""

    row: Row
    start_up: timedelta  # until its job ran, or until now
    steps: Sequence[Step]
    attempts: Sequence[Attempt]
    idempotency_key: str = ""
    problem: str = ""
    repeated_by: Sequence[Entry] = ()


def detail_of(target: Target, fleet: Fleet, entry: Entry) -> Detail:
    """Read the record of a launch, and return its page."""
    launch, problem = None, ""
    try:
        launch = target.launch(entry)
        problem = "" if launch else GONE
    except LaunchError as exc:
        problem = redacted(str(exc))
    entry = launch.entry if launch else entry
    until = entry.ended_at or fleet.now
    phases = phases_of(launch, until) if launch else None
    lengths = (
        lengths_of(phases)
        if phases
        else [(one.phase, one.length) for one in spans_of(entry, fleet.now)]
    )
    start_up = before_start(lengths)
    return Detail(
        row_of(entry, lengths, fleet.now, start_up),
        start_up,
        list(_steps(launch)) if launch else (),
        launch.history if launch else (),
        launch.idempotency_key if launch else "",
        problem,
        [one for one in fleet.all if one.retries == entry.key],
    )


def _steps(launch: Launch) -> Iterator[Step]:
    before: datetime | None = None
    for event in launch.events:
        yield Step(event, event.at - before if before else None)
        before = event.at
