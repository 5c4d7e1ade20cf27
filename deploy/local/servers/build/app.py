"""Cloud Build over REST v1, for its client and gcloud, and one call of Artifact Registry."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from google.cloud.devtools.cloudbuild_v1 import Build
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.local.servers.build.rules import not_found
from deploy.local.servers.build.state import BuildState
from deploy.local.servers.vertex.entries import entries_of_builds, list_entries
from deploy.local.servers.vertex.errors import ApiError, invalid_argument

_BUILDS = "/v1/projects/{project}/locations/{location}/builds"
_REPOSITORY = "/v1/projects/{project}/locations/{location}/repositories/{repository}"
_TAG = _REPOSITORY + "/packages/{package:path}/tags/{tag}"
_METADATA = "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"

Endpoint = Callable[[Request], Awaitable[Response]]
Action = Callable[[BuildState, Request, str], Awaitable[dict[str, Any]]]


def create_app(state: BuildState) -> Starlette:
    """Return the application over this state."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        state.close()

    def serve(method: str, action: Action) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            return await _answer(state, method, action, request)

        return endpoint

    async def builds(_: Request) -> Response:
        return JSONResponse([_shown(one, numeric=False) for one in state.builds()])

    async def log(request: Request) -> Response:
        wanted = request.path_params["id"]
        name = next((one.name for one in state.builds() if one.id == wanted), "")
        path = state.get(name).log if name else None
        text = path.read_text(encoding="utf-8", errors="replace") if path and path.is_file() else ""
        return PlainTextResponse(text or "The build has printed nothing.\n", 200 if name else 404)

    async def entries(request: Request) -> Response:
        try:
            asked = await request.json()
            names = asked.get("resourceNames", ())
            projects = [str(name).removeprefix("projects/") for name in names]
            found = (
                one for project in projects for one in entries_of_builds(state.folder, project)
            )
            return JSONResponse(list_entries(found, asked))
        except ApiError as exc:
            return exc.response()

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route(_BUILDS, serve("create", _create), methods=["POST"]),
            Route(_BUILDS, serve("list", _list), methods=["GET"]),
            Route(_BUILDS + "/{id}:cancel", serve("cancel", _cancel), methods=["POST"]),
            Route(_BUILDS + "/{id}", serve("get", _get), methods=["GET"]),
            Route(_TAG, serve("tag", _tag), methods=["GET"]),
            Route("/v2/entries:list", entries, methods=["POST"]),
            Route("/standin/builds", builds),
            Route("/standin/builds/{id}/log", log),
        ],
    )


async def _answer(state: BuildState, method: str, action: Action, request: Request) -> Response:
    """Answer one call, with the fault that a test requested before or after its effect."""
    state.requests[method] += 1
    error, worked = state.faults[method].pop(0) if state.faults.get(method) else (None, True)
    path = request.path_params
    try:
        if error and not worked:
            raise error
        body = await action(
            state, request, f"projects/{path['project']}/locations/{path['location']}"
        )
        if error:
            raise error
    except ApiError as exc:
        return exc.response()
    return JSONResponse(body)


async def _create(state: BuildState, request: Request, parent: str) -> dict[str, Any]:
    message = Build.pb()()
    try:
        json_format.ParseDict(await request.json(), message)
    except (ValueError, RecursionError, json_format.ParseError) as exc:
        raise invalid_argument(f"Invalid JSON payload received: {exc}") from exc
    for field in (
        "name",
        "id",
        "status",
        "create_time",
        "start_time",
        "finish_time",
        "log_url",
        "results",
    ):
        message.ClearField(field)
    made = _shown(state.create(parent, message), numeric=_numeric(request))
    name = f"{parent}/operations/{made['id']}"
    return {"name": name, "metadata": {"@type": _METADATA, "build": made}}


async def _get(state: BuildState, request: Request, parent: str) -> dict[str, Any]:
    name = f"{parent}/builds/{request.path_params['id']}"
    return _shown(state.get(name).message, numeric=_numeric(request))


async def _list(state: BuildState, request: Request, parent: str) -> dict[str, Any]:
    asked = request.query_params
    size = asked.get("pageSize", "0")
    if not size.isdecimal():
        raise invalid_argument("page_size is not a number.")
    builds, token = state.page(
        parent, asked.get("filter", ""), int(size), asked.get("pageToken", "")
    )
    answer: dict[str, Any] = {"builds": [_shown(one, numeric=_numeric(request)) for one in builds]}
    return answer | ({"nextPageToken": token} if token else {})


async def _cancel(state: BuildState, request: Request, parent: str) -> dict[str, Any]:
    name = f"{parent}/builds/{request.path_params['id']}"
    return _shown(state.cancel(name), numeric=_numeric(request))


async def _tag(state: BuildState, request: Request, parent: str) -> dict[str, Any]:
    path = request.path_params
    _, project, _, location = parent.split("/")
    image = (
        f"{location}-docker.pkg.dev/{project}/{path['repository']}/{path['package']}:{path['tag']}"
    )
    digest = state.digest(image)
    if not digest:
        raise not_found(image)
    package = f"{parent}/repositories/{path['repository']}/packages/{path['package']}"
    return {
        "name": f"{package}/tags/{path['tag']}",
        "version": f"{package}/versions/{digest}",
    }


def _numeric(request: Request) -> bool:
    return "enum-encoding=int" in request.query_params.get("$alt", "")


def _shown(build: Any, *, numeric: bool) -> dict[str, Any]:
    """Return a build as JSON; Google's clients request enums as numbers, gcloud as names."""
    shown: dict[str, Any] = json_format.MessageToDict(build, use_integers_for_enums=numeric)
    return shown
