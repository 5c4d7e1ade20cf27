"""Admit a request of another system: compare it with `requests` in the launch-config.

A publisher has no rights in W&B: submit reads and runs everything with the deployment's own key.
This step comes before the first query to W&B, and does nothing with an item of a queue.
"""

from collections.abc import Collection
from dataclasses import replace

from shared.config.requests import RequestLimits
from shared.core.errors import Reject
from shared.core.message import Queue
from shared.core.shorten import quoted, shown
from shared.runspec.macros import uses
from shared.runspec.model import Draft, RunSpec
from shared.runspec.source import job_path


def admit_request(draft: Draft, limits: RequestLimits, macros: Collection[str]) -> None:
    """Check a request against its limits; `macros` are the names in LAUNCH_MACROS.

    Raises:
        Reject: naming the field, the value, the limit and the allowed values.
    """
    launch, spec = draft.launch, draft.spec
    entry = launch.entry
    if not entry.of_request:
        return
    _among("sources", limits.sources, {"source": launch.source})
    if entry.queue_name:
        _check_queue(entry.queue, limits)
    if spec.is_scheduler:
        fix = "Enqueue the sweep on a queue with `wandb launch-sweep`."
        raise Reject("uri", "is a sweep's scheduler, which a request cannot be", fix)
    spec.check_run()
    _check_names("entity", "project", (entry.run.entity, entry.run.project), limits)
    if job := job_path(replace(spec, image="")):  # W&B notes the job's use even beside an image
        entity, project, _ = job.split("/")
        _check_names("job", "job", (entity, project), limits)
    # later, the ledger has the queue's own configuration in the request; so has the retry of a
    # request that was once prepared, which is when a launch gets its place
    if entry.attempt <= 1 and not (entry.retries and entry.parent):
        _check_first(draft.launch.run_spec, spec, macros)


def _check_queue(queue: Queue, limits: RequestLimits) -> None:
    if not limits.allows_queue(queue):
        named = f"is {quoted(f'{queue.entity}/{queue.name}', 200)}"
        raise _refusal("queues", "queue", named, limits.queues)


def _check_names(
    entity_field: str, project_field: str, named: tuple[str, str], limits: RequestLimits
) -> None:
    """Check an entity, letter by letter, and a project, which W&B writes in lower case."""
    entity, project = named
    _among("entities", limits.entities, {entity_field: entity})
    projects = limits.projects
    if projects is not None:
        lower = tuple(name.lower() for name in projects)
        _among("projects", lower, {project_field: project.lower()})


def _check_first(raw: dict[str, object], spec: RunSpec, macros: Collection[str]) -> None:
    """Refuse the id of a run that exists, and values that only queues may contain."""
    if spec.run_id:
        problem = f"is {quoted(spec.run_id)}, which could be another launch's run"
        fix = "Leave run_id out: source and idempotency_key give the run its own id."
        raise Reject("run_id", problem, fix)
    for name in uses(raw.get("resource_args"), macros):
        problem = f"contain ${{{shown(name)}}}, which only a queue's configuration may contain"
        raise Reject("resource_args", problem, "Write its value, or name a queue that contains it.")


def _among(limit: str, allowed: tuple[str, ...] | None, asked: dict[str, str]) -> None:
    for field, value in asked.items():
        if allowed is not None and value not in allowed:
            raise _refusal(limit, field, f"is {quoted(value, 200)}", allowed)


def _refusal(limit: str, field: str, problem: str, allowed: tuple[str, ...] | None) -> Reject:
    fix = (
        f"Allowed: {', '.join(allowed or ()) or 'none'}. "
        f"To change requests.{limit}, ask the operator of this deployment."
    )
    return Reject(field, f"{problem}, which requests.{limit} does not allow", fix)
