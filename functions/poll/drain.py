"""Drain W&B run queues: one round a call, or a round every few seconds while work goes on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from functions.poll.agent import STOPPED, Agent
from functions.poll.intake import words
from functions.poll.lease import ANOTHER, TRIES, Lease, LeaseLost
from functions.poll.report import Report
from functions.poll.round import PollLimits, Round
from functions.poll.slots import Slots
from shared.core.budget import Budget
from shared.core.cadence import Cadence, Intervals
from shared.core.ports import AgentBook, Clock, Ledger, Publisher, RunQueue
from shared.core.shorten import shown

__all__ = ["Poll", "PollLimits", "Report"]

_REASON = 500  # characters of an error in the note
COUNT_EVERY = 300  # seconds
SINCE = "a round has begun since this wake-up"
_OF_THE_AGENT = ("agent_id", "base_url", "entity", "queues", "missing", "failures")


@dataclass(frozen=True, slots=True)
class Poll:
    """What draining needs from outside systems, and the operator's choices."""

    run_queue: RunQueue
    ledger: Ledger
    agents: AgentBook
    publisher: Publisher
    clock: Clock
    limits: PollLimits
    wait: Callable[[float], object]  # sleeps this many seconds
    cadence: Cadence = field(default_factory=Cadence)
    intervals: Intervals = field(default_factory=lambda: Intervals(Cadence()))

    @property
    def round(self) -> Round:
        """Return what each round needs."""
        return Round(self.run_queue, self.ledger, self.publisher, self.clock, self.limits)

    def run(self, holder: str, budget: Budget, *, woken: bool = False) -> Report:
        """Drain the queues, again while work goes on; one poll launches at a time.

        `woken`: status calls because a launch has ended, not Cloud Scheduler. A call that finds
        another poll at work asks it for another round.

        Raises:
            Retry, Denied: the ledger or W&B cannot be reached, or W&B refuses the key.
        """
        lease = Lease(self.agents, holder, self.clock, self.limits.lease)
        report, began = Report(), self.clock()
        for _ in range(TRIES):
            if not lease.open():
                if lease.mark():
                    break
                continue  # that poll has ended meanwhile
            if woken and self._answered(lease):
                report.polled, report.why_not = False, SINCE
                return report
            try:
                _Call(self, lease, budget, woken, report).run()
            except LeaseLost:
                continue
            except Exception as exc:  # the note tells operators
                why_not = shown(words(exc), _REASON)
                known = {"polled_at": began, "why_not": why_not, "limits": self.limits.numbers}
                lease.close(known)
                raise
            finally:
                if lease.tried:
                    lease.close({})
            return report
        report.polled, report.why_not = False, ANOTHER
        return report

    def _answered(self, lease: Lease) -> bool:
        """Tell whether another call has begun a round since this wake-up came.

        Wake-ups begin at most one round in `fast` seconds, however many come.
        """
        came, last = self.clock(), lease.note.woken_at
        since = (came - last).total_seconds() if last else self.cadence.fast
        if not 0 <= since < self.cadence.fast:
            return False
        self.wait(self.cadence.fast - since)
        lease.open()
        return lease.note.polled_at is not None and lease.note.polled_at > came


@dataclass(slots=True)
class _Call:
    """One call: its rounds, from the first to the last."""

    poll: Poll
    lease: Lease
    budget: Budget
    woken: bool
    report: Report
    missing: frozenset[str] | None = None  # queues that W&B does not have; None: not asked yet
    changes: dict[str, Any] = field(default_factory=dict)  # of the agent's note

    def run(self) -> None:
        """Make the rounds. Raises LeaseLost, before any launch, if another poll works."""
        poll, report, began = self.poll, self.report, self.budget.left
        window = self._window()
        poll.intervals.begin()
        if self.woken:  # others that come at the same time find the lease
            self.changes["woken_at"] = poll.clock()
            self.lease.hold()
        while True:
            left = self.budget.left
            slots = self._round()
            took = left - self.budget.left
            pause = max(poll.intervals.interval(poll.cadence.fast, took) - took, 0.0)
            room = min(window - (began - self.budget.left), self.budget.left)
            stay = report.polled and pause + took < room
            if stay and self._goes_on(slots):
                self.lease.hold()
            elif not self.lease.close(self.changes, stay=stay):
                return
            poll.wait(pause)
            if self.budget.left <= 0:  # the wait was longer than asked for
                self.lease.close(self.changes)
                return

    def _window(self) -> float:
        """Return the seconds in which this call may begin rounds.

        A wake-up takes what is left of the window of Cloud Scheduler's last call.
        """
        now, whole = self.poll.clock(), self.poll.cadence.window
        if not self.woken:
            self.changes["window_until"] = now + timedelta(seconds=whole)
            return whole
        until = self.lease.note.window_until or now
        return min(max((until - now).total_seconds(), 0.0), whole)

    def _round(self) -> Slots:
        poll, report, began = self.poll, self.report, self.poll.clock()
        popped = _popped(report)
        if self.missing is not None:
            self.lease.look()
            if self.lease.note.stopped:
                report.polled, report.why_not = False, STOPPED
        slots, runs = poll.round.count(self.lease, self.missing or frozenset(), report)
        if self.missing is None:
            before = self.lease.note
            note, self.missing = self._agent().show(before, report, self.lease.hold)
            # what a person changes meanwhile, such as the agent's id, stays
            self.changes |= {
                name: getattr(note, name)
                for name in _OF_THE_AGENT
                if getattr(note, name) != getattr(before, name)
            }
            for name in self.missing:
                slots.leave_out(name)
        if report.polled:
            poll.round.work(slots, runs, self.lease, self.budget, report)
            if not (slots.is_full or slots.held):
                report.pending = None if report.errors else 0  # each queue was popped until empty
            elif self._counts(began) and self.budget.left > 0:
                poll.round.count_waiting(report)
        self.changes |= {
            "polled_at": began,
            "why_not": report.why_not,
            "full": slots.is_full,
            "limits": poll.limits.numbers,
        }
        if _popped(report) > popped:
            warm_until = poll.cadence.extended(self._warm_until, poll.clock())
            self.changes |= {"warm_until": warm_until} if warm_until else {}
        return slots

    def _counts(self, now: datetime) -> bool:
        """Tell whether to count the items that wait: once in five minutes, to save W&B's calls."""
        last = self.lease.note.polled_at
        return last is None or now.timestamp() // COUNT_EVERY != last.timestamp() // COUNT_EVERY

    @property
    def _warm_until(self) -> datetime | None:
        return self.changes.get("warm_until") or self.lease.note.warm_until

    def _goes_on(self, slots: Slots) -> bool:
        cadence = self.poll.cadence
        warm = cadence.is_warm(self._warm_until, self.poll.clock())
        return cadence.of_poll(warm=warm, free=slots.free) is not None

    def _agent(self) -> Agent:
        poll, limits = self.poll, self.poll.limits
        names = tuple(queue.name for queue in limits.queues)
        entity = limits.queues[0].entity
        return Agent(poll.run_queue, limits.base_url, entity, names, limits.agent_config)


def _popped(report: Report) -> int:
    counters = (report.launched, report.refused, report.left)
    return sum(counter.total() for counter in counters)
