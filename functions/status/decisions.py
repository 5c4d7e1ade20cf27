"""The input of a decision (observations, timings) and the possible decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.core.building import Build
from shared.core.errors import Denied, KeyRefused, LaunchError
from shared.core.launch import Backoff, Outcome
from shared.core.ports import ItemStatus, Job, RunStatus
from shared.core.shortage import Shortage


@dataclass(frozen=True, slots=True)
class StatusTimings:
    """How long status waits for each fact."""

    # from a stop in W&B to a cancel: the script may end by itself
    stopped_run_timeout: timedelta = timedelta(seconds=60)
    # a job that is PENDING for longer is cancelled; 0: never
    start_timeout: timedelta = timedelta(minutes=30)
    # from a job's end until W&B must show its run
    init_grace: timedelta = timedelta(seconds=60)
    # from a job's end until Vertex AI must have written its error
    error_grace: timedelta = timedelta(minutes=3)
    # a ticket is published again for a launch that is QUEUED for longer
    overdue_after: timedelta = timedelta(seconds=60)
    # of a preempted run; the agent's number
    max_resumes: int = 5
    # repeats after an internal error before a container ran
    max_broken: int = 3
    # from a job's end until W&B shows its preempting run as preempted
    preempting: timedelta = timedelta(minutes=10)
    # a younger job may be missing from a listing, or from a get
    listing_lag: timedelta = timedelta(minutes=2)
    # in CANCELLING, PAUSED or UPDATING: operators must look
    stuck_after: timedelta = timedelta(days=1)
    # a run that W&B refuses to show for longer counts as hidden
    hidden_after: timedelta = timedelta(hours=1)
    # of a launch whose job found no machines
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class Observed:
    """The facts about a launch outside the ledger. A missing answer is not a fact.

    `listed` tells whether the listing of the job's region is complete. `run_failure` and
    `item_failure` are the errors of W&B's answers; `hidden` means that our key cannot see the run's
    project.
    """

    job: Job | None = None
    listed: bool = True
    gone: bool = False  # a get has confirmed that the job does not exist
    run: RunStatus | None = None
    run_failure: LaunchError | None = None
    hidden: bool = False
    item: ItemStatus | None = None
    item_failure: LaunchError | None = None
    build: Build | None = None  # of its image
    # a notice, maybe empty, if its queue is or may be paused: no ticket may go out
    paused: str | None = None


def unsure(
    failure: LaunchError | None, since: datetime | None, now: datetime, timings: StatusTimings
) -> bool:
    """Tell whether a failed look-up leaves its launch undecided.

    A refusal (403) decides after a while, because our key will never see more.
    """
    if failure is None:
        return False
    refused = isinstance(failure, Denied) and not isinstance(failure, KeyRefused)
    return not (refused and since is not None and since + timings.hidden_after <= now)


@dataclass(frozen=True, slots=True)
class NoAction:
    """Do nothing now."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish a ticket."""


@dataclass(frozen=True, slots=True)
class Built:
    """The build is over: publish a ticket, and submit checks whether the image exists."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Delete the record: another agent has acked the item."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """The job is not among those that have not ended: get it by name, then decide again."""


@dataclass(frozen=True, slots=True)
class NoteStop:
    """Record that the run was stopped in W&B; the script may now end by itself."""


@dataclass(frozen=True, slots=True)
class Note:
    """Record a new fact: change these fields of the entry, and show a notice if there is one.

    `alarm` is for operators: it goes into the log and into the errors of this tick.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    notice: str = ""
    alarm: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel the job for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """End the launch; `report` tells whether to show the item as FAILED with the reason.

    An item without a report shows `warning`.
    """

    outcome: Outcome
    reason: str
    report: bool = True
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """Launch a preempted run again, within the budget."""

    budget: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for capacity and launch again: the job never began."""

    shortage: Shortage
    why: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """Launch again after an internal error before a container ran, with a bound."""

    why: str


Decision = (
    NoAction
    | Publish
    | Built
    | Withdraw
    | Confirm
    | NoteStop
    | Note
    | Cancel
    | Finish
    | Resume
    | Wait
    | Repeat
)
