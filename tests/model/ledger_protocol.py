"""The ledger's protocol as an exhaustive model of one launch: every interleaving of everyone who touches it.

Two worlds: an item of a W&B queue, and a request from another system.

Actors: a person with a command, two polls, two submits and two status calls. None of them dies at its
timeout. Each can freeze before any of its steps, for any time, and go on; it can also die there. W&B's
queue, whose lease of an item ends at any time; another launch agent on the same queue; Pub/Sub, which loses
tickets and delivers again; Vertex AI, whose answer to a create can be lost, whose job can appear after the
caller has given up, and whose listings lag behind. In the world of a request, people also delete the open
record, restore its first version, or clear a closed record away (two such changes in all).

State: the W&B item; the open record (state, lease of the claim) with its generation, by which a write is
conditional; whether the closed record exists; CustomJobs; a create under way; tickets; the report to W&B;
what each process does next.

Each claim of a queued launch is one attempt and sends at most one create. Its lease begins after the
rendering, with the write of the claim. Immediately before the create, a submit checks its time budget;
the check and the send are one step. A takeover of an ended lease writes no claim and only looks: it
records the job that it finds. If it finds none, it notes that; a second look-up after a distance in time
finds the job or queues the launch again. The first claims of a request look, too, until one look-up is
done: the record may have been deleted or restored while its job exists.

Assumptions, all about time. A lease is longer than the budget: when it ends, the budget of its holder is
over. What was sent has landed and is listed when the distance between two look-ups is over. Nobody
changes the bucket by hand while a lease runs, a create is under way or a status closes the launch. A
first look-up may come before the create has landed.

A run whose job was preempted, or failed without machines before it began, is queued again by status (once
in the model). The next claim makes a new job, which is no second one beside it: the first has ended.

A person can cancel a launch once, with a wish that is written by compare-and-swap; never while a submit holds its
claim, whose write would then fail. A wish in a record rules out every claim of a queued launch. Status ends a queued
launch that is ours, and cancels a job, whose end it then records as any other.

Invariants: no create after a wish, and no job beside an end by a wish; never two CustomJobs; never ours
beside another agent's; never closed before its report; never closed without a job or a reason (refused,
given up, nobody can tell); never both a job and a refusal. Liveness: from every state an end can be reached
without another crash or loss.

Run `python -m tests.model.ledger_protocol [BUG]`: prints the number of states and the shortest history
that violates an invariant.
"""

import argparse
import sys
from collections.abc import Iterator
from enum import StrEnum

from tests.model.explore import Result, explore
from tests.model.world import (
    POLLS,
    STATUSES,
    SUBMITS,
    UNSENT,
    Claim,
    Item,
    Lease,
    Phase,
    Process,
    Record,
    Sent,
    Step,
    World,
    bad,
    finished,
)

MAX_HANDS = 2
MISHAPS = (" dies ", "answer lost", "ticket is lost", "by hand")  # in the names of steps
ITEM, REQUEST = World(), World(item=Item.NONE, ticket=True)


class Bug(StrEnum):
    """A mistake that can be planted; the model finds each."""

    RING_UNACKED = "ring_unacked"  # status publishes a ticket for a launch whose item W&B has not acked to us
    NO_CLOSED_CHECK = "no_closed_check"  # submit does not look for the closed record after its claim
    CLOSE_BEFORE_REPORT = "close_before_report"  # status closes without a report to W&B
    DELETE_THEN_CLOSE = "delete_then_close"  # status deletes the open record before it writes the closed one
    NO_LOOKUP = "no_lookup"  # a takeover queues the launch again without looking for its predecessor's job
    PUBLISH_BEFORE_ACK = "publish_before_ack"  # poll publishes the ticket before W&B has acked the item
    BLIND_RESUME = "blind_resume"  # status queues a preempted run again though its record has changed meanwhile
    SHORT_LEASE = "short_lease"  # a lease can end while its holder's time budget is not over
    NO_BUDGET_CHECK = "no_budget_check"  # submit creates without having looked at its time budget
    LEASE_BEFORE_RENDERING = (
        "lease_before_rendering"  # rendering takes as long as the lease, which is over at the claim
    )
    ONE_LOOKUP = "one_lookup"  # one look-up that finds no job is enough for another create
    SHORT_DISTANCE = "short_distance"  # the second look-up can come before what was sent has landed
    NO_FIRST_LOOKUP = "no_first_lookup"  # a request's first claim does not look for a job
    CLAIM_CANCELLED = "claim_cancelled"  # submit claims a queued launch though a person has cancelled it
    FORGET_WISH = "forget_wish"  # a submit that ends its attempt drops the wish
    CANCEL_UNACKED = "cancel_unacked"  # status ends a cancelled launch whose item W&B has not acked to us
    CANCEL_CLAIMED = "cancel_claimed"  # status ends a cancelled launch whose submit may have made a job
    FIRST_LOOKUP_ONCE = "first_lookup_once"  # only the first attempt looks, though it may end before it has looked


Steps = Iterator[tuple[str, World]]


def steps(world: World, bug: Bug | None = None) -> Steps:
    """Yield all that can happen next."""
    yield from surroundings(world, bug)
    for process in world.processes:
        if process.step is not Step.IDLE:
            yield f"{process.name} dies before {process.step}", world.at(process, Step.IDLE)
        act = poll if process.name in POLLS else submit if process.name in SUBMITS else status
        for what, following in act(world, process, bug):
            yield f"{process.name} {what}", following


def surroundings(world: World, bug: Bug | None) -> Steps:
    """Yield what W&B, Vertex AI, Pub/Sub, another agent, people and time can do."""
    if world.item is Item.LEASED:
        yield "the item's lease ends", world._replace(item=Item.PENDING)
    if world.item is Item.PENDING and not world.foreign_jobs:
        yield "another agent pops, acks and launches", world._replace(item=Item.FOREIGN, foreign_jobs=1)
    if world.sent is Sent.UNDER_WAY:
        yield "a create that was sent lands", world._replace(jobs=world.jobs + 1, sent=Sent.UNLISTED)
    if world.sent is Sent.UNLISTED:
        yield "the listing shows the job", world._replace(sent=Sent.NOWHERE)
    if world.ticket and world.record:
        yield "a ticket is lost", world._replace(ticket=False)
    if world.item is Item.NONE:
        yield from _of_a_request(world)
    record = world.record
    if record and _may_cancel(world, record):
        yield "a person cancels the launch", world.write(record._replace(wish=True))._replace(asked=True)
    if record and record.lease is Lease.HELD:
        yield "a submit's lease ends", _lease_ends(world, record, spends=bug is not Bug.SHORT_LEASE)
    if record and record.lease is Lease.DISTANCE and (world.sent is Sent.NOWHERE or bug is Bug.SHORT_DISTANCE):
        yield "the distance between two look-ups is over", world.write(record._replace(lease=Lease.OVER))


def _of_a_request(world: World) -> Steps:
    """Yield what Pub/Sub does with a request that was not launched, and what people do with the bucket."""
    if not world.ticket and not world.record and not world.closed:
        yield "the request is delivered again", world._replace(ticket=True)
    busy = world.sent is not Sent.NOWHERE or (world.record and world.record.lease is not Lease.OVER)
    closing = any(each.name in STATUSES and each.step is not Step.IDLE for each in world.processes)
    if busy or closing or world.asked or world.hands == MAX_HANDS:
        return
    touched = world._replace(hands=world.hands + 1)
    if world.record:
        yield "the open record is deleted by hand", touched.write(None)
    elif world.generation:
        yield "the open record is restored by hand, as it was first", touched.write(Record(Phase.QUEUED, first=True))
    if world.closed and not world.record and all(process.step is Step.IDLE for process in world.processes):
        yield "the closed record goes, after 30 days or by hand", touched._replace(closed=False)


def _may_cancel(world: World, record: Record) -> bool:
    """Say whether a person can cancel the launch: once, and not after the bucket was changed by hand."""
    ready = record.phase is not Phase.ENDED and record.lease is not Lease.HELD
    return ready and not (world.asked or world.hands)


def _lease_ends(world: World, record: Record, *, spends: bool) -> World:
    """End the lease of a claim; by then the time budget of its holder is over, if it still is alive."""
    ended = world._replace(record=record._replace(lease=Lease.OVER))  # time writes nothing: the generation stays
    for each in world.processes:
        claim = each.claim
        holds = claim and not claim.takeover and claim.generation == world.generation
        if claim and holds and spends and each.step in UNSENT:
            ended = ended.at(each, each.step, claim._replace(spent=True))
    return ended


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
                yield "gets a no, but the item is ours", world.at(me, then)
            elif world.item is Item.FOREIGN:
                yield "gets a no, another agent has it, and withdraws", world.write(None).at(me, Step.IDLE)
            else:
                yield "gets a no, the lease has ended", world.at(me, Step.IDLE)
        case Step.PUBLISH:
            yield "publishes", world.publish().at(me, Step.IDLE)
        case Step.PUBLISH_EARLY:
            yield "publishes", world.publish().at(me, Step.ACK_LATE)


def submit(world: World, me: Process, bug: Bug | None) -> Steps:
    """Yield what a submit can do: claim → check closed → look, or check the budget and create → record.

    Reading the record and rendering come before the claim, and are no steps here: the claim fails if the record has
    changed since, so a change in between is as if it came before the reading. The further steps of a takeover that has
    lost its claim, or of a lost claim whose time is over, are no steps either: they write nothing.
    """
    claim = me.claim
    if claim and claim.generation != world.generation and claim.harmless(bug is not Bug.NO_BUDGET_CHECK):
        yield "has lost its claim", world.at(me, Step.IDLE)
        return
    match me.step:
        case Step.IDLE if world.ticket:
            if world.record is None and world.item is Item.NONE:
                yield "opens the launch", world.write(Record(Phase.QUEUED, first=True))
            elif world.record and (world.record.claimable or _claims_cancelled(world.record, bug)):
                for what, rest in (("", world._replace(ticket=False)), (", and its message comes again", world)):
                    yield f"{_CLAIMS[world.record.phase]}{what}", _claim(rest, world.record, me, bug)
            else:
                yield "has nothing to do", world._replace(ticket=False)
        case Step.IDLE:
            return
        case Step.CHECK_CLOSED:
            yield from _check_closed(world, me, bug)
        case Step.LOOK_FIRST | Step.LOOK | Step.CREATE if me.claim:
            act = {Step.LOOK_FIRST: _look_first, Step.LOOK: _look, Step.CREATE: _create}[me.step]
            for what, following, then in act(world, me.claim, bug):
                yield what, following.at(me, then, me.claim._replace(spent=me.claim.spent and then in UNSENT))
        case _:
            yield _settle(world, me, bug)


def _claim(world: World, record: Record, me: Process, bug: Bug | None) -> World:
    """Write the claim of an attempt; a takeover, which sends nothing, only remembers what it has read."""
    if record.phase is Phase.SUBMITTING:
        return world.at(me, Step.CHECK_CLOSED, Claim(world.generation, takeover=True))
    lease = Lease.OVER if bug is Bug.LEASE_BEFORE_RENDERING else Lease.HELD
    claimed = world.write(record._replace(phase=Phase.SUBMITTING, lease=lease))
    return claimed.at(me, Step.CHECK_CLOSED, Claim(claimed.generation))


def _claims_cancelled(record: Record, bug: Bug | None) -> bool:
    return bug is Bug.CLAIM_CANCELLED and record.phase is Phase.QUEUED


_CLAIMS = {Phase.QUEUED: "claims", Phase.SUBMITTING: "takes over"}


def _check_closed(world: World, me: Process, bug: Bug | None) -> Steps:
    if world.closed and bug is not Bug.NO_CLOSED_CHECK:
        yield "is late: deletes the open record", world.write(None).at(me, Step.IDLE)
        return
    takeover = me.claim is not None and me.claim.takeover
    first = world.record is not None and world.record.first and bug is not Bug.NO_FIRST_LOOKUP
    then = Step.LOOK if takeover else Step.LOOK_FIRST if first else Step.CREATE
    yield "finds it not closed", world.at(me, then, me.claim)
    if not takeover:
        yield "finds it not closed, and could not render it", world.at(me, Step.REQUEUE, me.claim)


def _settle(world: World, me: Process, bug: Bug | None) -> tuple[str, World]:
    """Return the write that ends an attempt or a look-up, which succeeds only on what the claim wrote."""
    record = world.record
    if record is None or me.claim is None or me.claim.generation != world.generation:
        return "has lost its claim", world.at(me, Step.IDLE)
    idle, first = world.at(me, Step.IDLE), record.first and bug is not Bug.FIRST_LOOKUP_ONCE
    wish = record.wish and bug is not Bug.FORGET_WISH
    match me.step:
        case Step.LET_GO:
            return "lets go", idle.write(Record(Phase.SUBMITTING, looked=record.looked, wish=wish))
        case Step.NOTE_LOOK:
            return "notes that it found no job", idle.write(
                Record(Phase.SUBMITTING, Lease.DISTANCE, looked=True, wish=wish)
            )
        case Step.RECORD:
            return "records the job", idle.write(Record(Phase.SUBMITTED, wish=wish))
        case Step.REQUEUE:
            queued = Record(Phase.QUEUED, first=first and not me.claim.takeover, wish=wish)
            return "queues it again", idle.write(queued)
        case Step.RECORD_DOUBT:
            return "ends it: nobody can tell", idle.write(Record(Phase.ENDED))._replace(in_doubt=True)
    return "records the end", idle.write(Record(Phase.ENDED))._replace(given_up=True)


Outcomes = Iterator[tuple[str, World, Step]]


def _create(world: World, claim: Claim, bug: Bug | None) -> Outcomes:
    """Yield what can become of the one create of an attempt, and what the submit does then."""
    if claim.spent and bug is not Bug.NO_BUDGET_CHECK:
        yield "finds its time over, and creates nothing", world, Step.REQUEUE
        return
    world = world._replace(created_late=world.created_late or world.asked)
    created = world._replace(jobs=world.jobs + 1, sent=max(world.sent, Sent.UNLISTED, key=_FARTHEST.index))
    yield "creates", created, Step.RECORD
    yield "creates, answer lost", created, Step.LET_GO
    if world.sent is Sent.NOWHERE:
        yield "creates, gives up, and it lands later", world._replace(sent=Sent.UNDER_WAY), Step.LET_GO
    yield "learns that nothing was created: no capacity, or not sent", world, Step.REQUEUE
    yield "is refused, or fails for the last time", world, Step.RECORD_END


_FARTHEST = (Sent.NOWHERE, Sent.UNLISTED, Sent.UNDER_WAY)


def _look_first(world: World, _: Claim, bug: Bug | None) -> Outcomes:
    """Yield what the first claim of a request can find: the job of a record that was deleted or restored."""
    if world.jobs and world.sent is Sent.NOWHERE:
        yield "finds the job of an earlier record", world, Step.RECORD
    else:
        yield "finds no earlier job", world, Step.CREATE
    yield "is not allowed to look", world, Step.REQUEUE


def _look(world: World, _: Claim, bug: Bug | None) -> Outcomes:
    """Yield what a takeover, which never creates, can find of the attempt that it resolves."""
    if world.jobs and world.sent is Sent.NOWHERE and bug is not Bug.NO_LOOKUP:
        yield "finds the job by its labels", world, Step.RECORD
    elif (world.record and world.record.looked) or bug in (Bug.ONE_LOOKUP, Bug.NO_LOOKUP):
        yield "finds no job", world, Step.REQUEUE
        yield "finds no job, for the last time", world, Step.RECORD_END
    else:
        yield "finds no job at first", world, Step.NOTE_LOOK
    yield "is not allowed to look", world, Step.LET_GO
    yield "is not allowed to look, for the last time", world, Step.RECORD_DOUBT


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
    return "queues the run again", queued._replace(jobs=lives, sent=Sent.NOWHERE, resumed=True)


def _reconcile(world: World, record: Record, me: Process, bug: Bug | None) -> Steps:
    if world.closed:
        yield "finishes a close", world.write(None)
    elif record.phase is Phase.ENDED:
        yield "sees the end", world.at(me, Step.CLOSE if bug is Bug.CLOSE_BEFORE_REPORT else Step.REPORT)
    elif record.phase is Phase.SUBMITTED and world.jobs:
        read = Claim(world.generation)
        yield "sees the job's end", world.at(me, Step.END, read)
        if not (world.resumed or record.wish):
            yield "sees the job's end, its run preempted or no machines found", world.at(me, Step.RESUME, read)
    elif record.wish and (record.phase is Phase.QUEUED or bug is Bug.CANCEL_CLAIMED):
        if world.item in (Item.OURS, Item.NONE) or bug is Bug.CANCEL_UNACKED:
            yield "ends what a person cancelled", world.write(Record(Phase.ENDED))._replace(cancelled=True)
        elif world.item is Item.FOREIGN:
            yield "withdraws what another agent has", world.write(None)
    elif record.phase is Phase.QUEUED and not world.ticket:
        if world.item in (Item.OURS, Item.NONE) or bug is Bug.RING_UNACKED:
            yield "publishes for a launch that waits", world.publish()
        elif world.item is Item.FOREIGN:
            yield "withdraws what another agent has", world.write(None)
    elif record.phase is Phase.SUBMITTING and record.claimable and not world.ticket:
        yield "publishes for a lease that ended", world.publish()


def check(bug: Bug | None = None, start: World = ITEM) -> Result:
    """Explore the protocol, or the protocol with a planted bug, from an item or from a request."""

    def mishap(step: str) -> bool:
        return any(words in step for words in MISHAPS)

    def alike(world: World) -> World:
        return world.unnamed(heeds_budget=bug is not Bug.NO_BUDGET_CHECK)

    return explore(start, lambda world: steps(world, bug), bad, finished, mishap, alike)


def main(arguments: list[str] | None = None) -> int:
    """Print what exploring found; 0 if the protocol holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.model.ledger_protocol", description="Check the protocol.")
    parser.add_argument("bug", nargs="?", choices=[str(bug) for bug in Bug], help="a mistake to plant")
    planted = parser.parse_args(arguments).bug
    bug = Bug(planted) if planted else None
    starts = {"an item": ITEM, "a request": REQUEST}
    if bug:
        starts = {name: start for name, start in starts.items() if start is found_from(bug)}
    results = {name: check(bug, start) for name, start in starts.items()}
    for name, result in results.items():
        print(*_shown(name, result), *result.history, sep="\n")  # noqa: T201 - a command prints
    return 0 if all(result.holds for result in results.values()) else 1


def found_from(bug: Bug) -> World:
    """Return the world in which a planted bug is looked for."""
    return REQUEST if bug in (Bug.NO_FIRST_LOOKUP, Bug.FIRST_LOOKUP_ONCE) else ITEM


def _shown(name: str, result: Result) -> list[str]:
    if result.violation:
        return [f"{name}: {result.states} states seen", f"{result.violation}, after {len(result.history)} steps:"]
    return [f"{name}: {result.states} states; {result.unfinishable} that can never finish"]


if __name__ == "__main__":
    sys.exit(main())
