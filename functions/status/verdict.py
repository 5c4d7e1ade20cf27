"""Say what follows from a job that has ended: by whose word, and what its author reads.

Facts come at different times: W&B shows a run a little later than it began, and Vertex AI writes a job's error about a
minute after its state. Each has its grace.
"""

from datetime import datetime, timedelta

from functions.status.decisions import (
    Decision,
    Finish,
    NoAction,
    Note,
    Observed,
    Repeat,
    Resume,
    StatusTimings,
    Wait,
    unsure,
)
from shared.core.console import console_link
from shared.core.jobstate import Phase, phase_of
from shared.core.launch import Entry, Outcome
from shared.core.ports import Job, RunStatus
from shared.core.shortage import Shortage, is_internal, is_own_failure, shortage_of_job

STOPPED = "The run was stopped in W&B."


def verdict(
    entry: Entry, job: Job, seen: Observed, now: datetime, timings: StatusTimings
) -> Decision:
    """Return what to do about a launch whose job has ended."""
    ended_at = job.ended_at or entry.ended_seen_at
    decision = _verdict(entry, job, seen, ended_at or now, now, timings)
    if (
        isinstance(decision, NoAction) and ended_at is None
    ):  # Vertex AI documents it for three states only
        return Note({"ended_seen_at": now})
    return decision


def _verdict(
    entry: Entry,
    job: Job,
    seen: Observed,
    ended_at: datetime,
    now: datetime,
    timings: StatusTimings,
) -> Decision:
    if unsure(seen.run_failure, ended_at, now, timings):
        return NoAction()
    run, phase = seen.run, phase_of(job.state)
    early = ended_at + timings.init_grace > now and not (run and run.started)
    if entry.stop_seen_at or (run and run.stopped):  # stop wins over another attempt
        return NoAction() if early else _stopped(entry, job, seen)
    if entry.cancel_reason:
        return _gave_up(entry, job, seen, early=early)
    if phase is Phase.CANCELLED:
        if job.max_wait and not _began(
            entry, job, run
        ):  # how a Flex-start that finds nothing ends is not documented
            return Wait(Shortage.STOCKOUT, _no_machines(job))
        return NoAction() if early else _cancelled(job, seen)
    if phase is Phase.FAILED:
        return _failed(entry, job, seen, ended_at, now, timings)
    if run and run.state == "preempted":
        return _resumed(entry, job, run, timings)
    if early or _preempting(run, ended_at, now, timings):
        return NoAction()
    return _succeeded(entry, job, seen)


def _succeeded(entry: Entry, job: Job, seen: Observed) -> Decision:
    if seen.run and seen.run.started:
        return Finish(Outcome.SUCCEEDED, job.error, report=False)
    if _unseen(entry, seen):
        return Finish(Outcome.SUCCEEDED, "", report=False, warning=_look_there(entry, job))
    reason = f"The submitted job exited successfully but failed to call wandb.init. {console_link(job.name)}"
    return Finish(Outcome.FAILED, reason)


def _failed(
    entry: Entry,
    job: Job,
    seen: Observed,
    ended_at: datetime,
    now: datetime,
    timings: StatusTimings,
) -> Decision:
    """Tell a job that lost or found no machines, and one that Google failed, from one that failed by itself."""
    run, began = seen.run, _began(entry, job, seen.run)
    preempted = run is not None and run.state == "preempted"
    shortage = shortage_of_job(job.error) or _waited_in_vain(job, ended_at)
    if (
        not (job.error or shortage or (preempted and began))
        and ended_at + timings.error_grace > now
    ):
        return NoAction()  # its error is not written yet, and decides whether it is tried again
    if not began and shortage:
        return Wait(shortage, _no_machines(job))
    if not began and is_internal(job.error):
        return _broken(entry, job, timings)
    if preempted or _taken_away(entry, run, shortage):
        return _resumed(entry, job, run, timings)
    if _preempting(run, ended_at, now, timings):
        return NoAction()
    if run and run.started:
        silent = is_own_failure(job.error) or not (job.error or _expired(job))
        known = silent and run.state in ("failed", "finished", "killed")  # W&B shows as much
        warning = (
            "" if known else f"The job ended in Vertex AI: {_error(job)} {console_link(job.name)}"
        )
        return Finish(Outcome.FAILED, job.error, report=False, warning=warning)
    if ended_at + timings.init_grace > now:
        return NoAction()  # W&B may show a run a little later than it began
    if _foreign(entry, seen) and job.started_at:  # whether it trained, only its own W&B key can see
        why = f"The job failed in Vertex AI: {_error(job)} {_look_there(entry, job)}"
        return Finish(Outcome.FAILED, job.error, report=False, warning=why)
    said = (
        "The job expired in Vertex AI before it called wandb.init."
        if _expired(job)
        else _NOT_STARTED
    )
    return Finish(Outcome.FAILED, f"{said}{_vertex(job)} {console_link(job.name)}")


def _stopped(entry: Entry, job: Job, seen: Observed) -> Decision:
    """End a launch whose run was stopped in W&B: its author knows, unless no run shows it."""
    reason = f"{entry.cancel_reason or STOPPED} {console_link(job.name)}"
    return Finish(Outcome.CANCELLED, reason, report=not (seen.run and seen.run.started))


def _gave_up(entry: Entry, job: Job, seen: Observed, *, early: bool) -> Decision:
    """End a launch whose job we cancelled because it stayed pending, or try the next place of its ladder."""
    phase, run = phase_of(job.state), seen.run
    if phase is not Phase.SUCCEEDED and entry.climbs and not _began(entry, job, run):
        return Wait(Shortage.STOCKOUT, entry.cancel_reason)
    if early:
        return NoAction()
    reason, link = entry.cancel_reason, console_link(job.name)
    if run and run.started:  # it began after all, while it was being cancelled
        warning = "" if phase is Phase.SUCCEEDED else f"{reason} {link}"
        return Finish(_OUTCOMES[phase], reason, report=False, warning=warning)
    if phase is Phase.SUCCEEDED and _unseen(entry, seen):
        return Finish(Outcome.SUCCEEDED, "", report=False, warning=_look_there(entry, job))
    return Finish(
        Outcome.CANCELLED if phase is Phase.CANCELLED else Outcome.FAILED, f"{reason} {link}"
    )


def _cancelled(job: Job, seen: Observed) -> Decision:
    """End a launch whose job somebody else cancelled in Vertex AI."""
    if seen.run and seen.run.started:
        said = f"The job was cancelled in Vertex AI.{_vertex(job)} {console_link(job.name)}"
        return Finish(Outcome.CANCELLED, job.error, report=False, warning=said)
    said = "The job was cancelled in Vertex AI before it called wandb.init."
    return Finish(Outcome.CANCELLED, f"{said}{_vertex(job)} {console_link(job.name)}")


def _resumed(entry: Entry, job: Job, run: RunStatus | None, timings: StatusTimings) -> Decision:
    if entry.resumes < timings.max_resumes:
        return Resume(timings.max_resumes)
    reason = (
        f"Not launched again, because the run was preempted after {entry.resumes} resumes, and {timings.max_resumes} "
        f"are allowed.{_vertex(job)} {console_link(job.name)}"
    )
    if run and run.started:
        return Finish(Outcome.FAILED, reason, report=False, warning=reason)
    return Finish(Outcome.FAILED, reason)


def _broken(entry: Entry, job: Job, timings: StatusTimings) -> Decision:
    """Try a job again that Google failed, or give up."""
    why = f"Vertex AI failed the job before a container ran: {job.error} {console_link(job.name)}"
    if entry.broken < timings.max_broken:
        return Repeat(why)
    return Finish(Outcome.FAILED, f"Not launched again after {entry.broken + 1} such jobs: {why}")


def _preempting(
    run: RunStatus | None, ended_at: datetime, now: datetime, timings: StatusTimings
) -> bool:
    return run is not None and run.state == "preempting" and ended_at + timings.preempting > now


def _waited_in_vain(job: Job, ended_at: datetime) -> Shortage | None:
    """Tell whether a job that was given a time to wait for machines has waited for so long and found none."""
    waited = job.max_wait > timedelta(0) and ended_at >= job.created_at + job.max_wait
    return (
        Shortage.STOCKOUT
        if (waited or (job.max_wait and _expired(job))) and not job.started_at
        else None
    )


def _began(entry: Entry, job: Job, run: RunStatus | None) -> bool:
    """Tell whether a container has run in this job; a run that was resumed may show what it did in the job before."""
    return job.started_at is not None or (run is not None and run.started and not entry.resumes)


def _taken_away(entry: Entry, run: RunStatus | None, shortage: Shortage | None) -> bool:
    """Tell whether Vertex AI says that the machines of a job that had begun were taken away.

    A run that finished or was killed did not end by that, and a scheduler goes on where its sweep stands. A script that
    answers SIGTERM with an exit code makes W&B show `failed`: there a stockout is the better witness.
    """
    if shortage is None or not shortage.holds or entry.scheduler:
        return False
    by_itself = (
        ("finished", "killed")
        if shortage is Shortage.STOCKOUT
        else ("finished", "killed", "failed")
    )
    return not (run and run.state in by_itself)


def _foreign(entry: Entry, seen: Observed) -> bool:
    """Tell whether our key may be unable to see this launch's run: it says nothing about the run that it is missing."""
    entity = entry.run.entity.lower()
    foreign = entry.from_queue and bool(entity) and entity != entry.queue_entity.lower()
    return seen.run is None and (entry.own_key or foreign or seen.run_failure is not None)


def _unseen(entry: Entry, seen: Observed) -> bool:
    """Tell whether a run that W&B does not show may exist: its project is unknown or hidden, or not the queue's own."""
    return seen.run is None and (seen.hidden or _foreign(entry, seen))


def _look_there(entry: Entry, job: Job) -> str:
    where = f"{entry.run.entity}/{entry.run.project}"
    return (
        f"The run {entry.run.run_id} of {where} does not exist, or this deployment's W&B key cannot see it. "
        f"{console_link(job.name)}"
    )


def _no_machines(job: Job) -> str:
    said = "the job expired before it found machines" if _expired(job) else "it found no machines"
    return f"{job.error or said} {console_link(job.name)}"


def _expired(job: Job) -> bool:
    return job.state == "JOB_STATE_EXPIRED"


def _error(job: Job) -> str:
    return job.error or ("it expired." if _expired(job) else "it gives no reason.")


def _vertex(job: Job) -> str:
    return f" Vertex AI: {job.error}" if job.error else ""


def span(duration: timedelta) -> str:
    """Return a duration for people: 42s, 2m46s, 3h05m, 2d4h."""
    seconds = max(0, int(duration.total_seconds()))
    minutes, hours = seconds // 60, seconds // 3600
    if not minutes:
        return f"{seconds}s"
    if not hours:
        return f"{minutes}m{seconds % 60:02}s"
    return f"{hours}h{minutes % 60:02}m" if hours < 48 else f"{hours // 24}d{hours % 24}h"


_NOT_STARTED = "The submitted run was not successfully started."
_OUTCOMES = {
    Phase.SUCCEEDED: Outcome.SUCCEEDED,
    Phase.FAILED: Outcome.FAILED,
    Phase.CANCELLED: Outcome.CANCELLED,
}
