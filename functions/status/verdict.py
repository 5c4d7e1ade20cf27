"""Judge a job that has ended: whose facts count, and what its author reads.

Facts arrive at different times: W&B shows a run a little later than it began, and Vertex AI writes
a job's error about a minute after its state. Each has a grace period.
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
from functions.status.texts import (
    NOT_STARTED,
    STOPPED,
    by_vertex,
    error_of,
    expired,
    no_machines,
    reason_of,
    unseen_run,
)
from functions.status.wishes import ended_by_wish
from shared.core.console import console_link
from shared.core.jobstate import Phase, phase_of
from shared.core.launch import Entry, Outcome
from shared.core.ports import Job, RunStatus
from shared.core.shortage import Shortage, is_internal, is_own_failure, shortage_of_job

_OUTCOMES = {
    Phase.SUCCEEDED: Outcome.SUCCEEDED,
    Phase.FAILED: Outcome.FAILED,
    Phase.CANCELLED: Outcome.CANCELLED,
}


def verdict(
    entry: Entry, job: Job, seen: Observed, now: datetime, timings: StatusTimings
) -> Decision:
    """Return the decision about a launch whose job has ended."""
    ended_at = job.ended_at or entry.ended_seen_at
    decision = _verdict(entry, job, seen, ended_at or now, now, timings)
    if entry.wish and isinstance(decision, Wait | Repeat | Resume):
        return ended_by_wish(entry.wish, seen, console_link(job.name))
    if isinstance(decision, NoAction) and ended_at is None:
        return Note({"ended_seen_at": now})  # Vertex AI documents end times for three states only
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
    if entry.stop_seen_at or (run and run.stopped):  # a stop rules out another attempt
        return NoAction() if early else _stopped(entry, job, seen)
    if entry.wish and phase is Phase.CANCELLED:
        link = console_link(job.name)
        return NoAction() if early else ended_by_wish(entry.wish, seen, link)
    if entry.cancel_reason and not entry.wish:
        return _gave_up(entry, job, seen, early=early)
    if phase is Phase.CANCELLED:
        # the state of a Flex Start job that found no machines is not documented
        if job.max_wait and not _began(entry, job, run):
            return Wait(Shortage.STOCKOUT, no_machines(job))
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
        return Finish(Outcome.SUCCEEDED, "", report=False, warning=unseen_run(entry, job))
    reason = "The submitted job exited successfully but failed to call wandb.init."
    return Finish(Outcome.FAILED, f"{reason} {console_link(job.name)}")


def _failed(
    entry: Entry,
    job: Job,
    seen: Observed,
    ended_at: datetime,
    now: datetime,
    timings: StatusTimings,
) -> Decision:
    """Separate a job without machines, and an internal error, from a failure of its own."""
    run, began = seen.run, _began(entry, job, seen.run)
    preempted = run is not None and run.state == "preempted"
    shortage = shortage_of_job(job.error) or _waited_in_vain(job, ended_at)
    explained = job.error or shortage or (preempted and began)
    if not explained and ended_at + timings.error_grace > now:
        return NoAction()  # the error decides about another attempt, and it is not written yet
    if not began and shortage:
        return Wait(shortage, no_machines(job))
    if not began and is_internal(job.error):
        return _broken(entry, job, timings)
    if preempted or _taken_away(entry, run, shortage):
        return _resumed(entry, job, run, timings)
    if _preempting(run, ended_at, now, timings):
        return NoAction()
    if run and run.started:
        return _ended_with_run(job, run)
    if ended_at + timings.init_grace > now:
        return NoAction()  # W&B may show a run a little later than it began
    link = console_link(job.name)
    if _foreign(entry, seen) and job.started_at:  # only its own W&B key can see whether it trained
        warning = f"The job failed in Vertex AI: {error_of(job)} {unseen_run(entry, job)}"
        return Finish(Outcome.FAILED, reason_of(job), report=False, warning=warning)
    reason = NOT_STARTED
    if expired(job):
        reason = "The job expired in Vertex AI before it called wandb.init."
    return Finish(Outcome.FAILED, f"{reason}{by_vertex(job)} {link}")


def _ended_with_run(job: Job, run: RunStatus) -> Decision:
    """End a launch whose job failed after its run began; warn unless W&B shows the failure."""
    silent = is_own_failure(job.error) or not (job.error or expired(job))
    if silent and run.state in ("failed", "finished", "killed"):
        return Finish(Outcome.FAILED, job.error, report=False)
    warning = f"The job ended in Vertex AI: {error_of(job)} {console_link(job.name)}"
    return Finish(Outcome.FAILED, reason_of(job), report=False, warning=warning)


def _stopped(entry: Entry, job: Job, seen: Observed) -> Decision:
    """End a launch whose run was stopped in W&B; report it only if no run shows the stop."""
    reason = f"{entry.cancel_reason or STOPPED} {console_link(job.name)}"
    return Finish(Outcome.CANCELLED, reason, report=not (seen.run and seen.run.started))


def _gave_up(entry: Entry, job: Job, seen: Observed, *, early: bool) -> Decision:
    """End a launch whose pending job we cancelled, or try the next place of its ladder."""
    phase, run = phase_of(job.state), seen.run
    if phase is not Phase.SUCCEEDED and entry.climbs and not _began(entry, job, run):
        return Wait(Shortage.STOCKOUT, entry.cancel_reason)
    if early:
        return NoAction()
    reason = f"{entry.cancel_reason} {console_link(job.name)}"
    if run and run.started:  # it began while it was being cancelled
        warning = "" if phase is Phase.SUCCEEDED else reason
        return Finish(_OUTCOMES[phase], entry.cancel_reason, report=False, warning=warning)
    if phase is Phase.SUCCEEDED and _unseen(entry, seen):
        return Finish(Outcome.SUCCEEDED, "", report=False, warning=unseen_run(entry, job))
    outcome = Outcome.CANCELLED if phase is Phase.CANCELLED else Outcome.FAILED
    return Finish(outcome, reason)


def _cancelled(job: Job, seen: Observed) -> Decision:
    """End a launch whose job somebody cancelled in Vertex AI."""
    link = console_link(job.name)
    if seen.run and seen.run.started:
        warning = f"The job was cancelled in Vertex AI.{by_vertex(job)} {link}"
        return Finish(Outcome.CANCELLED, job.error, report=False, warning=warning)
    reason = "The job was cancelled in Vertex AI before it called wandb.init."
    return Finish(Outcome.CANCELLED, f"{reason}{by_vertex(job)} {link}")


def _resumed(entry: Entry, job: Job, run: RunStatus | None, timings: StatusTimings) -> Decision:
    if entry.resumes < timings.max_resumes:
        return Resume(timings.max_resumes)
    reason = (
        f"Not launched again, because the run was preempted after {entry.resumes} resumes, "
        f"and {timings.max_resumes} are allowed.{by_vertex(job)} {console_link(job.name)}"
    )
    if run and run.started:
        return Finish(Outcome.FAILED, reason, report=False, warning=reason)
    return Finish(Outcome.FAILED, reason)


def _broken(entry: Entry, job: Job, timings: StatusTimings) -> Decision:
    """Repeat a job after an internal error of Google's, or give up."""
    why = f"Vertex AI failed the job before a container ran: {job.error} {console_link(job.name)}"
    if entry.broken < timings.max_broken:
        return Repeat(why)
    return Finish(Outcome.FAILED, f"Not launched again after {entry.broken + 1} such jobs: {why}")


def _preempting(
    run: RunStatus | None, ended_at: datetime, now: datetime, timings: StatusTimings
) -> bool:
    return run is not None and run.state == "preempting" and ended_at + timings.preempting > now


def _waited_in_vain(job: Job, ended_at: datetime) -> Shortage | None:
    """Return STOCKOUT if a job found no machines within its max_wait_duration."""
    if job.started_at or job.max_wait <= timedelta(0):
        return None
    if expired(job) or ended_at >= job.created_at + job.max_wait:
        return Shortage.STOCKOUT
    return None


def _began(entry: Entry, job: Job, run: RunStatus | None) -> bool:
    """Tell whether a container has run in this job.

    A resumed run does not show it: its state may come from the previous job.
    """
    return job.started_at is not None or (run is not None and run.started and not entry.resumes)


def _taken_away(entry: Entry, run: RunStatus | None, shortage: Shortage | None) -> bool:
    """Tell whether Vertex AI took the machines of a job that had begun.

    A run that finished or was killed ended by itself, and a scheduler continues its sweep. A script
    that answers SIGTERM with an exit code makes W&B show `failed`: then a stockout decides.
    """
    if shortage is None or not shortage.holds or entry.scheduler:
        return False
    by_itself = ["finished", "killed"]
    if shortage is not Shortage.STOCKOUT:
        by_itself.append("failed")
    return not (run and run.state in by_itself)


def _foreign(entry: Entry, seen: Observed) -> bool:
    """Tell whether our key may be unable to see this run: then a missing run is not a fact."""
    entity = entry.run.entity.lower()
    foreign = entry.from_queue and bool(entity) and entity != entry.queue_entity.lower()
    return seen.run is None and (entry.own_key or foreign or seen.run_failure is not None)


def _unseen(entry: Entry, seen: Observed) -> bool:
    """Tell whether a run that W&B does not show may exist in a hidden or foreign project."""
    return seen.run is None and (seen.hidden or _foreign(entry, seen))
