"""Decide the next action for one launch: a pure function of facts.

Only this module and verdict.py decide. A missing answer of W&B or Vertex AI leaves its launch
undecided, but only if the decision needs that answer.
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
from functions.status.texts import STOPPED
from functions.status.verdict import verdict
from functions.status.wishes import cancelled_by, ended_by_wish
from shared.core.building import Build
from shared.core.console import console_link
from shared.core.duration import span
from shared.core.jobstate import phase_of
from shared.core.launch import NOTICE_BYTES, Entry, Outcome, State
from shared.core.ports import Job, RunStatus
from shared.core.shorten import shortened

REMOVED = "The item was removed from its queue."
QUEUED = "Waiting: Vertex AI keeps the job queued until the project has quota for it."
STUCK = ("JOB_STATE_CANCELLING", "JOB_STATE_PAUSED", "JOB_STATE_UPDATING")  # normally short


def decide(entry: Entry, seen: Observed, now: datetime, timings: StatusTimings) -> Decision:
    """Return the next action for a launch; safe to carry out twice."""
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
    """Report and close. A refused item must be ours: a report could fail another agent's run."""
    if entry.refused_at_intake:
        if seen.item_failure or (seen.item and not seen.item.run_name):
            return NoAction()  # the ack may still arrive; if not, poll pops the item again
        if seen.item and seen.item.run_name != entry.run.run_id:
            return Withdraw()
    return Finish(entry.outcome or Outcome.FAILED, "", report=entry.report_owed)


def _queued(entry: Entry, seen: Observed, now: datetime, timings: StatusTimings) -> Decision:
    asked = entry.wish or entry.retries  # by a person: no ticket is on the way
    if not (entry.attempt or asked or entry.overdue(now, timings.overdue_after)):
        return NoAction()  # its ticket is on the way, or a poll still works on it
    if not entry.attempt and entry.from_queue and (decision := _not_ours(entry, seen)):
        return decision
    asks_item = entry.from_queue and (entry.waits_for_room or entry.wish)
    if asks_item and seen.item is None and not seen.item_failure:
        return Finish(Outcome.CANCELLED, REMOVED, report=False)
    if seen.run and seen.run.stopped:
        reason = "The run was stopped in W&B before it was launched."
        return Finish(Outcome.CANCELLED, reason, report=not seen.run.started)
    since = entry.retry_at or entry.opened_at
    failures = [seen.run_failure]
    if asks_item:
        failures.append(seen.item_failure)
    if entry.from_queue and any(unsure(failure, since, now, timings) for failure in failures):
        return NoAction()  # it may have been stopped, or its item removed
    if entry.wish:
        return ended_by_wish(entry.wish, seen)
    decision = _building(seen.build) if entry.build else Publish()
    if seen.paused is not None and isinstance(decision, Built | Publish):
        return _paused(entry, seen.paused)
    return decision if entry.build or entry.claimable(now) else NoAction()


def _not_ours(entry: Entry, seen: Observed) -> Decision | None:
    """Leave an item to its owner: a launch that was never tried may not have been acked to us."""
    if seen.item_failure:
        return NoAction()  # its ack is unknown
    if seen.item is None:
        return Finish(Outcome.CANCELLED, REMOVED, report=False)
    if not seen.item.run_name:
        return NoAction()  # never acked: poll pops it again
    return Withdraw() if seen.item.run_name != entry.run.run_id else None


def _paused(entry: Entry, notice: str) -> Decision:
    """Withhold the ticket of a launch whose queue is paused, and tell its author once."""
    if not notice:
        return NoAction()
    shown = entry.notice == shortened(notice, NOTICE_BYTES)
    return NoAction() if shown and not entry.build else Note({"build": ""}, notice=notice)


def _building(build: Build | None) -> Decision:
    if build is None or not build.over:
        return NoAction()
    if not build.failed:
        return Built()
    detail = f": {build.detail.rstrip('.')}" if build.detail else ""
    reason = f"The image could not be built ({build.status}{detail})."
    return Finish(Outcome.FAILED, f"{reason} The build's log: {build.log_url or build.name}")


def _submitted(entry: Entry, seen: Observed, now: datetime, timings: StatusTimings) -> Decision:
    if seen.gone:
        young = entry.submitted_at is None or entry.submitted_at + timings.listing_lag > now
        return NoAction() if young else _gone(entry, seen, now, timings)
    if seen.job is None:
        return Confirm() if seen.listed else NoAction()
    if phase_of(seen.job.state).ended:
        return verdict(entry, seen.job, seen, now, timings)
    return (
        _cancel(entry, seen.job, seen.run, now, timings)
        or _stuck(entry, seen.job, now, timings)
        or _waits(entry, seen.job, now)
        or _pending(entry, seen.job, seen, now, timings)
        or _started(entry, seen.job)
        or NoAction()
    )


def _gone(entry: Entry, seen: Observed, now: datetime, timings: StatusTimings) -> Decision:
    if unsure(seen.run_failure, entry.submitted_at, now, timings):
        return NoAction()
    reason = f"The job was deleted in Vertex AI: {entry.job_name}"
    if entry.wish:
        return ended_by_wish(entry.wish, seen, reason)
    if entry.stop_seen_at or (seen.run and seen.run.stopped):
        started = seen.run is not None and seen.run.started
        return Finish(Outcome.CANCELLED, f"{STOPPED} {reason}", report=not started)
    return Finish(Outcome.FAILED, reason, report=not (seen.run and seen.run.ended))


def _cancel(
    entry: Entry, job: Job, run: RunStatus | None, now: datetime, timings: StatusTimings
) -> Decision | None:
    """Cancel a job: for its recorded reason, by a person's wish, or after a stop in W&B."""
    cancelling = job.state == "JOB_STATE_CANCELLING"
    if entry.cancel_reason:
        return None if cancelling else Cancel(entry.cancel_reason)
    if entry.wish:
        return None if cancelling else Cancel(cancelled_by(entry.wish))
    if entry.stop_seen_at is None:
        return NoteStop() if run and run.stopped else None
    if cancelling:
        return None
    if entry.stop_seen_at + timings.stopped_run_timeout > now:
        return NoAction()
    return Cancel(STOPPED)


def _stuck(entry: Entry, job: Job, now: datetime, timings: StatusTimings) -> Decision | None:
    """Report once that a job is stuck for a day: it takes its slot, and only people can help."""
    if job.state not in STUCK:
        return Note({"stuck_since": None}) if entry.stuck_since else None
    since = entry.stuck_since or job.updated_at or now
    state = job.state.removeprefix("JOB_STATE_")
    notice = (
        f"The job has been {state} in Vertex AI for more than {span(timings.stuck_after)}. "
        f"It takes its slot until it continues or ends. {console_link(job.name)}"
    )
    if since + timings.stuck_after <= now and not entry.notice.startswith(notice):
        return Note({"stuck_since": since}, notice=notice, alarm=notice)
    return None if entry.stuck_since else Note({"stuck_since": since})


def _waits(entry: Entry, job: Job, now: datetime) -> Decision | None:
    """Follow a job that Vertex AI keeps queued for quota, without a bound.

    It does not hold its W&B queue: Vertex AI accepts further jobs, and those for other machines may
    run.
    """
    if job.state == "JOB_STATE_QUEUED":
        if entry.queued_since:
            return None
        return Note({"queued_since": now}, notice=f"{QUEUED} {console_link(job.name)}")
    pending = job.state == "JOB_STATE_PENDING" and entry.queued_since and not entry.pending_since
    changes = {"pending_since": now} if pending else {}
    if entry.notice.startswith("Waiting:"):
        notice = f"Launched after {span(now - entry.opened_at)}: {console_link(job.name)}"
        return Note(changes, notice=notice)
    return Note(changes) if changes else None


def _pending(
    entry: Entry, job: Job, seen: Observed, now: datetime, timings: StatusTimings
) -> Decision | None:
    """Cancel a job that is PENDING for too long, unless its run shows that workers run.

    A job that ran before waits for machines that replace the lost ones.
    """
    if job.state != "JOB_STATE_PENDING" or job.started_at or not timings.start_timeout:
        return None
    since = entry.pending_since or job.created_at
    patience = max(timings.start_timeout, job.max_wait)
    if since + patience >= now or unsure(seen.run_failure, since + patience, now, timings):
        return None
    if seen.run and seen.run.started and (not entry.resumes or seen.run.state == "running"):
        return None  # the state of a resumed run may come from the previous job
    return Cancel(
        "The job was cancelled, because it was pending in Vertex AI for more than "
        f"{patience.total_seconds():.0f} seconds. Ask for other machines or another region, "
        "or raise WANDB_LAUNCH_START_TIMEOUT."
    )


def _started(entry: Entry, job: Job) -> Decision | None:
    """Write the record once after its job began: each write adds the start."""
    return Note() if job.started_at and not entry.started_at else None
