"""Collect the facts about one ID, or about a deployment; each look may fail alone."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click

from deploy.cloud.deployment import SCHEDULED
from deploy.operate.fleet.fleet import Fleet, ambiguous
from deploy.operate.fleet.ids import names
from deploy.operate.plain import plain
from deploy.operate.why.facts import Facts, Item, Unseen
from deploy.operate.why.sources import Sources, waits_for_ticket
from deploy.planner import UNSEEN, Planned
from deploy.wandb_queues import PendingItem
from shared.core.entry import Entry
from shared.core.message import Queue
from shared.core.ports import AgentNote
from shared.core.scheduler import is_scheduler
from shared.core.states import State

AT_ONCE = 8
SECRET = "secretmanager.versions.access"  # noqa: S105 - a permission
LISTED = 20  # launches that an ambiguous ID lists


def collect(sources: Sources, text: str) -> Facts:
    """Return the facts about an ID; without one, about the deployment.

    Raises:
        click.ClickException: the ID names nothing, or several launches.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        fleet = pool.submit(sources.seen, lambda: sources.fleet(closed=bool(text)))
        note = sources.seen(lambda: sources.target.note)
        facts = _of_ledger(sources, fleet.result(), note)
        if not text:
            return _filled(pool, facts, _around(sources, facts) | _waiting(sources, facts))
        found = fleet.result()
        entries = [] if isinstance(found, Unseen) else found.find(text)
        if len(entries) > 1:
            raise click.UsageError(ambiguous(text, entries, facts.now))
        if not isinstance(found, Unseen) and (problems := found.unreadable_of(text)):
            lines = [f"{key}: {plain(why)}" for key, why in problems.items()]
            raise click.ClickException("its record cannot be read:\n" + "\n".join(lines[:LISTED]))
        if entries:
            entry = entries[0]
            url = sources.target.job_url(entry.job_name) if entry.job_name else ""
            facts = replace(facts, entry=entry, job_url=url)
            return _filled(pool, facts, _of_launch(sources, entry))
        return _elsewhere(pool, sources, facts, text)


def _of_ledger(sources: Sources, fleet: Fleet | Unseen, note: AgentNote | Unseen) -> Facts:
    if isinstance(fleet, Unseen):
        # a bucket that does not exist has no note either
        seen = fleet if note == AgentNote("") else note
        return Facts(datetime.now(UTC), sources.place, seen, open=fleet)
    unreadable = fleet.unreadable
    return Facts(fleet.now, sources.place, note, open=fleet.open, unreadable=unreadable)


def _around(sources: Sources, facts: Facts, *verbs: str) -> dict[str, Callable[[], Any]]:
    """Return the looks at the key, and at the schedules of these functions."""
    looks: dict[str, Callable[[], Any]] = {"key": lambda: sources.seen(sources.key, SECRET)}
    if not facts.place.local:
        needs = "cloudscheduler.jobs.get"
        for verb in verbs or SCHEDULED:
            look = partial(sources.schedule, verb)
            looks[f"schedule {verb}"] = partial(sources.seen, look, needs)
    return looks


def _waiting(sources: Sources, facts: Facts) -> dict[str, Callable[[], Any]]:
    """Return the looks at each queue of W&B, and at the dead letters."""
    note = _note(facts)
    looks: dict[str, Callable[[], Any]] = {
        f"pending {queue}": partial(sources.seen, partial(sources.pending, note, queue), SECRET)
        for queue in sources.queues(note)
    }
    looks["dead_letters"] = lambda: sources.seen(sources.dead_letters)
    return looks


def _of_launch(sources: Sources, entry: Entry) -> dict[str, Callable[[], Any]]:
    """Return the looks that a launch in this state needs."""
    ended = entry.state is State.ENDED
    looks: dict[str, Callable[[], Any]] = {
        "record": lambda: sources.seen(lambda: sources.record(entry, closed=ended))
    }
    if ended:
        return looks
    if entry.state is State.SUBMITTED:
        needs = "aiplatform.customJobs.get"
        looks["job"] = lambda: sources.seen(lambda: sources.job(entry), needs)
    if entry.state is State.QUEUED and entry.build:
        needs = "cloudbuild.builds.get"
        looks["build"] = lambda: sources.seen(lambda: sources.build(entry), needs)
    if waits_for_ticket(entry):
        looks["dead_letters"] = lambda: sources.seen(sources.dead_letters)
    bare = Facts(datetime.now(UTC), sources.place)
    return looks | _around(sources, bare, "status")


def _filled(pool: ThreadPoolExecutor, facts: Facts, looks: dict[str, Callable[[], Any]]) -> Facts:
    """Carry out the looks side by side, and return the facts with the results."""
    futures: dict[str, Future[Any]] = {name: pool.submit(look) for name, look in looks.items()}
    seen: dict[str, Any] = {}
    schedules, pending = dict(facts.schedules), dict(facts.pending)
    for name, future in futures.items():
        kind, _, of = name.partition(" ")
        if kind == "schedule":
            schedules[of] = future.result()
        elif kind == "pending":
            pending[of] = future.result()
        else:
            seen[name] = future.result()
    return replace(facts, schedules=schedules, pending=pending, **seen)


def _elsewhere(pool: ThreadPoolExecutor, sources: Sources, facts: Facts, text: str) -> Facts:
    """Look for an ID in W&B's queues and among the dead letters."""
    facts = _filled(pool, facts, _waiting(sources, facts))
    items = [
        (queue, each)
        for queue, pending in facts.pending.items()
        if not isinstance(pending, Unseen)
        for each in pending
    ]
    named = [pair for pair in items if pair[1].id == text.strip()]
    named = named or [pair for pair in items if pair[1].id.startswith(text.strip())]
    if len(named) > 1:
        listed = "\n".join(f"  {each.id} in queue {queue}" for queue, each in named[:LISTED])
        raise click.UsageError(f"{plain(text)} names several items that wait:\n{listed}")
    if named:
        queue, item = named[0]
        return _of_item(pool, sources, facts, queue, item)
    letters = () if isinstance(facts.dead_letters, Unseen) else facts.dead_letters
    keys = names(text).whole
    if letter := next((one for one in letters if {one.launch_key, one.id} & keys), None):
        return replace(facts, letter=letter)
    message, unseen = _nowhere(text, sources, facts, len(items))
    if not unseen:
        hint = "An item that was deleted before poll popped it leaves no trace here."
        raise click.ClickException(f"{message} {hint}")
    facts = replace(facts, not_found=f"{message} Not searched: {'; '.join(unseen)}")
    return _filled(pool, facts, _around(sources, facts))


def _of_item(
    pool: ThreadPoolExecutor, sources: Sources, facts: Facts, queue: str, item: PendingItem
) -> Facts:
    note = _note(facts)
    spec = item.run_spec
    of_sweep = spec is not None and is_scheduler(
        spec, Queue(entity=sources.entity(note) or "-", name=queue)
    )
    looks = _around(sources, facts, "poll")
    facts = replace(facts, item=Item(item.id, queue, of_sweep))
    if spec is None:  # the planner takes seconds to load
        return _filled(pool, replace(facts, plan=Planned(queue, item.id, UNSEEN)), looks)
    looks["plan"] = lambda: sources.seen(lambda: sources.plan(note, queue, item.id), SECRET)
    return _filled(pool, facts, looks)


def _note(facts: Facts) -> AgentNote:
    return AgentNote("") if isinstance(facts.note, Unseen) else facts.note


def _nowhere(text: str, sources: Sources, facts: Facts, items: int) -> tuple[str, list[str]]:
    """Return where `why` has searched for an ID that nothing has, and what it could not search."""
    bucket = f"gs://{sources.target.bucket_name}"
    unseen: list[str] = []
    searched = [f"{bucket} (open launches, and those of the last 30 days)"]
    if isinstance(facts.open, Unseen):
        searched = []
        unseen.append(f"{bucket}: {facts.open.why}")
    for queue, pending in facts.pending.items():
        if isinstance(pending, Unseen):
            unseen.append(f"queue {queue}: {pending.why}")
    queues = [name for name, each in facts.pending.items() if not isinstance(each, Unseen)]
    if queues:
        searched.append(f"{items} items that wait in {', '.join(queues)} of W&B")
    if isinstance(facts.dead_letters, Unseen):
        unseen.append(f"dead letters: {facts.dead_letters.why}")
    else:
        searched.append(f"{len(facts.dead_letters)} dead letters")
    return f"{plain(text)} names no launch. Searched: {'; '.join(searched) or 'nothing'}.", unseen
