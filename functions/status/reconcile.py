"""Compare all open launches with Vertex AI and W&B, and do what is owed.

Level-triggered: every tick looks at everything afresh, every action is safe to repeat, and a crash in the middle costs
one tick. The calls grow with pages of jobs and hundreds of runs; only a launch with news is read and written.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from functions.status import decide, look
from functions.status.decide import Decision, Sighting
from functions.status.excerpt import excerpt
from functions.status.report import Report
from shared.core.building import Builds
from shared.core.errors import Conflict, LaunchError, Reject
from shared.core.launch import Entry, Launch, Outcome, State
from shared.core.ports import Clock, Job, JobLogs, Jobs, Ledger, Publisher, RunTracker

log = logging.getLogger(__name__)

REFUSED_FOR = timedelta(days=1)  # how long a report that W&B refuses keeps its launch open


@dataclass(frozen=True, slots=True)
class Status:
    """What reconciling needs of the outside. `parents` are always listed; launches name further ones."""

    ledger: Ledger
    jobs: Jobs
    tracker: RunTracker
    publisher: Publisher
    clock: Clock
    builds: Builds
    parents: tuple[str, ...]
    policy: decide.Policy = field(default_factory=decide.Policy)
    budget: timedelta = timedelta(seconds=45)
    connections: int = 16
    logs: JobLogs | None = None  # where the end of a failed job's log goes to its item
    keys: frozenset[str] = field(default=frozenset(), repr=False)  # of this deployment: none of them leaves it

    def run(self) -> Report:
        """Do one tick. Raises Retry, Denied where the ledger cannot be listed."""
        deadline = self.clock() + self.budget
        report = Report()
        entries = list(self.ledger.list_open().entries)
        report.open_launches = len(entries)
        self._publish([entry for entry in entries if self._due_for_certain(entry)], report)
        listing = look.list_jobs(self.jobs, self.parents, entries, report)
        builds = look.get_builds(self.builds, entries, report)
        now = self.clock()  # what was asked and what is decided go by one time: looking takes some
        try:
            sightings = look.sightings(self.tracker, listing, builds, entries, now, self.policy.overdue_after)
        except LaunchError as exc:  # without W&B nothing more can be decided; what is owed stays in the ledger
            report.failed("W&B", exc)
        else:
            self._act(entries, sightings, now, deadline, report)
        look.report_orphans(listing, entries, now, report)
        return report

    def _due_for_certain(self, entry: Entry) -> bool:
        """Tell whether a ticket is due whatever W&B says: the launch was claimed before, or came from no queue."""
        now = self.clock()
        if entry.state is State.SUBMITTING:
            return entry.claimable(now)
        return not entry.from_queue and entry.overdue(now, self.policy.overdue_after)

    def _publish(self, due: Sequence[Entry], report: Report) -> None:
        if not due:
            return
        try:
            self.publisher.publish(entry.key for entry in due)
            report.done["Publish"] += len(due)
        except LaunchError as exc:
            report.failed("topic", exc)

    def _act(
        self,
        entries: Sequence[Entry],
        sightings: Mapping[str, Sighting],
        now: datetime,
        deadline: datetime,
        report: Report,
    ) -> None:
        """Decide for each launch; publish what is due together, and do the rest over several connections."""
        decided = [(e, decide.decide(e, sightings[e.key], now, self.policy)) for e in entries]
        self._publish([e for e, d in decided if isinstance(d, decide.Publish) and not self._due_for_certain(e)], report)
        busy = [(e, d) for e, d in decided if not isinstance(d, decide.Leave | decide.Publish) or _unheard(e)]

        def work(entry: Entry, decision: Decision) -> str:
            if self.clock() >= deadline:
                return "Postpone"
            try:
                return self._do(entry, decision, sightings[entry.key])
            except Conflict:
                return "Changed"  # somebody else wrote meanwhile: the next tick decides afresh
            except Exception as exc:  # noqa: BLE001 - one launch that cannot be served does not stop the others
                report.failed(entry.key, exc)
                return "Fail"

        with ThreadPoolExecutor(self.connections) as pool:
            report.done.update(pool.map(lambda pair: work(*pair), busy))

    def _do(self, entry: Entry, decision: Decision, seen: Sighting) -> str:
        """Act on one decision about the launch as it was listed, if it still is so."""
        if isinstance(decision, decide.Confirm):
            job = self.jobs.get_job(entry.job_name)
            seen = replace(seen, job=job, gone=job is None)
            decision = decide.decide(entry, seen, self.clock(), self.policy)
        if isinstance(decision, decide.Withdraw):
            self.ledger.withdraw(entry.key)
            return "Withdraw"
        launch = self.ledger.read(entry.key)
        if launch is None or launch.entry != entry:
            raise Conflict(entry.key)
        if _unheard(entry):
            self.tracker.warn_item(entry.queue, entry.item_id, entry.notice, "agent")
            launch = self.ledger.write(_changed(launch, noticed=True))
        match decision:
            case decide.NoteStop():
                self.ledger.write(_changed(launch, stop_seen_at=self.clock()))
            case decide.Cancel(reason):
                if not entry.cancel_reason:  # written first: who sees the job cancelled must know why
                    self.ledger.write(_changed(launch, cancel_reason=reason))
                self.jobs.cancel_job(entry.job_name)
            case decide.Built():
                self.ledger.write(_changed(launch, build=""))
                self.publisher.publish([entry.key])  # where that fails the next tick does it
            case decide.Resume(budget):  # the next tick publishes its ticket
                self.ledger.write(launch.resume(self.clock(), budget))
            case decide.Wait(shortage, why):
                self.ledger.write(launch.short(self.clock(), shortage, why, self.policy.backoff))
            case decide.Finish():
                self._finish(launch, decision, seen.job)
        name = type(decision).__name__
        log.info("status.acted", extra={"fields": {"launch_key": entry.key, "decision": name, "job": entry.job_name}})
        return name

    def _finish(self, launch: Launch, decision: decide.Finish, job: Job | None) -> None:
        """Record the end, report it, and close last: only after W&B has accepted the report.

        The end of the job's log is recorded, too: so a report that is repeated says the same.
        """
        if launch.entry.state is not State.ENDED:
            ended = launch.end(decision.outcome, decision.reason, self.clock(), report=decision.report)
            if ended.entry.report_owed and job and self.logs:
                ended = replace(ended, reason=ended.reason + excerpt(self.logs, launch, job, self.keys))
            launch = self.ledger.write(ended)
        if launch.entry.report_owed:
            self._report_to(launch)
        if launch.entry.scheduler and launch.entry.outcome is Outcome.FAILED:
            self._cancel_sweep(launch)
        self.ledger.close(launch)

    def _cancel_sweep(self, launch: Launch) -> None:
        """End the sweep of a scheduler that has failed, or it would wait for ever; its run's id is the sweep's."""
        try:
            self.tracker.cancel_sweep(launch.entry.run)
        except Reject as exc:
            log.exception(
                "status.sweep_not_cancelled", extra={"fields": {"launch_key": launch.key, "problem": str(exc)}}
            )

    def _report_to(self, launch: Launch) -> None:
        """Tell the item's author. A W&B that is down is told later, however much; one that says no, for a day."""
        entry = launch.entry
        try:
            stage = "run" if entry.job_name else "build" if entry.build else "agent"
            self.tracker.fail_item(entry.queue, entry.item_id, launch.reason, stage)
        except Reject as exc:
            if launch.history and launch.history[-1].at + REFUSED_FOR > self.clock():
                raise
            log.exception("status.never_told", extra={"fields": {"launch_key": launch.key, "problem": str(exc)}})


def _unheard(entry: Entry) -> bool:
    """Tell whether a notice is owed; one of a claimed launch waits, or its holder could not record the job."""
    owed = bool(entry.notice) and not entry.noticed and entry.from_queue
    return owed and entry.state is not State.SUBMITTING


def _changed(launch: Launch, **changes: object) -> Launch:
    return replace(launch, entry=replace(launch.entry, **changes))  # type: ignore[arg-type]
