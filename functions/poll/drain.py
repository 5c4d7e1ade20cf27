"""Drain W&B run queues: for each item pop → open in the ledger → ack → publish a ticket.

Only what W&B has acked to us is published. Died before the ack: the item's lease ends and it comes again, to the same
launch. Died after it: status publishes the ticket.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from functions.poll.turn import Turn
from shared.core.errors import Conflict, LaunchError, OutcomeUnknown
from shared.core.message import Queue
from shared.core.opening import from_item
from shared.core.ports import AgentBook, AgentNote, Clock, Ledger, Publisher, QueueItem, RunQueue

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """How much to take, and for how long.

    `budget` is how long one call may go on asking; `lease` outlasts the function's own timeout.
    """

    queues: tuple[Queue, ...]
    max_jobs: int = 1  # -1: no limit
    max_schedulers: int = 1  # of sweeps; they do not count as jobs, or a sweep would wait for itself
    max_queued: int = 100
    connections: int = 32
    budget: timedelta = timedelta(seconds=40)
    lease: timedelta = timedelta(seconds=150)
    overdue_after: timedelta = timedelta(seconds=60)
    window: timedelta = timedelta(0)  # how long to go on asking when the queues are empty
    interval: timedelta = timedelta(seconds=5)  # how often, within the window
    agent_config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """What one call did; its JSON is the answer to Cloud Scheduler."""

    polled: bool = True
    why_not: str = ""
    agent_id: str = ""
    open_launches: int = 0
    launched: Counter[str] = field(default_factory=Counter)  # per queue: acked to us and published
    left: Counter[str] = field(default_factory=Counter)  # per reason: popped, and not ours to launch now
    held: dict[str, str] = field(default_factory=dict)  # per queue that was not popped: why
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Poll:
    """What draining needs of the outside."""

    run_queue: RunQueue
    ledger: Ledger
    agents: AgentBook
    publisher: Publisher
    clock: Clock
    policy: Policy
    wait: Callable[[float], object]  # sleeps this many seconds

    def run(self, holder: str) -> Report:
        """Drain the queues once, or again and again for the window; one poll works at a time.

        Raises:
            Retry, Denied: the ledger, W&B or the topic as a whole cannot be reached.
            Reject: a queue does not exist.
        """
        started = self.clock()
        note = self.agents.take(holder, started, started + self.policy.lease)
        if note is None:
            return Report(polled=False, why_not="another poll is at work")
        report = Report()
        try:
            turn = self._turn(report)
            note = self._agent(note, report)
            while report.polled:
                self._round(turn, note.agent_id, started + self.policy.budget, report)
                if self.clock() + self.policy.interval > started + min(self.policy.window, self.policy.budget):
                    break
                self.wait(self.policy.interval.total_seconds())
                turn = self._turn(report)
        finally:
            self.agents.give_back(note)
        return report

    def _turn(self, report: Report) -> Turn:
        """Say how many launches may be opened, counted afresh from the ledger: nothing eats a slot for good.

        A launch that was opened and never acked (a poll died in between) is left out: its item is back in W&B's queue,
        and holding a slot for it would keep it there.
        """
        now = self.clock()
        entries = list(self.ledger.list_open().entries)
        report.open_launches = len(entries)
        stale = [entry for entry in entries if entry.from_queue and entry.overdue(now, self.policy.overdue_after)]
        if stale:
            statuses = self.run_queue.item_statuses([(entry.queue, entry.item_id) for entry in stale]).found
            unacked = {e.key for e in stale if e.item_id in statuses and not statuses[e.item_id].run_name}
            entries = [entry for entry in entries if entry.key not in unacked]
        limits = (self.policy.max_jobs, self.policy.max_schedulers, self.policy.max_queued)
        turn = Turn(self.policy.queues, entries, *limits)
        report.held = {queue.name: why for queue, why in turn.held.items()}
        return turn

    def _agent(self, note: AgentNote, report: Report) -> AgentNote:
        """Show our agent as active; register it where W&B does not know it for these queues."""
        names = tuple(queue.name for queue in self.policy.queues)
        stop: bool | None = None
        if note.agent_id and note.queues == names:
            stop = self.run_queue.heartbeat(note.agent_id, running=report.open_launches > 0)
        if stop is None:
            agent_id = self.run_queue.register(self.policy.queues[0].entity, names, self.policy.agent_config)
            note = replace(note, agent_id=agent_id, queues=names)
            log.info("poll.registered", extra={"fields": {"agent_id": agent_id, "queues": list(names)}})
        elif stop:
            report.polled, report.why_not = False, "W&B asks this agent to stop polling"
        report.agent_id = note.agent_id
        return note

    def _round(self, turn: Turn, agent_id: str, deadline: datetime, report: Report) -> None:
        """Empty the queues once, over several connections, then publish what is ours."""
        workers = min(self.policy.connections, turn.room)
        with ThreadPoolExecutor(max(workers, 1)) as pool:
            futures = [pool.submit(self._work, turn, agent_id, deadline) for _ in range(workers)]
        taken = [one for future in futures for one in future.result()]
        for one in taken:
            if one.error:
                report.errors.append(f"queue {one.queue.name}: {one.error}")
            elif one.left:
                report.left[one.left] += 1
            else:
                report.launched[one.queue.name] += 1
        ours = [one.key for one in taken if not one.left and not one.error]
        if ours:
            try:
                self.publisher.publish(ours)
            except LaunchError as exc:  # status publishes for what waits too long
                report.errors.append(f"topic: {exc}")
                log.exception("poll.not_published", extra={"fields": {"launches": len(ours)}})

    def _work(self, turn: Turn, agent_id: str, deadline: datetime) -> "list[_Taken]":
        """Take queues in turn until nothing is left, no room is left, or the time is over."""
        taken: list[_Taken] = []
        while self.clock() < deadline and (queue := turn.next()):
            try:
                item = self.run_queue.pop(queue, agent_id)
                if item is None:
                    turn.drop(queue)
                    turn.give_back()
                    continue
                one = self._take(turn, queue, item)
            except Exception as exc:  # whatever it is, what others acked is still published
                turn.drop(queue)
                taken.append(_Taken(queue, error=str(exc) or type(exc).__name__))
                log.exception("poll.failed", extra={"fields": {"queue": queue.name}})
                continue
            taken.append(one)
            fields = {"launch_key": one.key, "item": item.id, "queue": queue.name, "left": one.left}
            log.info("poll.item", extra={"fields": fields})
        return taken

    def _take(self, turn: Turn, queue: Queue, item: QueueItem) -> "_Taken":
        """Open the launch of an item, then ack the item."""
        launch = from_item(item.id, queue, item.run_spec, self.clock())
        if launch.entry.scheduler and not turn.admits(launch.key):
            turn.give_back()
            return _Taken(queue, launch.key, left="max_schedulers are open")  # W&B gives it again in a minute
        try:
            self.ledger.write(launch)
        except Conflict:
            log.info("poll.again", extra={"fields": {"launch_key": launch.key}})  # an earlier poll got as far as this
        run_id = launch.entry.run.run_id
        if self._acked(item.id, run_id):
            return _Taken(queue, launch.key)
        # the lease ended, or an ack of ours whose answer was lost came through, or another agent was quicker
        status = self.run_queue.item_statuses([(queue, item.id)]).found.get(item.id)
        if status is None or not status.run_name:
            return _Taken(queue, launch.key, left="lease ended")
        if status.run_name == run_id:
            return _Taken(queue, launch.key)
        self.ledger.withdraw(launch.key)
        return _Taken(queue, launch.key, left="another agent has it")

    def _acked(self, item_id: str, run_id: str) -> bool:
        try:
            return self.run_queue.ack(item_id, run_id)
        except OutcomeUnknown:
            return False


@dataclass(frozen=True, slots=True)
class _Taken:
    """What became of one item; `left` says why it is not ours to launch now."""

    queue: Queue
    key: str = ""
    left: str = ""
    error: str = ""
