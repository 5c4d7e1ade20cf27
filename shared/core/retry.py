"""Repeat an ended launch as a new one, which names the old one."""

from dataclasses import replace
from datetime import datetime

from shared.core.errors import Reject
from shared.core.intake import IndexFields
from shared.core.launch import Entry, EventType, Launch, Outcome, State
from shared.core.message import launch_key
from shared.core.scheduler import SCHEDULER_URI

# of the old run: its id, how often it was resumed, and its sweep, which may be over
_OF_THE_RUN = ("run_id", "_resume_count", "sweep_id")


def retry_key(key: str, number: int) -> str:
    """Return the key of a launch's retry with this number; the first is 1."""
    return launch_key(f"retry:{key}", str(number))


def retry_of(old: Launch, number: int, by: str, now: datetime) -> Launch:
    """Return the first record of a launch that repeats an ended one, with a run of its own.

    It has no queue item: the old one is over. A place in its record tells that its run spec was
    prepared before, and so contains the queue's configuration.

    Raises:
        Reject: the old launch's run spec cannot be launched again.
    """
    entry, spec = old.entry, old.run_spec
    if spec.get("uri") == SCHEDULER_URI:
        fix = "Enqueue the sweep again with `wandb launch-sweep`."
        raise Reject(entry.key, "is a sweep's scheduler, whose run is the sweep itself", fix)
    if entry.outcome is Outcome.REJECTED and not entry.attempt:
        fix = "Enqueue or publish it again, with the fix that its reason names."
        raise Reject(entry.key, "was refused when it arrived, so its run spec is not kept", fix)
    spec = {name: value for name, value in spec.items() if name not in _OF_THE_RUN}
    key = retry_key(entry.key, number)
    source = entry.source or old.source
    if entry.of_request and source == "wandb":  # the request limits still apply to it
        source = "request:wandb"
    new = Entry(
        key,
        State.QUEUED,
        now,
        replace(entry.run, run_id=IndexFields.read(spec).run_path(key).run_id),
        queue_entity=entry.queue_entity,
        queue_name=entry.queue_name,
        parent=entry.parent,
        own_key=entry.own_key,
        name=entry.name,
        author=entry.author,
        source=source,
        retries=entry.key,
    )
    launch = Launch(new, spec, source=old.source, idempotency_key=old.idempotency_key)
    why = f"Retry of {entry.key} by {by}"
    return launch.note(now, why).happened(EventType.QUEUED, now, reason=why)
