"""Repeat the tick within one call of Cloud Scheduler while work goes on, and wake poll.

While no slot is free, status is the fast function: a launch that ends frees a slot, and the sooner
poll knows, the sooner the next one runs. While slots are free, poll is the fast one; status stays
and reads the agent's note, because poll may fill the last slot at any time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from functions.status.reconcile import Status
from functions.status.report import Report
from shared.core.budget import Budget
from shared.core.cadence import Cadence, Intervals, Mode
from shared.core.entry import PACED_AHEAD
from shared.core.errors import Conflict, LaunchError
from shared.core.ports import AgentBook, AgentNote, Clock, WakeUps

TRIES = 3  # of a write that poll overtakes
LEAD = timedelta(seconds=5)  # from a launch's ticket to its slot, for which submit waits
TOGETHER = timedelta(seconds=1)  # tickets of one call


@dataclass(frozen=True, slots=True)
class Watch:
    """The ticks of one call."""

    status: Status
    agents: AgentBook
    wake_ups: WakeUps
    clock: Clock
    wait: Callable[[float], object]  # sleeps this many seconds
    cadence: Cadence = field(default_factory=Cadence)
    intervals: Intervals = field(default_factory=lambda: Intervals(Cadence()))
    tick: float = 45.0  # seconds: the budget of one tick

    def run(self, budget: Budget) -> Report:
        """Do a tick, and others in the window; return one report of all.

        `budget` ends ACTING seconds after the first tick's. Raises Retry, Denied without a list of
        the ledger in the first tick.
        """
        began, report = budget.left, Report(ticks=0)
        self.intervals.begin()
        while True:
            left = budget.left
            last = self._tick(budget, first=not report.ticks)
            note = self._noted(last, budget)
            report = report.followed_by(last)
            window = self.cadence.window - (began - budget.left)
            if not self._next(last, note, left - budget.left, budget, budget.left - window):
                if last.slots and self._is_warm(note):
                    self._pause(min(window, budget.left), last)
                # the next call comes before later ones are due
                self._publish_slots(last, self.clock() + PACED_AHEAD)
                return report

    def _tick(self, budget: Budget, *, first: bool) -> Report:
        try:
            return self.status.run(budget.part(self.tick))
        except LaunchError as exc:
            if first:
                raise
            report = Report()
            report.failed("tick", exc)
            self.intervals.failed()
            return report

    def _noted(self, last: Report, budget: Budget) -> AgentNote | None:
        """Keep the deployment warm after work, and wake poll if a slot was freed; return the note.

        A failure changes only the speed: Cloud Scheduler calls poll and status in any case. What an
        invocation saw before it froze is no reason to be fast now.
        """
        if self.cadence.mode is Mode.NEVER or budget.left <= 0:
            return None
        try:
            note = self._kept_warm(last, budget)
            if last.freed and note and note.full and budget.left > 0:
                self.wake_ups.ring()
        except LaunchError as exc:
            last.failed("agent", exc)
            return None
        return note

    def _kept_warm(self, last: Report, budget: Budget) -> AgentNote | None:
        note = self.agents.read()
        if not (last.freed or last.pending or last.stopping):
            return note
        for _ in range(TRIES):
            if note is None or budget.left <= 0:
                break
            until = self.cadence.extended(note.warm_until, self.clock())
            if until is None:
                break
            try:
                return self.agents.write(replace(note, warm_until=until))
            except Conflict:  # poll has written it
                note = self.agents.read()
        return note

    def _next(
        self, last: Report, note: AgentNote | None, took: float, budget: Budget, end: float
    ) -> bool:
        """Wait for the next tick; return False if none is due before the budget has `end` left."""
        cadence, warm = self.cadence, self._is_warm(note)
        busy = bool(last.young or last.stopping)
        base = cadence.of_status(warm=warm, full=bool(note and note.full), busy=busy)
        interval = self.intervals.interval(base or cadence.fast, took)
        pause = max(interval - took, 0.0)
        while warm and budget.left - pause - took > max(end, 0.0):
            self._pause(pause, last)
            if base is not None:
                return budget.left > 0
            try:
                note = self.agents.read()
            except LaunchError as exc:
                last.failed("agent", exc)
                return False
            if note and note.full:
                return budget.left > 0
            warm, pause = self._is_warm(note), interval
        return False

    def _pause(self, seconds: float, last: Report) -> None:
        """Wait, and publish each paced launch shortly before its slot."""
        end = self.clock() + timedelta(seconds=seconds)
        while last.slots and (due := last.slots[0][0] - LEAD) < end:
            self.wait(max((due - self.clock()).total_seconds(), 0.0))
            self._publish_slots(last, self.clock() + LEAD + TOGETHER)
        if (left := (end - self.clock()).total_seconds()) > 0:
            self.wait(left)

    def _publish_slots(self, last: Report, until: datetime) -> None:
        due = [key for slot, key in last.slots if slot <= until]
        del last.slots[: len(due)]
        self.status.publish(due, last)

    def _is_warm(self, note: AgentNote | None) -> bool:
        return note is not None and self.cadence.is_warm(note.warm_until, self.clock())
