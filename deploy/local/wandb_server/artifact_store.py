"""Where artifacts' files are put and fetched. An address is its own permission, as W&B's signed ones are."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.wandb_server.artifact_fields import FILES, MANIFEST
from deploy.local.wandb_server.state import State


def artifact_routes(state: State) -> list[Route]:
    """Return the routes of the store."""

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
                artifact.manifest if path == MANIFEST else artifact.files.get(path.removeprefix(FILES))
            )
            return _missing() if held is None else Response(held, media_type="application/octet-stream")

    path = "/artifacts/{artifact}/{path:path}"
    return [Route(path, put, methods=["PUT"]), Route(path, get, methods=["GET"])]


def _missing() -> Response:
    return JSONResponse({"error": "artifact file not found"}, status_code=404)
