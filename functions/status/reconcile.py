"""Compare all open launches with Vertex AI and W&B, and do what is owed.

Level-triggered: every tick looks at everything afresh, every action is safe to repeat, and a crash in the middle costs
one tick. The calls grow with pages of jobs and hundreds of runs; only a launch with news is read and written.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

from functions.status import decide
from functions.status.decide import Decision, Sighting
from shared.core.errors import Conflict, LaunchError, Reject
from shared.core.jobstate import PHASES, phase_of
from shared.core.launch import Entry, Launch, State
from shared.core.ports import Clock, Job, Jobs, Ledger, Publisher, RunTracker

log = logging.getLogger(__name__)

SKEW = timedelta(minutes=5)  # between our clock and Vertex AI's, at the most
REFUSED_FOR = timedelta(days=1)  # how long a report that W&B refuses keeps its launch open
ORPHAN_AGE = timedelta(minutes=5)  # a job younger than that may belong to a launch opened after the ledger was listed


@dataclass(slots=True)
class Report:
    """What one tick saw and did; its JSON is the answer to Cloud Scheduler."""

    open_launches: int = 0
    jobs_listed: int = 0
    done: Counter[str] = field(default_factory=Counter)  # per decision
    orphans: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Status:
    """What reconciling needs of the outside. `parents` are always listed; launches name further ones."""

    ledger: Ledger
    jobs: Jobs
    tracker: RunTracker
    publisher: Publisher
    clock: Clock
    parents: tuple[str, ...]
    policy: decide.Policy = field(default_factory=decide.Policy)
    budget: timedelta = timedelta(seconds=45)
    connections: int = 16

    def run(self) -> Report:
        """Do one tick. Raises Retry, Denied where the ledger cannot be listed."""
        deadline = self.clock() + self.budget
        report = Report()
        entries = list(self.ledger.list_open())
        report.open_launches = len(entries)
        self._publish([entry for entry in entries if self._due_for_certain(entry)], report)
        jobs, unlisted = self._list_jobs(entries, report)
        try:
            sightings = self._sightings(entries, jobs, unlisted)
        except LaunchError as exc:  # without W&B nothing more can be decided; what is owed stays in the ledger
            _failed(report, "W&B", exc)
        else:
            self._act(entries, sightings, deadline, report)
        self._report_orphans(entries, jobs, report)
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
            _failed(report, "topic", exc)

    def _list_jobs(self, entries: Sequence[Entry], report: Report) -> tuple[dict[tuple[str, int], Job], set[str]]:
        """List each region; return the jobs by key and attempt, and the regions that did not answer."""
        seen: dict[tuple[str, int], Job] = {}
        unlisted: set[str] = set()
        submitted = [entry for entry in entries if entry.state is State.SUBMITTED]
        for parent in sorted({*self.parents, *(entry.parent for entry in submitted)}):
            try:
                for job in self.jobs.list_jobs(parent):
                    _see(job, seen, report)
                ours = {(entry.key, entry.attempt): entry for entry in submitted if entry.parent == parent}
                self._find_ended(parent, {k: entry for k, entry in ours.items() if k not in seen}, seen, report)
            except LaunchError as exc:
                unlisted.add(parent)
                _failed(report, parent, exc)
        report.jobs_listed = len(seen)
        return seen, unlisted

    def _find_ended(
        self, parent: str, missing: dict[tuple[str, int], Entry], seen: dict[tuple[str, int], Job], report: Report
    ) -> None:
        """Find the jobs that do not live any more: list back to the oldest of these launches, until each is found."""
        if not missing:
            return
        for job in self.jobs.list_jobs(parent, min(entry.opened_at for entry in missing.values()) - SKEW):
            if (job.key, job.attempt) in missing:
                _see(job, seen, report)
                del missing[job.key, job.attempt]
                if not missing:
                    return

    def _sightings(
        self, entries: Sequence[Entry], jobs: dict[tuple[str, int], Job], unlisted: set[str]
    ) -> dict[str, Sighting]:
        now = self.clock()
        tracked = [entry.run for entry in entries if entry.state in (State.QUEUED, State.SUBMITTED)]
        runs = self.tracker.run_statuses(tracked)
        overdue = [e for e in entries if e.from_queue and e.overdue(now, self.policy.overdue_after)]
        items = self.tracker.item_statuses([(entry.queue, entry.item_id) for entry in overdue])
        return {
            entry.key: Sighting(
                job=jobs.get((entry.key, entry.attempt)),
                listed=entry.parent not in unlisted,
                run=runs.get(entry.run),
                item=items.get(entry.item_id),
            )
            for entry in entries
        }

    def _act(
        self, entries: Sequence[Entry], sightings: dict[str, Sighting], deadline: datetime, report: Report
    ) -> None:
        """Decide for each launch; publish what is due together, and do the rest over several connections."""
        decided = [(e, decide.decide(e, sightings[e.key], self.clock(), self.policy)) for e in entries]
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
                _failed(report, entry.key, exc)
                return "Fail"

        with ThreadPoolExecutor(self.connections) as pool:
            report.done.update(pool.map(lambda pair: work(*pair), busy))

    def _do(self, entry: Entry, decision: Decision, seen: Sighting) -> str:
        """Act on one decision about the launch as it was listed, if it still is so."""
        if isinstance(decision, decide.Confirm):
            job = self.jobs.get_job(entry.job_name)
            decision = decide.decide(entry, replace(seen, job=job, gone=job is None), self.clock(), self.policy)
        if isinstance(decision, decide.Withdraw):
            self.ledger.withdraw(entry.key)
            return "Withdraw"
        launch = self.ledger.read(entry.key)
        if launch is None or launch.entry != entry:
            raise Conflict(entry.key)
        if _unheard(entry):
            self.tracker.warn_item(entry.item_id, entry.notice, "agent")
            launch = self.ledger.write(_changed(launch, noticed=True))
        match decision:
            case decide.NoteStop():
                self.ledger.write(_changed(launch, stop_seen_at=self.clock()))
            case decide.Cancel(reason):
                if not entry.cancel_reason:  # written first: who sees the job cancelled must know why
                    self.ledger.write(_changed(launch, cancel_reason=reason))
                self.jobs.cancel_job(entry.job_name)
            case decide.Resume(budget):  # the next tick publishes its ticket
                self.ledger.write(launch.resume(self.clock(), budget))
            case decide.Finish():
                self._finish(launch, decision)
        name = type(decision).__name__
        log.info("status.acted", extra={"fields": {"launch_key": entry.key, "decision": name, "job": entry.job_name}})
        return name

    def _finish(self, launch: Launch, decision: decide.Finish) -> None:
        """Record the end, report it, and close last: only after W&B has accepted the report."""
        if launch.entry.state is not State.ENDED:
            ended = launch.end(decision.outcome, decision.reason, self.clock(), report=decision.report)
            launch = self.ledger.write(ended)
        if launch.entry.report_owed:
            self._report_to(launch)
        self.ledger.close(launch)

    def _report_to(self, launch: Launch) -> None:
        """Tell the item's author. A W&B that is down is told later, however much; one that says no, for a day."""
        entry = launch.entry
        try:
            stage = "run" if entry.job_name else "agent"
            self.tracker.fail_item(entry.queue, entry.item_id, launch.reason, stage)
        except Reject as exc:
            if launch.history and launch.history[-1].at + REFUSED_FOR > self.clock():
                raise
            log.exception("status.never_told", extra={"fields": {"launch_key": launch.key, "problem": str(exc)}})

    def _report_orphans(self, entries: Sequence[Entry], jobs: dict[tuple[str, int], Job], report: Report) -> None:
        """Name the jobs that run under our label with no open launch: something else made or closed them."""
        attempts = {entry.key: entry.attempt for entry in entries}
        old = self.clock() - ORPHAN_AGE
        for (key, attempt), job in jobs.items():
            if phase_of(job.state).ended or job.created_at > old or attempts.get(key, 0) >= attempt:
                continue
            report.orphans.append(job.name)
            log.error("status.orphan", extra={"fields": {"launch_key": key, "job": job.name, "state": job.state}})


def _see(job: Job, seen: dict[tuple[str, int], Job], report: Report) -> None:
    """Note a job; sound the alarm where it is the second of its attempt."""
    twin = seen.get((job.key, job.attempt))
    if twin and twin.name != job.name:
        report.errors.append(f"two CustomJobs of one attempt: {twin.name} and {job.name}")
        log.critical("status.doubled", extra={"fields": {"launch_key": job.key, "job": job.name}})
    if PHASES.get(job.state) is None or job.state == "JOB_STATE_UNSPECIFIED":
        _warn_of_unknown_state(job.state)
    seen[job.key, job.attempt] = job


def _unheard(entry: Entry) -> bool:
    return bool(entry.notice) and not entry.noticed and entry.from_queue


def _changed(launch: Launch, **changes: object) -> Launch:
    return replace(launch, entry=replace(launch.entry, **changes))  # type: ignore[arg-type]


def _failed(report: Report, where: str, exc: Exception) -> None:
    report.errors.append(f"{where}: {type(exc).__name__}: {exc}")
    log.error("status.failed", extra={"fields": {"where": where}}, exc_info=exc)


@cache
def _warn_of_unknown_state(state: str) -> None:
    """Log a JobState that this version does not know: once, though it is seen at every tick."""
    log.warning("status.unknown_job_state", extra={"fields": {"state": state}})
