"""Turn one message into at most one CustomJob: open, claim, render, create, record.

Vertex's create has no idempotency key, so the claim in the ledger comes before it, and a claim whose holder died is
resolved by looking the job up by its labels. Only a ledger that cannot be reached is raised, so that Pub/Sub brings the
message again; everything else is written down, and status sees to it.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.core.errors import Capacity, Conflict, Denied, OutcomeUnknown, Reject, Retry
from shared.core.launch import Launch, Outcome, State, from_request
from shared.core.message import Request, Ticket
from shared.core.ports import Clock, Compute, CustomJobCall, Ledger

log = logging.getLogger(__name__)

Render = Callable[[Launch], CustomJobCall]  # raises Reject
Labels = Callable[[Launch], Mapping[str, str]]  # what the job of this attempt is found by


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a claim holds, and how often to try.

    `lease` must be longer than the function's timeout plus the create call's: when it ends, its holder is dead and
    whatever it sent has landed. `settle` is the create call's own part of that, for a holder that lives and lets go.
    """

    lease: timedelta = timedelta(minutes=11)
    settle: timedelta = timedelta(minutes=2)
    max_failures: int = 10
    first_retry: timedelta = timedelta(seconds=15)
    longest_retry: timedelta = timedelta(minutes=10)

    def retry_after(self, times: int) -> timedelta:
        """Return how long to wait after the nth failure: doubling, up to the longest."""
        return min(self.first_retry * 2 ** min(times - 1, 20), self.longest_retry)


@dataclass(frozen=True, slots=True)
class Submit:
    """What a launch needs of the outside."""

    ledger: Ledger
    compute: Compute
    render: Render
    labels: Labels
    clock: Clock
    policy: Policy = Policy()

    def launch(self, message: Ticket | Request) -> str:
        """Do what this message asks for, and return the event that came of it.

        Raises:
            Retry, Denied: the ledger cannot be read or written: deliver the message again.
        """
        found = self._open(message)
        if found is None:
            return _tell("launch.unknown", str(getattr(message, "launch_key", "")))
        if not found.entry.claimable(self.clock()):
            return _tell("launch.nothing_to_do", found.key, state=found.entry.state)
        try:
            claimed = self._claim(found)
        except Conflict:
            return _tell("launch.claimed_elsewhere", found.key)
        if self.ledger.is_closed(claimed.key):  # a late duplicate: this order lets no interleaving launch twice
            self.ledger.withdraw(claimed.key)
            return _tell("launch.late_duplicate", claimed.key)
        settled, event = self._settle(claimed, taken_over=found.entry.state is State.SUBMITTING)
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

    def _claim(self, launch: Launch) -> Launch:
        """Claim by compare-and-swap: a new attempt, or the same one where the last holder may have created its job."""
        now = self.clock()
        attempt = launch.entry.attempt + (launch.entry.state is State.QUEUED)
        lease_until = now + self.policy.lease
        return self.ledger.write(launch.move(State.SUBMITTING, attempt=attempt, lease_until=lease_until, retry_at=None))

    def _settle(self, launch: Launch, *, taken_over: bool) -> tuple[Launch, str]:
        """Create the job, unless it is there already, and say what the ledger should know."""
        now = self.clock
        try:
            call = self.render(launch)
            if taken_over and (name := self.compute.find(call.project, call.location, self.labels(launch))):
                return _submitted(launch, name, now(), call.warnings), "launch.found"
            name = self.compute.create(call)
        except Reject as exc:
            return launch.end(Outcome.REJECTED, str(exc), now()), "launch.rejected"
        except Capacity as exc:
            waits = launch.entry.waits + 1
            return self._again(launch, exc, self.policy.retry_after(waits), waits=waits), "launch.waiting"
        except OutcomeUnknown as exc:
            return self._unknown(launch, exc), "launch.outcome_unknown"
        except (Retry, Denied) as exc:
            if taken_over:  # nothing was found out about the job that may exist, so the claim stays
                return self._unknown(launch, exc), "launch.outcome_unknown"
            return self._failed(launch, exc)
        return _submitted(launch, name, now(), call.warnings), "launch.submitted"

    def _again(self, launch: Launch, why: Exception, wait: timedelta, **counted: int) -> Launch:
        now = self.clock()
        queued = launch.move(State.QUEUED, retry_at=now + wait, lease_until=None, **counted)
        return replace(queued.note(now, f"{type(why).__name__}: {why}"), reason=str(why)).tell(f"Waiting: {why}")

    def _failed(self, launch: Launch, why: Exception) -> tuple[Launch, str]:
        failures = launch.entry.failures + 1
        if failures >= self.policy.max_failures:
            reason = f"not launched after {failures} attempts; the last one: {why}"
            return launch.end(Outcome.FAILED, reason, self.clock()), "launch.gave_up"
        event = "launch.denied" if isinstance(why, Denied) else "launch.retry"
        again = self._again(launch, why, self.policy.retry_after(failures), failures=failures)
        return again, event

    def _unknown(self, launch: Launch, why: Exception) -> Launch:
        """Keep the claim until whatever was sent has landed; then somebody looks the job up."""
        now = self.clock()
        kept = launch.move(State.SUBMITTING, lease_until=now + self.policy.settle)
        return replace(kept.note(now, f"{type(why).__name__}: {why}"), reason=str(why))


def _submitted(launch: Launch, job_name: str, at: datetime, warnings: tuple[str, ...]) -> Launch:
    submitted = launch.move(State.SUBMITTED, job_name=job_name, submitted_at=at, lease_until=None, failures=0, waits=0)
    return replace(submitted.note(at, f"created {job_name}"), reason="").tell("; ".join(warnings))


def _tell(event: str, key: str, **fields: object) -> str:
    serious = event in {"launch.denied", "launch.gave_up", "launch.claim_lost"}
    shown = {name: value for name, value in fields.items() if value}
    log.log(logging.ERROR if serious else logging.INFO, event, extra={"fields": {"launch_key": key, **shown}})
    return event
