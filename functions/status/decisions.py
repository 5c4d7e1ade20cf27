"""What status observes of a launch, how patient it is, and what it can decide."""

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
    """How patient to be."""

    stopped_run_timeout: timedelta = timedelta(
        seconds=60
    )  # from stop in W&B to cancel: the script may end by itself
    start_timeout: timedelta = timedelta(
        minutes=30
    )  # a job that is PENDING for longer is cancelled; 0: never
    init_grace: timedelta = timedelta(
        seconds=60
    )  # from a job's end until its run must be seen in W&B
    error_grace: timedelta = timedelta(
        minutes=3
    )  # from a job's end until Vertex AI must have written its error
    overdue_after: timedelta = timedelta(seconds=60)  # a QUEUED launch is published again
    max_resumes: int = 5  # of a preempted run; the agent's own number
    max_broken: int = (
        3  # jobs that fail with an internal error before a container runs: each is tried again
    )
    preempting: timedelta = timedelta(
        minutes=10
    )  # from a job's end until W&B shows its preempting run as preempted
    listing_lag: timedelta = timedelta(
        minutes=2
    )  # a job younger than that may be missing from a listing
    stuck_after: timedelta = timedelta(
        days=1
    )  # in CANCELLING, PAUSED or UPDATING: people have to look
    hidden_after: timedelta = timedelta(
        hours=1
    )  # a run that W&B refuses to show for so long counts as hidden
    backoff: Backoff = field(default_factory=Backoff)  # of a launch whose job found no machines


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of a launch outside the ledger. A missing answer is not a fact.

    `listed` tells whether the region of its job could be listed. `run_failure` and `item_failure` say why W&B could not
    be asked about the run or the item; `hidden` means that our key cannot see the run's project.
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


def unsure(
    failure: LaunchError | None, since: datetime | None, now: datetime, timings: StatusTimings
) -> bool:
    """Tell whether a failure leaves its launch undecided.

    A refusal (403) ends that after a while: W&B has an answer, and our key will never see more.
    """
    if failure is None:
        return False
    refused = isinstance(failure, Denied) and not isinstance(failure, KeyRefused)
    return not (refused and since is not None and since + timings.hidden_after <= now)


@dataclass(frozen=True, slots=True)
class NoAction:
    """Nothing is owed now."""


@dataclass(frozen=True, slots=True)
class Publish:
    """A ticket is due."""


@dataclass(frozen=True, slots=True)
class Built:
    """The build of its image is over: a ticket is due, and submit looks whether the image is there."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Another agent acked the item: it never was ours."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """The job is missing from the listing: ask for it by name, then decide again."""


@dataclass(frozen=True, slots=True)
class NoteStop:
    """Stop was pressed in W&B; from now on the script has its time to end by itself."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something was seen for the first time: these fields of the entry change, and its author may read a notice.

    `alarm` is for operators: it is logged, and named in the errors of this tick.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    notice: str = ""
    alarm: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """The job has to be cancelled, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The launch is over; `report` tells whether its item has to be failed with the reason.

    `warning` is shown at an item that is not failed.
    """

    outcome: Outcome
    reason: str
    report: bool = True
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """The run was preempted: it is launched again, as often as the budget allows."""

    budget: int


@dataclass(frozen=True, slots=True)
class Wait:
    """The job found no machines and never began: the launch waits for room, and is launched again."""

    shortage: Shortage
    why: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """Vertex AI itself failed the job before a container ran: it is launched again, a bounded number of times."""

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
