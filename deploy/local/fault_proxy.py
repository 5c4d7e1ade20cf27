"""Fail a share of the calls to a server that cannot fail them itself, such as the bucket.

python -m deploy.local.fault_proxy --port 7014 --to URL --system gcs
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.local.servers.faults import Faulty, fault_options
from deploy.local.servers.shapes import BUILD, GCS, WANDB
from deploy.local.servers.vertex.shapes import VERTEX

SHAPES = {"wandb": WANDB, "vertex": VERTEX, "gcs": GCS, "build": BUILD}
_OF_THE_CONNECTION = {
    "connection",
    "content-length",
    "host",
    "date",
    "keep-alive",
    "transfer-encoding",
}
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def create_app(to: str) -> Starlette:
    """Return an application that passes every call on to the server at this URL."""
    client = httpx.AsyncClient(
        timeout=60, trust_env=False, limits=httpx.Limits(max_connections=None)
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await client.aclose()

    async def serve(request: Request) -> Response:
        body = await request.body()
        path = request.scope["raw_path"] + (
            b"?" + query if (query := request.scope["query_string"]) else b""
        )
        url = httpx.URL(to).copy_with(raw_path=path)
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name not in _OF_THE_CONNECTION
        ]
        asked = client.build_request(request.method, url, headers=headers, content=body)
        answer = await client.send(asked, stream=True)
        try:
            content = b"".join([part async for part in answer.aiter_raw()])
        finally:
            await answer.aclose()
        kept = {
            name: value for name, value in answer.headers.items() if name not in _OF_THE_CONNECTION
        }
        return Response(content, answer.status_code, kept)

    return Starlette(routes=[Route("/{path:path}", serve, methods=_METHODS)], lifespan=lifespan)


@click.command()
@click.option("--port", type=int, required=True, help="Listen on 127.0.0.1 at this port.")
@click.option("--to", required=True, help="URL of the server behind the proxy.")
@click.option(
    "--system",
    type=click.Choice(list(SHAPES)),
    required=True,
    help="System whose errors to imitate.",
)
@fault_options
def main(port: int, to: str, system: str, fault_rate: float, fault_seed: int) -> None:
    """Pass calls on to a server, and fail a share of them."""
    app = Faulty(create_app(to), "/", fault_rate, fault_seed, SHAPES[system])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
