"""How a launch begins: the first record of a W&B queue item or of another system's request.

An item that the ledger cannot keep becomes a launch that has ended as REJECTED: its author reads
why, and nothing waits behind it. No value is ever changed silently.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from shared.core.errors import Reject
from shared.core.launch import Entry, EventType, Launch, Outcome, RunPath, State
from shared.core.message import Queue, Request, launch_key
from shared.core.redaction import hide, redacted, secrets_in
from shared.core.scheduler import SCHEDULER_URI, is_scheduler
from shared.core.shorten import quoted, shown
from shared.core.storable import MAX_DEPTH, MAX_DIGITS, printable, storable

__all__ = [
    "MAX_DEPTH",
    "MAX_DIGITS",
    "MAX_NAME",
    "check_item",
    "from_item",
    "from_request",
    "named",
    "restored",
    "storable",
]

MAX_NAME = 256  # bytes in UTF-8 of an entity, a project or a run id
# of a refused run spec: whose it was. Its run id may be another launch's
_KEPT = ("entity", "project", "name", "author")
_PROBLEM = 2000  # characters
_MAX_RESUMES = 1000


@dataclass(frozen=True, slots=True)
class IndexFields:
    """The fields of a raw run spec that the first record needs.

    A name of a wrong type counts as empty here; RunSpec.parse refuses it and tells the author.
    """

    entity: str
    project: str
    run_id: str
    resumes: int  # how often another agent has requeued the run
    own_key: bool
    of_sweep: bool  # a sweep's scheduler, or a run of a sweep

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """Read them from a run spec; never raises."""
        entity, project, run_id = (_text(raw.get(name)) for name in ("entity", "project", "run_id"))
        count = raw.get("_resume_count")
        return cls(
            entity,
            project,
            run_id,
            resumes=min(count, _MAX_RESUMES) if type(count) is int and count > 0 else 0,
            own_key=bool(raw.get("_wandb_api_key")),
            of_sweep=bool(raw.get("sweep_id")) or raw.get("uri") == SCHEDULER_URI,
        )

    def run_path(self, key: str) -> RunPath:
        """Return the run's names in W&B; a missing run id is derived from the launch key.

        As W&B's agent does, it writes a launch's project in lower case. A sweep keeps the letters
        of its project: W&B's scheduler looks up its own run, and its sweep's runs, by that name.
        """
        project = self.project if self.of_sweep else self.project.lower()
        return RunPath(self.entity, project, self.run_id or key[1:13])


def from_item(
    item_id: str, queue: Queue, run_spec: dict[str, Any], now: datetime, problem: str = ""
) -> Launch:
    """Return the launch of a W&B queue item; REJECTED if `problem` or the run spec is a reason."""
    problem = problem or _problem_of(lambda: check_item(run_spec, queue))
    return _first(launch_key("wandb", item_id), queue, item_id, run_spec, now, "wandb", problem)


def from_request(request: Request, now: datetime) -> Launch:
    """Return the launch of a request; REJECTED if the ledger cannot keep its run spec."""
    queue, spec = request.queue, request.run_spec
    names = {"queue.entity": queue.entity, "queue.name": queue.name} if queue else {}
    problem = _problem_of(lambda: _check(spec, names))
    if problem and queue and not (_fits(queue.entity) and _fits(queue.name)):
        queue = None
    first = _first(request.launch_key, queue, "", spec, now, request.source, problem)
    reply = request.reply or {}
    return replace(first, idempotency_key=request.idempotency_key, reply=reply)


def restored(launch: Launch) -> Launch:
    """Return a launch with what its run spec shows and an older version has not kept in its entry.

    Without them, a preempted run would be launched again without a bound, and a sweep's scheduler
    would take a slot of its own runs.
    """
    entry, spec = launch.entry, launch.run_spec
    resumes = max(entry.resumes, IndexFields.read(spec).resumes)
    scheduler = entry.scheduler or (entry.from_queue and is_scheduler(spec, entry.queue))
    return named(replace(launch, entry=replace(entry, resumes=resumes, scheduler=scheduler)))


def named(launch: Launch) -> Launch:
    """Return a launch with the names that a listing shows; an older version has not kept them."""
    if launch.entry.source:
        return launch
    names = _names_of(launch.run_spec, launch.source, frozenset(secrets_in(launch.run_spec)))
    return replace(launch, entry=replace(launch.entry, **names))


def check_item(run_spec: Mapping[str, Any], queue: Queue) -> None:
    """Check that the ledger can keep an item, and that its run can be a new one or its queue's.

    Runs of another entity could not be compared: this deployment's key may be unable to see them.

    Raises:
        Reject: naming the path of the first wrong value, and why.
    """
    _check(run_spec, {})
    fields = IndexFields.read(run_spec)
    if fields.run_id and fields.entity and fields.entity != queue.entity:
        problem = (
            f"is {quoted(fields.run_id)}, a run of {quoted(fields.entity)}, and the item's queue "
            f"belongs to {queue.entity}"
        )
        raise Reject("run_id", problem, "Leave run_id out: the run then gets a new id.")


def _check(run_spec: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Check that the ledger can keep a run spec, its names and these names."""
    storable(run_spec)
    fields = IndexFields.read(run_spec)
    own = {"entity": fields.entity, "project": fields.project, "run_id": fields.run_id}
    for name, value in {**own, **names}.items():
        size = len(value.encode())
        if size > MAX_NAME:
            problem = f"has {size:,} bytes in UTF-8; the limit is {MAX_NAME}"
            raise Reject(name, problem, "W&B's own names are shorter.")


def _problem_of(check: Callable[[], None]) -> str:
    try:
        check()
    except Reject as exc:
        return str(exc)
    return ""


def _first(
    key: str,
    queue: Queue | None,
    item_id: str,
    spec: dict[str, Any],
    now: datetime,
    source: str,
    problem: str,
) -> Launch:
    """Return the first record: QUEUED, or ENDED if there is a problem."""
    secrets = frozenset(secrets_in(spec))
    hide(secrets)
    if problem:
        spec = {name: spec[name] for name in _KEPT if _fits(spec.get(name))}
    fields = IndexFields.read(spec)
    entry = Entry(
        key,
        State.QUEUED,
        now,
        fields.run_path(key),
        queue_entity=queue.entity if queue else "",
        queue_name=queue.name if queue else "",
        item_id=item_id,
        resumes=fields.resumes,
        scheduler=bool(item_id) and queue is not None and is_scheduler(spec, queue),
        own_key=fields.own_key,
        **_names_of(spec, source, secrets),
    )
    launch = Launch(entry, spec, source=source).happened(EventType.QUEUED, now)
    if not problem:
        return launch
    problem = redacted(printable(problem), secrets)
    return launch.end(Outcome.REJECTED, shown(problem, _PROBLEM), now)


def _names_of(spec: Mapping[str, Any], source: str, secrets: frozenset[str]) -> dict[str, Any]:
    """Return the names that a listing shows, without secrets."""
    texts = {
        "name": _text(spec.get("name")),
        "author": _text(spec.get("author")),
        "source": source,
    }
    return {name: redacted(printable(text), secrets) for name, text in texts.items()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _fits(value: object) -> bool:
    if not isinstance(value, str) or printable(value) != value:
        return False
    return len(value.encode()) <= MAX_NAME
