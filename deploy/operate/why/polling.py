"""The first part of the road, until the pop: the key, the schedule, poll, the queue, the limits."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from deploy.cloud.doctor.finding import Finding, failed, ok, unknown
from deploy.operate.why.facts import Facts, Schedule, Unseen, label
from shared.core.entry import Entry
from shared.core.pause import pause_of
from shared.core.states import State

RECENTLY = timedelta(minutes=5)  # poll and status are called every minute
NAMED = 10  # launches that one line names


def check_key(facts: Facts) -> Finding:
    """Tell whether W&B accepts the functions' key."""
    match facts.key:
        case Unseen(why, fix):
            return unknown("API key", why, fix)
        case key if key.problem:
            message = f"W&B refuses the API key of the functions: {key.problem}"
            return failed("API key", message, facts.place.new_key())
        case key:
            return ok("API key", f"W&B accepts it; it belongs to {key.owner or 'an unnamed user'}")


def check_schedule(facts: Facts, verb: str) -> Iterator[Finding]:
    """Tell whether Cloud Scheduler calls a function. On this machine poll's last call shows it."""
    found = facts.schedules.get(verb)
    if found is None:
        return
    title, job = f"schedule of {verb}", f"{facts.place.name}-{verb}"
    if isinstance(found, Unseen):
        yield unknown(title, found.why, found.fix)
        return
    says, fix = _schedule(facts, found, verb, job)
    yield failed(title, says, fix) if fix else ok(title, says)


def _schedule(facts: Facts, found: Schedule, verb: str, job: str) -> tuple[str, str]:
    """Return what a Scheduler job shows, and the fix of a fault."""
    place = facts.place
    if not found.state:
        where = place.scheduler_region or place.region
        return f"Cloud Scheduler has no job {job} in {where}: nobody calls {verb}", place.ours(
            "provision"
        )
    if found.state != "ENABLED":
        message = f"Cloud Scheduler's job {job} is {found.state.lower()}: nobody calls {verb}"
        return message, place.schedule("resume", verb)
    if found.last is None:
        return f"Cloud Scheduler's job {job} has never run", place.schedule("run", verb)
    if facts.now - found.last > RECENTLY:
        message = f"Cloud Scheduler called {verb} last {facts.ago(found.last)}, not every minute"
        return message, place.schedule("run", verb)
    if found.error:
        message = f"the last call of {verb}, {facts.ago(found.last)}, failed: {found.error}"
        return message, place.log(verb)
    return f"Cloud Scheduler called {verb} {facts.ago(found.last)}, successfully", ""


def check_poll(facts: Facts) -> Finding:
    """Tell whether poll pops items, by the note of its last call."""
    note, place = facts.note, facts.place
    if isinstance(note, Unseen):
        return unknown("poll", note.why, note.fix)
    start = place.ours("agent", "start")
    if note.stopped:
        return failed("poll", "`vertex-launch agent stop` has stopped poll's agent", start)
    if note.polled_at is None:
        message = "poll has never finished a call"
        return failed("poll", message, place.ours("up") if place.local else place.log("poll"))
    ago = facts.ago(note.polled_at)
    if facts.now - note.polled_at > RECENTLY:
        message = f"poll's last call was {ago}, not a minute ago: nobody pops items"
        run = place.ours("up") if place.local else place.schedule("run", "poll")
        return failed("poll", message, run)
    if note.why_not:
        message = f"poll's last call, {ago}, popped nothing: {note.why_not}"
        return failed("poll", message, start if "agent start" in message else place.log("poll"))
    return ok("poll", f"poll asked W&B for items {ago}")


def check_calls(facts: Facts) -> Iterator[Finding]:
    """Tell whether the stack's scheduler calls poll and status: one process calls both."""
    if not facts.place.local or isinstance(facts.note, Unseen) or facts.note.polled_at is None:
        return
    ago = facts.ago(facts.note.polled_at)
    if facts.now - facts.note.polled_at > RECENTLY:
        message = f"the last call of poll and status was {ago}: the stack's scheduler is gone"
        yield failed("schedule", message, facts.place.ours("up"))
    else:
        yield ok("schedule", f"the stack's scheduler called poll and status {ago}")


def check_queues(facts: Facts) -> Iterator[Finding]:
    """Tell which queues W&B does not have."""
    if isinstance(facts.note, Unseen):
        return
    for name in facts.note.missing:
        message = f"{facts.note.entity} has no queue {name} that the functions' key can see"
        fix = f"Create the queue {name} in W&B, or remove it from queues in launch-config.yaml."
        yield failed(f"queue {name}", message, fix)


def check_pause(facts: Facts, queue: str) -> Iterator[Finding]:
    """Tell whether a person has paused a queue."""
    if isinstance(facts.note, Unseen) or not (pause := pause_of(queue, facts.note.paused)):
        return
    which = ("--queue", pause.queue) if pause.queue else ()
    what = f"queue {queue} is" if pause.queue else "all queues are"
    yield failed(f"pause of {queue}", f"{what} paused {pause}", facts.place.ours("resume", *which))


def check_hold(facts: Facts, queue: str) -> Finding:
    """Tell whether a launch that waits for capacity holds a queue, and which."""
    title = f"hold of {queue}"
    if isinstance(facts.open, Unseen):
        return unknown(title, facts.open.why, facts.open.fix)
    holders = [entry for entry in facts.open if entry.holds_queue and entry.queue_name == queue]
    if not holders:
        return ok(title, f"no launch that waits for capacity holds queue {queue}")
    first = min(holders, key=lambda entry: entry.opened_at)
    retry = f"; its next attempt is at {facts.at(first.retry_at)}" if first.retry_at else ""
    more = f"; {len(holders) - 1} more launches of the queue wait too" if len(holders) > 1 else ""
    message = (
        f"queue {queue} is held, because launch {label(first)} waits for capacity "
        f"({first.short_of}) {facts.since(first.opened_at)}{retry}{more}"
    )
    place = facts.place
    return failed(
        title, message, f"{place.ours('why', first.key)}\n{place.ours('cancel', first.key)}"
    )


def check_limits(facts: Facts, *, scheduler: bool = False) -> Iterator[Finding]:
    """Tell which limits of poll are reached, and by which launches."""
    if isinstance(facts.open, Unseen):
        yield unknown("limits", facts.open.why, facts.open.fix)
        return
    limits = {} if isinstance(facts.note, Unseen) else facts.note.limits
    if not limits:
        yield unknown("limits", "poll's note does not show the limits: deploy this version of poll")
        return
    for name, taken in _taken(facts.open, scheduler=scheduler).items():
        most, used = limits.get(name, -1), len(taken) + len(facts.unreadable)
        if most < 0:
            yield ok(name, "there is no limit")
        elif used < most:
            yield ok(name, f"{used} of {most} slots are taken")
        elif facts.item or _anything_waits(facts):
            yield _reached(facts, name, f"{used} of {most}", taken)
        else:
            yield ok(name, f"{used} of {most} slots are taken, and nothing waits for one")


def _anything_waits(facts: Facts) -> bool:
    """Tell whether an item may wait in a queue of W&B."""
    return any(isinstance(pending, Unseen) or pending for pending in facts.pending.values())


def _taken(entries: Sequence[Entry], *, scheduler: bool) -> dict[str, list[Entry]]:
    """Return the launches that take a slot, by limit, as poll counts them."""
    counted = [entry for entry in entries if entry.from_queue and entry.state is not State.ENDED]
    queued = [entry for entry in counted if entry.state is State.QUEUED]
    taken = {
        "max_jobs": [entry for entry in counted if not entry.scheduler],
        "max_queued": queued,
    }
    if scheduler:
        taken["max_schedulers"] = [entry for entry in counted if entry.scheduler]
    return taken


def _reached(facts: Facts, name: str, used: str, taken: Sequence[Entry]) -> Finding:
    names = [label(entry) for entry in sorted(taken, key=lambda entry: entry.opened_at)]
    names += [f"{key} (unreadable)" for key in facts.unreadable]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    message = f"the limit {name} is reached, because {used} launches are open: "
    message += f"{', '.join(names[:NAMED])}{more}"
    raise_it = f"To raise it, change {name} in launch-config.yaml, then build."
    return failed(name, message, f"{facts.place.ours('ls')}\n{raise_it}")
