"""The routes `/standin/…`, by which tests and the demo read and change the stand-in."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.servers.wandb.answering import json_response
from deploy.local.servers.wandb.queues import Item
from deploy.local.servers.wandb.run_fields import HISTORY, LOG, lines, plain_config
from deploy.local.servers.wandb.runs import Run
from deploy.local.servers.wandb.state import QUEUE_PROJECT, State
from shared.core.redaction import redacted, secrets_in


def item_row(item: Item) -> dict[str, Any]:
    """Describe an item, without API keys."""
    queue = item.queue
    row: dict[str, Any] = {
        "id": item.id,
        "queue": queue.name,
        "entity": queue.entity,
        "project": queue.project,
        "state": item.state,
        "run_name": item.associated_run_id,
        "agent_id": item.agent_id,
        "priority": item.priority,
        "error": item.error,
        "warning": item.warning,
        "run_spec": item.run_spec,
    }
    return redacted(row, secrets_in(item.run_spec))  # type: ignore[no-any-return]


def run_row(run: Run) -> dict[str, Any]:
    """Describe a run and its outcome."""
    return {
        "entity": run.entity,
        "project": run.project,
        "name": run.name,
        "display_name": run.display_name or run.name,
        "state": run.state,
        "stopped": run.stopped,
        "exit_code": run.exit_code,
        "item_id": run.run_queue_item_id,
        "summary": run.summary,
        "config": plain_config(run),
        "history_count": len(lines(run, HISTORY)),
        "last_log_line": last_log_line(run),
    }


def last_log_line(run: Run) -> str:
    """Return the last line of a run's log, without the prefix that W&B's page hides."""
    written = [line.strip() for line in lines(run, LOG) if line.strip()]
    return re.sub(r"^ERROR \S+ ", "", written[-1]) if written else ""


def standin_routes(state: State) -> list[Route]:
    """Return the routes; they need no key, as the port is on loopback."""

    async def items(_: Request) -> Response:
        with state.lock:
            state.queues.end_leases()
            return json_response([item_row(item) for item in state.queues.items.values()])

    async def runs(_: Request) -> Response:
        with state.lock:
            return json_response([run_row(run) for run in state.runs.all()])

    async def requests(_: Request) -> Response:
        with state.lock:
            return JSONResponse(dict(state.requests))

    async def make_queue(request: Request) -> Response:
        given = await request.json()
        queue = state.make_queue(
            given["entity"],
            given["queue"],
            given.get("resource") or "gcp-vertex",
            given.get("config") or {},
            template_variables=given.get("template_variables"),
            prioritization_mode=given.get("prioritization_mode"),
            project=given.get("project") or QUEUE_PROJECT,
        )
        return JSONResponse(
            {"id": queue.id, "entity": queue.entity, "project": queue.project, "queue": queue.name}
        )

    async def agents(_: Request) -> Response:
        with state.lock:
            return JSONResponse([agent_row(state, agent_id) for agent_id in state.agents.by_id])

    async def change_agent(request: Request) -> Response:
        given = await request.json()
        with state.lock:
            state.agents.by_id[given["id"]].stop_polling = bool(given["stop_polling"])
            return JSONResponse(agent_row(state, given["id"]))

    async def make_sweep(request: Request) -> Response:
        given = await request.json()
        with state.lock:
            state.project(given["entity"], given["project"])
            sweep = state.runs.add_sweep(
                given["entity"], given["project"], given["name"], given.get("state", "RUNNING")
            )
            return JSONResponse({"id": sweep.id, "name": sweep.name, "state": sweep.state})

    return [
        Route("/standin/items", items, methods=["GET"]),
        Route("/standin/runs", runs, methods=["GET"]),
        Route("/standin/requests", requests, methods=["GET"]),
        Route("/standin/queues", make_queue, methods=["POST"]),
        Route("/standin/agents", agents, methods=["GET"]),
        Route("/standin/agents", change_agent, methods=["POST"]),
        Route("/standin/sweeps", make_sweep, methods=["POST"]),
    ]


def agent_row(state: State, agent_id: str) -> dict[str, Any]:
    """Describe an agent with the names of its queues."""
    agent = state.agents.by_id[agent_id]
    queues = [state.queues.by_id(queue_id) for queue_id in agent.run_queues]
    return {
        "id": agent.id,
        "name": agent.name,
        "entity": agent.entity,
        "queues": [queue.name for queue in queues if queue],
        "hostname": agent.hostname,
        "version": agent.version,
        "status": agent.agent_status,
        "stop_polling": agent.stop_polling,
    }
