"""Turn one message into at most one CustomJob: open, prepare, claim, create, record.

Vertex AI's create has no idempotency key, so a claim in the ledger precedes it. After the lease of
a claim, submit looks the job up by its labels, twice, before another create: each attempt sends at
most one. An unreachable ledger is raised, so that Pub/Sub delivers the message again. Every other
error becomes a part of the launch's record.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from functions.submit import intake
from functions.submit.outcome import Outcomes, Settled, SubmitTimings
from functions.submit.pace import Pace
from functions.submit.room import Room
from functions.submit.unforeseen import foreseen
from shared.core.budget import Budget
from shared.core.errors import (
    Capacity,
    Conflict,
    Denied,
    LaunchError,
    NewerRecord,
    OutcomeUnknown,
    Retry,
)
from shared.core.intake import restored
from shared.core.launch import Launch, State
from shared.core.machine import machines
from shared.core.message import Request, Ticket
from shared.core.ports import Clock, Compute, CustomJobCall, Images, LearnedPace, Ledger, PaceBook
from shared.runspec.prepare import PreparedJob

log = logging.getLogger(__name__)

Prepare = Callable[[Launch], PreparedJob]  # raises Reject, Retry, Denied
Labels = Callable[[Launch], Mapping[str, str]]  # the labels that find this attempt's job

__all__ = ["Submit", "SubmitTimings"]


class _Done(Exception):
    """This message needs no further step."""

    def __init__(self, event: str) -> None:
        super().__init__(event)
        self.event = event


@dataclass(frozen=True, slots=True)
class Submit:
    """What a launch needs from outside systems, and the operator's settings."""

    ledger: Ledger
    paces: PaceBook
    compute: Compute
    prepare: Prepare
    labels: Labels
    clock: Clock
    timings: SubmitTimings = field(default_factory=SubmitTimings)
    images: Images | None = None  # None: this deployment builds no images
    pause: Callable[[float], object] = time.sleep
    heard: dict[str, LearnedPace] = field(default_factory=dict)  # by region: paces of this process

    def launch(self, message: Ticket | Request, budget: Budget) -> str:
        """Do what a message asks for; return the name of the logged event.

        Raises:
            Retry, Denied: the ledger cannot be read or written: Pub/Sub must deliver again.
            NotAMessage: a request cannot be stored, or its key was used with other content.
        """
        try:
            launch = self._open(message)
            if launch.entry.state is State.SUBMITTING:  # its lease has ended
                return self._take_over(launch, message)
            job = self._prepare(launch, message)
            claimed = self._claim(launch, job, message)
            settled = self._create(claimed, job.call, launch.entry.retry_at, budget)
            return self._record(settled, conflict="launch.claim_lost")
        except _Done as done:
            return done.event

    def _open(self, message: Ticket | Request) -> Launch:
        """Return the launch of a message, if a submit may claim it now."""
        try:
            found = intake.open_launch(message, self.ledger, self.clock())
        except NewerRecord as exc:  # status publishes its ticket again for a newer submit
            key = message.launch_key
            raise _Done(_log("launch.needs_newer", key, problem=str(exc))) from exc
        if found is None:
            raise _Done(_log("launch.unknown", message.launch_key))
        if found.entry.state is State.ENDED and not found.entry.attempt:
            # refused at intake; a request has no item that would show the reason
            raise _Done(_log_outcome(found, "launch.rejected"))
        if not found.entry.claimable(self.clock()):
            raise _Done(_log("launch.nothing_to_do", found.key, state=found.entry.state))
        return found

    def _prepare(self, launch: Launch, message: Ticket | Request) -> PreparedJob:
        """Prepare the next attempt. No lease runs while W&B answers."""
        attempt = _next_attempt(launch)
        try:
            return self.prepare(attempt)
        except Exception as exc:
            raise _Done(self._record_unprepared(attempt, message, exc)) from exc

    def _claim(self, launch: Launch, job: PreparedJob, message: Ticket | Request) -> Launch:
        """Claim the launch by compare-and-swap, then check that it was not closed before."""
        lease_until = self.clock() + self.timings.lease
        machine = machines(job.call.constructor, job.call.submit)
        attempt = job.launch.move(State.SUBMITTING, lease_until=lease_until, machine=machine)
        try:
            claimed = self.ledger.write(attempt)
        except Conflict:
            raise _Done(_log("launch.claimed_elsewhere", launch.key)) from None
        except (Retry, Denied):
            raise
        except Exception as exc:
            raise _Done(self._record_unprepared(_next_attempt(launch), message, exc)) from exc
        # this order, first the claim, lets no interleaving launch a late duplicate
        if intake.is_over(claimed, message, self.ledger):
            raise _Done(_log("launch.late_duplicate", claimed.key))
        return claimed

    def _create(
        self, launch: Launch, call: CustomJobCall, due: datetime | None, budget: Budget
    ) -> Settled:
        """Create the job, or wait for its image, its slot or the requests' headroom."""
        if not Room(self.ledger, self.timings.max_requests, self.pause).has(launch):
            return self._outcomes.crowded(launch)
        try:
            if _unsearched(launch):  # an earlier, deleted record may have created a job
                if job := self.compute.find(launch.entry.parent, {"launch_key": launch.key}):
                    return self._outcomes.found(launch, job, job.attempt or 1)
                launch = replace(launch, searched=True)
            if call.recipe and self.images:
                found = self.images.ensure(call.recipe, budget)
                if not found.image:
                    return self._outcomes.building(launch, found.build, call.recipe.image)
                call = call.running(found)
            if slot := self._pace.slot(launch, due, budget):
                return self._outcomes.paced(launch, slot)
            name = self._send(launch, call, budget)
        except Exception as exc:  # noqa: BLE001 - an error of one launch stays with that launch
            why = self._foreseen(launch, exc)
            if isinstance(why, Capacity):
                self._pace.learn(launch, why)
            return self._outcomes.without_job(launch, why, sent_elsewhere=launch.climb.elsewhere)
        submitted = self._outcomes.submitted(launch, name, launch.entry.attempt, call.warnings)
        return submitted, "launch.submitted"

    def _send(self, launch: Launch, call: CustomJobCall, budget: Budget) -> str:
        """Send the create. After an error that no adapter knows, there may be a job."""
        try:
            return self.compute.create(call, budget)
        except LaunchError:
            raise
        except Exception as exc:
            raise OutcomeUnknown(str(self._foreseen(launch, exc))) from exc

    def _record(self, settled: Settled, conflict: str) -> str:
        """Write the outcome; `conflict` is the event if another submit has written meanwhile."""
        launch, event = settled
        try:
            self.ledger.write(launch)
        except Conflict:
            return _log(conflict, launch.key)
        return _log_outcome(launch, event)

    def _record_unprepared(self, launch: Launch, message: Ticket | Request, exc: Exception) -> str:
        """Record an attempt that failed before its claim. Nothing was sent."""
        if intake.is_over(launch, message, self.ledger):
            return _log("launch.late_duplicate", launch.key)
        why = self._foreseen(launch, exc)
        settled = self._outcomes.without_job(launch, why, sent_elsewhere=False)
        return self._record(settled, conflict="launch.claimed_elsewhere")

    def _take_over(self, launch: Launch, message: Ticket | Request) -> str:
        """Look for the job of an attempt whose lease has ended. Sends nothing: needs no claim."""
        if intake.is_over(launch, message, self.ledger):
            return _log("launch.late_duplicate", launch.key)
        return self._record(self._look_up(launch), conflict="launch.claimed_elsewhere")

    def _look_up(self, launch: Launch) -> Settled:
        """Look the attempt's job up: a sent create has arrived by now, or never will."""
        parent, key = launch.entry.parent, {"launch_key": launch.key}
        asked_at = self.clock()
        if not parent:  # the request was never prepared, so nothing was sent
            why = Retry(f"attempt {launch.entry.attempt} ended before it was sent")
            return self._outcomes.failed(launch, why)
        try:
            job = self.compute.find(parent, key if _unsearched(launch) else self.labels(launch))
        except Exception as exc:  # noqa: BLE001 - an error of one launch stays with that launch
            return self._outcomes.blind(launch, self._foreseen(launch, exc))
        if job:
            return self._outcomes.found(launch, job, job.attempt or launch.entry.attempt)
        return self._outcomes.not_found(launch, asked_at)

    def _foreseen(self, launch: Launch, exc: Exception) -> LaunchError:
        return foreseen(launch, exc)

    @property
    def _pace(self) -> Pace:
        return Pace(self.ledger, self.paces, self.clock, self.pause, self.heard)

    @property
    def _outcomes(self) -> Outcomes:
        return Outcomes(self.timings, self.clock)


def _next_attempt(launch: Launch) -> Launch:
    number = launch.entry.attempt + 1
    cleared = {"lease_until": None, "retry_at": None}
    return restored(launch).move(State.SUBMITTING, attempt=number, **cleared)


def _unsearched(launch: Launch) -> bool:
    """Tell whether an earlier record of this request may have a job that nobody has looked for."""
    entry = launch.entry
    had_a_job = entry.resumes and entry.attempt > 1  # in this record, which an older version wrote
    return not (entry.from_queue or launch.searched or had_a_job)


def _log_outcome(launch: Launch, event: str) -> str:
    entry = launch.entry
    return _log(event, launch.key, attempt=entry.attempt, job=entry.job_name, why=launch.reason)


def _log(event: str, key: str, **fields: object) -> str:
    shown = {name: value for name, value in fields.items() if value}
    log.log(_LEVELS.get(event, logging.INFO), event, extra={"fields": {"launch_key": key, **shown}})
    return event


_LEVELS = {
    # an operator must act
    "launch.denied": logging.ERROR,
    "launch.gave_up": logging.ERROR,
    "launch.claim_lost": logging.ERROR,
    # the author must act; for a request without an item, this line is the only report
    "launch.rejected": logging.WARNING,
    "launch.waiting": logging.WARNING,
    "launch.needs_newer": logging.WARNING,
}
