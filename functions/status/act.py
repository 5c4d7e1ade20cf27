"""Act on what was decided about one launch, and tell its author.

A decision is written down first and does not wait for W&B to take a warning; what was decided is safe to repeat.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from functions.status import decisions
from functions.status.decide import REMOVED, decide
from functions.status.decisions import Decision, Observed
from functions.status.excerpt import excerpt, excerpt_of_build
from functions.status.report import Report
from shared.core.errors import Conflict, KeyRefused, LaunchError, OutOfTime, Reject
from shared.core.launch import Entry, Launch, Outcome, State
from shared.core.ports import Clock, Job, JobLogs, Jobs, Ledger, Publisher, RunTracker
from shared.core.shortage import Shortage

log = logging.getLogger(__name__)

REFUSED_FOR = timedelta(days=1)  # how long a report that W&B refuses keeps its launch open


@dataclass(frozen=True, slots=True)
class Actor:
    """What acting needs of the outside. `in_time` raises OutOfTime where no action may be begun any more."""

    ledger: Ledger
    jobs: Jobs
    tracker: RunTracker
    publisher: Publisher
    clock: Clock
    timings: decisions.StatusTimings
    in_time: Callable[[str], None]
    report: Report
    logs: JobLogs | None = None
    keys: frozenset[str] = field(default=frozenset(), repr=False)

    def act(self, entry: Entry, decision: Decision, seen: Observed) -> Launch | None:
        """Act on one decision about the launch as it was listed, if it still is so; return it if it is open then.

        Raises:
            Conflict: somebody else wrote meanwhile: the next tick decides afresh.
            OutOfTime: it is left to the next tick.
        """
        if isinstance(decision, decisions.Confirm):
            job = self.jobs.get_job(entry.job_name)
            seen = replace(seen, job=job, gone=job is None)
            decision = decide(entry, seen, self.clock(), self.timings)
        if isinstance(decision, decisions.NoAction | decisions.Publish | decisions.Confirm):
            return None
        if isinstance(decision, decisions.Withdraw):
            self.ledger.withdraw(entry.key, self.read(entry).generation)
            return None
        return self._write(self.read(entry), decision, seen)

    def read(self, entry: Entry) -> Launch:
        """Return the launch of an entry, as it was listed. Raises Conflict, OutOfTime."""
        self.in_time("acting on a launch")
        launch = self.ledger.read(entry.key)
        if launch is None or launch.entry != entry:
            raise Conflict(entry.key)
        return launch

    def warn(self, launch: Launch, *, mark: bool) -> None:
        """Show a launch's notice at its item; `mark` tells whether to write down that W&B has it.

        A launch that has ended is closed afterwards; a W&B that refuses the warning for a day does not keep it open.
        """
        self.in_time("a warning")
        entry = launch.entry
        try:
            self.tracker.warn_item(entry.queue, entry.item_id, entry.notice, _stage(entry))
        except LaunchError as exc:
            given_up = (
                entry.state is State.ENDED
                and not isinstance(exc, KeyRefused | OutOfTime)
                and self._old(launch)
            )
            if not given_up:
                raise
            log.exception(
                "status.never_told",
                extra={"fields": {"launch_key": launch.key, "problem": str(exc)}},
            )
        if entry.state is State.ENDED:
            self.ledger.close(launch)
        elif mark:
            self.in_time("recording a warning")
            self.ledger.write(_changed(launch, noticed=True))

    def _write(self, launch: Launch, decision: Decision, seen: Observed) -> Launch | None:
        entry, now = launch.entry, self.clock()
        self.in_time("writing a decision")
        match decision:
            case decisions.NoteStop():
                launch = self.ledger.write(_changed(launch, stop_seen_at=now))
            case decisions.Note(changes, notice, alarm):
                launch = self.ledger.write(_changed(launch, **changes).tell(notice))
                if alarm:
                    self.report.errors.append(f"{entry.key}: {alarm}")
                    log.error(
                        "status.stuck",
                        extra={"fields": {"launch_key": entry.key, "problem": alarm}},
                    )
            case decisions.Cancel(reason):
                if (
                    not entry.cancel_reason
                ):  # written first: who sees the job cancelled must know why
                    launch = self.ledger.write(_changed(launch, cancel_reason=reason))
                self.in_time("cancelling a job")
                self.jobs.cancel_job(entry.job_name)
            case decisions.Built():
                launch = self.ledger.write(_changed(launch, build=""))
                self.publisher.publish([entry.key])  # where that fails the next tick does it
            case decisions.Resume(budget):  # the next tick publishes its ticket
                launch = self.ledger.write(launch.resume(now, budget))
            case decisions.Wait(shortage, why):
                return self._wait(launch, shortage, why, seen.job)
            case decisions.Repeat(why):
                broken = entry.broken + 1
                said = f"{why} It is launched again ({broken} of {self.timings.max_broken} times)."
                wait = self.timings.backoff.after(broken)
                launch = self.ledger.write(launch.again(now, wait, said, why, said, broken=broken))
            case decisions.Finish():
                return self._finish(launch, decision, seen.job)
        return launch

    def _wait(self, launch: Launch, shortage: Shortage, why: str, job: Job | None) -> Launch | None:
        """Wait for room, or say that there will never be any."""
        if shortage is Shortage.ZERO and launch.climb.hopeless:
            reason = (
                f"{why} The quota is 0, so waiting would not help: ask Google for a larger quota."
            )
            return self._finish(launch, decisions.Finish(Outcome.FAILED, reason), job)
        return self.ledger.write(
            launch.wait_for_capacity(self.clock(), shortage, why, self.timings.backoff)
        )

    def _finish(self, launch: Launch, decision: decisions.Finish, job: Job | None) -> Launch | None:
        """Record the end, report it, and close last: only after W&B has accepted the report.

        The end of the log is recorded, too: so a report that is repeated says the same.
        """
        if launch.entry.state is not State.ENDED:
            ended = launch.end(
                decision.outcome, decision.reason, self.clock(), report=decision.report
            )
            if ended.entry.report_owed:
                ended = replace(ended, reason=ended.reason + self._end_of_log(launch, job))
            launch = self.ledger.write(_last_word(ended, decision))
        if launch.entry.report_owed:
            self._fail_item(launch)
        if launch.entry.scheduler and launch.entry.outcome is Outcome.FAILED:
            self._cancel_sweep(launch)
        if unheard(launch.entry):
            return launch
        self.ledger.close(
            launch
        )  # at any time: an end is final, and a slow W&B would otherwise keep it open for ever
        return None

    def _end_of_log(self, launch: Launch, job: Job | None) -> str:
        if self.logs and job:
            return excerpt(self.logs, launch, job, self.keys)
        if self.logs and launch.entry.build:
            return excerpt_of_build(self.logs, launch, self.keys)
        return ""

    def _cancel_sweep(self, launch: Launch) -> None:
        """End the sweep of a scheduler that has failed, or it would wait for ever; its run's id is the sweep's."""
        try:
            self.in_time("cancelling a sweep")
            self.tracker.cancel_sweep(launch.entry.run)
        except Reject as exc:
            log.exception(
                "status.sweep_not_cancelled",
                extra={"fields": {"launch_key": launch.key, "problem": str(exc)}},
            )

    def _fail_item(self, launch: Launch) -> None:
        """Fail the item. A W&B that is down is asked again, for any length of time; one that says no, for a day."""
        entry = launch.entry
        try:
            self.in_time("reporting an end")
            self.tracker.fail_item(entry.queue, entry.item_id, launch.reason, _stage(entry))
        except Reject as exc:
            if not self._old(launch):
                raise
            log.exception(
                "status.never_told",
                extra={"fields": {"launch_key": launch.key, "problem": str(exc)}},
            )

    def _old(self, launch: Launch) -> bool:
        return not launch.history or launch.history[-1].at + REFUSED_FOR <= self.clock()


def unheard(entry: Entry) -> bool:
    """Tell whether a notice is owed.

    A claim that its holder may still use is not written to, or its holder could not record the job. An item that is
    shown as FAILED needs no notice.
    """
    owed = bool(entry.notice) and not entry.noticed and entry.from_queue and not entry.report_owed
    return owed and (entry.state is not State.SUBMITTING or entry.unanswered)


def _last_word(ended: Launch, decision: decisions.Finish) -> Launch:
    """Return an ended launch with what its item shows from now on: never that it waits."""
    entry = ended.entry
    if decision.reason == REMOVED:
        return _changed(ended, notice="")
    stale = entry.notice.startswith("Waiting:")
    return ended.tell(
        decision.warning or (stale and (decision.reason or f"Launched: {entry.job_name}")) or ""
    )


def _stage(entry: Entry) -> str:
    return "run" if entry.job_name else "build" if entry.build else "agent"


def _changed(launch: Launch, **changes: object) -> Launch:
    return replace(launch, entry=replace(launch.entry, **changes))  # type: ignore[arg-type]
