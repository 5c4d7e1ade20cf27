"""The index of a launch: the part of its record that a listing of the ledger shows."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.message import Queue
from shared.core.record import Record
from shared.core.shortage import Shortage
from shared.core.shorten import shortened
from shared.core.states import Outcome, State

# of the 8,192 bytes that an object's metadata may have, all fields together
BOUNDS = {
    "notice": 1000,
    "cancel_reason": 500,
    "reason": 300,
    "name": 120,
    "author": 60,
    "source": 60,
    "machine": 120,
}
NOTICE_BYTES = BOUNDS["notice"]
# a launch that waits for a quota per minute is claimed this much before: submit waits for the rest
PACED_AHEAD = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class RunPath(Record):
    """The names by which W&B finds a run."""

    entity: str
    project: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Wish(Record):
    """What a person asked for with a command; status acts on it."""

    kind: str  # "cancel"
    by: str  # the person's account, as the command knows it
    at: datetime


@dataclass(frozen=True, slots=True)
class Entry(Record):
    """Everything that decides the next step of a launch, and what a listing shows of it.

    Times are aware and in UTC. `item_id` and the queue are empty for a request without a W&B queue.
    The comment of a field names the state in which it is set.
    """

    key: str
    state: State
    opened_at: datetime
    run: RunPath
    queue_entity: str = ""
    queue_name: str = ""
    item_id: str = ""
    # the create that is being tried, or that made the job; the first is 1
    attempt: int = 0
    # attempts that failed without an answer about the request itself; bounded
    failures: int = 0
    # attempts that found no capacity, or whose W&B key was refused; not bounded
    waits: int = 0
    # QUEUED, or claimed since: the resource that Vertex AI lacked, until a job exists
    short_of: Shortage | None = None
    # the ladder has another place: a job that stays pending is tried there
    climbs: bool = False
    # SUBMITTING: only the holder of the claim may act before this time
    lease_until: datetime | None = None
    # SUBMITTING: the create has no answer, and the holder has released the claim
    unanswered: bool = False
    # SUBMITTING: when a look-up first found no job of this attempt
    looked_at: datetime | None = None
    # QUEUED: no attempt before this time
    retry_at: datetime | None = None
    # projects/P/locations/L of this attempt's job; set by the claim
    parent: str = ""
    # QUEUED: projects/P/locations/L/builds/ID, the build of the image
    build: str = ""
    # projects/P/locations/L/customJobs/N
    job_name: str = ""
    submitted_at: datetime | None = None
    # SUBMITTED: when the job was first seen in JOB_STATE_QUEUED
    queued_since: datetime | None = None
    # SUBMITTED: when it was first seen PENDING after that
    pending_since: datetime | None = None
    # SUBMITTED: since when the job has been CANCELLING, PAUSED or UPDATING
    stuck_since: datetime | None = None
    # SUBMITTED: when the job was first seen ended, if Vertex AI gives no end time
    ended_seen_at: datetime | None = None
    # jobs that failed with an internal error before a container ran; bounded
    broken: int = 0
    # the item has its own W&B key: this deployment's key may be unable to see the run
    own_key: bool = False
    # how often this run was preempted and launched again, by this deployment or another agent
    resumes: int = 0
    outcome: Outcome | None = None
    # when status first saw that the run was stopped in W&B
    stop_seen_at: datetime | None = None
    # set before customJobs.cancel is called, so that a repeated call knows the reason
    cancel_reason: str = ""
    # of a sweep: it creates launches for hours, so it takes no slot of theirs
    scheduler: bool = False
    # a warning for the item's author: why the launch waits, what was ignored
    notice: str = ""
    # W&B has accepted the notice
    noticed: bool = False
    # ENDED: the item must be shown as FAILED; nothing else informs its author
    report_owed: bool = False
    # what a person asked for: nothing is sent for this launch any more
    wish: Wish | None = None
    # how many events the record has had, and how many of them were published
    events: int = 0
    announced: int = 0
    # the key of an ended launch that this one repeats
    retries: str = ""
    # wandb, or the name of the publishing system
    source: str = ""
    # the rest is for people, and decides nothing
    name: str = ""
    author: str = ""
    machine: str = ""  # 1×a2-highgpu-1g SPOT
    started_at: datetime | None = None  # when its job first ran
    ended_at: datetime | None = None
    reason: str = ""  # of its state

    def __post_init__(self) -> None:
        """Bound the texts of any length."""
        for name, most in BOUNDS.items():
            object.__setattr__(self, name, shortened(getattr(self, name), most))

    @property
    def from_queue(self) -> bool:
        """Tell whether this launch came from an item of a W&B queue."""
        return bool(self.item_id)

    @property
    def of_request(self) -> bool:
        """Tell whether another system asked for this launch, so that its own limit counts.

        A retry of an item has no item; it takes a slot as the item did.
        """
        return not (self.from_queue or (self.retries and self.source == "wandb"))

    @property
    def queue(self) -> Queue:
        """Return the W&B queue of a launch that came from one."""
        return Queue(entity=self.queue_entity, name=self.queue_name)

    @property
    def holds_queue(self) -> bool:
        """Tell whether the queue's other items would find no capacity either."""
        waiting = self.state in (State.QUEUED, State.SUBMITTING)
        return waiting and self.from_queue and self.short_of is not None and self.short_of.holds

    @property
    def waits_for_room(self) -> bool:
        """Tell whether this launch may wait for days for its first job.

        Its author can stop the wait by deleting the item.
        """
        waiting = self.state is State.QUEUED and self.short_of is not None
        return waiting and self.from_queue and not self.resumes

    @property
    def refused_at_intake(self) -> bool:
        """Tell whether poll recorded this item as REJECTED, before its ack."""
        rejected = self.state is State.ENDED and self.outcome is Outcome.REJECTED
        return rejected and self.from_queue and not self.attempt

    def overdue(self, now: datetime, after: timedelta) -> bool:
        """Tell whether no submit has claimed this launch in the time that a ticket takes.

        The poll that opened it may have crashed before or after its ack: only W&B knows which.
        """
        return self.state is State.QUEUED and not self.attempt and self.opened_at + after < now

    def claimable(self, now: datetime) -> bool:
        """Tell whether a submit may claim this launch now."""
        if self.state is State.QUEUED:
            paced = self.short_of is Shortage.RATE
            ready = now + PACED_AHEAD if paced else now
            waits = self.retry_at is not None and self.retry_at > ready
            return not (self.build or self.wish or waits)
        return self.state is State.SUBMITTING and not self._leased(now)

    def claimed(self, now: datetime) -> bool:
        """Tell whether a submit may be at work: another write would make it lose its claim."""
        return self.state is State.SUBMITTING and self._leased(now) and not self.unanswered

    def _leased(self, now: datetime) -> bool:
        return self.lease_until is not None and self.lease_until > now
