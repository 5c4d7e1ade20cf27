"""How a launch begins: an item of a W&B queue, or another system's request, as the ledger first keeps it."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.core.launch import Entry, Launch, RunPath, State
from shared.core.message import Queue, Request, launch_key

SCHEDULER_URI = "placeholder-uri-scheduler"  # of the items that `wandb launch-sweep` enqueues
MAX_NAME = 256  # characters of an entity, a project or a run id; W&B's own are shorter
MAX_DEPTH = 100  # of nesting; readers of JSON give up at about twice that


def from_item(item_id: str, queue: Queue, run_spec: dict[str, Any], now: datetime) -> Launch:
    """Open a launch for an item of a W&B queue."""
    key = launch_key("wandb", item_id)
    run, resumes = _run_path(run_spec, key), _resumes(run_spec)
    names, scheduler = (queue.entity, queue.name, item_id), is_scheduler(run_spec)
    entry = Entry(key, State.QUEUED, now, run, *names, resumes=resumes, scheduler=scheduler)
    entry = replace(entry, own_key=bool(run_spec.get("_wandb_api_key")))
    return Launch(entry, storable(run_spec))


def from_request(request: Request, now: datetime) -> Launch:
    """Open a launch for another system's request."""
    queue, key = request.queue, request.launch_key
    names = (queue.entity, queue.name) if queue else ("", "")
    run, resumes = _run_path(request.run_spec, key), _resumes(request.run_spec)
    scheduler = is_scheduler(request.run_spec)
    entry = Entry(key, State.QUEUED, now, run, *names, resumes=resumes, scheduler=scheduler)
    entry = replace(entry, own_key=bool(request.run_spec.get("_wandb_api_key")))
    return Launch(entry, storable(request.run_spec), source=request.source)


def is_scheduler(run_spec: Mapping[str, Any]) -> bool:
    """Tell whether this is the scheduler of a sweep, not a run."""
    return run_spec.get("uri") == SCHEDULER_URI


def storable(value: Any, depth: int = 0) -> Any:
    """Return a JSON value as every reader of JSON takes it: an odd item must not stop the poll that pops it.

    Half of a surrogate pair becomes a question mark, NaN and infinity null, and what is nested beyond all meaning is
    cut off; the renderer then refuses it in words for its author.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict | list) and depth >= MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {storable(str(key)): storable(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [storable(one, depth + 1) for one in value]
    return value


def _resumes(run_spec: Mapping[str, Any]) -> int:
    """Return how often the run was preempted before: an agent that requeues it says so."""
    count = run_spec.get("_resume_count")
    return min(count, 1000) if type(count) is int and count > 0 else 0


def _run_path(run_spec: Mapping[str, Any], key: str) -> RunPath:
    """Find where the run will be; the id that a spec leaves open is derived, never drawn at random.

    W&B lower-cases a launch's project. Wrong types, and names too long for an object's metadata, are left to the
    renderer, which tells the author.
    """
    text = {
        name: storable(value)[:MAX_NAME] if isinstance(value := run_spec.get(name), str) else ""
        for name in ("entity", "project", "run_id")
    }
    return RunPath(text["entity"], text["project"].lower(), text["run_id"] or key[1:13])
