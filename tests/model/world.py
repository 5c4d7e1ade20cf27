"""The world in which the ledger's protocol runs: what its actors can see or have done, and what must never be so."""

from enum import StrEnum
from typing import NamedTuple

MAX_TICKETS = 2


class Item(StrEnum):
    """The W&B queue item."""

    PENDING = "pending"
    LEASED = "leased"
    OURS = "acked by us"
    FOREIGN = "acked by another agent"


class Phase(StrEnum):
    """The open record's state."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    ENDED = "ended"  # the outcome is known; W&B is owed the report


class Step(StrEnum):
    """What a process does next."""

    IDLE = "being idle"
    OPEN = "open"  # poll, with a popped item
    ACK = "ack"
    PUBLISH = "publish"
    PUBLISH_EARLY = "publish early"  # planted
    ACK_LATE = "ack late"  # planted
    CLAIM = "claim"  # submit, with a ticket
    CHECK_CLOSED = "check closed"
    CREATE = "create"
    LOOK = "look"  # a takeover
    RECORD = "record"
    RECORD_END = "record the end"
    REQUEUE = "queue again"
    END = "end"  # status, at the end of a job
    RESUME = "resume"  # status, at the end of a job whose run was preempted
    REPORT = "report"  # status, at the end of a launch
    CLOSE = "close"
    DELETE = "delete"


class Record(NamedTuple):
    """The open record; the holder is the submit whose lease runs, empty where there is none."""

    phase: Phase
    holder: str = ""


class Claim(NamedTuple):
    """What a submit remembers: the generation that its claim wrote, and whether it took over an ended lease."""

    generation: int
    takeover: bool


class Process(NamedTuple):
    """One invocation of a function."""

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
    jobs: int = 0  # that run, or ended and were not followed by another
    resumed: bool = False  # the job of a preempted run ended, and the launch was queued again
    landing: bool = False  # a create was sent and will still make its job
    tickets: int = 0
    reported: bool = False
    given_up: bool = False
    foreign_jobs: int = 0
    crashes: int = 0

    def at(self, process: Process, step: Step, claim: Claim | None = None) -> "World":
        """Return this world with a process at another step."""
        moved = process._replace(step=step, claim=claim)
        return self._replace(processes=tuple(moved if each.name == moved.name else each for each in self.processes))

    def write(self, record: Record | None) -> "World":
        """Return this world after a write to (None: a delete of) the open record."""
        return self._replace(record=record, generation=self.generation + 1)

    def publish(self) -> "World":
        """Return this world with one more ticket."""
        return self._replace(tickets=min(MAX_TICKETS, self.tickets + 1))

    def ranked(self) -> "World":
        """Replace generations by their order: only whether they are equal matters, and so the states are finite."""
        kept = sorted({each.claim.generation for each in self.processes if each.claim} | {self.generation})
        rank = {generation: i for i, generation in enumerate(kept)}
        processes = tuple(
            each._replace(claim=each.claim._replace(generation=rank[each.claim.generation])) if each.claim else each
            for each in self.processes
        )
        return self._replace(generation=rank[self.generation], processes=processes)

    def unnamed(self) -> "World":
        """Return one world for all that are alike but for which of two polls, submits or statuses is which."""
        holder = self.record.holder if self.record else ""
        processes: list[Process] = []
        for one, two in zip(self.processes[::2], self.processes[1::2], strict=True):
            if _place(two, holder) < _place(one, holder):
                processes += [two._replace(name=one.name), one._replace(name=two.name)]
                holder = {one.name: two.name, two.name: one.name}.get(holder, holder)
            else:
                processes += [one, two]
        record = self.record and self.record._replace(holder=holder)
        return self._replace(processes=tuple(processes), record=record)


def _place(process: Process, holder: str) -> tuple[Step, tuple[int, ...], bool]:
    """Return all that sets a process apart from its like, but its name."""
    return process.step, process.claim or (), process.name == holder


def bad(world: World) -> str:
    """Name the invariant that a world breaks."""
    broken = {
        "two CustomJobs": world.jobs > 1,
        "our CustomJob and another agent's": world.jobs and world.foreign_jobs,
        "closed before W&B was told": world.closed and not world.reported,
        "closed without a job or a reason": world.closed and not world.jobs and not world.given_up,
        "refused or given up, yet a job": world.jobs and world.given_up,
    }
    return next((name for name, breaks in broken.items() if breaks), "")


def finished(world: World) -> bool:
    """Say whether all is done: closed, or another agent's, with nothing left open."""
    return world.record is None and (world.closed or world.item is Item.FOREIGN)
