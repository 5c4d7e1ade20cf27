"""Sweeps of `wandb launch-sweep`: W&B pushes their scheduler to a run queue.

The only search method is the grid.
"""

import itertools
import json
from collections.abc import Mapping
from typing import Any

import yaml

from deploy.local.servers.wandb.errors import Refused
from deploy.local.servers.wandb.execution import Info
from deploy.local.servers.wandb.nodes import connection, project_node
from deploy.local.servers.wandb.run_fields import timestamp
from deploy.local.servers.wandb.runs import Run, Sweep
from deploy.local.servers.wandb.state import State

SWEEP_ID = "WANDB_SWEEP_ID"  # placeholder of the sweep's id in a scheduler's run spec


def upsert_sweep(state: State, given: Mapping[str, Any]) -> dict[str, Any]:
    """Create a sweep, or change its state; push its scheduler, if any."""
    with state.lock:
        sweep = _known(state, given["id"]) if given.get("id") else _made(state, given)
        sweep.state = given.get("state") or sweep.state
        if given.get("launch_scheduler"):
            wanted = json.loads(given["launch_scheduler"])
            spec = json.loads(wanted["run_spec"].replace(SWEEP_ID, sweep.name))
            sweep.scheduler = json.dumps({"run_spec": json.dumps(spec)})
            values = json.loads(given.get("template_variable_values") or "null") or {}
            where = {"template_variables": values, "project": wanted["run_queue_project"]}
            state.push(sweep.entity, wanted["queue"], spec, **where)
    return {"sweep": sweep, "config_validation_warnings": []}


def create_agent(state: State, given: Mapping[str, Any]) -> dict[str, Any]:
    """Register one of a sweep's workers, which starts the sweep."""
    path = (given.get("entity_name") or state.entity, given["project_name"], given["sweep"])
    with state.lock:
        sweep = state.runs.sweeps.get(path)
        if sweep is None:
            raise Refused(f"sweep {'/'.join(path)} not found")
        sweep.agents.append(f"{sweep.id}:{len(sweep.agents)}")
        sweep.state = "RUNNING" if sweep.state == "PENDING" else sweep.state
        return {"agent": {"id": sweep.agents[-1]}}


def agent_heartbeat(state: State, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the next command of an idle worker: the next point of the grid, or stop."""
    with state.lock:
        sweep = next((one for one in state.runs.sweeps.values() if given["id"] in one.agents), None)
        if sweep is None:
            raise Refused(f"agent {given['id']} not found")
        busy = json.loads(given.get("run_state") or "{}")
        commands = [] if busy else [_next(state, sweep)]
    return {"agent": {"id": given["id"]}, "commands": json.dumps(commands)}


def _next(state: State, sweep: Sweep) -> dict[str, Any]:
    parameters = yaml.safe_load(sweep.config)["parameters"]
    grid = list(
        itertools.product(*(one.get("values") or [one["value"]] for one in parameters.values()))
    )
    number = len(_runs(state, sweep))
    if sweep.state != "RUNNING" or number >= len(grid):
        return {"type": "stop"}
    run, _ = state.upsert_run(
        sweep.entity, sweep.project, f"{sweep.name}-{number + 1}", {"sweep": sweep.name}
    )
    run.state = "pending"  # created ahead; wandb.init starts it
    args = {name: {"value": value} for name, value in zip(parameters, grid[number], strict=True)}
    return {"type": "run", "run_id": run.name, "args": args}


def _runs(state: State, sweep: Sweep) -> list[Run]:
    return [
        run
        for run in state.runs.in_project(sweep.entity, sweep.project)
        if run.sweep_name == sweep.name
    ]


def _started(_: Sweep, info: Info) -> str:
    return timestamp(info.context.state.started_at)  # sweeps have no recorded time


SWEEP_FIELDS: dict[str, Any] = {
    "displayName": lambda sweep, _: sweep.name,
    "controllerRunName": lambda *_: None,
    "project": lambda sweep, info: project_node(info.context.state, sweep.entity, sweep.project),
    "method": lambda sweep, _: (yaml.safe_load(sweep.config) or {}).get("method"),
    "description": lambda *_: None,
    "createdAt": _started,
    "heartbeatAt": _started,
    "updatedAt": _started,
    "earlyStopJobRunning": lambda *_: False,
    "bestLoss": lambda *_: None,
    "controller": lambda *_: None,
    "scheduler": lambda sweep, _: sweep.scheduler or None,
    "runs": lambda sweep, info: connection(_runs(info.context.state, sweep), 1000),
}


def _known(state: State, sweep_id: str) -> Sweep:
    sweep = next((sweep for sweep in state.runs.sweeps.values() if sweep.id == sweep_id), None)
    if sweep is None:
        raise Refused(f"sweep {sweep_id} not found")
    return sweep


def _made(state: State, given: Mapping[str, Any]) -> Sweep:
    entity, project = given.get("entity_name") or state.entity, given["project_name"]
    state.project(entity, project)
    name = f"sweep{len(state.runs.sweeps) + 1:03}"
    return state.runs.add_sweep(entity, project, name, config=given.get("config") or "")
