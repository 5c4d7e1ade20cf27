"""What waits: an item's position and its plan, the items of each queue, the dead letters."""

from collections.abc import Iterator, Sequence

from deploy.cloud.doctor.finding import Finding, failed, ok, unknown
from deploy.operate.why.facts import Facts, Unseen
from deploy.planner import LAUNCHED, REFUSED, UNSEEN, Planned
from deploy.wandb_queues import PendingItem
from shared.core.machine import machines
from shared.core.shorten import shown

NAMED = 10  # dead letters that one line names
DEFAULT_PRIORITY = 2  # W&B's "medium"
PRIORITIES = {0: "critical", 1: "high", 2: "medium", 3: "low"}


def check_position(facts: Facts, queue: str, item: str) -> Finding:
    """Tell the place of an item among those that wait in its queue: by priority, then age."""
    pending = facts.pending.get(queue, Unseen("not asked"))
    if isinstance(pending, Unseen):
        return unknown("position", pending.why, pending.fix)
    ordered = in_order(pending)
    place = next((number for number, each in enumerate(ordered, 1) if each.id == item), 0)
    if not place:
        return unknown("position", f"item {item} is no longer among those that wait in {queue}")
    priority = ordered[place - 1].priority
    says = "" if priority is None else f", priority {PRIORITIES.get(priority, priority)}"
    message = f"item {item} waits as number {place} of {len(ordered)} in queue {queue}{says}"
    return ok("position", message)


def in_order(pending: Sequence[PendingItem]) -> list[PendingItem]:
    """Return the items of a queue in the order in which W&B offers them."""
    return sorted(
        pending,
        key=lambda each: DEFAULT_PRIORITY if each.priority is None else each.priority,
    )


def check_plan(plan: Planned | Unseen | None) -> Iterator[Finding]:
    """Tell what submit would do with an item."""
    if isinstance(plan, Unseen):
        yield unknown("plan", plan.why, plan.fix)
    elif plan and plan.outcome == REFUSED:
        reason = str(plan.document().get("reason"))
        fix = "Delete the item in W&B, and enqueue it again with another value."
        yield failed("plan", f"submit would refuse it: {reason}", fix)
    elif plan and plan.outcome == UNSEEN:
        yield unknown("plan", "W&B shows the run spec only after the pop")
    elif plan and plan.outcome == LAUNCHED and plan.call:
        asked = machines(plan.call.constructor, plan.call.submit)
        yield ok("plan", f"submit would launch it: {asked or 'no machines named'}")


def check_waiting(facts: Facts) -> Iterator[Finding]:
    """Tell what waits in each queue."""
    for queue, pending in facts.pending.items():
        title = f"queue {queue}"
        if isinstance(pending, Unseen):
            yield unknown(title, pending.why, pending.fix)
            continue
        first = f"; the first is {shown(in_order(pending)[0].id)}" if pending else ""
        yield ok(title, f"{len(pending)} items wait in queue {queue}{first}")


def check_dead_letters(facts: Facts, key: str = "") -> Iterator[Finding]:
    """Tell which messages submit could not accept; with a key, those about this launch."""
    letters = facts.dead_letters
    if isinstance(letters, Unseen):
        yield unknown("dead letters", letters.why, letters.fix)
        return
    found = [letter for letter in letters if not key or letter.launch_key == key]
    show = facts.place.ours("dead-letters")
    if not found:
        yield ok(
            "dead letters", f"no dead letter is about {f'launch {key}' if key else 'a launch'}"
        )
        return
    ids = ", ".join(letter.id for letter in found[:NAMED])
    first = min(found, key=lambda letter: letter.dead_since)
    what = f"the message of launch {key} is a dead letter" if key else "submit could not accept"
    what = what if key else f"{len(found)} messages that {what} are dead letters"
    message = f"{what} ({ids}) {facts.since(first.dead_since)}: {first.description}"
    replay = facts.place.ours("dead-letters", "--replay", *([first.id] if key else []))
    yield failed("dead letters", message, f"{show}\n{replay}  # after you have fixed the cause")
