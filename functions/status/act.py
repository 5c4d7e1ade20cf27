"""Carry out the decision about one launch.

The ledger records a decision first. Every action is safe to repeat.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from functions.status import decisions
from functions.status.announce import REFUSED_FOR
from functions.status.decide import REMOVED, decide
from functions.status.decisions import Decision, Observed
from functions.status.excerpt import excerpt, excerpt_of_build
from functions.status.report import Report
from shared.core.errors import Conflict, Reject
from shared.core.intake import named, restored
from shared.core.launch import Entry, Launch, Outcome, State
from shared.core.ports import Clock, CustomJobs, Job, JobLogs, Ledger, Publisher, RunTracker
from shared.core.scheduler import schedules_its_sweep
from shared.core.shortage import Shortage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Actor:
    """What acting needs from outside systems. `in_time` raises OutOfTime after the budget's end."""

    ledger: Ledger
    custom_jobs: CustomJobs
    tracker: RunTracker
    publisher: Publisher
    clock: Clock
    timings: decisions.StatusTimings
    in_time: Callable[[str], None]
    report: Report
    logs: JobLogs | None = None

    def act(
        self, entry: Entry, decision: Decision, seen: Observed
    ) -> tuple[Decision, Launch | None]:
        """Carry out a decision if the launch is as it was listed.

        Returns the decision, or the one that the whole job has led to; and the launch, if its
        record was read.

        Raises:
            Conflict: another process has written since: the next tick decides again.
            OutOfTime: left to the next tick.
        """
        if isinstance(decision, decisions.Confirm) or _quotes(entry, decision, seen.job):
            self.in_time("getting a job")
            job = self.custom_jobs.get_job(entry.job_name)
            if job is None and seen.job is not None:  # shown and not shown: no fact yet
                return decisions.NoAction(), None
            seen = replace(seen, job=job, gone=job is None)
            decision = decide(entry, seen, self.clock(), self.timings)
        if isinstance(decision, decisions.NoAction | decisions.Publish | decisions.Confirm):
            return decision, None
        if isinstance(decision, decisions.Withdraw):
            self.ledger.withdraw(entry.key, self.read(entry).generation)
            return decision, None
        launch = named(self.read(entry)).started(seen.job.started_at if seen.job else None)
        return decision, self._write(launch, decision, seen)

    def read(self, entry: Entry) -> Launch:
        """Return the launch of a listed entry. Raises Conflict if it has changed, OutOfTime."""
        self.in_time("acting on a launch")
        launch = self.ledger.read(entry.key)
        if launch is None or launch.entry != entry:
            raise Conflict(entry.key)
        return launch

    def _write(self, launch: Launch, decision: Decision, seen: Observed) -> Launch:
        entry, now = launch.entry, self.clock()
        self.in_time("writing a decision")
        match decision:
            case decisions.NoteStop():
                launch = self.ledger.write(_changed(launch, stop_seen_at=now))
            case decisions.Note(changes, notice, alarm):
                launch = self.ledger.write(_changed(launch, **changes).tell(notice))
                if alarm:
                    self.report.errors.append(f"{entry.key}: {alarm}")
                    fields = {"launch_key": entry.key, "problem": alarm}
                    log.error("status.stuck", extra={"fields": fields})
            case decisions.Cancel(reason):
                if not entry.cancel_reason:  # recorded first: a later tick must know the reason
                    launch = self.ledger.write(_changed(launch, cancel_reason=reason))
                self.in_time("cancelling a job")
                self.custom_jobs.cancel_job(entry.job_name)
            case decisions.Built():
                launch = self.ledger.write(_changed(launch, build=""))
                self.publisher.publish([entry.key])  # if this fails, the next tick publishes
            case decisions.Resume() if (complete := restored(launch)) != launch:
                launch = self.ledger.write(complete)  # the next tick decides with its count
            case decisions.Resume(budget):  # the next tick publishes its ticket
                launch = self.ledger.write(launch.resume(now, budget))
            case decisions.Wait(shortage, why):
                return self._wait(launch, shortage, why, seen.job)
            case decisions.Repeat(why):
                broken = entry.broken + 1
                times = f"{broken} of {self.timings.max_broken} times"
                notice = f"{why} It is launched again ({times})."
                wait = self.timings.backoff.after(broken)
                again = launch.again(now, wait, notice, why, notice, broken=broken)
                launch = self.ledger.write(again)
            case decisions.Finish():
                return self._finish(launch, decision, seen.job)
        return launch

    def _wait(self, launch: Launch, shortage: Shortage, why: str, job: Job | None) -> Launch:
        """Wait for capacity, or end the launch if every quota is zero."""
        if shortage is Shortage.ZERO and launch.climb.hopeless:
            fix = "Ask Google for a larger quota: the quota is 0, so waiting does not help."
            return self._finish(launch, decisions.Finish(Outcome.FAILED, f"{why} {fix}"), job)
        backoff = self.timings.backoff
        return self.ledger.write(launch.wait_for_capacity(self.clock(), shortage, why, backoff))

    def _finish(self, launch: Launch, decision: decisions.Finish, job: Job | None) -> Launch:
        """Record the end, and report it.

        The record includes the end of the log, so that a repeated report is equal.
        """
        if launch.entry.state is not State.ENDED:
            ended = launch.end(
                decision.outcome,
                decision.reason,
                self.clock(),
                report=decision.report,
                job_ended_at=job.ended_at if job else None,
            )
            if ended.entry.report_owed:
                ended = ended.because(ended.reason + self._end_of_log(launch, job))
            launch = self.ledger.write(_last_word(ended, decision))
        if launch.entry.report_owed:
            self._fail_item(launch)
        if _leaves_a_sweep(launch):
            self._cancel_sweep(launch)
        return launch

    def _end_of_log(self, launch: Launch, job: Job | None) -> str:
        if self.logs and job:
            return excerpt(self.logs, launch, job)
        if self.logs and launch.entry.build:
            return excerpt_of_build(self.logs, launch)
        return ""

    def _cancel_sweep(self, launch: Launch) -> None:
        """Cancel the sweep of a failed scheduler, which would wait for ever: it has the same id."""
        try:
            self.in_time("cancelling a sweep")
            self.tracker.cancel_sweep(launch.entry.run)
        except Reject as exc:
            log.exception("status.sweep_not_cancelled", extra=fields_of(launch, exc))

    def _fail_item(self, launch: Launch) -> None:
        """Fail the item. An outage of W&B is repeated without a bound; a refusal, for a day."""
        entry = launch.entry
        try:
            self.in_time("reporting an end")
            self.tracker.fail_item(entry.queue, entry.item_id, launch.reason, stage_of(entry))
        except Reject as exc:
            if not self.old(launch):
                raise
            log.exception("status.never_told", extra=fields_of(launch, exc))

    def old(self, launch: Launch) -> bool:
        """Tell whether a launch ended so long ago that a refusal no longer keeps it open."""
        return not launch.history or launch.history[-1].at + REFUSED_FOR <= self.clock()


def _quotes(entry: Entry, decision: Decision, job: Job | None) -> bool:
    """Tell whether a decision can quote its job's error or log.

    Only the whole job, which a listing does not show, says which of its values are secrets.
    """
    if job is None or entry.state is not State.SUBMITTED:
        return False
    return bool(job.error) or (isinstance(decision, decisions.Finish) and decision.report)


def _leaves_a_sweep(launch: Launch) -> bool:
    """Tell whether a sweep's scheduler failed or was cancelled; old versions recorded others so."""
    entry = launch.entry
    cancelled = entry.wish and entry.outcome is Outcome.CANCELLED
    left = entry.scheduler and (entry.outcome is Outcome.FAILED or bool(cancelled))
    return left and entry.from_queue and schedules_its_sweep(launch.run_spec, entry.queue)


def _last_word(ended: Launch, decision: decisions.Finish) -> Launch:
    """Return an ended launch with its last notice, which does not say that it waits."""
    entry = ended.entry
    if decision.reason == REMOVED:
        return _changed(ended, notice="")
    notice = decision.warning
    if not notice and entry.notice.startswith("Waiting:"):
        notice = decision.reason or f"Launched: {entry.job_name}"
    return ended.tell(notice)


def fields_of(launch: Launch, exc: Exception) -> dict[str, dict[str, str]]:
    """Return the fields of a log line about a launch's problem."""
    return {"fields": {"launch_key": launch.key, "problem": str(exc)}}


def stage_of(entry: Entry) -> str:
    """Return the stage that W&B shows beside a report or a warning."""
    if entry.job_name:
        return "run"
    return "build" if entry.build else "agent"


def _changed(launch: Launch, **changes: object) -> Launch:
    return replace(launch, entry=replace(launch.entry, **changes))  # type: ignore[arg-type]
