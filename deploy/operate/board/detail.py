"""The page of one launch: what its record tells on top of its index."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from deploy.operate.board.rows import Row, row_of
from deploy.operate.board.spans import Span, spans_of_events, start_up_of
from deploy.operate.fleet.fleet import Fleet
from deploy.operate.fleet.target import Target
from shared.core.entry import Entry
from shared.core.errors import LaunchError
from shared.core.launch import Attempt, Launch
from shared.core.redaction import redacted
from shared.core.states import State


@dataclass(frozen=True, slots=True)
class Step:
    """One event, and the time since the one before."""

    at: datetime
    event: str
    since: timedelta | None
    attempt: int
    why: str
    reason: str


@dataclass(frozen=True, slots=True)
class Detail:
    """One launch. `problem`: why its record cannot be read; the index is shown nevertheless."""

    row: Row
    spans: Sequence[Span]
    start_up: timedelta  # of the phases before it ran
    steps: Sequence[Step]
    attempts: Sequence[Attempt]
    idempotency_key: str = ""
    problem: str = ""
    repeated_by: Sequence[Entry] = ()


def detail_of(target: Target, fleet: Fleet, entry: Entry) -> Detail:
    """Read the record of a launch, and return its page."""
    launch, problem = None, ""
    try:
        launch = _record(target, entry)
        problem = "" if launch else "The record is gone: a rule deletes it 30 days after the end."
    except LaunchError as exc:
        problem = redacted(str(exc))
    entry = launch.entry if launch else entry
    spans = spans_of_events(launch.events if launch else (), entry, fleet.now)
    start_up = start_up_of(spans)
    return Detail(
        row_of(entry, spans, fleet.now, start_up),
        spans,
        start_up,
        _steps(launch) if launch else (),
        launch.history if launch else (),
        launch.idempotency_key if launch else "",
        problem,
        [one for one in fleet.all if one.retries == entry.key],
    )


def _record(target: Target, entry: Entry) -> Launch | None:
    """Read an open or closed record; a launch may have closed since the listing."""
    if entry.state is State.ENDED and (closed := target.ledger.read_closed(entry.key)):
        return closed
    return target.ledger.read(entry.key) or target.ledger.read_closed(entry.key)


def _steps(launch: Launch) -> list[Step]:
    steps: list[Step] = []
    for event in launch.events:
        since = event.at - steps[-1].at if steps else None
        steps.append(Step(event.at, str(event.type), since, event.attempt, event.why, event.reason))
    return steps
