"""What can go wrong with one call, and what the adapters make of it."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum

from shared.core.errors import Capacity, Denied, KeyRefused, LaunchError, OutcomeUnknown, Reject, Retry
from shared.core.shortage import Shortage
from tests.simulation.processes import Call

LATE = timedelta(seconds=45)  # after its caller has given up, within the time of the call, a request can still land
SLOW = timedelta(seconds=70)  # longer than a lease of W&B's, and than the time between two ticks
FROZEN = timedelta(minutes=19, seconds=50)  # longer than any lease and any timeout
HOURS = timedelta(hours=3)
LONG_AFTER = timedelta(minutes=6)  # when a message that was acked can come once more


class Fault(StrEnum):
    """One thing that goes wrong with one call."""

    DIES = "dies"  # the invocation, before the call
    LOST = "lost"  # the effect is there, its answer is not
    LATE = "late"  # the caller gives up, and the effect comes later
    UNAVAILABLE = "unavailable"  # 503, with no effect
    BUSY = "busy"  # 429: too many calls
    SHORT = "short"  # 429, of a create: no machines
    NO_QUOTA = "no-quota"  # 429, of a create: the quota is zero
    DENIED = "denied"  # 401
    REFUSED = "refused"  # 400, of a create, or of a report to an item
    SLOW = "slow"  # the invocation is held up before the call, while others go on
    FROZEN = "frozen"  # the invocation stops before the call, for longer than its timeout, and then goes on
    HOURS = "hours"  # the same for hours
    TWIN = "twin"  # the same comes again, and runs while this one is held up before the call
    DOUBLE = "double"  # the request arrives twice; of a submit's answer: the message is delivered again, much later
    EXPIRES = "expires"  # the leases of W&B's items end before the call
    TAKEN = "taken"  # the same, and another agent pops the items and acks them
    STOPPED = "stopped"  # somebody presses stop in W&B before the call, on every run that there is
    REMOVED = "removed"  # somebody takes all items off their queue before the call
    DELETED = "deleted"  # somebody deletes the living jobs in the console before the call
    CANCELLED = "cancelled"  # somebody cancels every launch with the command before the call
    LAGS = "lags"  # a listing of Vertex AI's leaves out what is young
    PARTLY = "partly"  # W&B answers about all runs or items but one, which it refuses
    FORGOTTEN = "forgotten"  # W&B does not know our agent any more
    UNREADABLE = "unreadable"  # a newer version has written the record, or the first of a page


NO_EFFECT = frozenset({Fault.UNAVAILABLE, Fault.BUSY, Fault.SHORT, Fault.NO_QUOTA, Fault.DENIED, Fault.REFUSED})
PEOPLE = (Fault.STOPPED, Fault.REMOVED, Fault.DELETED, Fault.CANCELLED)  # people can do these at any time


def possible(call: Call, checked: bool = False) -> Iterator[Fault]:
    """Yield what can go wrong with a call, each once: nothing that would look the same as another.

    A check of the budget and the call that follows it are one step: what holds the invocation up comes before both.
    """
    if not checked and call.name != "answer":
        yield from (Fault.SLOW, Fault.TWIN, Fault.FROZEN)
    if call.name == "budget":
        return
    yield Fault.DIES
    if call.system == "platform":
        if call.name == "answer" and call.about:
            yield Fault.DOUBLE
        return
    yield from (Fault.UNAVAILABLE, Fault.DENIED)
    if call.changes:
        yield from (Fault.LOST, Fault.LATE)
    if call.once and call.system == "wandb":
        yield from (Fault.BUSY, Fault.EXPIRES, Fault.TAKEN)
    if call.name == "ledger.read" and not call.about.startswith("open/"):
        return
    yield from _OF_CALLS.get(call.name, ())


_OF_CALLS = {
    "vertex.create": (Fault.BUSY, Fault.SHORT, Fault.NO_QUOTA, Fault.REFUSED),
    "wandb.pop": (Fault.DOUBLE,),
    "wandb.ack": (Fault.DOUBLE,),
    "topic.publish": (Fault.DOUBLE,),
    "vertex.list": (Fault.LAGS,),
    "vertex.find": (Fault.LAGS,),
    "wandb.runs": (Fault.PARTLY,),
    "wandb.items": (Fault.PARTLY,),
    "wandb.agent": (Fault.FORGOTTEN,),
    "wandb.warn": (Fault.REFUSED,),
    "wandb.fail": (Fault.REFUSED,),
    "ledger.list": (Fault.UNREADABLE,),
    "ledger.read": (Fault.UNREADABLE,),
}


def error_of(fault: Fault, call: Call) -> LaunchError:
    """Return what the adapter raises for a call that met this fault."""
    reason = f"{call.name}: {fault}"
    match fault:
        case Fault.DENIED:
            return KeyRefused(reason) if call.system == "wandb" else Denied(reason)
        case Fault.REFUSED:
            return Reject("Vertex AI" if call.system == "vertex" else "W&B", reason)
        case Fault.BUSY:
            return Capacity(reason, Shortage.RATE) if call.name == "vertex.create" else Retry(reason)
        case Fault.SHORT:
            return Capacity(reason, Shortage.STOCKOUT)
        case Fault.NO_QUOTA:
            return Capacity(reason, Shortage.ZERO)
    return OutcomeUnknown(reason) if call.once else Retry(reason)
