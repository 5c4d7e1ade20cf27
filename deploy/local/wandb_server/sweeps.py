"""Sweeps: made by `wandb launch-sweep`, whose scheduler W&B puts on a run queue, and ended by whoever says so.

The scheduler itself gets no further here than its start: nothing suggests runs.
"""

import json
from collections.abc import Mapping
from typing import Any

from deploy.local.wandb_server.errors import Refused
from deploy.local.wandb_server.runs import Sweep
from deploy.local.wandb_server.state import State

SWEEP_ID = "WANDB_SWEEP_ID"  # stands in a scheduler's run spec for the id that the sweep is given


def upsert_sweep(state: State, given: Mapping[str, Any]) -> dict[str, Any]:
    """Make a sweep, or change the state of one; its scheduler, where there is one, is put on its queue."""
    with state.lock:
        sweep = _known(state, given["id"]) if given.get("id") else _made(state, given)
        sweep.state = given.get("state") or sweep.state
        if given.get("launch_scheduler"):
            wanted = json.loads(given["launch_scheduler"])
            spec = json.loads(wanted["run_spec"].replace(SWEEP_ID, sweep.name))
            values = json.loads(given.get("template_variable_values") or "null") or {}
            where = {"template_variables": values, "project": wanted["run_queue_project"]}
            state.push(sweep.entity, wanted["queue"], spec, **where)
    return {"sweep": sweep, "config_validation_warnings": []}


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
