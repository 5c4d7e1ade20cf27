"""The store of artifacts' files, by signed URL or by checksum."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.servers.wandb.artifact_fields import FILES, MANIFEST, STORE
from deploy.local.servers.wandb.state import State


def artifact_routes(state: State, authorized: Callable[[Any], Any]) -> list[Route]:
    """Return the routes of the store; a request by checksum needs a key, a signed URL does not."""

    async def put(request: Request) -> Response:
        content = await request.body()
        path = request.path_params["path"]
        with state.lock:
            artifact = state.artifacts.by_id.get(request.path_params["artifact"])
            if artifact is None:
                return _missing()
            if path == MANIFEST:
                artifact.manifest = content
            else:
                artifact.files[path.removeprefix(FILES)] = content
        return Response()

    async def get(request: Request) -> Response:
        path = request.path_params["path"]
        with state.lock:
            artifact = state.artifacts.by_id.get(request.path_params["artifact"])
            held = artifact and (
                artifact.manifest
                if path == MANIFEST
                else artifact.files.get(path.removeprefix(FILES))
            )
            return (
                _missing()
                if held is None
                else Response(held, media_type="application/octet-stream")
            )

    async def get_by_checksum(request: Request) -> Response:
        with state.lock:
            held = state.artifacts.content(
                request.path_params["entity"], request.path_params["md5"]
            )
        return _missing() if held is None else Response(held, media_type="application/octet-stream")

    signed = STORE + "/{artifact}/{path:path}"
    of_layouts = (
        "/artifacts/{entity}/{md5}",
        "/artifactsV2/{region}/{entity}/{project}/{name}/{birth}/{md5}/{file}",
    )
    return [
        Route(signed, put, methods=["PUT"]),
        Route(signed, get, methods=["GET"]),
        *(Route(path, authorized(get_by_checksum), methods=["GET"]) for path in of_layouts),
    ]


def _missing() -> Response:
    return JSONResponse({"error": "artifact file not found"}, status_code=404)
