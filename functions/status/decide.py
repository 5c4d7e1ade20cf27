"""Decide what is owed to one launch: a pure function of what the ledger, Vertex AI and W&B say of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.jobstate import Phase, phase_of
from shared.core.launch import Entry, Outcome, State
from shared.core.ports import ItemStatus, Job, RunStatus


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


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen of a launch outside the ledger; `listed` tells whether its region could be listed at all."""

    job: Job | None = None
    listed: bool = True
    gone: bool = False  # a get has confirmed that the job does not exist
    run: RunStatus | None = None
    item: ItemStatus | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing is owed now."""


@dataclass(frozen=True, slots=True)
class Publish:
    """A ticket is due."""


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


Decision = Leave | Publish | Withdraw | Confirm | NoteStop | Cancel | Finish | Resume


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
    if seen.run and seen.run.stopped:
        return Finish(
            Outcome.CANCELLED, "The run was stopped in W&B before it was launched.", report=not seen.run.started
        )
    return Publish() if entry.claimable(now) else Leave()


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
    if phase is Phase.WAITING and policy.start_timeout and seen.job.created_at + patience < now:
        return Cancel(
            f"The job was pending in Vertex AI for more than {patience.total_seconds():.0f} seconds and was cancelled. "
            "Ask for other machines or another region, or raise START_TIMEOUT_SECONDS."
        )
    return Leave()


def _ended(entry: Entry, job: Job, phase: Phase, run: RunStatus | None, now: datetime, policy: Policy) -> Decision:
    wanted = run is not None and not run.stopped and not entry.cancel_reason and phase is not Phase.CANCELLED
    if run and wanted and run.state == "preempted":
        if entry.resumes < policy.max_resumes:
            return Resume(policy.max_resumes)
        return Finish(Outcome.FAILED, f"The run was preempted after {entry.resumes} resumes.", report=False)
    if run and wanted and run.state == "preempting" and job.ended_at and job.ended_at + policy.preempting > now:
        return Leave()
    if run and run.started:
        return Finish(_OUTCOMES[phase], entry.cancel_reason or job.error, report=False)
    if job.ended_at and job.ended_at + policy.init_grace > now:
        return Leave()  # W&B may show a run a little later than it began
    return Finish(Outcome.CANCELLED if phase is Phase.CANCELLED else Outcome.FAILED, _never_started(entry, job, phase))


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


def console_link(job_name: str) -> str:
    """Return the page of a job in Google's console; its logs are one click from there."""
    parts = job_name.split("/")
    if len(parts) != 6:
        return job_name
    _, project, _, location, _, number = parts
    return f"https://console.cloud.google.com/agent-platform/locations/{location}/training/{number}?project={project}"


_OUTCOMES = {
    Phase.SUCCEEDED: Outcome.SUCCEEDED,
    Phase.FAILED: Outcome.FAILED,
    Phase.CANCELLED: Outcome.CANCELLED,
}
