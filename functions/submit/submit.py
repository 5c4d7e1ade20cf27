"""Turn one message into at most one CustomJob: open, prepare, claim, create, record.

Vertex's create has no idempotency key, so the claim in the ledger comes before it. A claim whose lease has ended is
only resolved by looking the job up by its labels, twice: each attempt sends at most one create. Only a ledger that
cannot be reached is raised, so that Pub/Sub delivers the message again. Every other error is written down.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from functions.submit import intake
from functions.submit.outcome import Outcomes, Settled, SubmitTimings
from functions.submit.room import Room
from functions.submit.unforeseen import foreseen
from shared.core.budget import Budget
from shared.core.building import Images
from shared.core.errors import Conflict, Denied, LaunchError, OutcomeUnknown, Retry
from shared.core.launch import Launch, State
from shared.core.message import Request, Ticket
from shared.core.ports import Clock, Compute, CustomJobCall, Ledger
from shared.runspec.prepare import PreparedJob

log = logging.getLogger(__name__)

Prepare = Callable[[Launch], PreparedJob]  # raises Reject, Retry, Denied
Labels = Callable[[Launch], Mapping[str, str]]  # what the job of this attempt is found by

__all__ = ["Submit", "SubmitTimings"]


@dataclass(frozen=True, slots=True)
class Submit:
    """What a launch needs of the outside."""

    ledger: Ledger
    compute: Compute
    prepare: Prepare
    labels: Labels
    clock: Clock
    policy: SubmitTimings = field(default_factory=SubmitTimings)
    secrets: tuple[str, ...] = field(
        default=(), repr=False
    )  # what no error may show, besides those of its run spec
    images: Images | None = None  # there where images are built
    pause: Callable[[float], object] = time.sleep

    def launch(self, message: Ticket | Request, budget: Budget) -> str:
        """Do what this message asks for, and return the event that came of it.

        Raises:
            Retry, Denied: the ledger cannot be read or written: deliver the message again.
            NotAMessage: a request that cannot be stored, or whose key was used with other content.
        """
        found = intake.open_launch(message, self.ledger, self.clock())
        if found is None:
            return _tell("launch.unknown", str(getattr(message, "launch_key", "")))
        if (
            found.entry.state is State.ENDED and not found.entry.attempt
        ):  # refused at intake; no item shows why
            return _told(found, "launch.rejected")
        if not found.entry.claimable(self.clock()):
            return _tell("launch.nothing_to_do", found.key, state=found.entry.state)
        if found.entry.state is State.SUBMITTING:
            return self._take_over(found, message)
        return self._attempt(found, message, budget)

    def _attempt(self, found: Launch, message: Ticket | Request, budget: Budget) -> str:
        """Prepare, claim, create, record: one attempt. The lease of the claim begins after the preparation."""
        wanted = found.move(
            State.SUBMITTING, attempt=found.entry.attempt + 1, lease_until=None, retry_at=None
        )
        try:
            job = self.prepare(wanted)
        except Exception as exc:  # noqa: BLE001 - an error of one launch stays with that launch
            return self._unprepared(wanted, message, exc)
        lease_until = self.clock() + self.policy.lease
        try:
            claimed = self.ledger.write(job.launch.move(State.SUBMITTING, lease_until=lease_until))
        except Conflict:
            return _tell("launch.claimed_elsewhere", found.key)
        except (Retry, Denied):
            raise
        except Exception as exc:  # noqa: BLE001 - what the preparation added cannot be stored
            return self._unprepared(wanted, message, exc)
        # a late duplicate: this order, first the claim, lets no interleaving launch twice
        if intake.is_over(claimed, message, self.ledger):
            return _tell("launch.late_duplicate", claimed.key)
        if Room(self.ledger, self.policy.max_requests, self.pause).has(claimed):
            settled, event = self._create(claimed, job.call, budget)
        else:
            settled, event = self._outcomes.crowded(claimed)
        try:
            self.ledger.write(settled)
        except Conflict:  # only after the lease ended under us; the next submit looks our job up
            return _tell("launch.claim_lost", claimed.key)
        return _told(settled, event)

    def _unprepared(self, launch: Launch, message: Ticket | Request, exc: Exception) -> str:
        """Record an attempt that failed before its claim. Nothing was sent."""
        if intake.is_over(launch, message, self.ledger):
            return _tell("launch.late_duplicate", launch.key)
        settled, event = self._outcomes.without_job(
            launch, self._known(launch, exc), sent_elsewhere=False
        )
        try:
            self.ledger.write(settled)
        except Conflict:
            return _tell("launch.claimed_elsewhere", launch.key)
        return _told(settled, event)

    def _take_over(self, found: Launch, message: Ticket | Request) -> str:
        """Look for the job of an attempt whose lease has ended. Nothing is sent, so this needs no claim."""
        if intake.is_over(found, message, self.ledger):
            return _tell("launch.late_duplicate", found.key)
        settled, event = self._looked(found)
        try:
            self.ledger.write(settled)
        except Conflict:
            return _tell("launch.claimed_elsewhere", found.key)
        return _told(settled, event)

    def _create(self, launch: Launch, call: CustomJobCall, budget: Budget) -> Settled:
        """Create the job of a new attempt, or wait for its image; return what the ledger should know."""
        try:
            if _unsearched(
                launch
            ):  # a record that was deleted, restored or replayed may have a job
                if job := self.compute.find(launch.entry.parent, {"launch_key": launch.key}):
                    return self._outcomes.submitted(
                        launch, job.name, job.attempt or 1
                    ), "launch.found"
                launch = replace(launch, searched=True)
            if call.recipe and self.images and (build := self.images.ensure(call.recipe, budget)):
                return self._outcomes.building(launch, build, call.recipe.image)
            name = self._sent(launch, call, budget)
        except Exception as exc:  # noqa: BLE001 - an error of one launch stays with that launch
            why = self._known(launch, exc)
            return self._outcomes.without_job(launch, why, sent_elsewhere=launch.climb.elsewhere)
        return self._outcomes.submitted(
            launch, name, launch.entry.attempt, call.warnings
        ), "launch.submitted"

    def _sent(self, launch: Launch, call: CustomJobCall, budget: Budget) -> str:
        """Send the create. An error that no adapter knows is no answer: there may be a job."""
        try:
            return self.compute.create(call, budget)
        except LaunchError:
            raise
        except Exception as exc:
            raise OutcomeUnknown(str(self._known(launch, exc))) from exc

    def _looked(self, launch: Launch) -> Settled:
        """Find out what an attempt left: a job, or (it has landed by now or never will) none."""
        parent, key = launch.entry.parent, {"launch_key": launch.key}
        asked_at = self.clock()
        if not parent:  # the request did not render, so nothing was sent
            return self._outcomes.failed(
                launch, Retry(f"attempt {launch.entry.attempt} ended before it was sent")
            )
        try:
            job = self.compute.find(parent, key if _unsearched(launch) else self.labels(launch))
        except Exception as exc:  # noqa: BLE001 - an error of one launch stays with that launch
            return self._outcomes.blind(launch, self._known(launch, exc))
        if job:
            return self._outcomes.submitted(
                launch, job.name, job.attempt or launch.entry.attempt
            ), "launch.found"
        return self._outcomes.not_found(launch, asked_at)

    def _known(self, launch: Launch, exc: Exception) -> LaunchError:
        return foreseen(launch, exc, self.secrets)

    @property
    def _outcomes(self) -> Outcomes:
        return Outcomes(self.policy, self.clock)


def _unsearched(launch: Launch) -> bool:
    """Tell whether a job of an earlier record of this request may exist, for which nobody has looked yet."""
    entry = launch.entry
    had_a_job = entry.resumes and entry.attempt > 1  # in this record, which an older version wrote
    return not (entry.from_queue or launch.searched or had_a_job)


def _told(settled: Launch, event: str) -> str:
    entry = settled.entry
    return _tell(event, settled.key, attempt=entry.attempt, job=entry.job_name, why=settled.reason)


def _tell(event: str, key: str, **fields: object) -> str:
    shown = {name: value for name, value in fields.items() if value}
    log.log(_LEVELS.get(event, logging.INFO), event, extra={"fields": {"launch_key": key, **shown}})
    return event


_LEVELS = {
    "launch.denied": logging.ERROR,  # an operator has to act
    "launch.gave_up": logging.ERROR,
    "launch.claim_lost": logging.ERROR,
    "launch.rejected": logging.WARNING,  # its author has to; of a request without an item this line is the only word
    "launch.waiting": logging.WARNING,
}
