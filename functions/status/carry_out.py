"""Carry out all decisions of one tick over several connections, then tell, mark and close."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from functions.status.act import Actor
from functions.status.announce import BATCH, Announcer
from functions.status.decisions import (
    Built,
    Decision,
    Finish,
    NoAction,
    Observed,
    Publish,
    Withdraw,
)
from functions.status.report import Report
from functions.status.settle import FollowUp, settle, unheard
from shared.core.errors import Conflict, OutOfTime
from shared.core.launch import Entry, State
from shared.core.ports import Job
from shared.core.redaction import hiding
from shared.core.threads import threads

log = logging.getLogger(__name__)
T = TypeVar("T")
Decided = tuple[Entry, Decision]


@dataclass(slots=True)
class Acting:
    """The actions of one tick."""

    actor: Actor
    announcer: Announcer
    connections: int
    report: Report
    _followed: list[FollowUp] = field(default_factory=list)
    _over: set[str] = field(default_factory=set)  # keys of launches that end, or have ended

    def carry_out(
        self, decided: Sequence[Decided], seen: Mapping[str, Observed], doubled: Sequence[Job]
    ) -> None:
        """Cancel doubled jobs and carry out the decisions; announce events; then warn and close."""
        busy = []
        for entry, decision in decided:
            if not isinstance(decision, NoAction | Publish):
                busy.append((entry, decision))
            else:
                # after Publish, a submit may claim the launch: its record must not change
                self._follow(FollowUp(entry, decision, mark=isinstance(decision, NoAction)))

        def act(pair: Decided) -> str:
            entry, decision = pair
            return self._act(entry, decision, seen[entry.key])

        with threads(self.connections) as pool:
            done = [
                *self._each(pool, self._cancel, doubled, lambda job: job.name),
                *self._each(pool, act, busy, lambda pair: pair[0].key),
            ]
            done += self._each(pool, self._read, self._followed, lambda each: each.entry.key)
            followed = [each for each in self._followed if each.launch]
            out = self._announced(followed)

            def settle_one(each: FollowUp) -> str:
                return self._settle(each, out)

            done += self._each(pool, settle_one, followed, _last_step)
        self.report.done.update(name for name in done if name)
        owing = {each.entry.key for each in followed if self._owes(each)} - out
        self.report.owed = len((self._over | owing) - set(self.report.closed))
        if postponed := self.report.done["Postpone"]:
            problem = f"{postponed} actions are left to the next tick: the budget is spent"
            self.report.errors.append(problem)
            log.error("status.postponed", extra={"fields": {"problem": problem}})

    def _each(
        self,
        pool: ThreadPoolExecutor,
        work: Callable[[T], str],
        things: Sequence[T],
        where: Callable[[T], str],
    ) -> Iterable[str]:
        """Do the work for each thing; the failure of one does not stop the others."""

        def guarded(thing: T) -> str:
            with hiding():  # what reading the launch adds
                try:
                    return work(thing)
                except OutOfTime:
                    return "Postpone"
                except Exception as exc:  # noqa: BLE001 - the report names it
                    self.report.failed(where(thing), exc)
                    return "Fail"

        return pool.map(guarded, things)

    def _act(self, entry: Entry, decision: Decision, seen: Observed) -> str:
        if isinstance(decision, Finish):
            self._over.add(entry.key)
        try:
            decision, launch = self.actor.act(entry, decision, seen)
        except Conflict:
            return "Changed"  # another process has written: the next tick decides again
        except OutOfTime:
            raise
        except Exception:
            if not isinstance(decision, Withdraw):  # that launch is not ours: it has nothing to say
                self._follow(FollowUp(entry, decision))  # events do not wait for W&B
            raise
        if isinstance(decision, Finish):
            self._over.add(entry.key)
        if launch or isinstance(decision, NoAction):
            now = launch.entry if launch else entry
            over = launch is not None and now.state is State.ENDED
            self._follow(FollowUp(now, decision, launch, not isinstance(decision, Built), over))
        if isinstance(decision, NoAction):  # the whole job has led to nothing
            return ""
        name = type(decision).__name__
        fields = {"launch_key": entry.key, "decision": name, "job": entry.job_name}
        log.info("status.acted", extra={"fields": fields})
        return name

    def _follow(self, follow_up: FollowUp) -> None:
        """Keep a launch that has something to say, or is over.

        A tick reads no more records for their events than a request may have messages: many
        launches owe events after the topic was created, or after it failed.
        """
        quiet = not (unheard(follow_up.entry) or follow_up.over)
        if quiet and not self._owes(follow_up):
            return
        if follow_up.launch or not quiet or len(self._followed) < BATCH:
            self._followed.append(follow_up)

    def _owes(self, follow_up: FollowUp) -> bool:
        return self.announcer.wants(follow_up.entry, follow_up.decision)

    def _read(self, follow_up: FollowUp) -> str:
        """Read a launch; the late duplicate of a closed launch owes no events."""
        try:
            launch = follow_up.launch or self.actor.read(follow_up.entry)
        except Conflict:
            return "Changed"
        new = self._owes(follow_up) and not launch.entry.attempt
        if new and self.actor.ledger.is_closed(launch.key):
            launch = replace(launch, entry=replace(launch.entry, announced=launch.entry.events))
        follow_up.launch, follow_up.entry = launch, launch.entry
        return ""

    def _announced(self, followed: Sequence[FollowUp]) -> frozenset[str]:
        """Publish the events that these launches owe; return the keys of those that are out."""
        owing = [each.launch for each in followed if each.launch and self._owes(each)]
        return self.announcer.publish(owing)

    def _settle(self, follow_up: FollowUp, out: frozenset[str]) -> str:
        if launch := follow_up.launch:
            events = self.announcer.topic is not None
            try:
                settle(self.actor, launch, follow_up, events=events, out=launch.key in out)
            except Conflict:
                return "Changed"
        return ""

    def _cancel(self, job: Job) -> str:
        self.actor.in_time("cancelling a doubled job")
        self.actor.custom_jobs.cancel_job(job.name)
        return "CancelDoubled"


def _last_step(follow_up: FollowUp) -> str:
    entry = follow_up.entry
    return f"{entry.key}: {'warning' if unheard(entry) else 'mark or close'}"
