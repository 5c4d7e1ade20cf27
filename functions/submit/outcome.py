"""What the ledger keeps of an attempt: pure functions of a launch, of what came of it, and of the time."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.core.console import console_link
from shared.core.errors import (
    Capacity,
    Denied,
    KeyRefused,
    LaunchError,
    OutcomeUnknown,
    Reject,
    Retry,
)
from shared.core.launch import Backoff, Launch, Outcome, State
from shared.core.shortage import Shortage

Settled = tuple[Launch, str]  # what is to be written, and the event


@dataclass(frozen=True, slots=True)
class SubmitTimings:
    """How long a claim holds, when to look again, and how often to try.

    `lease` is longer than an invocation's budget plus a create: when it ends, what its holder sent has landed, and a
    holder that still lives sends nothing any more. `settle` is the create's own part of that, for a holder that lets
    go. `look_again` is the time between the two look-ups that find no job before another create.
    """

    lease: timedelta = timedelta(minutes=11)
    settle: timedelta = timedelta(minutes=2)
    look_again: timedelta = timedelta(minutes=2)
    max_failures: int = 30  # about four hours of an outage
    max_requests: int = -1  # of other systems, whose jobs exist or are being created; -1: no limit
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Say what became of an attempt."""

    policy: SubmitTimings
    clock: Callable[[], datetime]

    def submitted(
        self, launch: Launch, name: str, attempt: int, warnings: tuple[str, ...] = ()
    ) -> Launch:
        """Return a launch that has its job; the last notice replaces that which said why it waited."""
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
        noted = replace(submitted.note(now, f"created {name}"), reason="")
        return noted.tell("; ".join(notice for notice in notices if notice))

    def without_job(self, launch: Launch, why: Exception, *, sent_elsewhere: bool) -> Settled:
        """Settle an attempt that made no job, or of which nobody can tell yet."""
        match why:
            case Reject() if sent_elsewhere:  # only the ladder has brought it there
                return self.wait_for_capacity(
                    launch, Capacity(f"{launch.climb.place}: {why}", Shortage.ZERO)
                )
            case Reject():
                return launch.end(Outcome.REJECTED, str(why), self.clock()), "launch.rejected"
            case Capacity():
                return self.wait_for_capacity(launch, why)
            case KeyRefused():
                return self._locked_out(launch, why), "launch.denied"
            case OutcomeUnknown():
                return self._unknown(launch, why), "launch.outcome_unknown"
        return self.failed(launch, why)

    def wait_for_capacity(self, launch: Launch, why: Capacity) -> Settled:
        """Wait for room or go where there may be some, or say that there will never be any."""
        if why.shortage is Shortage.ZERO and launch.climb.hopeless:
            nor = f"; nor in {', '.join(launch.climb.barred)}" if launch.climb.barred else ""
            fix = "Waiting would not help. Ask Google for a larger quota, or launch other machines or elsewhere."
            reason = str(Reject("Vertex AI", f"{why}{nor}", fix))
            return launch.end(Outcome.REJECTED, reason, self.clock()), "launch.rejected"
        waiting = launch.wait_for_capacity(
            self.clock(), why.shortage, str(why), self.policy.backoff, why.at_least
        )
        return waiting, "launch.waiting"

    def failed(self, launch: Launch, why: Exception) -> Settled:
        """Count a failure for which the request is not to blame; the last one ends the launch."""
        failures = launch.entry.failures + 1
        if failures >= self.policy.max_failures:
            reason = f"not launched after {failures} attempts; the last one: {why}"
            return launch.end(Outcome.FAILED, reason, self.clock()), "launch.gave_up"
        event = "launch.denied" if isinstance(why, Denied) else "launch.retry"
        wait, line = self.policy.backoff.after(failures), _line(why)
        return launch.again(self.clock(), wait, line, str(why), failures=failures), event

    def crowded(self, launch: Launch) -> Settled:
        """Wait until fewer requests of other systems run; nothing was sent, and this is no failure."""
        waits = launch.entry.waits + 1
        why = f"{self.policy.max_requests} launches of other systems run already (LAUNCH_MAX_REQUESTS)"
        wait = self.policy.backoff.after(waits)
        return launch.again(self.clock(), wait, why, why, waits=waits), "launch.waiting"

    def building(self, launch: Launch, build: str, image: str) -> Settled:
        """Wait for a build, which status watches; this is no failure."""
        queued = launch.move(State.QUEUED, build=build, lease_until=None)
        noted = replace(queued.note(self.clock(), f"{build} builds {image}"), reason="")
        return noted.tell(f"Building the image {image}."), "launch.building"

    def not_found(self, launch: Launch, asked_at: datetime) -> Settled:
        """Settle a look-up that found no job: the first is repeated later, the second ends the attempt."""
        first = launch.entry.looked_at
        if first is None or asked_at < first + self.policy.look_again:
            since = first or self.clock()
            kept = self._kept(launch, since + self.policy.look_again, looked_at=since)
            return kept.note(self.clock(), "found no job; looks again"), "launch.looked"
        because = f" ({launch.reason})" if launch.reason else ""
        why = Retry(f"attempt {launch.entry.attempt} ended without creating a job{because}")
        return self.failed(replace(launch, searched=True), why)

    def blind(self, launch: Launch, why: Exception) -> Settled:
        """Settle a look-up that failed: nobody can tell whether a job exists, so nothing may be sent."""
        failures = launch.entry.failures + 1
        if failures >= self.policy.max_failures:
            search = (
                f'Search for the label labels.launch_key="{launch.key}" in {launch.entry.parent}'
            )
            reason = f"nobody can tell whether a job exists: {failures} attempts failed. {search}. The last error: {why}"
            return launch.end(Outcome.FAILED, reason, self.clock()), "launch.gave_up"
        wait = max(self.policy.settle, self.policy.backoff.after(failures))
        kept = self._kept(launch, self.clock() + wait, failures=failures)
        noted = replace(kept.note(self.clock(), _line(why)), reason=str(why)).tell(
            f"Waiting: {why}"
        )
        return noted, "launch.denied" if isinstance(why, Denied) else "launch.outcome_unknown"

    def _locked_out(self, launch: Launch, why: KeyRefused) -> Launch:
        """Wait for another key."""
        waits = launch.entry.waits + 1
        return launch.again(
            self.clock(), self.policy.backoff.after(waits), _line(why), str(why), waits=waits
        )

    def _unknown(self, launch: Launch, why: LaunchError) -> Launch:
        """Keep the claim until what was sent has landed; then the next submit looks the job up."""
        now = self.clock()
        return replace(
            self._kept(launch, now + self.policy.settle).note(now, _line(why)), reason=str(why)
        )

    @staticmethod
    def _kept(launch: Launch, until: datetime, **changes: object) -> Launch:
        return launch.move(State.SUBMITTING, unanswered=True, lease_until=until, **changes)


def _line(why: Exception) -> str:
    return f"{type(why).__name__}: {why}"


def _waited(launch: Launch, name: str, now: datetime) -> str:
    """Say how long a launch had waited for this job; empty if nobody was told that it waits."""
    if not launch.entry.notice.startswith(("Waiting", "Building")):
        return ""
    since, before = launch.entry.opened_at, 0
    for line in launch.history:
        if line.result.startswith(("created", "Preempted")):  # the job before this one
            since, before = line.at, line.number
    tries = launch.entry.attempt - before
    attempts = f"{tries} attempt{'s' if tries > 1 else ''}"
    return f"Launched after {_duration(now - since)} and {attempts}: {console_link(name)}"


def _duration(passed: timedelta) -> str:
    """Write a duration as people do: 2m46s."""
    seconds = max(int(passed.total_seconds()), 0)
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds % 60, "s"))
    shown = [f"{number}{unit}" for number, unit in parts if number]
    return "".join(shown[:2]) or "0s"
