"""W&B's queries on the state: viewer, entities, projects, queues and agents."""

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from deploy.local.servers.wandb.agents import Agent
from deploy.local.servers.wandb.artifact_fields import (
    ARTIFACT_FIELDS,
    ARTIFACT_PROJECT_FIELDS,
    ARTIFACT_QUERIES,
)
from deploy.local.servers.wandb.execution import Info
from deploy.local.servers.wandb.filters import matches
from deploy.local.servers.wandb.nodes import (
    EntityNode,
    ProjectNode,
    connection,
    entity_node,
    project_node,
)
from deploy.local.servers.wandb.queues import Item, ResourceConfig, RunQueue
from deploy.local.servers.wandb.run_fields import timestamp
from deploy.local.servers.wandb.runs import Run, Sweep
from deploy.local.servers.wandb.state import State, global_id
from deploy.local.servers.wandb.sweeps import SWEEP_FIELDS


def _state(info: Info) -> State:
    return info.context.state


def _viewer(_: None, info: Info) -> dict[str, Any]:
    entity = _state(info).entity
    return {
        "id": global_id("User", 1),
        "name": entity,
        "username": entity,
        "email": f"{entity}@localhost",
        "admin": False,
        "flags": "{}",
        "entity": entity,
        "api_keys": connection([]),
        "teams": connection([{"name": entity}]),
    }


def _project(_: None, info: Info, name: str | None = None, entity_name: str | None = None) -> Any:
    return project_node(_state(info), entity_name, name)


def _projects(
    _: None,
    info: Info,
    entity_name: str | None = None,
    first: int | None = None,
    after: str | None = None,
) -> Any:
    state = _state(info)
    wanted = entity_name or state.entity
    return connection(
        [ProjectNode(*path, n) for path, n in state.projects.items() if path[0] == wanted],
        first,
        after,
    )


def _agent(_: None, info: Info, id: str) -> Agent | None:  # noqa: A002 - W&B's name
    return _state(info).agents.by_id.get(id)


def _config(_: EntityNode, info: Info, id: str) -> ResourceConfig | None:  # noqa: A002 - W&B's name
    return _state(info).queues.configs.get(id)


def _template_variables(config: ResourceConfig, _: Info) -> list[dict[str, str]]:
    return [
        {"name": name, "schema": json.dumps(schema)}
        for name, schema in config.template_schemas.items()
    ]


def _run_queues(project: ProjectNode, info: Info) -> list[RunQueue]:
    return _state(info).queues.in_project(project.entity_name, project.name)


def _run_queue(project: ProjectNode, info: Info, name: str) -> RunQueue | None:
    return _state(info).queues.by_path.get((project.entity_name, project.name, name))


def _items(queue: RunQueue, info: Info, first: int | None = None, after: str | None = None) -> Any:
    _state(info).queues.end_leases()
    return connection(list(queue.items.values()), first, after)


def _item(queue: RunQueue, info: Info, id: str) -> Item | None:  # noqa: A002 - W&B's name
    _state(info).queues.end_leases()
    return queue.items.get(id)


def _run(project: ProjectNode, info: Info, name: str | None = None, **_: Any) -> Run | None:
    return _state(info).runs.get(project.entity_name, project.name, name or "")


def _sweep(project: ProjectNode, info: Info, sweep_name: str) -> Sweep | None:
    return _state(info).runs.sweeps.get((project.entity_name, project.name, sweep_name))


def _filtered(project: ProjectNode, info: Info, filters: str | None) -> list[Run]:
    wanted: Mapping[str, Any] = json.loads(filters or "{}") or {}
    runs = _state(info).runs.in_project(project.entity_name, project.name)
    return [run for run in runs if matches(wanted, partial(run_value, run))]


def _runs(
    project: ProjectNode,
    info: Info,
    filters: str | None = None,
    first: int | None = None,
    after: str | None = None,
    order: str | None = None,
) -> Any:
    found = _filtered(project, info, filters)
    key = (order or "+created_at").lstrip("+-")
    found.sort(
        key=lambda run: _sortable(run_value(run, key)), reverse=(order or "").startswith("-")
    )
    return connection(found, first, after)


def _run_count(project: ProjectNode, info: Info, filters: str | None = None) -> int:
    return len(_filtered(project, info, filters))


def run_value(run: Run, key: str) -> Any:
    """Return the value of a key such as `state`, `config.lr.value` or `summary_metrics.loss`."""
    name, _, path = key.partition(".")
    if name in ("config", "summary_metrics", "summaryMetrics"):
        value: Any = run.config if name == "config" else run.summary
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        return value.get("value") if isinstance(value, Mapping) and "value" in value else value
    return getattr(
        run,
        {"sweep": "sweep_name"}.get(name, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()),
        None,
    )


def _sortable(value: Any) -> tuple[bool, bool, Any]:
    number = isinstance(value, int | float)
    return value is not None, number, value if number else str(value)


QUERIES: dict[str, dict[str, Any]] = {
    "Query": {
        "viewer": _viewer,
        "serverInfo": lambda *_: {
            "features": [],
            "latest_local_version_info": None,
            "cli_version_info": {},
        },
        "entity": lambda _, info, name=None: entity_node(_state(info), name),
        "project": _project,
        "model": _project,
        "models": _projects,
        "launchAgent": _agent,
        "organization": lambda _, __, name=None: {"name": name, "feature_flags": []},
        **ARTIFACT_QUERIES,
    },
    "Organization": {"featureFlags": lambda *_, **__: []},
    "Entity": {"organization": lambda *_: None, "defaultResourceConfig": _config},
    "DefaultResourceConfig": {"templateVariables": _template_variables},
    "Project": {
        "internalId": lambda project, _: project.number,
        "entity": lambda project, info: entity_node(_state(info), project.entity_name),
        "description": lambda *_: None,
        "access": lambda *_: "PRIVATE",
        "views": lambda *_: "{}",
        "isBenchmark": lambda *_: False,
        # projects have no recorded time: each is as old as the stand-in
        "createdAt": lambda _, info: timestamp(_state(info).started_at),
        "user": lambda _, info: _viewer(None, info),
        "readOnly": lambda *_: False,
        "runQueues": _run_queues,
        "runQueue": _run_queue,
        "run": _run,
        "bucket": _run,
        "runs": _runs,
        "runCount": _run_count,
        "sweep": _sweep,
        **ARTIFACT_PROJECT_FIELDS,
    },
    "RunQueue": {
        "defaultResourceConfigID": lambda queue, _: queue.resource_config.id or None,
        "runQueueItems": _items,
        "runQueueItem": _item,
    },
    "Sweep": SWEEP_FIELDS,
    **ARTIFACT_FIELDS,
    "LaunchAgent": {"heartbeatAt": lambda agent, _: timestamp(agent.heartbeat_at)},
}
