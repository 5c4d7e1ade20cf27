"""The HTTP interface of the stand-in: custom jobs over REST v1, their logs, and a page.

The SDK's `rest` transport and gcloud are its clients.
"""

import asyncio
import html
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.local.servers.vertex.control import control_routes
from deploy.local.servers.vertex.entries import entries_of_builds, entries_of_jobs, list_entries
from deploy.local.servers.vertex.errors import ApiError, invalid_argument, not_found
from deploy.local.servers.vertex.messages import masked, parse_custom_job, parse_read_mask, render
from deploy.local.servers.vertex.state import Job, VertexState

_PARENT = "/v1/projects/{project}/locations/{location}/customJobs"
_METADATA = "/v1/projects/{project}/locations/{location}/metadataStores/default/{kind}/{id}"
_REDACTED = "[redacted]"
_SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Vertex AI stand-in</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.4 system-ui; margin: 2rem }}
td, th {{ text-align: left; padding: .3rem .8rem; vertical-align: top }}
tr:nth-child(even) {{ background: #8881 }}
</style>
<h1>Vertex AI stand-in: custom jobs</h1>{table}"""

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

    async def page(_: Request) -> Response:
        return HTMLResponse(_page(state))

    async def jobs(_: Request) -> Response:
        return JSONResponse([_row(job) for job in state.jobs()])

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
        return _log(state, request.path_params["number"])

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
            Route("/", page),
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
    return answer | ({"nextPageToken": token} if token else {})


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


def _row(job: Job) -> dict[str, Any]:
    """Describe a job; values of variables with a secret's name are redacted."""
    spec = render(job.described(), numeric_enums=False)["jobSpec"]
    for variable in _variables(spec):
        if _SECRET.search(variable.get("name", "")):
            variable["value"] = _REDACTED
    shown = ("name", "display_name", "labels", "state")
    moments = {
        name: m.isoformat() if (m := getattr(job, name)) else None
        for name in ("create_time", "end_time")
    }
    return (
        {name: getattr(job, name) for name in shown}
        | moments
        | {"error": job.shown_error, "job_spec": spec}
    )


def _variables(spec: dict[str, Any]) -> Iterator[dict[str, str]]:
    for pool in spec.get("workerPoolSpecs", []):
        for task in ("containerSpec", "pythonPackageSpec"):
            yield from pool.get(task, {}).get("env", [])


def _without_secrets(text: str, job: Job) -> str:
    for variable in _variables(render(job.message, numeric_enums=False)["jobSpec"]):
        if _SECRET.search(variable.get("name", "")) and variable.get("value"):
            text = text.replace(variable["value"], _REDACTED)
    return text


def _log(state: VertexState, number: str) -> Response:
    for job in state.jobs():
        if job.name.endswith(f"/{number}"):
            text = Path(job.log).read_text(encoding="utf-8", errors="replace") if job.log else ""
            return PlainTextResponse(
                _without_secrets(text, job) or "The job has printed nothing.\n"
            )
    return JSONResponse(not_found(number).body(), 404)


def _page(state: VertexState) -> str:
    rows = []
    for job in state.jobs()[:500]:
        number = job.name.rpartition("/")[2]
        link = f'<a href="/standin/jobs/{html.escape(number)}/log">{html.escape(number)}</a>'
        cells = [
            html.escape(text)
            for text in (job.display_name, job.state, json.dumps(job.labels), job.shown_error)
        ]
        rows.append(
            f"<tr><td>{link}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        )
    head = "".join(
        f"<th>{name}</th>" for name in ("job (log)", "display name", "state", "labels", "error")
    )
    table = f"<table><tr>{head}</tr>{''.join(rows)}</table>"
    return PAGE.format(table=table if rows else "<p>No jobs yet.</p>")
