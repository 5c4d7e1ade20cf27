"""Compare all open launches with Vertex AI and W&B, and act on the differences.

Level-triggered: every tick observes everything afresh, every action is safe to repeat, and a crash
costs one tick. The calls grow with pages of jobs and hundreds of runs; a tick reads and writes only
the launches that need an action.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from functions.status import activity, alarms, measure, observe, pauses
from functions.status.act import Actor
from functions.status.announce import Announcer
from functions.status.carry_out import Acting, Decided
from functions.status.decide import decide
from functions.status.decisions import NoAction, Observed, Publish, StatusTimings
from functions.status.listing import list_jobs
from functions.status.report import Report
from shared.core.budget import Budget
from shared.core.launch import Entry
from shared.core.ports import (
    AgentBook,
    Builds,
    Clock,
    CustomJobs,
    EventTopic,
    Job,
    JobLogs,
    Ledger,
    Publisher,
    RunTracker,
)
from shared.core.shortage import Shortage

log = logging.getLogger(__name__)

ACTING = 30.0  # seconds for acting after a slow observation, within the function's timeout


@dataclass(frozen=True, slots=True)
class Status:
    """What reconciling needs from outside systems. It always lists the jobs of `parents`."""

    ledger: Ledger
    custom_jobs: CustomJobs
    tracker: RunTracker
    publisher: Publisher
    clock: Clock
    builds: Builds
    parents: tuple[str, ...]
    timings: StatusTimings = field(default_factory=StatusTimings)
    connections: int = 16
    logs: JobLogs | None = None  # None: reports contain no log excerpt
    events: EventTopic | None = None  # None: this deployment publishes no events
    agents: AgentBook | None = None  # None: no queue can be paused
    young: timedelta = timedelta(minutes=10)  # a younger job is looked at more often

    def run(self, budget: Budget) -> Report:
        """Do one tick: observe, decide, act. Raises Retry, Denied without a list of the ledger."""
        report = Report()
        listed = self.ledger.list_open()
        entries = list(listed.entries)
        report.open_launches = len(entries) + len(listed.unreadable)
        for key, problem in listed.unreadable.items():
            report.errors.append(f"{key}: this version cannot read its record: {problem}")
        listing = list_jobs(
            self.custom_jobs, self.parents, entries, report, budget, self.connections
        )
        builds = observe.get_builds(self.builds, entries, report, budget)
        now = self.clock()  # one time for all decisions: observing takes a while
        seen = observe.observe(
            self.tracker,
            listing,
            builds,
            entries,
            now,
            self.timings.overdue_after,
            report,
            self.connections,
        )
        paused = pauses.paused(self.agents, entries, report)
        seen = {**seen, **{key: replace(seen[key], paused=why) for key, why in paused.items()}}
        measure.count(entries, paused.keys(), now, report)
        decided = list(self._decided(entries, seen, report, now))
        self.publish([entry.key for entry, what in decided if isinstance(what, Publish)], report)
        report.slots = sorted(self._slots(decided, seen, report))
        living = listing.living()
        doubled = alarms.report_doubled(living, entries, listing.job_of, report)
        self._act(decided, seen, doubled, budget, report)
        activity.count(entries, seen, now, self.young, report)
        alarms.report_orphans(living, entries, listed.unreadable, now, report)
        return report

    def _decided(
        self, entries: Sequence[Entry], seen: Mapping[str, Observed], report: Report, now: datetime
    ) -> Iterator[Decided]:
        """Decide each launch once."""
        for entry in entries:
            try:
                yield entry, decide(entry, seen[entry.key], now, self.timings)
            except Exception as exc:  # noqa: BLE001 - one launch's failure does not stop the others
                report.failed(entry.key, exc)

    def _slots(
        self, decided: Sequence[Decided], seen: Mapping[str, Observed], report: Report
    ) -> Iterator[tuple[datetime, str]]:
        """Yield the launches that wait for nothing but their slot in the quota of creates."""
        for entry, decision in decided:
            slot = entry.retry_at if entry.short_of is Shortage.RATE else None
            if not slot or not isinstance(decision, NoAction):
                continue
            try:
                then = decide(entry, seen[entry.key], slot, self.timings)
            except Exception as exc:  # noqa: BLE001 - one launch's failure does not stop the others
                report.failed(entry.key, exc)
                continue
            if isinstance(then, Publish):
                yield slot, entry.key

    def publish(self, keys: Sequence[str], report: Report) -> None:
        """Publish tickets of these launches; a failure goes into the report."""
        if not keys:
            return
        try:
            self.publisher.publish(keys)
            report.done["Publish"] += len(keys)
        except Exception as exc:  # noqa: BLE001 - a failure of the topic does not stop the actions
            report.failed("topic", exc)

    def _act(
        self,
        decided: Sequence[Decided],
        seen: Mapping[str, Observed],
        doubled: Sequence[Job],
        budget: Budget,
        report: Report,
    ) -> None:
        """Carry out the decisions within the budget; ACTING seconds are left in any case."""
        until = max(-ACTING, min(0.0, budget.left - ACTING))

        def in_time(action: str) -> None:
            budget.require(action, until)

        actor = Actor(
            self.ledger,
            self.custom_jobs,
            self.tracker,
            self.publisher,
            self.clock,
            self.timings,
            in_time,
            report,
            self.logs,
        )
        announcer = Announcer(self.events, report)
        Acting(actor, announcer, self.connections, report).carry_out(decided, seen, doubled)
