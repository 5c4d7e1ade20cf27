"""Decide what is owed to one launch: a pure function of what the ledger, Vertex AI and W&B say of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.core.building import Build
from shared.core.console import console_link
from shared.core.jobstate import Phase, phase_of
from shared.core.launch import Backoff, Entry, Outcome, State
from shared.core.ports import ItemStatus, Job, RunStatus
from shared.core.shortage import Shortage, shortage_of_job


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient to be."""

    stopped_run_timeout: timedelta = timedelta(seconds=60)  # from stop in W&B to cancel: the script may end by itself
    start_timeout: timedelta = timedelta(minutes=30)  # a job that is pending for longer is cancelled; 0: never
    init_grace: timedelta = timedelta(seconds=60)  # from a job's end until its run must be seen in W&B
    overdue_after: timedelta = timedelta(seconds=60)  # a QUEUED launch is published again
    max_resumes: int = 5  # of a preempted run; the agent's own number
    preempting: timedelta = timedelta(minutes=10)  # from a job's end until W&B shows its preempting run as preempted
    listing_lag: timedelta = timedelta(minutes=2)  # a job younger than that may be missing from a listing
    backoff: Backoff = field(default_factory=Backoff)  # of a launch whose job found no machines


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen of a launch outside the ledger; `listed` tells whether its region could be listed at all."""

    job: Job | None = None
    listed: bool = True
    gone: bool = False  # a get has confirmed that the job does not exist
    run: RunStatus | None = None
    item: ItemStatus | None = None
    build: Build | None = None  # of its image


@dataclass(frozen=True, slots=True)
class Leave:
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
class Cancel:
    """The job has to be cancelled, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The launch is over; `report` tells whether its item has to be failed with the reason."""

    outcome: Outcome
    reason: str
    report: bool = True


@dataclass(frozen=True, slots=True)
class Resume:
    """The run was preempted: it is launched again, as often as the budget allows."""

    budget: int


@dataclass(frozen=True, slots=True)
class Wait:
    """The job found no machines and never began: the launch waits for room, and is launched again."""

    shortage: Shortage
    why: str


Decision = Leave | Publish | Built | Withdraw | Confirm | NoteStop | Cancel | Finish | Resume | Wait


def decide(entry: Entry, seen: Sighting, now: datetime, policy: Policy) -> Decision:
    """Return what to do about a launch now; safe to act upon twice."""
    match entry.state:
        case State.QUEUED:
            return _queued(entry, seen, now, policy)
        case State.SUBMITTING:
            return Publish() if entry.claimable(now) else Leave()
        case State.SUBMITTED:
            return _submitted(entry, seen, now, policy)
        case State.ENDED:
            return Finish(entry.outcome or Outcome.FAILED, "", report=entry.report_owed)


def _queued(entry: Entry, seen: Sighting, now: datetime, policy: Policy) -> Decision:
    if not entry.attempt and not entry.overdue(now, policy.overdue_after):
        return Leave()  # its ticket is on the way, or a poll is still at work on it
    if not entry.attempt and entry.from_queue:
        if seen.item is None:
            return Finish(Outcome.CANCELLED, "The item was removed from its queue.", report=False)
        if not seen.item.run_name:
            return Leave()  # never acked: its lease ends and it will be popped again
        if seen.item.run_name != entry.run.run_id:
            return Withdraw()
    if entry.waits_for_room and seen.item is None:
        return Finish(Outcome.CANCELLED, "The item was removed from its queue.", report=False)
    if seen.run and seen.run.stopped:
        return Finish(
            Outcome.CANCELLED, "The run was stopped in W&B before it was launched.", report=not seen.run.started
        )
    if entry.build:
        return _building(seen.build)
    return Publish() if entry.claimable(now) else Leave()


def _building(build: Build | None) -> Decision:
    if build is None or not build.over:
        return Leave()
    if not build.failed:
        return Built()
    detail = f": {build.detail.rstrip('.')}" if build.detail else ""
    reason = f"The image could not be built ({build.status}{detail}). The build's log: {build.log_url or build.name}"
    return Finish(Outcome.FAILED, reason)


def _submitted(entry: Entry, seen: Sighting, now: datetime, policy: Policy) -> Decision:
    if seen.gone:
        reported = seen.run is not None and seen.run.ended
        return Finish(Outcome.FAILED, f"The job was deleted in Vertex AI: {entry.job_name}", report=not reported)
    if seen.job is None:
        young = entry.submitted_at is None or entry.submitted_at + policy.listing_lag > now
        return Confirm() if seen.listed and not young else Leave()
    phase = phase_of(seen.job.state)
    if phase.ended:
        return _ended(entry, seen.job, phase, seen.run, now, policy)
    if entry.cancel_reason:
        return Leave() if seen.job.state == "JOB_STATE_CANCELLING" else Cancel(entry.cancel_reason)
    if seen.run and seen.run.stopped:
        if entry.stop_seen_at is None:
            return NoteStop()
        if entry.stop_seen_at + policy.stopped_run_timeout <= now:
            return Cancel("The run was stopped in W&B.")
        return Leave()
    patience = max(policy.start_timeout, seen.job.max_wait)
    pending = phase is Phase.WAITING and not seen.job.started_at  # not where Vertex AI replaces machines that it lost
    if pending and policy.start_timeout and seen.job.created_at + patience < now:
        return Cancel(
            f"The job was pending in Vertex AI for more than {patience.total_seconds():.0f} seconds and was cancelled. "
            "Ask for other machines or another region, or raise WANDB_LAUNCH_START_TIMEOUT."
        )
    return Leave()


def _ended(entry: Entry, job: Job, phase: Phase, run: RunStatus | None, now: datetime, policy: Policy) -> Decision:
    stopped = run is not None and run.stopped
    gave_up_pending = phase is Phase.CANCELLED and entry.cancel_reason and not entry.stop_seen_at
    if gave_up_pending and entry.climbs and not stopped and not _began(entry, job, run):
        return Wait(Shortage.STOCKOUT, entry.cancel_reason)
    if phase is not Phase.CANCELLED and not entry.cancel_reason and not stopped:  # stop wins over another attempt
        shortage = shortage_of_job(job.error) or _waited_in_vain(job)
        if phase is Phase.FAILED and shortage and not _began(entry, job, run):
            return Wait(shortage, f"{job.error or 'it found no machines'} {console_link(job.name)}")
        if _preempted(entry, run, shortage):
            return _resumed(entry, job, run, policy)
        if run and run.state == "preempting" and job.ended_at and job.ended_at + policy.preempting > now:
            return Leave()
    if run and run.started:
        return Finish(_OUTCOMES[phase], entry.cancel_reason or job.error, report=False)
    if job.ended_at and job.ended_at + policy.init_grace > now:
        return Leave()  # W&B may show a run a little later than it began
    return Finish(Outcome.CANCELLED if phase is Phase.CANCELLED else Outcome.FAILED, _never_started(entry, job, phase))


def _waited_in_vain(job: Job) -> Shortage | None:
    """Tell whether a job that was told how long to wait for machines has waited for so long and found none."""
    waited = job.ended_at and job.max_wait and job.ended_at >= job.created_at + job.max_wait
    return Shortage.STOCKOUT if waited and not job.started_at else None


def _began(entry: Entry, job: Job, run: RunStatus | None) -> bool:
    """Tell whether a container has run in this job; a run that was resumed may show what it did in the job before."""
    return job.started_at is not None or (run is not None and run.started and not entry.resumes)


def _preempted(entry: Entry, run: RunStatus | None, shortage: Shortage | None) -> bool:
    """Tell whether the machines of a job that had begun were taken away: as W&B shows it, or as Vertex AI says.

    A run that ended by itself, well or not, did not end by that; and a scheduler goes on where its sweep stands.
    """
    if run and run.state == "preempted":
        return True
    return shortage is not None and not entry.scheduler and not (run and run.state in ("finished", "failed", "killed"))


def _resumed(entry: Entry, job: Job, run: RunStatus | None, policy: Policy) -> Decision:
    if entry.resumes < policy.max_resumes:
        return Resume(policy.max_resumes)
    reason = f"The run was preempted after {entry.resumes} resumes. {job.error}".strip()
    return Finish(Outcome.FAILED, reason, report=not (run and run.started))


def _never_started(entry: Entry, job: Job, phase: Phase) -> str:
    """Say why a job never became a run, in the agent's own words where it has some."""
    if phase is Phase.SUCCEEDED:
        said = "The submitted job exited successfully but failed to call wandb.init."
    elif entry.cancel_reason:
        said = entry.cancel_reason
    elif phase is Phase.CANCELLED:
        said = "The job was cancelled in Vertex AI before it called wandb.init."
    else:
        said = "The submitted run was not successfully started."
    error = f" Vertex AI: {job.error}" if job.error and not entry.cancel_reason else ""
    return f"{said}{error} {console_link(job.name)}"


_OUTCOMES = {
    Phase.SUCCEEDED: Outcome.SUCCEEDED,
    Phase.FAILED: Outcome.FAILED,
    Phase.CANCELLED: Outcome.CANCELLED,
}
