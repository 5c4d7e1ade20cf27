"""Drain W&B run queues: for each item pop → open in the ledger → ack → publish a ticket.

Only what W&B has acked to us is published. If poll ends before the ack, the item's lease ends and it comes again, to
the same launch. If poll ends after it, status publishes the ticket.

A poll can freeze and go on an hour later, when another one has long taken its place. So it asks its own budget
immediately before each pop, ledger write and ack.
"""

import logging
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from functions.poll.agent import Agent
from functions.poll.intake import Intake, Taken, words
from functions.poll.report import Report
from functions.poll.slots import Limits, Slots
from shared.core.budget import Budget
from shared.core.errors import OutOfTime
from shared.core.message import Queue
from shared.core.ports import AgentBook, Clock, Ledger, Publisher, RunQueue

__all__ = ["Poll", "PollLimits", "Report"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PollLimits:
    """How much to take, and for how long; `lease` outlasts the invocation's budget and the calls' own timeouts."""

    queues: tuple[Queue, ...]
    max_jobs: int = 1  # -1: no limit
    max_schedulers: int = 1
    max_queued: int = 100
    connections: int = 32
    lease: timedelta = timedelta(seconds=150)
    overdue_after: timedelta = timedelta(seconds=60)
    window: timedelta = timedelta(0)  # how long to go on asking when the queues are empty
    interval: timedelta = timedelta(seconds=5)  # how often, within the window
    base_url: str = ""  # of W&B
    agent_config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Poll:
    """What draining needs of the outside."""

    run_queue: RunQueue
    ledger: Ledger
    agents: AgentBook
    publisher: Publisher
    clock: Clock
    policy: PollLimits
    wait: Callable[[float], object]  # sleeps this many seconds

    def run(self, holder: str, budget: Budget) -> Report:
        """Drain the queues once, or again and again for the window; one poll works at a time.

        Raises:
            Retry, Denied: the ledger or W&B as a whole cannot be reached, or W&B refuses the key.
        """
        now, began_with = self.clock(), budget.left
        note = self.agents.take(holder, now, now + self.policy.lease)
        if note is None:
            return Report(polled=False, why_not="another poll is at work")
        report = Report()
        try:
            slots = self._slots(holder, frozenset(), report)
            note, missing = self._agent().show(note, report)
            for name in missing:
                slots.leave_out(name)
            while report.polled:
                self._round(slots, budget, report)
                window = self.policy.window.total_seconds() - (began_with - budget.left)
                if self.policy.interval.total_seconds() > min(window, budget.left):
                    break
                self.wait(self.policy.interval.total_seconds())
                if budget.left <= 0:  # the wait took longer than it should
                    break
                slots = self._slots(holder, missing, report)
            note = replace(note, polled_at=now, why_not=report.why_not)
        finally:
            self.agents.give_back(note)
        return report

    def _agent(self) -> Agent:
        names = tuple(queue.name for queue in self.policy.queues)
        entity = self.policy.queues[0].entity
        return Agent(self.run_queue, self.policy.base_url, entity, names, self.policy.agent_config)

    def _slots(self, holder: str, missing: frozenset[str], report: Report) -> Slots:
        """Count how many launches may be opened, afresh from the ledger: no slot leaks.

        A launch that was opened and never acked (a poll ended in between) is left out: its item is back in W&B's queue,
        and holding a slot for it would keep it there.
        """
        listing, now = self.ledger.list_open(), self.clock()
        entries = list(listing.entries)
        report.open_launches = len(entries) + len(listing.unreadable)
        for key, why in listing.unreadable.items():
            report.failed(f"ledger: open/{key}", f"cannot be read, and holds a slot: {why}")
        stale = [
            entry
            for entry in entries
            if entry.from_queue and entry.overdue(now, self.policy.overdue_after)
        ]
        if stale:
            shown = self.run_queue.item_statuses([(entry.queue, entry.item_id) for entry in stale])
            for item, exc in shown.failed.items():  # it may be acked: it keeps its slot
                report.failed(f"item {item}", exc, exc)
            unacked = {item for item, status in shown.found.items() if not status.run_name}
            entries = [
                entry for entry in entries if entry not in stale or entry.item_id not in unacked
            ]
        limits = Limits(self.policy.max_jobs, self.policy.max_schedulers, self.policy.max_queued)
        queues = [queue for queue in self.policy.queues if queue.name not in missing]
        first = zlib.crc32(holder.encode()) % max(len(queues), 1)
        slots = Slots(queues, entries, len(listing.unreadable), limits, first)
        report.held = {queue.name: why for queue, why in slots.held.items()}
        report.full = slots.full
        return slots

    def _round(self, slots: Slots, budget: Budget, report: Report) -> None:
        """Empty the queues once, over several connections, then publish what is ours."""
        if budget.left <= 0:
            report.failed(
                "time", "the budget was spent before any queue was asked (POLL_BUDGET_SECONDS)"
            )
            return
        workers = min(self.policy.connections, slots.room)
        with ThreadPoolExecutor(max(workers, 1)) as pool:
            futures = [
                pool.submit(self._work, slots, report.agent_id, budget) for _ in range(workers)
            ]
        taken = [one for future in futures for one in future.result()]
        for one in taken:
            if one.error:
                report.note(one.where, one.error)
            elif one.left:
                report.left[one.left] += 1
            else:
                (report.refused if one.refused else report.launched)[one.queue.name] += 1
        ours = [one.key for one in taken if not (one.error or one.left or one.refused)]
        if ours:
            try:
                self.publisher.publish(
                    ours
                )  # also when the time is over: a late ticket changes nothing
            except Exception as exc:  # noqa: BLE001 - status publishes for what waits too long
                report.failed("topic", exc, exc)

    def _work(self, slots: Slots, agent_id: str, budget: Budget) -> list[Taken]:
        """Take queues in turn until no item, no room or no time is left."""
        intake = Intake(self.run_queue, self.ledger, self.clock, slots, budget)
        taken: list[Taken] = []
        while budget.left > 0 and (queue := slots.next()):
            try:
                budget.require("popping an item")
                item = self.run_queue.pop(queue, agent_id)
            except OutOfTime:
                slots.give_back()
                break
            except (
                Exception
            ) as exc:  # whatever it is, the other queues are asked, and what was acked is published
                slots.drop(queue)
                taken.append(Taken(queue, error=words(exc)))
                log.exception("poll.pop_failed", extra={"fields": {"queue": queue.name}})
                continue
            if item is None:
                slots.drop(queue)
                continue
            taken.append(intake.take(queue, item))
        return taken
