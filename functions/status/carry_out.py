"""Carry out all decisions of one tick over several connections, then send the warnings."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from functions.status.act import Actor, unheard
from functions.status.decisions import Built, Decision, Finish, NoAction, Observed, Publish
from functions.status.report import Report
from shared.core.errors import Conflict, OutOfTime
from shared.core.launch import Entry, Launch
from shared.core.ports import Job
from shared.core.redaction import hiding

log = logging.getLogger(__name__)
T = TypeVar("T")
Decided = tuple[Entry, Decision]


@dataclass(frozen=True, slots=True)
class _Warning:
    """A notice to send; `mark` tells whether to record that W&B has it."""

    entry: Entry
    launch: Launch | None  # None: not read yet
    mark: bool


@dataclass(slots=True)
class Acting:
    """The actions of one tick."""

    actor: Actor
    connections: int
    report: Report
    _warnings: list[_Warning] = field(default_factory=list)
    _over: list[str] = field(default_factory=list)  # keys of launches that end, or have ended

    def carry_out(
        self, decided: Sequence[Decided], seen: Mapping[str, Observed], doubled: Sequence[Job]
    ) -> None:
        """Cancel doubled jobs, carry out the decisions, then send the warnings."""
        busy = []
        for entry, decision in decided:
            if not isinstance(decision, NoAction | Publish):
                busy.append((entry, decision))
            elif unheard(entry):
                # after Publish, a submit may claim the launch: its record must not change
                self._warnings.append(_Warning(entry, None, isinstance(decision, NoAction)))

        def act(pair: Decided) -> str:
            entry, decision = pair
            return self._act(entry, decision, seen[entry.key])

        with ThreadPoolExecutor(self.connections) as pool:
            done = [
                *self._each(pool, self._cancel, doubled, lambda job: job.name),
                *self._each(pool, act, busy, lambda pair: pair[0].key),
            ]
            warnings = list(self._warnings)
            done += self._each(
                pool, self._warn, warnings, lambda each: f"{each.entry.key}: warning"
            )
        self.report.done.update(name for name in done if name)
        self.report.owed = len(set(self._over) - set(self.report.closed))
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
            self._over.append(entry.key)
        try:
            decision, launch = self.actor.act(entry, decision, seen)
        except Conflict:
            return "Changed"  # another process has written: the next tick decides again
        if isinstance(decision, Finish):
            self._over.append(entry.key)
        if isinstance(decision, NoAction):  # the whole job has led to nothing
            if unheard(entry):
                self._warnings.append(_Warning(entry, None, mark=True))
            return ""
        if launch and unheard(launch.entry):
            mark = not isinstance(decision, Built)
            self._warnings.append(_Warning(launch.entry, launch, mark))
        name = type(decision).__name__
        fields = {"launch_key": entry.key, "decision": name, "job": entry.job_name}
        log.info("status.acted", extra={"fields": fields})
        return name

    def _warn(self, warning: _Warning) -> str:
        try:
            launch = warning.launch or self.actor.read(warning.entry)
            self.actor.warn(launch, mark=warning.mark)
        except Conflict:
            return "Changed"
        return ""

    def _cancel(self, job: Job) -> str:
        self.actor.in_time("cancelling a doubled job")
        self.actor.custom_jobs.cancel_job(job.name)
        return "CancelDoubled"
