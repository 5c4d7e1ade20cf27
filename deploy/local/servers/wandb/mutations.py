"""W&B's mutations on the state."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from deploy.local.servers.wandb.artifact_mutations import ARTIFACT_MUTATIONS
from deploy.local.servers.wandb.errors import Refused
from deploy.local.servers.wandb.execution import Info
from deploy.local.servers.wandb.nodes import project_node
from deploy.local.servers.wandb.queues import Item
from deploy.local.servers.wandb.run_fields import create_run_files
from deploy.local.servers.wandb.specs import variable_schemas
from deploy.local.servers.wandb.state import State
from deploy.local.servers.wandb.sweeps import agent_heartbeat, create_agent, upsert_sweep

Input = Mapping[str, Any]
Answer = dict[str, Any]
Mutation = Callable[[State, Input], Answer | None]


def create_default_resource_config(state: State, given: Input) -> Answer:
    """Create a resource config for later queues."""
    schemas = variable_schemas(given.get("template_variables"))
    made = state.queues.create_config(given["resource"], json.loads(given["config"]), schemas)
    return {"default_resource_config_id": made.id, "success": True}


def create_run_queue(state: State, given: Input) -> Answer:
    """Create a run queue and its project."""
    state.project(given["entity_name"], given["project_name"])
    queue = state.queues.create(
        given["entity_name"],
        given["project_name"],
        given["queue_name"],
        access=given["access"],
        created_by=state.entity,
        prioritization_mode=given.get("prioritization_mode"),
        config_id=given.get("default_resource_config_id"),
    )
    return {"success": True, "queue_id": queue.id}


def upsert_run_queue(state: State, given: Input) -> Answer:
    """Create a run queue, or replace its resource config."""
    queue = state.make_queue(
        given["entity_name"],
        given["queue_name"],
        given["resource_type"],
        json.loads(given["resource_config"]),
        template_variables=given.get("template_variables"),
        prioritization_mode=given.get("prioritization_mode"),
        project=given["project_name"],
    )
    if given.get("external_links"):
        queue.external_links = json.loads(given["external_links"])
    return {"success": True, "config_schema_validation_errors": None}


def delete_run_queues(state: State, given: Input) -> Answer:
    """Remove run queues with their items."""
    deleted = [state.queues.delete(queue_id) for queue_id in given["queue_ids"]]
    return {"success": all(deleted)}


def push_to_run_queue_by_name(state: State, given: Input) -> Answer:
    """Push an item; return its spec, merged with the queue's, as a JSON string."""
    return _pushed(
        state.push(
            given["entity_name"],
            given["queue_name"],
            _run_spec(given),
            priority=given.get("priority"),
            template_variables=json.loads(given.get("template_variable_values") or "{}"),
            project=given["project_name"],
        )
    )


def push_to_run_queue(state: State, given: Input) -> Answer:
    """Push an item to a queue by the queue's id."""
    queue = state.queues.by_id(given["queue_id"])
    if queue is None:
        raise Refused(f"run queue {given['queue_id']} not found")
    variables = json.loads(given.get("template_variable_values") or "{}")
    return _pushed(state.queues.push(queue, _run_spec(given), given.get("priority"), variables))


def pop_from_run_queue(state: State, given: Input) -> Answer | None:
    """Lease the next item; return its spec as a JSON object."""
    queue = state.queues.by_path.get(
        (given["entity_name"], given["project_name"], given["queue_name"])
    )
    if queue is None:
        raise Refused(f"run queue {given['queue_name']} not found")
    item = state.queues.pop(queue, given.get("launch_agent_id"))
    if item is None:
        return None
    spec = item.run_spec if item.raw is None else f"raw:{item.id}"
    return {"run_queue_item_id": item.id, "run_spec": spec}


def ack_run_queue_item(state: State, given: Input) -> Answer:
    """Claim a leased item for a run."""
    return {"success": state.queues.ack(given["run_queue_item_id"], given["run_name"])}


def fail_run_queue_item(state: State, given: Input) -> Answer:
    """Mark an item as failed."""
    return {"success": state.queues.fail(given["run_queue_item_id"], _report(given))}


def update_run_queue_item_warning(state: State, given: Input) -> Answer:
    """Set an item's warning."""
    return {"success": state.queues.warn(given["run_queue_item_id"], _report(given))}


def delete_from_run_queue(state: State, given: Input) -> Answer:
    """Delete an item from its queue."""
    return {"success": state.queues.remove(given["queue_id"], given["run_queue_item_id"])}


def create_launch_agent(state: State, given: Input) -> Answer:
    """Register an agent."""
    agent = state.register_agent(
        given["entity_name"],
        given["project_name"],
        given["run_queues"],
        given["hostname"],
        given.get("agent_config"),
        given.get("version"),
    )
    return {"launch_agent_id": agent.id}


def update_launch_agent(state: State, given: Input) -> Answer:
    """Record an agent's heartbeat."""
    return {"success": state.agents.heartbeat(given["launch_agent_id"], given.get("agent_status"))}


def upsert_model(state: State, given: Input) -> Answer:
    """Create a project."""
    entity = given.get("entity_name") or state.entity
    inserted = state.project(entity, given["name"])
    node = project_node(state, entity, given["name"])
    return {"project": node, "model": node, "inserted": inserted}


def upsert_bucket(state: State, given: Input) -> Answer:
    """Create or update a run."""
    held = {
        name: json.loads(given[name], parse_constant=str)
        for name in ("config", "summary_metrics")
        if given.get(name)
    }
    values = {**given, **held}
    if given.get("name"):
        run, inserted = state.upsert_run(
            given.get("entity_name"), given.get("model_name"), given["name"], values
        )
        return {"bucket": run, "inserted": inserted}
    known = state.runs.known(given.get("id") or "")
    state.runs.update(known, values)
    return {"bucket": known, "inserted": False}


def update_run_state(state: State, given: Input) -> Answer:
    """Set a run's state, if W&B allows it."""
    state.runs.change_state(given["id"], given["state"])
    return {"success": True}


def stop_run(state: State, given: Input) -> Answer:
    """Ask a run to stop."""
    state.runs.stop(given["id"])
    return {"success": True}


def delete_run(state: State, given: Input) -> Answer:
    """Delete a run."""
    state.runs.delete(given["id"])
    return {"success": True}


def notify_scriptable_run_alert(_: State, __: Input) -> Answer:
    """Accept an alert, without sending it."""
    return {"success": True}


def mark_run_files_uploaded(_: State, __: Input) -> Answer:
    """Accept that files were uploaded; the store already has them."""
    return {"success": True}


def _run_spec(given: Input) -> Answer:
    spec = json.loads(given["run_spec"])
    if not isinstance(spec, dict):
        raise Refused("runSpec is not a JSON object")
    return spec


def _pushed(item: Item) -> Answer:
    return {"run_queue_item_id": item.id, "run_spec": json.dumps(item.run_spec)}


def _report(given: Input) -> Answer:
    return {
        "message": given["message"],
        "stage": given["stage"],
        "file_paths": given.get("file_paths") or [],
    }


def _resolver(mutation: Mutation) -> Callable[..., Answer | None]:
    def resolve(_: None, info: Info, **arguments: Any) -> Answer | None:
        return mutation(info.context.state, arguments["input"])

    return resolve


MUTATIONS = {
    "createDefaultResourceConfig": _resolver(create_default_resource_config),
    "createRunQueue": _resolver(create_run_queue),
    "upsertRunQueue": _resolver(upsert_run_queue),
    "deleteRunQueues": _resolver(delete_run_queues),
    "pushToRunQueueByName": _resolver(push_to_run_queue_by_name),
    "pushToRunQueue": _resolver(push_to_run_queue),
    "popFromRunQueue": _resolver(pop_from_run_queue),
    "ackRunQueueItem": _resolver(ack_run_queue_item),
    "failRunQueueItem": _resolver(fail_run_queue_item),
    "updateRunQueueItemWarning": _resolver(update_run_queue_item_warning),
    "deleteFromRunQueue": _resolver(delete_from_run_queue),
    "createLaunchAgent": _resolver(create_launch_agent),
    "updateLaunchAgent": _resolver(update_launch_agent),
    "upsertModel": _resolver(upsert_model),
    "upsertBucket": _resolver(upsert_bucket),
    "updateRunState": _resolver(update_run_state),
    "stopRun": _resolver(stop_run),
    "deleteRun": _resolver(delete_run),
    "upsertSweep": _resolver(upsert_sweep),
    "createAgent": _resolver(create_agent),
    "agentHeartbeat": _resolver(agent_heartbeat),
    "createRunFiles": create_run_files,
    "markRunFilesUploaded": _resolver(mark_run_files_uploaded),
    "notifyScriptableRunAlert": _resolver(notify_scriptable_run_alert),
    **ARTIFACT_MUTATIONS,
}
