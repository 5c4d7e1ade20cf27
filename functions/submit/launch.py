"""Turn one message into at most one CustomJob: open, claim, render, create, record.

Vertex's create has no idempotency key, so the claim in the ledger comes before it, and a claim whose holder died is
only ever resolved by looking the job up by its labels: each attempt sends at most one create. Only a ledger that cannot
be reached is raised, so that Pub/Sub brings the message again; everything else is written down, and status sees to it.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from shared.core.budget import Budget
from shared.core.building import Images
from shared.core.errors import Capacity, Conflict, Denied, KeyRefused, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.launch import Backoff, Launch, Outcome, State
from shared.core.message import Request, Ticket
from shared.core.opening import from_request
from shared.core.ports import Clock, Compute, CustomJobCall, Ledger
from shared.core.redaction import redact, secrets_in
from shared.core.shortage import Shortage
from shared.spec.prepare import PreparedJob

log = logging.getLogger(__name__)

Prepare = Callable[[Launch], PreparedJob]  # raises Reject, Retry, Denied
Labels = Callable[[Launch], Mapping[str, str]]  # what the job of this attempt is found by


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a claim holds, and how often to try.

    `lease` must be longer than the function's timeout plus the create call's: when it ends, its holder is dead and
    whatever it sent has landed. `settle` is the create call's own part of that, for a holder that lives and lets go.
    """

    lease: timedelta = timedelta(minutes=11)
    settle: timedelta = timedelta(minutes=2)
    max_failures: int = 30  # about four hours of an outage
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class Submit:
    """What a launch needs of the outside."""

    ledger: Ledger
    compute: Compute
    prepare: Prepare
    labels: Labels
    clock: Clock
    policy: Policy = Policy()
    secrets: tuple[str, ...] = field(default=(), repr=False)  # what no error may show, besides those of its run spec
    images: Images | None = None  # there where images are built

    def launch(self, message: Ticket | Request, budget: Budget) -> str:
        """Do what this message asks for, and return the event that came of it.

        Raises:
            Retry, Denied: the ledger cannot be read or written: deliver the message again.
        """
        found = self._open(message)
        if found is None:
            return _tell("launch.unknown", str(getattr(message, "launch_key", "")))
        if not found.entry.claimable(self.clock()):
            return _tell("launch.nothing_to_do", found.key, state=found.entry.state)
        taken_over = found.entry.state is State.SUBMITTING
        attempt, lease_until = found.entry.attempt + (not taken_over), self.clock() + self.policy.lease
        claim = found.move(State.SUBMITTING, attempt=attempt, lease_until=lease_until, retry_at=None)
        claim, call = (claim, None) if taken_over else self._rendered(claim)
        try:
            claimed = self.ledger.write(claim)
        except Conflict:
            return _tell("launch.claimed_elsewhere", found.key)
        if self.ledger.is_closed(claimed.key):  # a late duplicate: this order lets no interleaving launch twice
            self.ledger.withdraw(claimed.key)
            return _tell("launch.late_duplicate", claimed.key)
        settled, event = self._resolve(claimed) if call is None else self._create(claimed, call, budget)
        try:
            self.ledger.write(settled)
        except Conflict:  # only after the lease ended under us; whoever took over looks our job up
            return _tell("launch.claim_lost", claimed.key)
        return _tell(event, settled.key, attempt=settled.entry.attempt, job=settled.entry.job_name, why=settled.reason)

    def _open(self, message: Ticket | Request) -> Launch | None:
        if isinstance(message, Ticket):
            return self.ledger.read(message.launch_key)
        wanted = from_request(message, self.clock())
        try:
            return self.ledger.write(wanted)
        except Conflict:
            return self.ledger.read(wanted.key)

    def _rendered(self, launch: Launch) -> tuple[Launch, CustomJobCall | LaunchError]:
        """Render before the claim is written, since the claim says where the job will be looked for, and what it runs.

        Nothing is sent to Vertex AI where W&B cannot be asked for the job, queue or sweep that the launch names.
        """
        try:
            job = self.prepare(launch)
        except (Reject, Retry, Denied) as refusal:
            return launch, refusal
        return job.launch, job.call

    def _create(self, launch: Launch, call: CustomJobCall | LaunchError, budget: Budget) -> tuple[Launch, str]:
        """Create the job of a new attempt, or wait for its image; say what the ledger should know."""
        try:
            if isinstance(call, LaunchError):
                raise call
            if call.recipe and self.images and (build := self.images.ensure(call.recipe)):
                return self._building(launch, build, call.recipe.image), "launch.building"
            name = self.compute.create(call, budget)
        except LaunchError as exc:  # its text goes to W&B, the ledger and the log
            redact(exc, [*self.secrets, *secrets_in(launch.run_spec)])
            sent_elsewhere = launch.climb.elsewhere and exc is not call
            return self._without_job(launch, exc, sent_elsewhere)
        return self._submitted(launch, name, call.warnings), "launch.submitted"

    def _without_job(self, launch: Launch, why: LaunchError, sent_elsewhere: bool) -> tuple[Launch, str]:
        """Say what the ledger should know of an attempt that made no job, or of which nobody can tell."""
        match why:
            case Reject() if sent_elsewhere:  # only the ladder has brought it there
                return self._short(launch, Capacity(f"{launch.climb.place}: {why}", Shortage.ZERO))
            case Reject():
                return launch.end(Outcome.REJECTED, str(why), self.clock()), "launch.rejected"
            case Capacity():
                return self._short(launch, why)
            case KeyRefused():
                return self._locked_out(launch, why), "launch.denied"
            case OutcomeUnknown():
                return self._unknown(launch, why), "launch.outcome_unknown"
            case Retry() | Denied():
                return self._failed(launch, why)
        raise why

    def _resolve(self, launch: Launch) -> tuple[Launch, str]:
        """Find out what the dead holder of this attempt left: a job, or (it has landed by now or never will) none."""
        try:
            # no parent: the request did not render, so nothing was sent
            parent = launch.entry.parent
            found = self.compute.find(parent, self.labels(launch)) if parent else None
        except (Retry, Denied) as exc:
            return self._unknown(launch, exc), "launch.outcome_unknown"
        if found:
            return self._submitted(launch, found.name), "launch.found"
        because = f" ({launch.reason})" if launch.reason else ""
        return self._failed(launch, Retry(f"attempt {launch.entry.attempt} ended without creating a job{because}"))

    def _short(self, launch: Launch, why: Capacity) -> tuple[Launch, str]:
        """Wait for room or go where there may be some, or say that there will never be any."""
        if why.shortage is Shortage.ZERO and launch.climb.hopeless:
            nor = f"; nor in {', '.join(launch.climb.barred)}" if launch.climb.barred else ""
            fix = "Waiting would not help. Ask Google for a larger quota, or launch other machines or elsewhere."
            reason = str(Reject("Vertex AI", f"{why}{nor}", fix))
            return launch.end(Outcome.REJECTED, reason, self.clock()), "launch.rejected"
        waiting = launch.short(self.clock(), why.shortage, str(why), self.policy.backoff, why.at_least)
        return waiting, "launch.waiting"

    def _locked_out(self, launch: Launch, why: KeyRefused) -> Launch:
        """Wait for another key."""
        waits = launch.entry.waits + 1
        said = f"{type(why).__name__}: {why}"
        return launch.again(self.clock(), self.policy.backoff.after(waits), said, str(why), waits=waits)

    def _failed(self, launch: Launch, why: Exception) -> tuple[Launch, str]:
        failures = launch.entry.failures + 1
        if failures >= self.policy.max_failures:
            reason = f"not launched after {failures} attempts; the last one: {why}"
            return launch.end(Outcome.FAILED, reason, self.clock()), "launch.gave_up"
        event = "launch.denied" if isinstance(why, Denied) else "launch.retry"
        wait, said = self.policy.backoff.after(failures), f"{type(why).__name__}: {why}"
        return launch.again(self.clock(), wait, said, str(why), failures=failures), event

    def _building(self, launch: Launch, build: str, image: str) -> Launch:
        """Let the launch wait for a build, which status sees to; this was no failure."""
        queued = launch.move(State.QUEUED, build=build, lease_until=None)
        noted = replace(queued.note(self.clock(), f"{build} builds {image}"), reason="")
        return noted.tell(f"Building the image {image}.")

    def _submitted(self, launch: Launch, name: str, warnings: tuple[str, ...] = ()) -> Launch:
        now = self.clock()
        submitted = launch.move(
            State.SUBMITTED, job_name=name, submitted_at=now, lease_until=None, failures=0, short_of=None
        )
        climb = launch.climb
        moved = (f"Launched in {climb.place}, because: {climb.because}",) if climb.elsewhere else ()
        return replace(submitted.note(now, f"created {name}"), reason="").tell("; ".join((*warnings, *moved)))

    def _unknown(self, launch: Launch, why: Exception) -> Launch:
        """Keep the claim until whatever was sent has landed; then somebody looks the job up."""
        now = self.clock()
        kept = launch.move(State.SUBMITTING, lease_until=now + self.policy.settle)
        return replace(kept.note(now, f"{type(why).__name__}: {why}"), reason=str(why))


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
