"""The HTTP interface of the stand-in: W&B's API, `/standin` for tests, and pages for people."""

import asyncio
import base64
import binascii
import gzip
import json
import logging
import zlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from deploy.local.servers.faults import App
from deploy.local.servers.wandb.answering import json_response
from deploy.local.servers.wandb.artifact_store import artifact_routes
from deploy.local.servers.wandb.errors import Refused
from deploy.local.servers.wandb.execution import Asked, Document, Executor
from deploy.local.servers.wandb.mutations import MUTATIONS
from deploy.local.servers.wandb.pages import page
from deploy.local.servers.wandb.resolvers import QUERIES
from deploy.local.servers.wandb.run_fields import RUN_FIELDS
from deploy.local.servers.wandb.runs import Run
from deploy.local.servers.wandb.standin import standin_routes
from deploy.local.servers.wandb.state import State
from deploy.local.servers.wandb.trouble import trouble_routes

log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]
FILE_STREAM = "/files/{entity}/{project}/{run}/file_stream"
STORAGE = "/storage/{entity}/{project}/{run}/{name:path}"


def create_app(state: State, latency: float = 0.0) -> Starlette:
    """Return the application over this state; `latency` delays each GraphQL request by seconds."""
    executor = Executor(QUERIES | {"Run": RUN_FIELDS, "Mutation": MUTATIONS})

    async def graphql(request: Request) -> Response:
        body = await _json(request)
        query, variables = body["query"], body.get("variables") or {}
        if not isinstance(query, str) or not isinstance(variables, dict):
            raise ValueError("query must be a string, and variables a JSON object")
        document = executor.read(query)
        with state.lock:
            state.requests[document.name] += 1
        for error in document.errors:
            log.warning("%s is invalid: %s", document.name, error.message)
        if latency:
            await asyncio.sleep(latency)
        asked = Asked(state, str(request.base_url).rstrip("/"))
        return _executed(executor, document, variables, body.get("operationName") or None, asked)

    async def file_stream(request: Request) -> Response:
        message = await _json(request)
        with state.lock:
            run = _run(state, request)
            if run is None:
                return _error(404, "run not found")
            state.runs.stream(run, message)
            return JSONResponse({"exitcode": run.exit_code, "limits": {}, "stopped": run.stopped})

    async def put_file(request: Request) -> Response:
        content = await request.body()
        with state.lock:
            run = _run(state, request)
            if run is None:
                return _error(404, "run not found")
            run.files[request.path_params["name"]] = content
        return Response()

    async def get_file(request: Request) -> Response:
        run = _run(state, request)
        content = run.files.get(request.path_params["name"]) if run else None
        return (
            _error(404, "file not found")
            if content is None
            else Response(content, media_type="text/plain")
        )

    async def human_page(request: Request) -> Response:
        with state.lock:
            return HTMLResponse(page(state, request.url.path))

    return Starlette(
        routes=[
            Route("/graphql", _authorized(state, graphql), methods=["POST"]),
            Route(FILE_STREAM, _authorized(state, file_stream), methods=["POST"]),
            # an upload URL needs no key, as W&B's signed URLs
            Route(STORAGE, put_file, methods=["PUT"]),
            Route(STORAGE, get_file, methods=["GET"]),
            *artifact_routes(state, partial(_authorized, state)),
            *standin_routes(state),
            *trouble_routes(state),
            Route("/{path:path}", human_page, methods=["GET"]),
        ],
        exception_handlers=dict.fromkeys((Refused, ValueError, KeyError), _bad_request),
    )


def under(path: str, app: App) -> App:
    """Return an application that is served under a path only, as behind a company's proxy."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(f"{path}/"):
            await _error(404, f"nothing is served outside of {path}")(scope, receive, send)
        else:
            await app({**scope, "root_path": path}, receive, send)

    return served


def _executed(
    executor: Executor,
    document: Document,
    variables: dict[str, Any],
    operation: str | None,
    asked: Asked,
) -> Response:
    """Execute a document; its refusals take the selected shape."""
    if document.errors:
        return json_response({"errors": [error.formatted for error in document.errors]}, 400)
    state = asked.state
    answer = state.errors.refuses(document.tree)
    if answer is None:
        answer = dict(executor.run(document, variables, operation, asked).formatted)
    status, answer = state.errors.reshaped(document.tree, variables, answer)
    return json_response(answer, status, state.queues.raw_specs(answer))


def _authorized(state: State, endpoint: Endpoint) -> Endpoint:
    async def answer(request: Request) -> Response:
        if not state.accepts(_api_key(request.headers.get("authorization", ""))):
            return _error(401, "user is not logged in")
        return await endpoint(request)

    return answer


def _api_key(authorization: str) -> str:
    """Return the key of `Basic base64("api:" + key)` or `Bearer key`; empty without a key."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    try:
        return (
            base64.b64decode(value, validate=True).decode().partition(":")[2]
            if scheme.lower() == "basic"
            else ""
        )
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _run(state: State, request: Request) -> Run | None:
    path = request.path_params
    return state.runs.get(path["entity"], path["project"], path["run"])


async def _json(request: Request) -> dict[str, Any]:
    body = await request.body()
    if request.headers.get("content-encoding") == "gzip":
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as exc:
            raise ValueError("the body is not gzip") from exc
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("the body is not a JSON object")
    return message


async def _bad_request(_: Request, exc: Exception) -> Response:
    return _error(400, f"{type(exc).__name__}: {exc}")


def _error(status: int, message: str) -> Response:
    return JSONResponse({"errors": [{"message": message}], "error": message}, status_code=status)
