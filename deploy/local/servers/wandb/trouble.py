"""The routes by which tests and chaos cause errors: error shapes, invalid items, deletions."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.servers.wandb.state import QUEUE_PROJECT, State


def trouble_routes(state: State) -> list[Route]:
    """Return the routes; like the others under `/standin`, they need no key."""

    async def push_raw(request: Request) -> Response:
        given = await request.json()
        with state.lock:
            queue = state.queues.by_path[
                given["entity"], given.get("project") or QUEUE_PROJECT, given["queue"]
            ]
            return JSONResponse({"id": state.queues.push_raw(queue, given["raw"]).id})

    async def remove_item(request: Request) -> Response:
        with state.lock:
            item = state.queues.items[request.path_params["id"]]
            return JSONResponse({"success": state.queues.remove(item.queue.id, item.id)})

    async def remove_agent(request: Request) -> Response:
        with state.lock:
            return JSONResponse(
                {"success": state.agents.by_id.pop(request.path_params["id"], None) is not None}
            )

    async def errors(_: Request) -> Response:
        with state.lock:
            return JSONResponse(state.errors.shown())

    async def change_errors(request: Request) -> Response:
        given = await request.json()
        with state.lock:
            state.errors.change(given)
            return JSONResponse(state.errors.shown())

    return [
        Route("/standin/items", push_raw, methods=["POST"]),
        Route("/standin/items/{id:path}", remove_item, methods=["DELETE"]),
        Route("/standin/agents/{id:path}", remove_agent, methods=["DELETE"]),
        Route("/standin/errors", errors, methods=["GET"]),
        Route("/standin/errors", change_errors, methods=["POST"]),
    ]
