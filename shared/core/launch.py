"""A launch: its states, what moves it from one to the next, and what the ledger keeps of it.

Everything here is a pure function of a record and an event; who may write when is the ledger's affair.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.core.errors import LaunchError
from shared.core.message import Queue
from shared.core.placement import Placement
from shared.core.shortage import Shortage

NOTICE_BYTES = 1000  # of the 8 KiB that an object's metadata may have
CANCEL_REASON_BYTES = 500


class State(enum.StrEnum):
    """How far a launch has come."""

    QUEUED = "QUEUED"  # written down; nothing has been sent to Vertex AI, or it waits: for retry_at, or for a build
    SUBMITTING = (
        "SUBMITTING"  # one submit holds the claim until lease_until and may have sent a create
    )
    SUBMITTED = "SUBMITTED"  # the CustomJob exists
    ENDED = "ENDED"  # the outcome is known; W&B is still owed the report


class Outcome(enum.StrEnum):
    """How a launch ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"  # the request was wrong; no job was ever created


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.SUBMITTING, State.ENDED}),
    # to itself: a lease that ended is taken over
    State.SUBMITTING: frozenset({State.SUBMITTING, State.SUBMITTED, State.QUEUED, State.ENDED}),
    State.SUBMITTED: frozenset({State.ENDED, State.QUEUED}),
    State.ENDED: frozenset(),
}


_OF_A_JOB: Mapping[str, Any] = {  # what a launch forgets with its job
    "job_name": "",
    "submitted_at": None,
    "queued_since": None,
    "pending_since": None,
    "stuck_since": None,
    "ended_seen_at": None,
    "stop_seen_at": None,
}


class IllegalTransition(LaunchError):
    """A launch was to go where its state cannot lead: a mistake in this program."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after the nth time: doubling, up to the longest."""

    first: timedelta = timedelta(seconds=15)
    longest: timedelta = timedelta(minutes=10)
    longest_for_rate: timedelta = timedelta(
        minutes=1
    )  # what is counted by the minute has passed by then

    def after(self, times: int, shortage: Shortage | None = None) -> timedelta:
        """Return the wait after so many times in a row."""
        longest = self.longest_for_rate if shortage is Shortage.RATE else self.longest
        return min(self.first * (1 << min(times - 1, 20)), longest)


def shortened(text: str, most: int) -> str:
    """Return a text in at most so many bytes of UTF-8, cut in its middle: its end often says what helps.

    Half of a surrogate pair, which no JSON may have, becomes a question mark.
    """
    data = text.encode("utf-8", "replace")
    if len(data) <= most:
        return data.decode()
    gap = " … "
    head = (most - len(gap.encode())) // 2
    tail = most - len(gap.encode()) - head
    return data[:head].decode("utf-8", "ignore") + gap + data[-tail:].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class RunPath:
    """Where a run is found in W&B."""

    entity: str
    project: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What a listing of the ledger shows of a launch: everything that decides what to do next, and no request.

    Times are aware and in UTC. `item_id` and the queue are empty for a request that came without a W&B queue.
    """

    key: str
    state: State
    opened_at: datetime
    run: RunPath
    queue_entity: str = ""
    queue_name: str = ""
    item_id: str = ""
    attempt: int = 0  # the create that is being tried, or that made the job; the first is 1
    failures: int = 0  # attempts that failed without an answer about the request itself; bounded
    waits: int = 0  # attempts that found no capacity, or W&B's key refused, and no job of theirs began; not bounded
    short_of: Shortage | None = (
        None  # QUEUED, or claimed since: what there was too little of, until a job exists
    )
    climbs: bool = False  # the operator's ladder has another place for it: a job that stays pending is tried there
    lease_until: datetime | None = None  # SUBMITTING: until then nobody else may act on it
    unanswered: bool = False  # SUBMITTING: its create has no answer, and its holder has let go
    looked_at: datetime | None = (
        None  # SUBMITTING: when a look-up first found no job of this attempt
    )
    retry_at: datetime | None = None  # QUEUED: not before then
    parent: str = ""  # projects/P/locations/L: where the job of this attempt is, or would be; set by the claim
    build: str = (
        ""  # QUEUED: projects/P/locations/L/builds/ID, which makes the image that the job will run
    )
    job_name: str = ""  # projects/P/locations/L/customJobs/N
    submitted_at: datetime | None = None
    queued_since: datetime | None = (
        None  # SUBMITTED: when the job was first seen in JOB_STATE_QUEUED
    )
    pending_since: datetime | None = None  # SUBMITTED: when it was first seen PENDING after that
    stuck_since: datetime | None = (
        None  # SUBMITTED: how long the job is CANCELLING, PAUSED or UPDATING at least
    )
    ended_seen_at: datetime | None = (
        None  # SUBMITTED: when a job was first seen ended that has no time of its end
    )
    broken: int = 0  # jobs that Vertex AI itself failed before a container ran; bounded
    own_key: bool = False  # its item has a W&B key of its own: ours may be unable to see its run
    resumes: int = (
        0  # how often this run was preempted and launched again, here or by another agent
    )
    outcome: Outcome | None = None
    stop_seen_at: datetime | None = None  # when status first saw that the run was stopped in W&B
    cancel_reason: str = ""  # set before customJobs.cancel is called, so that a repeat knows why
    scheduler: bool = (
        False  # of a sweep: it makes launches for hours, so it takes no slot of theirs
    )
    notice: str = ""  # what the item's author should know meanwhile: why it waits, what was ignored
    noticed: bool = False  # W&B has taken the notice
    report_owed: bool = (
        False  # ENDED: the item has to be shown as FAILED; nobody else tells its author
    )

    def __post_init__(self) -> None:
        """Bound what is written here and may be of any length, in whichever way it comes."""
        object.__setattr__(self, "notice", shortened(self.notice, NOTICE_BYTES))
        object.__setattr__(
            self, "cancel_reason", shortened(self.cancel_reason, CANCEL_REASON_BYTES)
        )

    @property
    def from_queue(self) -> bool:
        """Tell whether a W&B queue item waits for news of this launch."""
        return bool(self.item_id)

    @property
    def queue(self) -> Queue:
        """Return the W&B queue of a launch that came from one."""
        return Queue(entity=self.queue_entity, name=self.queue_name)

    @property
    def holds_queue(self) -> bool:
        """Tell whether what else is in this launch's queue would find no room either; never for a request."""
        waiting = self.state in (State.QUEUED, State.SUBMITTING)
        return waiting and self.from_queue and self.short_of is not None and self.short_of.holds

    @property
    def waits_for_room(self) -> bool:
        """Tell whether this launch may wait for days for its first job: who has enough of it takes its item away."""
        return (
            self.state is State.QUEUED
            and self.from_queue
            and self.short_of is not None
            and not self.resumes
        )

    @property
    def refused_at_intake(self) -> bool:
        """Tell whether poll recorded this item as REJECTED; its ack came after that, or never."""
        return (
            self.state is State.ENDED
            and self.from_queue
            and not self.attempt
            and self.outcome is Outcome.REJECTED
        )

    def overdue(self, now: datetime, after: timedelta) -> bool:
        """Tell whether nobody has claimed this launch though its ticket, if there was one, should be long through.

        For one from a queue that means: a poll may have died before or after its ack, and W&B has to be asked.
        """
        return self.state is State.QUEUED and not self.attempt and self.opened_at + after < now

    def claimable(self, now: datetime) -> bool:
        """Tell whether a submit may claim this launch now."""
        if self.state is State.QUEUED:
            return not self.build and (self.retry_at is None or self.retry_at <= now)
        return self.state is State.SUBMITTING and (
            self.lease_until is None or self.lease_until <= now
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one create: kept so that a reader of the record sees its history."""

    number: int
    at: datetime
    result: str


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch's whole record: its entry, and what only those who act on it need.

    `generation` is the ledger's own version of what was read; 0 means that it was not written yet.
    """

    entry: Entry
    run_spec: dict[str, Any] = field(repr=False)  # can hold a key
    source: str = "wandb"  # or the publisher's own name
    digest: str = ""  # of the content of another system's request, as it was first published
    searched: bool = False  # of another system's request: no job of an earlier record was found
    reason: str = ""
    history: tuple[Attempt, ...] = ()
    climb: Placement = field(default_factory=Placement)
    generation: int = field(default=0, compare=False)

    @property
    def key(self) -> str:
        """Return the launch key."""
        return self.entry.key

    def move(self, state: State, **changes: Any) -> "Launch":
        """Return this launch in another state, with these fields of its entry changed.

        Raises:
            IllegalTransition: where the table does not lead there.
        """
        if state not in TRANSITIONS[self.entry.state]:
            raise IllegalTransition(f"launch {self.key}: {self.entry.state} → {state}")
        if state is not State.SUBMITTING:  # nobody waits for the answer of a create any more
            changes = {"unanswered": False, "looked_at": None, **changes}
        return replace(self, entry=replace(self.entry, state=state, **changes))

    def tell(self, notice: str) -> "Launch":
        """Return this launch with something that its author should know; the same thing is said once."""
        if not notice or shortened(notice, NOTICE_BYTES) == self.entry.notice:
            return self
        return replace(self, entry=replace(self.entry, notice=notice, noticed=False))

    def note(self, at: datetime, result: str) -> "Launch":
        """Return this launch with one more line in its history (the last 50 are kept)."""
        return replace(self, history=(*self.history, Attempt(self.entry.attempt, at, result))[-50:])

    def again(
        self, at: datetime, wait: timedelta, said: str, why: str, notice: str = "", **changes: Any
    ) -> "Launch":
        """Return this launch queued once more, not before this wait is over; its author is told why it waits."""
        queued = self.move(
            State.QUEUED,
            **{**_OF_A_JOB, "short_of": None, **changes},
            retry_at=at + wait,
            lease_until=None,
            cancel_reason="",
        )
        searched = self.searched or self.entry.state is State.SUBMITTED
        return replace(queued.note(at, said), reason=why, searched=searched).tell(
            f"Waiting: {notice or why}"
        )

    def wait_for_capacity(
        self,
        at: datetime,
        shortage: Shortage,
        why: str,
        backoff: Backoff,
        least: timedelta = timedelta(0),
    ) -> "Launch":
        """Return this launch queued once more because Vertex AI had no room.

        It goes on to the next place of its ladder; after the last it waits, longer each time, for as long as it takes.
        """
        moves = shortage.holds and bool(self.climb.next_place)
        waits = self.entry.waits + (not moves)
        wait = max(backoff.first if moves else backoff.after(waits, shortage), least)
        climb = (
            self.climb.leave(why, bar=shortage is Shortage.ZERO) if shortage.holds else self.climb
        )
        told = "; ".join(
            each
            for each in (why, f"next: {climb.next_place}" if moves else "", climb.left_out)
            if each
        )
        queued = self.again(
            at, wait, f"{shortage}: {why}", why, told, waits=waits, short_of=shortage
        )
        return replace(queued, climb=climb)

    def resume(self, at: datetime, budget: int) -> "Launch":
        """Return this launch queued once more after its machines were taken away: the same run goes on.

        As the agent's requeue, it counts in `_resume_count` and leaves its sweep, which may be over by then.
        """
        times = self.entry.resumes + 1
        again = self.move(State.QUEUED, **_OF_A_JOB, resumes=times, waits=0, broken=0)
        spec = {name: value for name, value in self.run_spec.items() if name != "sweep_id"} | {
            "_resume_count": times
        }
        said = f"Preempted; launched again ({times} of {budget} times)"
        noted = again.note(at, f"{said}: {self.entry.job_name}")
        return replace(noted, run_spec=spec, climb=self.climb.again(), searched=True).tell(said)

    def end(self, outcome: Outcome, reason: str, at: datetime, *, report: bool = True) -> "Launch":
        """Return this launch ended, for this reason; `report` tells whether its item has to be failed."""
        owed = report and self.entry.from_queue
        ended = self.move(
            State.ENDED, outcome=outcome, lease_until=None, retry_at=None, report_owed=owed
        )
        return replace(ended.note(at, f"{outcome}: {reason}"), reason=reason)
