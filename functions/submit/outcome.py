"""The record of an attempt's outcome: pure functions of a launch, the outcome and the time."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.core.console import console_link
from shared.core.duration import span
from shared.core.errors import (
    Capacity,
    Denied,
    KeyRefused,
    LaunchError,
    OutcomeUnknown,
    Reject,
    Retry,
)
from shared.core.launch import Backoff, EventType, Launch, Outcome, State
from shared.core.ports import FoundJob
from shared.core.shortage import Shortage

Settled = tuple[Launch, str]  # the record to write, and the event


@dataclass(frozen=True, slots=True)
class SubmitTimings:
    """How long a claim holds, when to look again, and how often to try.

    `lease` is longer than an invocation's budget plus a create: at its end, a sent create has
    arrived, and a holder that still lives sends nothing more. `settle` is the time of the create
    alone, for a holder that releases its claim. `look_again` separates the two look-ups that must
    find no job before another create.
    """

    lease: timedelta = timedelta(minutes=11)
    settle: timedelta = timedelta(minutes=2)
    look_again: timedelta = timedelta(minutes=2)
    max_failures: int = 30  # about four hours of an outage
    max_requests: int = -1  # of other systems, running or being created; -1: no limit
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Returns the next record of a launch, by the outcome of its attempt."""

    timings: SubmitTimings
    clock: Callable[[], datetime]

    def submitted(
        self, launch: Launch, name: str, attempt: int, warnings: tuple[str, ...] = ()
    ) -> Launch:
        """Return a launch that has its job; its notice no longer says why it waits."""
        now = self.clock()
        submitted = launch.move(
            State.SUBMITTED,
            attempt=attempt,
            job_name=name,
            submitted_at=now,
            lease_until=None,
            failures=0,
            short_of=None,
        )
        climb = launch.climb
        moved = f"Launched in {climb.place}, because: {climb.because}" if climb.elsewhere else ""
        notices = (*warnings, moved, _waited(launch, name, now))
        noted = submitted.note(now, f"created {name}").because("")
        noted = noted.happened(EventType.SUBMITTED, now)
        return noted.tell("; ".join(notice for notice in notices if notice))

    def found(self, launch: Launch, job: FoundJob, attempt: int) -> Settled:
        """Settle a launch whose job a look-up has found."""
        return self.submitted(launch, job.name, attempt), "launch.found"

    def without_job(self, launch: Launch, why: Exception, *, sent_elsewhere: bool) -> Settled:
        """Settle an attempt that created no job, or whose outcome is unknown."""
        match why:
            case Reject() if sent_elsewhere:  # the ladder, not the author, chose this place
                capacity = Capacity(f"{launch.climb.place}: {why}", Shortage.ZERO)
                return self.wait_for_capacity(launch, capacity)
            case Reject():
                return launch.end(Outcome.REJECTED, str(why), self.clock()), "launch.rejected"
            case Capacity():
                return self.wait_for_capacity(launch, why)
            case KeyRefused():
                return self._wait_for_key(launch, why), "launch.denied"
            case OutcomeUnknown():
                return self._unknown(launch, why), "launch.outcome_unknown"
        return self.failed(launch, why)

    def wait_for_capacity(self, launch: Launch, why: Capacity) -> Settled:
        """Wait, or go on to the next place; end the launch if every quota is zero."""
        climb = launch.climb
        if why.shortage is Shortage.ZERO and climb.hopeless:
            others = f" (as in {', '.join(climb.barred)})" if climb.barred else ""
            fix = (
                "Ask Google for a larger quota, or launch on other machines or in another region: "
                "waiting does not help."
            )
            reason = str(Reject("Vertex AI", f"{why}{others}", fix))
            return launch.end(Outcome.REJECTED, reason, self.clock()), "launch.rejected"
        waiting = launch.wait_for_capacity(
            self.clock(), why.shortage, str(why), self.timings.backoff, why.at_least
        )
        return waiting, "launch.waiting"

    def failed(self, launch: Launch, why: Exception) -> Settled:
        """Count a failure that is not the request's; the last allowed one ends the launch."""
        failures = launch.entry.failures + 1
        if failures >= self.timings.max_failures and not launch.entry.wish:
            reason = f"not launched after {failures} attempts; the last error: {why}"
            return launch.end(Outcome.FAILED, reason, self.clock()), "launch.gave_up"
        event = "launch.denied" if isinstance(why, Denied) else "launch.retry"
        wait, line = self.timings.backoff.after(failures), _line(why)
        return launch.again(self.clock(), wait, line, str(why), failures=failures), event

    def paced(self, launch: Launch, slot: datetime) -> Settled:
        """Wait for a slot in the quota of creates a minute; nothing was sent, no failure."""
        now = self.clock()
        place = launch.entry.parent.rpartition("/")[2]
        why = f"Vertex AI limits the creates a minute in {place}; this launch has a later slot"
        waiting = launch.again(now, slot - now, "paced", why, short_of=Shortage.RATE)
        return waiting, "launch.paced"

    def crowded(self, launch: Launch) -> Settled:
        """Wait until fewer requests run; nothing was sent, and this is not a failure."""
        waits = launch.entry.waits + 1
        limit = self.timings.max_requests
        why = f"{limit} launches of other systems are running (LAUNCH_MAX_REQUESTS)"
        wait = self.timings.backoff.after(waits)
        return launch.again(self.clock(), wait, why, why, waits=waits), "launch.waiting"

    def building(self, launch: Launch, build: str, image: str) -> Settled:
        """Wait for a build, which status watches; this is not a failure."""
        queued = launch.move(State.QUEUED, build=build, lease_until=None)
        now = self.clock()
        noted = queued.note(now, f"{build} builds {image}").because("")
        noted = noted.happened(EventType.BUILDING, now)
        return noted.tell(f"Building the image {image}."), "launch.building"

    def not_found(self, launch: Launch, asked_at: datetime) -> Settled:
        """Settle a look-up without a job: the first is repeated, the second ends the attempt."""
        first = launch.entry.looked_at
        if first is None or asked_at < first + self.timings.look_again:
            since = first or self.clock()
            kept = self._kept(launch, since + self.timings.look_again, looked_at=since)
            return kept.note(self.clock(), "found no job; looks again"), "launch.looked"
        because = f" ({launch.reason})" if launch.reason else ""
        why = Retry(f"attempt {launch.entry.attempt} ended without creating a job{because}")
        return self.failed(replace(launch, searched=True), why)

    def blind(self, launch: Launch, why: Exception) -> Settled:
        """Settle a look-up that failed: a job may exist, so nothing may be sent."""
        failures = launch.entry.failures + 1
        if failures >= self.timings.max_failures:
            label = f'labels.launch_key="{launch.key}"'
            reason = (
                f"{failures} look-ups failed, so a job may exist. "
                f"Search {launch.entry.parent} for the label {label}. The last error: {why}"
            )
            return launch.end(Outcome.FAILED, reason, self.clock()), "launch.gave_up"
        wait = max(self.timings.settle, self.timings.backoff.after(failures))
        kept = self._kept(launch, self.clock() + wait, failures=failures)
        noted = kept.note(self.clock(), _line(why)).because(str(why))
        event = "launch.denied" if isinstance(why, Denied) else "launch.outcome_unknown"
        return noted.tell(f"Waiting: {why}"), event

    def _wait_for_key(self, launch: Launch, why: KeyRefused) -> Launch:
        """Wait for a key that W&B accepts."""
        waits = launch.entry.waits + 1
        wait, line = self.timings.backoff.after(waits), _line(why)
        return launch.again(self.clock(), wait, line, str(why), waits=waits)

    def _unknown(self, launch: Launch, why: LaunchError) -> Launch:
        """Keep the claim until a sent create has arrived; then a submit looks the job up."""
        now = self.clock()
        kept = self._kept(launch, now + self.timings.settle).note(now, _line(why))
        return kept.because(str(why))

    @staticmethod
    def _kept(launch: Launch, until: datetime, **changes: object) -> Launch:
        return launch.move(State.SUBMITTING, unanswered=True, lease_until=until, **changes)


def _line(why: Exception) -> str:
    return f"{type(why).__name__}: {why}"


def _waited(launch: Launch, name: str, now: datetime) -> str:
    """Return how long the launch waited for this job; empty if its author read of no wait."""
    if not launch.entry.notice.startswith(("Waiting", "Building")):
        return ""
    since, before = launch.entry.opened_at, 0
    for line in launch.history:
        if line.result.startswith(("created", "Preempted")):  # the previous job
            since, before = line.at, line.number
    tries = launch.entry.attempt - before
    attempts = f"{tries} attempt{'s' if tries > 1 else ''}"
    return f"Launched after {span(now - since)} and {attempts}: {console_link(name)}"
