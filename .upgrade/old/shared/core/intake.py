"""How a launch begins: the first record of a W&B queue item or of another system's request.

An item that the ledger cannot keep becomes a launch that has ended as REJECTED: its author reads
why, and nothing waits behind it. No value is ever changed silently.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from shared.core.errors import Reject
from shared.core.launch import Entry, Launch, Outcome, RunPath, State
from shared.core.message import Queue, Request, launch_key
from shared.core.shorten import shown
from shared.core.storable import MAX_DEPTH, MAX_DIGITS, printable, storable

__all__ = [
    "MAX_DEPTH",
    "MAX_DIGITS",
    "MAX_NAME",
    "SCHEDULER_URI",
    "check_intake",
    "from_item",
    "from_request",
    "storable",
]

SCHEDULER_URI = "placeholder-uri-scheduler"  # of the items that `wandb launch-sweep` enqueues
MAX_NAME = 256  # bytes in UTF-8 of an entity, a project or a run id
_KEPT = ("entity", "project", "run_id", "name", "author")  # of a refused run spec: whose it was
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
    scheduler: bool  # of a sweep
    resumes: int  # how often another agent has requeued the run
    own_key: bool

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """Read them from a run spec; never raises."""
        entity, project, run_id = (_text(raw.get(name)) for name in ("entity", "project", "run_id"))
        count = raw.get("_resume_count")
        return cls(
            entity,
            project,
            run_id,
            scheduler=raw.get("uri") == SCHEDULER_URI,
            resumes=min(count, _MAX_RESUMES) if type(count) is int and count > 0 else 0,
            own_key=bool(raw.get("_wandb_api_key")),
        )

    def run_path(self, key: str) -> RunPath:
        """Return the run's names in W&B; a missing run id is derived from the launch key.

        W&B writes a launch's project in lower case.
        """
        return RunPath(self.entity, self.project.lower(), self.run_id or key[1:13])


def from_item(
    item_id: str, queue: Queue, run_spec: dict[str, Any], now: datetime, problem: str = ""
) -> Launch:
    """Return the launch of a W&B queue item; REJECTED if `problem` or the run spec is a reason."""
    problem = problem or _problem_of(run_spec)
    return _first(launch_key("wandb", item_id), queue, item_id, run_spec, now, "wandb", problem)


def from_request(request: Request, now: datetime) -> Launch:
    """Return the launch of a request; REJECTED if the ledger cannot keep its run spec."""
    queue, spec = request.queue, request.run_spec
    problem = _problem_of(spec, queue)
    if problem and queue and not (_fits(queue.entity) and _fits(queue.name)):
        queue = None
    return _first(request.launch_key, queue, "", spec, now, request.source, problem)


def check_intake(run_spec: Mapping[str, Any], queue: Queue | None = None) -> None:
    """Check that the ledger can keep an item or a request.

    Raises:
        Reject: naming the path of the first value that the ledger cannot keep, and why.
    """
    storable(run_spec)
    fields = IndexFields.read(run_spec)
    names = {"entity": fields.entity, "project": fields.project, "run_id": fields.run_id}
    if queue:
        names |= {"queue.entity": queue.entity, "queue.name": queue.name}
    for name, value in names.items():
        size = len(value.encode())
        if size > MAX_NAME:
            problem = f"has {size:,} bytes in UTF-8; the limit is {MAX_NAME}"
            raise Reject(name, problem, "W&B's own names are shorter.")


def _problem_of(run_spec: Mapping[str, Any], queue: Queue | None = None) -> str:
    try:
        check_intake(run_spec, queue)
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
        scheduler=fields.scheduler,
        own_key=fields.own_key,
    )
    launch = Launch(entry, spec, source=source)
    if not problem:
        return launch
    return launch.end(Outcome.REJECTED, shown(printable(problem), _PROBLEM), now)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _fits(value: object) -> bool:
    if not isinstance(value, str) or printable(value) != value:
        return False
    return len(value.encode()) <= MAX_NAME
