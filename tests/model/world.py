"""The world in which the ledger's protocol runs: what its actors can see or have done, and what must never be so."""

from enum import StrEnum
from typing import NamedTuple


class Item(StrEnum):
    """The W&B queue item."""

    PENDING = "pending"
    LEASED = "leased"
    OURS = "acked by us"
    FOREIGN = "acked by another agent"
    NONE = "there is none: another system asks"


class Phase(StrEnum):
    """The open record's state."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    ENDED = "ended"  # the outcome is known; W&B is owed the report


class Lease(StrEnum):
    """How long nobody else may act on a claim."""

    OVER = "over"
    HELD = "held"  # by the process that wrote the claim, which may be frozen or dead
    DISTANCE = "distance"  # between two look-ups: all that was sent is there, and is listed, when this ends


class Sent(StrEnum):
    """Where a create is that nobody can find yet."""

    NOWHERE = "nowhere"
    UNDER_WAY = "under way"  # it will make its job
    UNLISTED = "unlisted"  # its job exists, and listings do not show it yet


class Step(StrEnum):
    """What a process does next."""

    IDLE = "being idle"
    OPEN = "open"  # poll, with a popped item
    ACK = "ack"
    PUBLISH = "publish"
    PUBLISH_EARLY = "publish early"  # planted
    ACK_LATE = "ack late"  # planted
    CHECK_CLOSED = "check closed"  # submit, after its claim
    LOOK_FIRST = "look first"  # before the first create of a request from another system
    CREATE = "create"
    LOOK = "look"  # a takeover
    LET_GO = "let go"  # a create without an answer
    NOTE_LOOK = "note the first look"
    RECORD = "record"
    RECORD_END = "record the end"
    RECORD_DOUBT = "record that nobody can tell"
    REQUEUE = "queue again"
    END = "end"  # status, at the end of a job
    RESUME = "resume"  # status, at the end of a job whose run was preempted
    REPORT = "report"  # status, at the end of a launch
    CLOSE = "close"
    DELETE = "delete"


UNSENT = frozenset({Step.CHECK_CLOSED, Step.LOOK_FIRST, Step.CREATE})  # a claim from which a create can still be sent

SETTLES = frozenset(  # with a write that needs the claim
    {Step.LET_GO, Step.NOTE_LOOK, Step.RECORD, Step.RECORD_END, Step.RECORD_DOUBT, Step.REQUEUE}
)


class Record(NamedTuple):
    """The open record. `looked`: one look-up found no job. `first`: no look-up has been made for this record yet."""

    phase: Phase
    lease: Lease = Lease.OVER
    looked: bool = False
    first: bool = False
    wish: bool = False  # a person wants it cancelled

    @property
    def claimable(self) -> bool:
        """Say whether a submit may claim this launch."""
        return (self.phase is Phase.QUEUED and not self.wish) or (
            self.phase is Phase.SUBMITTING and self.lease is Lease.OVER
        )


class Claim(NamedTuple):
    """What a process remembers: the generation that it wrote or read, and what kind of claim it has.

    `spent`: the time budget of this invocation is over, because it froze.
    """

    generation: int
    takeover: bool = False
    spent: bool = False

    def harmless(self, heeds_budget: bool) -> bool:
        """Say whether a claim that is lost can do nothing more."""
        return self.takeover or (self.spent and heeds_budget)


class Process(NamedTuple):
    """One invocation of a function. It can stop before any step, and go on after any time."""

    name: str
    step: Step = Step.IDLE
    claim: Claim | None = None


POLLS, SUBMITS, STATUSES = ("poll 1", "poll 2"), ("submit 1", "submit 2"), ("status 1", "status 2")
_ALL_IDLE = tuple(map(Process, POLLS + SUBMITS + STATUSES))


class World(NamedTuple):
    """Everything that the actors can see or have done."""

    processes: tuple[Process, ...] = _ALL_IDLE
    item: Item = Item.PENDING
    record: Record | None = None
    generation: int = 0
    closed: bool = False
    jobs: int = 0  # that run, or ended and were not followed by another; cancelled ones are left out
    sent: Sent = Sent.NOWHERE
    resumed: bool = False  # the job of a preempted run ended, and the launch was queued again
    ticket: bool = False  # one is under way; it can be delivered more than once
    reported: bool = False
    given_up: bool = False
    in_doubt: bool = False  # the author reads that nobody can tell whether a job exists
    foreign_jobs: int = 0
    hands: int = 0  # how often somebody has changed the bucket by hand
    asked: bool = False  # a person has recorded the wish to cancel
    cancelled: bool = False  # the launch ended by that wish, without a job
    created_late: bool = False  # a create was sent after that wish

    def at(self, process: Process, step: Step, claim: Claim | None = None) -> "World":
        """Return this world with a process at another step."""
        moved = process._replace(step=step, claim=claim)
        return self._replace(processes=tuple(moved if each.name == moved.name else each for each in self.processes))

    def write(self, record: Record | None) -> "World":
        """Return this world after a write to (None: a delete of) the open record."""
        return self._replace(record=record, generation=self.generation + 1)

    def publish(self) -> "World":
        """Return this world with a ticket."""
        return self._replace(ticket=True)

    def unnamed(self, heeds_budget: bool = True) -> "World":
        """Return one world for all that are alike but for which of two polls, submits or statuses is which.

        Of a generation only one thing matters: whether it is still the record's. So the states are finite.
        """
        processes: list[Process] = []
        for one, two in zip(self.processes[::2], self.processes[1::2], strict=True):
            first, second = sorted((self._place(each, heeds_budget) for each in (one, two)), key=_order)
            processes += [Process(one.name, *first), Process(two.name, *second)]
        return self._replace(processes=tuple(processes), generation=1)

    def _place(self, process: Process, heeds_budget: bool) -> tuple[Step, Claim | None]:
        """Return all that matters of a process but its name; of a claim that is lost, not what it would write.

        A lost takeover writes nothing. A lost claim whose time is over writes nothing either, if it heeds its budget.
        """
        step, claim = process.step, process.claim
        if claim is None or claim.generation == self.generation:
            return step, claim and claim._replace(generation=1)
        if step in SETTLES or claim.harmless(heeds_budget):
            return Step.RECORD, Claim(0)
        return step, claim._replace(generation=0)


def _order(place: tuple[Step, Claim | None]) -> tuple[Step, tuple[int, ...]]:
    return place[0], place[1] or ()


def bad(world: World) -> str:
    """Name the invariant that a world breaks."""
    explained = world.given_up or world.in_doubt or world.cancelled
    broken = {
        "two CustomJobs": world.jobs + (world.sent is Sent.UNDER_WAY) > 1,
        "our CustomJob and another agent's": world.jobs and world.foreign_jobs,
        "closed before its report": world.closed and not world.reported,
        "closed without a job or a reason": world.closed and not world.jobs and not explained,
        "refused or given up, yet a job": world.jobs
        and world.given_up
        and not world.hands,  # or it was asked for again
        "created after it was cancelled": world.created_late,
        "ended as cancelled, yet a job": world.cancelled and world.jobs,
        "a report for another agent's item": world.reported and world.foreign_jobs,
    }
    return next((name for name, breaks in broken.items() if breaks), "")


def finished(world: World) -> bool:
    """Say whether all is done: closed, or another agent's, with nothing left open."""
    return world.record is None and (world.closed or world.item is Item.FOREIGN)
