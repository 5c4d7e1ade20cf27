"""The routes `/standin/…`, by which tests and chaos change the stand-in."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.servers.vertex.errors import ApiError, invalid_argument, not_found
from deploy.local.servers.vertex.refusals import REFUSALS
from deploy.local.servers.vertex.shortages import Lack
from deploy.local.servers.vertex.state import VertexState

Change = Callable[[VertexState, Mapping[str, Any]], dict[str, Any]]


def control_routes(state: VertexState) -> list[Route]:
    """Return the routes; each takes a JSON object by POST."""
    changes: dict[str, Change] = {
        "behaviour": _behaviour,
        "refuse": _refuse,
        "delay": _delay,
        "lose": _lose,
        "shortage": _shortage,
        "state": _state,
        "preempt": _preempt,
        "forget": _forget,
    }
    return [
        Route(f"/standin/{name}", _endpoint(state, change), methods=["POST"])
        for name, change in changes.items()
    ]


def _endpoint(state: VertexState, change: Change) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(change(state, await request.json()))
        except ApiError as exc:
            return exc.response()
        except (KeyError, TypeError, ValueError) as exc:
            return invalid_argument(f"{type(exc).__name__}: {exc}").response()

    return endpoint


def _behaviour(state: VertexState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Change switches by name; return all switches."""
    state.behaviour.change(asked)
    return state.behaviour.shown()


def _refuse(state: VertexState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse the next calls: {name, times, method} and the values in its text."""
    values = dict(asked)
    name, times, method = values.pop("name"), values.pop("times", 1), values.pop("method", "create")
    if name not in REFUSALS:
        raise invalid_argument(f"no refusal is named {name}; known: {', '.join(sorted(REFUSALS))}")
    state.faults.refuse_next_as(name, times, method, **values)
    return {}


def _delay(state: VertexState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer the next call late: {seconds, method, worked}."""
    state.faults.delay_next(
        asked["seconds"], asked.get("method", "create"), worked=asked.get("worked", True)
    )
    return {}


def _lose(state: VertexState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Lose the answers of the next calls: {times, method}."""
    state.faults.lose_next_answers(asked.get("times", 1), asked.get("method", "create"))
    return {}


def _shortage(state: VertexState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Begin a shortage: {location, strategy, kind}; without a kind, end it."""
    if kind := asked.get("kind"):
        state.shortages.begin(asked["location"], asked["strategy"], Lack(kind))
    else:
        state.shortages.end(asked["location"], asked["strategy"])
    return {}


def _state(state: VertexState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Put a job into any state: {name, state, error}."""
    state.force(asked["name"], asked["state"], asked.get("error", ""))
    return {}


def _preempt(state: VertexState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Take a running job's machines away: {name}."""
    state.preempt(asked["name"])
    return {}


def _forget(state: VertexState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Remove a job: {name}."""
    if not any(job.name == asked["name"] for job in state.jobs()):
        raise not_found(asked["name"])
    state.forget(asked["name"])
    return {}
