"""The HTTP interface of the stand-in: custom jobs over REST v1, their logs, and a page.

The SDK's `rest` transport and gcloud are its clients.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from deploy.local.servers.vertex.control import control_routes
from deploy.local.servers.vertex.entries import entries_of_builds, entries_of_jobs, list_entries
from deploy.local.servers.vertex.errors import ApiError, invalid_argument
from deploy.local.servers.vertex.messages import (
    LISTED,
    masked,
    parse_custom_job,
    parse_read_mask,
    render,
)
from deploy.local.servers.vertex.pages import job_row, log_response, page
from deploy.local.servers.vertex.partial import parse_fields, part
from deploy.local.servers.vertex.state import Job, VertexState

_PARENT = "/v1/projects/{project}/locations/{location}/customJobs"
_METADATA = "/v1/projects/{project}/locations/{location}/metadataStores/default/{kind}/{id}"

Endpoint = Callable[[Request], Awaitable[Response]]
Action = Callable[[VertexState, Request, str], Awaitable[dict[str, Any]]]


def create_app(state: VertexState, close: Callable[[], None] = lambda: None) -> Starlette:
    """Return the application over this state; its end, also by a signal, calls `close`."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        close()

    def serve(method: str, action: Action) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            return await _answer(state, method, action, request)

        return endpoint

    async def show_page(_: Request) -> Response:
        return HTMLResponse(page(state))

    async def jobs(_: Request) -> Response:
        return JSONResponse([job_row(job) for job in state.jobs()])

    async def requests(_: Request) -> Response:
        return JSONResponse(state.requests)

    async def entries(request: Request) -> Response:
        try:
            asked = await request.json()
            projects = [
                str(name).removeprefix("projects/") for name in asked.get("resourceNames", ())
            ]
            builds = (
                one for project in projects for one in entries_of_builds(state.build_logs, project)
            )
            return JSONResponse(
                list_entries(itertools.chain(entries_of_jobs(state), builds), asked)
            )
        except ApiError as exc:
            return exc.response()

    async def log(request: Request) -> Response:
        return log_response(state, request.path_params["number"])

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route(_PARENT, serve("create", _create), methods=["POST"]),
            Route(_PARENT, serve("list", _list), methods=["GET"]),
            Route(_PARENT + "/{number}:cancel", serve("cancel", _cancel), methods=["POST"]),
            Route(_PARENT + "/{number}", serve("get", _get), methods=["GET"]),
            Route(_PARENT + "/{number}", serve("delete", _delete), methods=["DELETE"]),
            Route(_METADATA, serve("get", _metadata), methods=["GET"]),
            Route("/v2/entries:list", entries, methods=["POST"]),
            *control_routes(state),
            Route("/standin/jobs", jobs),
            Route("/standin/requests", requests),
            Route("/standin/jobs/{number}/log", log),
            Route("/", show_page),
        ],
    )


async def _answer(state: VertexState, method: str, action: Action, request: Request) -> Response:
    """Answer one call, with the fault that a test requested."""
    state.requests[method] += 1
    await request.body()  # read early: the caller may disconnect before the action reads it
    fault = state.faults.take(method)
    try:
        if fault and not fault.worked:
            if fault.error:
                raise fault.error
            await asyncio.sleep(fault.late)
        body = await action(state, request, _parent(request))
        if fault and fault.error:
            raise fault.error
        if fault and fault.worked:
            await asyncio.sleep(fault.late)
    except ApiError as exc:
        return exc.response()
    if fault and not fault.late:
        # promises more than it sends, so the client never receives a complete answer
        return Response(b"{", headers={"content-length": "1000"}, media_type="application/json")
    return JSONResponse(body)


def _parent(request: Request) -> str:
    return f"projects/{request.path_params['project']}/locations/{request.path_params['location']}"


def _name(request: Request, parent: str) -> str:
    return f"{parent}/customJobs/{request.path_params['number']}"


def _rendered(job: Job, request: Request, mask: FieldMask | None = None) -> dict[str, Any]:
    numeric = "enum-encoding=int" in request.query_params.get("$alt", "")
    return render(masked(job.described(), mask), numeric_enums=numeric)


async def _create(state: VertexState, request: Request, parent: str) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError) as exc:
        raise invalid_argument("Invalid JSON payload received.") from exc
    return _rendered(state.create(parent, parse_custom_job(body)), request)


async def _get(state: VertexState, request: Request, parent: str) -> dict[str, Any]:
    return _rendered(state.get(_name(request, parent)), request)


async def _list(state: VertexState, request: Request, parent: str) -> dict[str, Any]:
    asked = request.query_params
    size = asked.get("pageSize", "0")
    if not size.removeprefix("-").isdecimal():
        raise invalid_argument("page_size is not a number.")
    jobs, token = state.page(parent, asked.get("filter", ""), int(size), asked.get("pageToken", ""))
    mask = parse_read_mask(asked.get("readMask", ""))
    answer: dict[str, Any] = {"customJobs": [_rendered(job, request, mask) for job in jobs]}
    answer |= {"nextPageToken": token} if token else {}
    if not (fields := asked.get("fields", "")):
        return answer
    return dict(part(answer, parse_fields(fields, LISTED)))


async def _cancel(state: VertexState, request: Request, parent: str) -> dict[str, Any]:
    state.cancel(_name(request, parent))
    return {}


async def _delete(state: VertexState, request: Request, parent: str) -> dict[str, Any]:
    name = _name(request, parent)
    state.delete(name)
    empty = {"@type": "type.googleapis.com/google.protobuf.Empty"}
    return {
        "name": f"{parent}/operations/{name.rpartition('/')[2]}",
        "done": True,
        "response": empty,
    }


async def _metadata(state: VertexState, request: Request, parent: str) -> dict[str, Any]:
    """Return an experiment or one of its runs, which the SDK looks up before a create."""
    kind, name = request.path_params["kind"], request.path_params["id"]
    full = f"{parent}/metadataStores/default/{kind}/{name}"
    if kind != "contexts" or full not in state.contexts:
        raise ApiError(404, "NOT_FOUND", f"The {kind.capitalize()} does not exist: {full}.")
    return {
        "name": full,
        "schemaTitle": state.contexts[full],
        "schemaVersion": "0.0.1",
        "metadata": {},
    }
