"""Decide what is owed to one launch: a pure function of what the ledger, Vertex AI and W&B say of it.

This is the only place that decides. What W&B or Vertex AI could not say leaves that one launch undecided, and only
where the decision needs it.
"""

from datetime import datetime

from functions.status.decisions import (
    Built,
    Cancel,
    Confirm,
    Decision,
    Finish,
    NoAction,
    Note,
    NoteStop,
    Observed,
    Publish,
    StatusTimings,
    Withdraw,
    unsure,
)
from functions.status.verdict import STOPPED, span, verdict
from shared.core.building import Build
from shared.core.console import console_link
from shared.core.jobstate import phase_of
from shared.core.launch import Entry, Outcome, State
from shared.core.ports import Job, RunStatus

REMOVED = "The item was removed from its queue."
QUEUED = "Waiting: Vertex AI keeps the job queued until the project's quota has room for it."
STUCK = (
    "JOB_STATE_CANCELLING",
    "JOB_STATE_PAUSED",
    "JOB_STATE_UPDATING",
)  # nobody waits in these for a day


def decide(entry: Entry, seen: Observed, now: datetime, timings: StatusTimings) -> Decision:
    """Return what to do about a launch now; safe to act upon twice."""
    match entry.state:
        case State.QUEUED:
            return _queued(entry, seen, now, timings)
        case State.SUBMITTING:
            return Publish() if entry.claimable(now) else NoAction()
        case State.SUBMITTED:
            return _submitted(entry, seen, now, timings)
        case State.ENDED:
            return _ended(entry, seen)


def _ended(entry: Entry, seen: Observed) -> Decision:
    """Report and close; an item that poll refused must be ours first, or its report would fail another agent's run."""
    if entry.refused_at_intake:
        if seen.item_failure or (seen.item and not seen.item.run_name):
            return (
                NoAction()
            )  # its ack may be on the way; without one, its lease ends and poll pops it again
        if seen.item and seen.item.run_name != entry.run.run_id:
            return Withdraw()
    return Finish(entry.outcome or Outcome.FAILED, "", report=entry.report_owed)


def _queued(entry: Entry, seen: Observed, now: datetime, timings: StatusTimings) -> Decision:
    if not entry.attempt and not entry.overdue(now, timings.overdue_after):
        return NoAction()  # its ticket is on the way, or a poll is still at work on it
    if not entry.attempt and entry.from_queue:
        if seen.item_failure:
            return NoAction()  # nobody can tell whether it was acked to us
        if seen.item is None:
            return Finish(Outcome.CANCELLED, REMOVED, report=False)
        if not seen.item.run_name:
            return NoAction()  # never acked: its lease ends and it will be popped again
        if seen.item.run_name != entry.run.run_id:
            return Withdraw()
    if entry.waits_for_room and seen.item is None and not seen.item_failure:
        return Finish(Outcome.CANCELLED, REMOVED, report=False)
    if seen.run and seen.run.stopped:
        reason = "The run was stopped in W&B before it was launched."
        return Finish(Outcome.CANCELLED, reason, report=not seen.run.started)
    since = entry.retry_at or entry.opened_at
    failures = (seen.run_failure, seen.item_failure if entry.waits_for_room else None)
    if entry.from_queue and any(unsure(failure, since, now, timings) for failure in failures):
        return NoAction()  # it may have been stopped, or its item removed
    if entry.build:
        return _building(seen.build)
    return Publish() if entry.claimable(now) else NoAction()


def _building(build: Build | None) -> Decision:
    if build is None or not build.over:
        return NoAction()
    if not build.failed:
        return Built()
    detail = f": {build.detail.rstrip('.')}" if build.detail else ""
    reason = f"The image could not be built ({build.status}{detail}). The build's log: {build.log_url or build.name}"
    return Finish(Outcome.FAILED, reason)


def _submitted(entry: Entry, seen: Observed, now: datetime, timings: StatusTimings) -> Decision:
    if seen.gone:
        return _gone(entry, seen, now, timings)
    if seen.job is None:
        young = entry.submitted_at is None or entry.submitted_at + timings.listing_lag > now
        return Confirm() if seen.listed and not young else NoAction()
    if phase_of(seen.job.state).ended:
        return verdict(entry, seen.job, seen, now, timings)
    return (
        _cancel(entry, seen.job, seen.run, now, timings)
        or _stuck(entry, seen.job, now, timings)
        or _waits(entry, seen.job, now)
        or _pending(entry, seen.job, seen, now, timings)
        or NoAction()
    )


def _gone(entry: Entry, seen: Observed, now: datetime, timings: StatusTimings) -> Decision:
    if unsure(seen.run_failure, entry.submitted_at, now, timings):
        return NoAction()
    reason = f"The job was deleted in Vertex AI: {entry.job_name}"
    if entry.stop_seen_at or (seen.run and seen.run.stopped):
        started = seen.run is not None and seen.run.started
        return Finish(Outcome.CANCELLED, f"{STOPPED} {reason}", report=not started)
    return Finish(Outcome.FAILED, reason, report=not (seen.run and seen.run.ended))


def _cancel(
    entry: Entry, job: Job, run: RunStatus | None, now: datetime, timings: StatusTimings
) -> Decision | None:
    """Cancel a job for the reason that is written down, or because its run was stopped in W&B."""
    cancelling = job.state == "JOB_STATE_CANCELLING"
    if entry.cancel_reason:
        return None if cancelling else Cancel(entry.cancel_reason)
    if entry.stop_seen_at is None:
        return NoteStop() if run and run.stopped else None
    if cancelling:
        return None
    return (
        Cancel(STOPPED) if entry.stop_seen_at + timings.stopped_run_timeout <= now else NoAction()
    )


def _stuck(entry: Entry, job: Job, now: datetime, timings: StatusTimings) -> Decision | None:
    """Report a job that changes nothing for a day: it holds its slot, and only people can help. It is said once."""
    if job.state not in STUCK:
        return Note({"stuck_since": None}) if entry.stuck_since else None
    since = entry.stuck_since or job.updated_at or now
    state = job.state.removeprefix("JOB_STATE_")
    said = (
        f"The job has been {state} in Vertex AI for more than {span(timings.stuck_after)}. It holds its slot until it "
        f"goes on or ends. {console_link(job.name)}"
    )
    if since + timings.stuck_after <= now and not entry.notice.startswith(said):
        return Note({"stuck_since": since}, notice=said, alarm=said)
    return None if entry.stuck_since else Note({"stuck_since": since})


def _waits(entry: Entry, job: Job, now: datetime) -> Decision | None:
    """Follow a job that Vertex AI itself keeps queued for quota, for any length of time.

    It does not hold its W&B queue: Vertex AI takes further jobs meanwhile, and those for other machines may run.
    """
    if job.state == "JOB_STATE_QUEUED":
        return (
            None
            if entry.queued_since
            else Note({"queued_since": now}, notice=f"{QUEUED} {console_link(job.name)}")
        )
    pending = job.state == "JOB_STATE_PENDING" and entry.queued_since and not entry.pending_since
    changes = {"pending_since": now} if pending else {}
    if entry.notice.startswith("Waiting:"):
        return Note(
            changes,
            notice=f"Launched after {span(now - entry.opened_at)}: {console_link(job.name)}",
        )
    return Note(changes) if changes else None


def _pending(
    entry: Entry, job: Job, seen: Observed, now: datetime, timings: StatusTimings
) -> Decision | None:
    """Cancel a job that does not start: PENDING for too long, without a run that shows workers at work.

    A job that ran before waits for machines in the place of those that Vertex AI lost.
    """
    if job.state != "JOB_STATE_PENDING" or job.started_at or not timings.start_timeout:
        return None
    since = entry.pending_since or job.created_at
    patience = max(timings.start_timeout, job.max_wait)
    if since + patience >= now or unsure(seen.run_failure, since + patience, now, timings):
        return None
    if seen.run and seen.run.started and (not entry.resumes or seen.run.state == "running"):
        return None  # a run that was resumed may still show what it did in the job before
    return Cancel(
        f"The job was pending in Vertex AI for more than {patience.total_seconds():.0f} seconds and was cancelled. "
        "Ask for other machines or another region, or raise WANDB_LAUNCH_START_TIMEOUT."
    )
