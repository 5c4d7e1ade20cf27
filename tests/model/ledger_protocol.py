"""The ledger's protocol as an exhaustive model of one queue item: every interleaving of everyone who touches it.

Actors: two polls, two submits and two status calls, each of which can die before any of its steps (twice in all); W&B's
queue, whose lease of an item ends at any time; another launch agent on the same queue; Pub/Sub, which loses and doubles
tickets; Vertex AI, whose answer to a create can be lost, or whose job appears only after the caller has given up.

State: the W&B item; the open record (state, holder of the claim) with its generation, by which a write is conditional;
whether the closed record exists; CustomJobs; a create under way; tickets; what W&B was told; what each process is at.

Each claim of a queued launch is one attempt and sends at most one create. What it left unknown is resolved by the
takeover of its ended lease, which only looks: it records the job that it finds, or queues the launch again.

Assumption: a submit's lease outlives its process and any create that it sent (lease > function timeout + create
timeout; a submit that lets go keeps the claim for a create's time). So a lease ends only when its holder is gone and
nothing that it sent is still to land.

A run whose job was preempted, or failed for want of machines before it began, is queued again by status (once in the
model): the next claim makes a new job, which is no second one beside it, for the first has ended.

Invariants: never two CustomJobs; never ours beside another agent's; never closed before W&B was told; never closed
without a job or a reason (refused, given up); never both. Liveness: from every state an end can be reached without
another crash or loss.

Run `python -m tests.model.ledger_protocol [BUG]`: prints the number of states and the shortest violating history.
"""

import argparse
import sys
from collections.abc import Iterator
from enum import StrEnum

from tests.model.explore import Result, explore
from tests.model.world import (
    MAX_TICKETS,
    POLLS,
    SUBMITS,
    Claim,
    Item,
    Phase,
    Process,
    Record,
    Step,
    World,
    bad,
    finished,
)

MAX_CRASHES = 2
MISHAPS = (" dies ", "answer lost", "ticket is lost")  # in the names of steps


class Bug(StrEnum):
    """A mistake that can be planted; the model finds each."""

    RING_UNACKED = "ring_unacked"  # status publishes a ticket for a launch whose item W&B has not acked to us
    NO_CLOSED_CHECK = "no_closed_check"  # submit does not look for the closed record after its claim
    CLOSE_BEFORE_REPORT = "close_before_report"  # status closes without having told W&B
    DELETE_THEN_CLOSE = "delete_then_close"  # status deletes the open record before it writes the closed one
    NO_LOOKUP = "no_lookup"  # a takeover queues the launch again without looking for its predecessor's job
    PUBLISH_BEFORE_ACK = "publish_before_ack"  # poll publishes the ticket before W&B has acked the item
    BLIND_RESUME = "blind_resume"  # status queues a preempted run again though its record has changed meanwhile
    SHORT_LEASE = "short_lease"  # a submit's lease can end while it lives, or while its create is under way


Steps = Iterator[tuple[str, World]]


def steps(world: World, bug: Bug | None = None) -> Steps:
    """Yield all that can happen next."""
    for name, following in _steps(world, bug):
        yield name, following.ranked()


def _steps(world: World, bug: Bug | None) -> Steps:
    yield from surroundings(world, bug)
    for process in world.processes:
        if process.step is not Step.IDLE and world.crashes < MAX_CRASHES:
            yield (
                f"{process.name} dies before {process.step}",
                world.at(process, Step.IDLE)._replace(crashes=world.crashes + 1),
            )
        act = poll if process.name in POLLS else submit if process.name in SUBMITS else status
        for what, following in act(world, process, bug):
            yield f"{process.name} {what}", following


def surroundings(world: World, bug: Bug | None) -> Steps:
    """Yield what W&B, Vertex AI, Pub/Sub, another agent and time can do."""
    if world.item is Item.LEASED:
        yield "the item's lease ends", world._replace(item=Item.PENDING)
    if world.item is Item.PENDING and not world.foreign_jobs:
        yield "another agent pops, acks and launches", world._replace(item=Item.FOREIGN, foreign_jobs=1)
    if world.landing:
        yield "a create that was sent lands", world._replace(jobs=world.jobs + 1, landing=False)
    if world.tickets == 1:
        yield "the ticket is doubled", world._replace(tickets=2)
    if world.tickets:
        yield "a ticket is lost", world._replace(tickets=world.tickets - 1)
    if world.record and world.record.holder:
        alive = any(each.name == world.record.holder and each.claim for each in world.processes)
        if bug is Bug.SHORT_LEASE or not (alive or world.landing):
            yield "a submit's lease ends", world.write(Record(Phase.SUBMITTING))


def poll(world: World, me: Process, bug: Bug | None) -> Steps:
    """Yield what a poll can do: pop → open → ack → publish."""
    match me.step:
        case Step.IDLE:
            if world.item is Item.PENDING:
                leased = world._replace(item=Item.LEASED)
                yield "pops", leased.at(me, Step.OPEN)
                yield "pops, answer lost", leased
        case Step.OPEN:
            opened = world if world.record else world.write(Record(Phase.QUEUED))
            yield "opens", opened.at(me, Step.PUBLISH_EARLY if bug is Bug.PUBLISH_BEFORE_ACK else Step.ACK)
        case Step.ACK | Step.ACK_LATE:
            then = Step.PUBLISH if me.step is Step.ACK else Step.IDLE
            if world.item is Item.LEASED:
                acked = world._replace(item=Item.OURS)
                yield "acks", acked.at(me, then)
                yield "acks, answer lost", acked.at(me, Step.IDLE)
            elif world.item is Item.OURS:
                yield "is told no, but the item is ours", world.at(me, then)
            elif world.item is Item.FOREIGN:
                yield "is told no, another agent has it, and withdraws", world.write(None).at(me, Step.IDLE)
            else:
                yield "is told no, the lease has ended", world.at(me, Step.IDLE)
        case Step.PUBLISH:
            yield "publishes", world.publish().at(me, Step.IDLE)
        case Step.PUBLISH_EARLY:
            yield "publishes", world.publish().at(me, Step.ACK_LATE)


def submit(world: World, me: Process, bug: Bug | None) -> Steps:
    """Yield what a submit can do: claim → check closed → create or, after a takeover, look → record."""
    match me.step:
        case Step.IDLE:
            if world.tickets:
                yield "takes a ticket", world._replace(tickets=world.tickets - 1).at(me, Step.CLAIM)
        case Step.CLAIM:
            takeover = world.record == Record(Phase.SUBMITTING)
            if takeover or world.record == Record(Phase.QUEUED):
                claimed = world.write(Record(Phase.SUBMITTING, me.name))
                claim = Claim(claimed.generation, takeover)
                yield "takes over" if takeover else "claims", claimed.at(me, Step.CHECK_CLOSED, claim)
            else:
                yield "has nothing to do", world.at(me, Step.IDLE)
        case Step.CHECK_CLOSED:
            if world.closed and bug is not Bug.NO_CLOSED_CHECK:
                yield "is late: deletes the open record", world.write(None).at(me, Step.IDLE)
            else:
                takeover = me.claim is not None and me.claim.takeover
                yield "finds it not closed", world.at(me, Step.LOOK if takeover else Step.CREATE, me.claim)
        case Step.LOOK | Step.CREATE:
            for what, following, then in _look(world, bug) if me.step is Step.LOOK else _create(world):
                yield what, following.at(me, then, None if then is Step.IDLE else me.claim)
        case Step.RECORD | Step.RECORD_END | Step.REQUEUE:
            yield _settle(world, me)


def _settle(world: World, me: Process) -> tuple[str, World]:
    """Return the write that ends an attempt, which succeeds only on what the claim wrote."""
    if me.claim is None or me.claim.generation != world.generation:
        return "has lost its claim", world.at(me, Step.IDLE)
    idle = world.at(me, Step.IDLE)
    if me.step is Step.RECORD:
        return "records the job", idle.write(Record(Phase.SUBMITTED))
    if me.step is Step.REQUEUE:
        return "queues it again", idle.write(Record(Phase.QUEUED))
    return "records the end", idle.write(Record(Phase.ENDED))._replace(given_up=True)


def _create(world: World) -> Iterator[tuple[str, World, Step]]:
    """Yield what can become of the one create of an attempt, and what the submit does then."""
    created = world._replace(jobs=world.jobs + 1)
    yield "creates", created, Step.RECORD
    yield "creates, answer lost", created, Step.IDLE
    if not world.landing:
        yield "creates, gives up, and it lands later", world._replace(landing=True), Step.IDLE
    yield "learns that nothing was created: no capacity, or not sent", world, Step.REQUEUE
    yield "is refused, or fails for the last time", world, Step.RECORD_END


def _look(world: World, bug: Bug | None) -> Iterator[tuple[str, World, Step]]:
    """Yield what a takeover, which never creates, can find of the attempt that it resolves."""
    if world.jobs and bug is not Bug.NO_LOOKUP:
        yield "finds the job by its labels", world, Step.RECORD
    else:
        yield "finds no job", world, Step.REQUEUE
        yield "finds no job, for the last time", world, Step.RECORD_END


def status(world: World, me: Process, bug: Bug | None) -> Steps:
    """Yield what a status can do: publish for what is due; at the end report → close → delete."""
    match me.step:
        case Step.IDLE if world.record:
            yield from _reconcile(world, world.record, me, bug)
        case Step.END | Step.RESUME:
            yield _end(world, me, bug)
        case Step.REPORT:
            reported = world._replace(reported=True)
            yield "reports", reported.at(me, Step.DELETE if bug is Bug.DELETE_THEN_CLOSE else Step.CLOSE)
            yield "reports, answer lost", reported.at(me, Step.IDLE)
        case Step.CLOSE:
            then = Step.IDLE if bug is Bug.DELETE_THEN_CLOSE else Step.DELETE
            yield "writes the closed record", world._replace(closed=True).at(me, then)
        case Step.DELETE:
            then = Step.CLOSE if bug is Bug.DELETE_THEN_CLOSE else Step.IDLE
            yield "deletes the open record", world.write(None).at(me, then)


def _end(world: World, me: Process, bug: Bug | None) -> tuple[str, World]:
    """Return the write that ends a launch or resumes it, which succeeds only on the record that status has read."""
    changed = me.claim is None or me.claim.generation != world.generation
    if changed and not (bug is Bug.BLIND_RESUME and me.step is Step.RESUME and world.record):
        return "finds the record changed", world.at(me, Step.IDLE)
    if me.step is Step.END:
        return "records the job's end", world.write(Record(Phase.ENDED)).at(me, Step.REPORT)
    queued = world.write(Record(Phase.QUEUED)).at(me, Step.IDLE)
    lives = world.jobs if changed else 0  # what has changed is that a job of the next attempt runs
    return "queues the run again", queued._replace(jobs=lives, resumed=True)


def _reconcile(world: World, record: Record, me: Process, bug: Bug | None) -> Steps:
    if world.closed:
        yield "finishes a close", world.write(None)
    elif record.phase is Phase.ENDED:
        yield "sees the end", world.at(me, Step.CLOSE if bug is Bug.CLOSE_BEFORE_REPORT else Step.REPORT)
    elif record.phase is Phase.SUBMITTED and world.jobs:
        read = Claim(world.generation, takeover=False)
        yield "sees the job's end", world.at(me, Step.END, read)
        if not world.resumed:
            yield "sees the job's end, its run preempted or no machines found", world.at(me, Step.RESUME, read)
    elif record.phase is Phase.QUEUED and world.tickets < MAX_TICKETS:
        if world.item is Item.OURS or bug is Bug.RING_UNACKED:
            yield "publishes for a launch that waits", world.publish()
        elif world.item is Item.FOREIGN:
            yield "withdraws what another agent has", world.write(None)
    elif record == Record(Phase.SUBMITTING) and world.tickets < MAX_TICKETS:
        yield "publishes for a lease that ended", world.publish()


def check(bug: Bug | None = None) -> Result:
    """Explore the protocol, or the protocol with a planted bug."""

    def mishap(step: str) -> bool:
        return any(words in step for words in MISHAPS)

    return explore(World(), lambda world: steps(world, bug), bad, finished, mishap, World.unnamed)


def main(arguments: list[str] | None = None) -> int:
    """Print what exploring found; 0 where the protocol holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.model.ledger_protocol", description="Check the protocol.")
    parser.add_argument("bug", nargs="?", choices=[str(bug) for bug in Bug], help="a mistake to plant")
    planted = parser.parse_args(arguments).bug
    result = check(Bug(planted) if planted else None)
    if result.violation:
        lines = [f"{result.states} states seen", f"{result.violation}, after {len(result.history)} steps:"]
    else:
        lines = [f"{result.states} states; {result.unfinishable} that can never finish"]
    print(*lines, *result.history, sep="\n")  # noqa: T201 - a command prints
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
