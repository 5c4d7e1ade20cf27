"""Compare all open launches with Vertex AI and W&B, and do what is owed.

Level-triggered: every tick looks at everything afresh, every action is safe to repeat, and a crash in the middle costs
one tick. The calls grow with pages of jobs and hundreds of runs; only a launch with news is read and written.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from functions.status import alarms, observe
from functions.status.act import Actor, unheard
from functions.status.decide import decide
from functions.status.decisions import Built, Decision, NoAction, Observed, Publish, StatusTimings
from functions.status.report import Report
from shared.core.budget import Budget
from shared.core.building import Builds
from shared.core.errors import Conflict, OutOfTime
from shared.core.launch import Entry, Launch
from shared.core.ports import Clock, Job, JobLogs, Jobs, Ledger, Publisher, RunTracker

log = logging.getLogger(__name__)

ACTING = 30.0  # seconds that are left for acting however long observing takes; the function's timeout has room for them
Decided = tuple[Entry, Decision]


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
    timings: StatusTimings = field(default_factory=StatusTimings)
    connections: int = 16
    logs: JobLogs | None = None  # where the end of a failed job's log goes to its item
    keys: frozenset[str] = field(
        default=frozenset(), repr=False
    )  # of this deployment: none of them leaves it

    def run(self, budget: Budget) -> Report:
        """Do one tick. Raises Retry, Denied where the ledger cannot be listed."""
        report = Report()
        listed = self.ledger.list_open()
        entries = list(listed.entries)
        report.open_launches = len(entries) + len(listed.unreadable)
        for key, problem in listed.unreadable.items():
            report.errors.append(f"{key}: this version cannot read its record: {problem}")
        listing = observe.list_jobs(self.jobs, self.parents, entries, report, budget)
        builds = observe.get_builds(self.builds, entries, report, budget)
        now = (
            self.clock()
        )  # what was asked and what is decided go by one time: observing takes some
        seen = observe.observe(
            self.tracker, listing, builds, entries, now, self.timings.overdue_after, report
        )
        decided = list(self._decided(entries, seen, report, now))
        self._publish(
            [entry for entry, decision in decided if isinstance(decision, Publish)], report
        )
        living = listing.living()
        doubled = alarms.report_doubled(living, entries, listing.job_of, report)
        self._act(decided, seen, doubled, budget, report)
        alarms.report_orphans(living, entries, listed.unreadable, now, report)
        return report

    def _decided(
        self, entries: Sequence[Entry], seen: Mapping[str, Observed], report: Report, now: datetime
    ) -> Iterator[Decided]:
        """Decide for each launch, once."""
        for entry in entries:
            try:
                yield entry, decide(entry, seen[entry.key], now, self.timings)
            except Exception as exc:  # noqa: BLE001 - one launch that cannot be decided does not stop the others
                report.failed(entry.key, exc)

    def _publish(self, due: Sequence[Entry], report: Report) -> None:
        if not due:
            return
        try:
            self.publisher.publish(entry.key for entry in due)
            report.done["Publish"] += len(due)
        except Exception as exc:  # noqa: BLE001 - the topic's failure is the topic's
            report.failed("topic", exc)

    def _act(
        self,
        decided: Sequence[Decided],
        seen: Mapping[str, Observed],
        doubled: Sequence[Job],
        budget: Budget,
        report: Report,
    ) -> None:
        """Do what was decided, over several connections, and only then send the warnings."""
        until = max(-ACTING, min(0.0, budget.left - ACTING))

        def in_time(action: str) -> None:
            budget.require(action, until)

        actor = Actor(
            self.ledger,
            self.jobs,
            self.tracker,
            self.publisher,
            self.clock,
            self.timings,
            in_time,
            report,
            self.logs,
            self.keys,
        )
        owed: list[tuple[Entry, Launch | None, bool]] = []  # and whether to mark them as warned

        def work(entry: Entry, decision: Decision) -> str:
            try:
                launch = actor.act(entry, decision, seen[entry.key])
            except Conflict:
                return "Changed"  # somebody else wrote meanwhile: the next tick decides afresh
            if launch and unheard(launch.entry):
                owed.append((launch.entry, launch, not isinstance(decision, Built)))
            name = type(decision).__name__
            fields = {"launch_key": entry.key, "decision": name, "job": entry.job_name}
            log.info("status.acted", extra={"fields": fields})
            return name

        def warn(entry: Entry, launch: Launch | None, mark: bool) -> str:
            try:
                actor.warn(launch or actor.read(entry), mark=mark)
            except Conflict:
                return "Changed"
            return ""

        def cancel(job: Job) -> str:
            in_time("cancelling a doubled job")
            self.jobs.cancel_job(job.name)
            return "CancelDoubled"

        busy = [(e, d) for e, d in decided if not isinstance(d, NoAction | Publish)]
        # a launch whose ticket was just published may be claimed at any moment, so its record is left alone
        owed += [
            (e, None, isinstance(d, NoAction))
            for e, d in decided
            if isinstance(d, NoAction | Publish) and unheard(e)
        ]
        with ThreadPoolExecutor(self.connections) as pool:
            done = [
                *pool.map(lambda job: _guarded(job.name, report, lambda: cancel(job)), doubled),
                *pool.map(lambda pair: _guarded(pair[0].key, report, lambda: work(*pair)), busy),
            ]
            done += pool.map(
                lambda each: _guarded(f"{each[0].key}: warning", report, lambda: warn(*each)), owed
            )
        report.done.update(name for name in done if name)
        if postponed := report.done["Postpone"]:
            report.errors.append(
                f"{postponed} actions are left to the next tick: the time of this one is over"
            )


def _guarded(where: str, report: Report, work: Callable[[], str]) -> str:
    """Do one piece of work; one launch that cannot be served does not stop the others."""
    try:
        return work()
    except OutOfTime:
        return "Postpone"
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is named in the report
        report.failed(where, exc)
        return "Fail"
