"""One round: count the free slots, then for each item pop → open in the ledger → ack → ticket.

Poll publishes a ticket only after W&B has accepted the ack. If poll crashes before the ack, the
item's lease ends, and W&B offers it again, for the same launch. If poll crashes after the ack,
status publishes the ticket.

A poll can freeze and continue an hour later, while another one is working. It checks its own budget
immediately before each pop, ledger write and ack.
"""

import logging
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from functions.poll.intake import Intake, Taken, words
from functions.poll.lease import Lease
from functions.poll.report import Report
from functions.poll.runs import OpenRuns
from functions.poll.slots import Limits, Slots
from shared.core.budget import Budget
from shared.core.errors import OutOfTime
from shared.core.launch import Entry
from shared.core.message import Queue
from shared.core.ports import Clock, Ledger, Publisher, RunQueue
from shared.core.threads import threads

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PollLimits:
    """How many items to take, and for how long.

    `lease` is longer than the invocation's budget plus the timeouts of its calls.
    """

    queues: tuple[Queue, ...]
    max_jobs: int = 1  # -1: no limit
    max_schedulers: int = 1
    max_queued: int = 100
    connections: int = 32
    lease: timedelta = timedelta(seconds=150)
    overdue_after: timedelta = timedelta(seconds=60)
    base_url: str = ""  # of W&B
    agent_config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def numbers(self) -> dict[str, int]:
        """Return the limits on open launches, as the note shows them to operators."""
        return {
            "max_jobs": self.max_jobs,
            "max_schedulers": self.max_schedulers,
            "max_queued": self.max_queued,
        }


@dataclass(frozen=True, slots=True)
class Round:
    """What a round needs from outside systems, and the operator's limits."""

    run_queue: RunQueue
    ledger: Ledger
    publisher: Publisher
    clock: Clock
    limits: PollLimits

    def count(
        self, lease: Lease, missing: frozenset[str], report: Report
    ) -> tuple[Slots, OpenRuns]:
        """Count the free slots and the open runs in the ledger, so that no slot leaks."""
        listing = self.ledger.list_open()
        report.open_launches = len(listing.entries) + len(listing.unreadable)
        for key, why in listing.unreadable.items():
            report.failed(f"ledger: open/{key}", f"cannot be read, and takes a slot: {why}")
        unacked = self._unacked(listing.entries, report)
        entries = [entry for entry in listing.entries if entry.key not in unacked]
        most = Limits(self.limits.max_jobs, self.limits.max_schedulers, self.limits.max_queued)
        queues = [queue for queue in self.limits.queues if queue.name not in missing]
        first = zlib.crc32(lease.holder.encode()) % max(len(queues), 1)
        slots = Slots(
            queues, entries, len(listing.unreadable), most, first, paused=lease.note.paused
        )
        report.held = {queue.name: why for queue, why in slots.held.items()}
        report.full, report.headroom = slots.full, slots.headroom
        return slots, OpenRuns(listing.entries)

    def _unacked(self, entries: Sequence[Entry], report: Report) -> set[str]:
        """Return the keys of the launches whose poll crashed before the ack.

        They take no slot: their items are in W&B's queue again, and need one.
        """
        now, after = self.clock(), self.limits.overdue_after
        stale = [entry for entry in entries if entry.from_queue and entry.overdue(now, after)]
        if not stale:
            return set()
        shown = self.run_queue.item_statuses([(entry.queue, entry.item_id) for entry in stale])
        for item, exc in shown.failed.items():  # it may be acked: it keeps its slot
            report.failed(f"item {item}", exc, exc)
        items = {item for item, status in shown.found.items() if not status.run_name}
        return {entry.key for entry in stale if entry.item_id in items}

    def count_waiting(self, report: Report) -> None:
        """Count the items that wait in W&B, for operators; no call depends on the number."""
        counts = []
        for queue in self.limits.queues:
            try:
                counts.append(self.run_queue.count_waiting(queue))
            except Exception:
                log.exception("poll.not_counted", extra={"fields": {"queue": queue.name}})
                counts.append(None)
        known = [count for count in counts if count is not None]
        report.pending = sum(known) if len(known) == len(counts) else None

    def work(
        self, slots: Slots, runs: OpenRuns, lease: Lease, budget: Budget, report: Report
    ) -> None:
        """Empty the queues once, over several connections, then publish tickets."""
        if budget.left <= 0:
            problem = "the budget was spent before the first pop (POLL_BUDGET_SECONDS)"
            report.failed("time", problem)
            return
        taken = self._taken(slots, runs, lease, report.agent_id, budget)
        for one in taken:
            if one.error:
                report.note(one.where, one.error)
            elif one.left:
                report.left[one.left] += 1
            elif one.refused:
                report.refused[one.queue.name] += 1
            else:
                report.launched[one.queue.name] += 1
        ours = [one.key for one in taken if not (one.error or one.left or one.refused)]
        if ours:
            try:
                # even when the budget is spent: a late ticket changes nothing
                self.publisher.publish(ours)
            except Exception as exc:  # noqa: BLE001 - status publishes for an overdue launch
                report.failed("topic", exc, exc)

    def _taken(
        self, slots: Slots, runs: OpenRuns, lease: Lease, agent_id: str, budget: Budget
    ) -> list[Taken]:
        """Take items until no item, slot or time is left.

        One worker begins, so that an empty queue costs one pop. Each item found lets two go on.
        """
        intake = Intake(self.run_queue, self.ledger, self.clock, slots, runs, budget, lease)
        taken: list[Taken] = []
        with threads(self.limits.connections) as pool:
            working = {pool.submit(self._work, intake, slots, agent_id, budget)}
            while working:
                done, working = wait(working, return_when=FIRST_COMPLETED)
                for future in done:
                    found, results = future.result()
                    taken += results
                    more = min(2, self.limits.connections - len(working)) if found else 0
                    working |= {
                        pool.submit(self._work, intake, slots, agent_id, budget)
                        for _ in range(more)
                    }
        return taken

    def _work(
        self, intake: Intake, slots: Slots, agent_id: str, budget: Budget
    ) -> tuple[bool, list[Taken]]:
        """Pop the queues in turn until one has an item; return whether one had, and all results."""
        taken: list[Taken] = []
        while budget.left > 0 and (queue := slots.next()):
            try:
                budget.require("popping an item")
                item = self.run_queue.pop(queue, agent_id)
            except OutOfTime:
                slots.give_back()
                break
            except Exception as exc:  # one queue's failure does not stop the others
                slots.drop(queue)
                taken.append(Taken(queue, error=words(exc)))
                log.exception("poll.pop_failed", extra={"fields": {"queue": queue.name}})
                continue
            if item is None:
                slots.drop(queue)
                continue
            taken.append(intake.take(queue, item))
            return True, taken
        return False, taken
