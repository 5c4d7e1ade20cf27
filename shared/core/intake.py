"""How a launch begins: an item of a W&B queue, or another system's request, as the ledger first keeps it.

What the ledger cannot hold becomes a launch that has ended as REJECTED: its author reads why, and nothing waits behind
it. No value is ever changed silently.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from shared.core.errors import Reject
from shared.core.launch import Entry, Launch, Outcome, RunPath, State
from shared.core.message import Queue, Request, launch_key

T = TypeVar("T")

SCHEDULER_URI = "placeholder-uri-scheduler"  # of the items that `wandb launch-sweep` enqueues
MAX_NAME = 256  # bytes in UTF-8 of an entity, a project or a run id; W&B's own names are shorter
MAX_DEPTH = 100  # of nesting; readers of JSON give up at about twice that
MAX_DIGITS = 4300  # of an integer; Python and pydantic read no longer ones
_KEPT = (
    "entity",
    "project",
    "run_id",
    "name",
    "author",
)  # of a refused run spec: enough to tell whose it was
_SHOWN_KEY, _SHOWN_PATH, _SHOWN_PROBLEM = 80, 300, 2000  # characters
_TOO_LARGE = 10**MAX_DIGITS


def from_item(
    item_id: str, queue: Queue, run_spec: dict[str, Any], now: datetime, problem: str = ""
) -> Launch:
    """Open a launch for an item of a W&B queue; it is REJECTED if `problem` or its run spec gives a reason."""
    return _opened(launch_key("wandb", item_id), queue, item_id, run_spec, now, "wandb", problem)


def from_request(request: Request, now: datetime) -> Launch:
    """Open a launch for another system's request; it is REJECTED if the ledger cannot hold its run spec."""
    return _opened(request.launch_key, request.queue, "", request.run_spec, now, request.source)


def is_scheduler(run_spec: Mapping[str, Any]) -> bool:
    """Tell whether this is the scheduler of a sweep, not a run."""
    return run_spec.get("uri") == SCHEDULER_URI


def check_intake(run_spec: Mapping[str, Any], queue: Queue | None = None) -> None:
    """Check what the ledger has to hold of an item or a request.

    Raises:
        Reject: naming the path of the first value that the ledger cannot hold, and why.
    """
    storable(run_spec)
    names = {name: run_spec.get(name) for name in ("entity", "project", "run_id")}
    if queue:
        names |= {"queue.entity": queue.entity, "queue.name": queue.name}
    for name, value in names.items():
        if isinstance(value, str) and (size := len(value.encode())) > MAX_NAME:
            problem = f"has {size:,} bytes in UTF-8; the most is {MAX_NAME}"
            raise Reject(name, problem, "W&B's own names are shorter.")


def storable(value: T, path: str = "") -> T:
    """Return a JSON value if every reader of JSON can read it.

    Raises:
        Reject: naming the path of the first part that some reader cannot read, and why. No value is shown.
    """
    names: list[str | int] = []  # the way to the value that is being checked
    levels: list[Iterator[tuple[str | int, object]]] = [iter([(path, value)])]
    while levels:  # not recursive: the value may be nested deeper than Python's own stack
        for name, child in levels[-1]:
            names.append(name)
            _check_leaf(name, names)
            if isinstance(child, dict | list):
                if len(levels) > MAX_DEPTH:
                    problem = f"is nested more than {MAX_DEPTH} levels deep"
                    raise Reject(_shown(names), problem, "Nothing in a run spec needs that.")
                levels.append(iter(child.items() if isinstance(child, dict) else enumerate(child)))
                break
            _check_leaf(child, names)
            names.pop()
        else:
            levels.pop()
            del names[-1:]
    return value


def _check_leaf(value: object, names: Sequence[str | int]) -> None:
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError as exc:
                half = f"\\u{ord(value[exc.start]):04x}"
                problem = f"contains half of a surrogate pair ({half}), which UTF-8 does not have"
                raise Reject(
                    _shown(names), problem, "Write the whole character, or remove it."
                ) from None
        case float() if not math.isfinite(value):
            name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
            raise Reject(
                _shown(names), f"is {name}, which JSON does not have", "Write a number or null."
            )
        case int() if abs(value) >= _TOO_LARGE:
            problem = f"is an integer of more than {MAX_DIGITS:,} digits"
            raise Reject(_shown(names), problem, "Write it as a text.")
        case None | bool() | int() | float():
            pass
        case _:
            raise Reject(
                _shown(names), f"is of type {type(value).__name__}, which JSON does not have"
            )


def _shown(names: Sequence[str | int]) -> str:
    """Return a path as a person reads it: `overrides.args[3]`; what is long is shortened in its middle."""
    root, *way = names
    parts = (
        f"[{name}]" if isinstance(name, int) else f".{_short(_safe(name), _SHOWN_KEY)}"
        for name in way
    )
    return _short(f"{root}{''.join(parts)}".removeprefix("."), _SHOWN_PATH) or "run_spec"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def _safe(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _opened(
    key: str,
    queue: Queue | None,
    item_id: str,
    spec: dict[str, Any],
    now: datetime,
    source: str,
    problem: str = "",
) -> Launch:
    """Return the launch as it is first written: QUEUED, or ENDED if there is a reason to refuse it."""
    if not problem:
        try:
            check_intake(
                spec, None if item_id else queue
            )  # the operator has named the queue of an item
        except Reject as exc:
            problem = str(exc)
    if problem:
        spec = {name: spec[name] for name in _KEPT if _fits(spec.get(name))}
    if problem and queue and not item_id:
        queue = queue if _fits(queue.entity) and _fits(queue.name) else None
    entry = Entry(
        key,
        State.QUEUED,
        now,
        _run_path(spec, key),
        queue_entity=queue.entity if queue else "",
        queue_name=queue.name if queue else "",
        item_id=item_id,
        resumes=_resumes(spec),
        scheduler=is_scheduler(spec),
        own_key=bool(spec.get("_wandb_api_key")),
    )
    launch = Launch(entry, spec, source=source)
    if not problem:
        return launch
    return launch.end(Outcome.REJECTED, _short(_safe(problem), _SHOWN_PROBLEM), now)


def _fits(value: object) -> bool:
    return (
        isinstance(value, str)
        and len(value.encode("utf-8", "surrogatepass")) <= MAX_NAME
        and _safe(value) == value
    )


def _resumes(run_spec: Mapping[str, Any]) -> int:
    """Return how often the run was preempted before: an agent that requeues it says so."""
    count = run_spec.get("_resume_count")
    return min(count, 1000) if type(count) is int and count > 0 else 0


def _run_path(run_spec: Mapping[str, Any], key: str) -> RunPath:
    """Find where the run will be; the id that a spec leaves open is derived, never drawn at random.

    W&B lower-cases a launch's project. A name of a wrong type is left to the renderer, which tells the author.
    """
    names = (run_spec.get(name) for name in ("entity", "project", "run_id"))
    entity, project, run_id = (name if isinstance(name, str) else "" for name in names)
    return RunPath(entity, project.lower(), run_id or key[1:13])
