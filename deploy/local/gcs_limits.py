"""Run fake-gcs-server behind GCS's own limits: `python -m deploy.local.gcs_limits --port 7004`.

Documented (Cloud Storage, "Quotas & limits"): the keys and values of an object's custom metadata have at most 8 KiB; an
object is written or deleted at most once per second, and what comes sooner may be answered 429. Here it always is, and
metadata is counted as unfavourably as anybody may. Preconditions of deletes hold, as they do in GCS.
"""

import asyncio
import json
import re
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import click
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deploy.local.gcs_server import gcs_command
from deploy.local.processes import HOST, free_port

METADATA_BYTES = 8_192
WRITE_SECONDS = 1.0  # between two writes of one object
CONTROL = "/standin/gcs"
RATE = (
    "The object {name} exceeded the rate limit for object mutation operations (create, update, and delete). "
    "Please reduce your request rate. See https://cloud.google.com/storage/docs/gcs429."
)
SIZE = "Your metadata headers exceed the maximum allowed metadata size: {size} bytes, the most is {most}."
CONDITION = "At least one of the pre-conditions you specified did not hold."

_OBJECT = re.compile(r"/(?:upload/|resumable/upload/)?storage/v1/b/([^/]+)/o(?:/([^/]+))?")
_NOT_PASSED_ON = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
_DROPPED = re.compile(
    "connection|keep-alive|transfer-encoding|x-goog-meta-.*"
)  # GCS's JSON API gives the last to nobody


@dataclass
class Limits:
    """What has been written when, and what was refused. `shift` is how far the server's clock is ahead, in seconds."""

    upstream: str
    shift: float = 0.0
    write_seconds: float = WRITE_SECONDS
    refused: dict[str, int] = field(
        default_factory=lambda: defaultdict(int)
    )  # calls, by the reason
    written: dict[str, float] = field(default_factory=dict)  # by bucket/object
    locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def too_soon(self, name: str) -> bool:
        """Tell whether an object was written less than a second ago."""
        return time.monotonic() - self.written.get(name, float("-inf")) < self.write_seconds

    def refuse(self, code: int, reason: str, message: str) -> Response:
        """Answer as GCS's JSON API does."""
        self.refused[reason] += 1
        said = {"message": message, "domain": "global", "reason": reason}
        return JSONResponse(
            {"error": {"code": code, "message": message, "errors": [said]}}, code, self.date()
        )

    def date(self) -> dict[str, str]:
        """Return the Date header."""
        return {
            "date": format_datetime(datetime.now(UTC) + timedelta(seconds=self.shift), usegmt=True)
        }


@dataclass(frozen=True)
class Write:
    """A call that creates, changes or deletes an object."""

    name: str  # bucket/object
    metadata: Mapping[str, str]


def write_of(
    method: str, path: str, query: Mapping[str, list[str]], content_type: str, body: bytes
) -> Write | None:
    """Return what a call writes; None if it writes no object."""
    found = _OBJECT.fullmatch(path)
    if (
        method not in {"POST", "PUT", "PATCH", "DELETE"}
        or not found
        or (method == "PUT" and "upload_id" in query)
    ):
        return None
    bucket, name = found[1], unquote(found[2] or query.get("name", [""])[0])
    document = _document(content_type, body)
    name = name or str(document.get("name", ""))
    metadata = document.get("metadata")
    return Write(f"{bucket}/{name}", metadata if isinstance(metadata, dict) else {})


def metadata_bytes(metadata: Mapping[str, str]) -> int:
    """Count metadata in the least favourable way: UTF-8, JSON's escapes, or a URL's."""
    texts = "".join(f"{name}{value}" for name, value in metadata.items())
    return max(
        len(texts.encode("utf-8", "replace")),
        len(json.dumps(texts)) - 2,
        len(quote(texts, "", errors="replace")),
    )


class Proxy:
    """Passes calls on to fake-gcs-server, but for those that GCS would refuse."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._client = httpx.AsyncClient(
            timeout=60, trust_env=False, limits=httpx.Limits(max_connections=None)
        )

    async def serve(self, request: Request) -> Response:
        """Answer one call."""
        body = await request.body()
        query = parse_qs(request.scope["query_string"].decode("ascii"))
        path = request.scope["raw_path"].decode("ascii")
        write = write_of(request.method, path, query, request.headers.get("content-type", ""), body)
        if write is None:
            return await self._pass_on(request, body)
        async with self.limits.locks[write.name]:
            return await self._write(request, body, write, query)

    async def control(self, request: Request) -> Response:
        """Show how many calls were refused and why; POST {"shift": SECONDS} sets the clock."""
        if request.method == "POST":
            self.limits.shift = float((await request.json())["shift"])
        return JSONResponse({"shift": self.limits.shift, "refused": dict(self.limits.refused)})

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _write(
        self, request: Request, body: bytes, write: Write, query: Mapping[str, list[str]]
    ) -> Response:
        if (size := metadata_bytes(write.metadata)) > METADATA_BYTES:
            return self.limits.refuse(
                400, "metadataTooLarge", SIZE.format(size=size, most=METADATA_BYTES)
            )
        if self.limits.too_soon(write.name):
            return self.limits.refuse(429, "rateLimitExceeded", RATE.format(name=write.name))
        if request.method == "DELETE" and (wanted := query.get("ifGenerationMatch")):
            there = await self._client.get(self._url(request, query=b""))
            if there.is_success and there.json()["generation"] != wanted[0]:
                return self.limits.refuse(412, "conditionNotMet", CONDITION)
        answer = await self._pass_on(request, body)
        if answer.status_code < 300:
            self.limits.written[write.name] = time.monotonic()
        return answer

    async def _pass_on(self, request: Request, body: bytes) -> Response:
        headers = [
            (name, value) for name, value in request.headers.items() if name not in _NOT_PASSED_ON
        ]
        url = self._url(request, request.scope["query_string"])
        answer = await self._client.send(
            self._client.build_request(request.method, url, headers=headers, content=body),
            stream=True,
        )

        async def parts() -> AsyncIterator[bytes]:
            try:
                async for part in answer.aiter_raw():
                    yield part
            finally:
                await answer.aclose()

        kept = {
            name: value for name, value in answer.headers.items() if not _DROPPED.fullmatch(name)
        }
        kept |= self.limits.date() if "date" in kept else {}
        return StreamingResponse(parts(), answer.status_code, kept)

    def _url(self, request: Request, query: bytes) -> httpx.URL:
        path = request.scope["raw_path"] + (b"?" + query if query else b"")
        return httpx.URL(self.limits.upstream).copy_with(raw_path=path)


def create_app(limits: Limits) -> Starlette:
    """Return the application that stands before the server at `limits.upstream`."""
    proxy = Proxy(limits)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await proxy.close()

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    control = Route(CONTROL, proxy.control, methods=["GET", "POST"])
    return Starlette(
        routes=[control, Route("/{path:path}", proxy.serve, methods=methods)], lifespan=lifespan
    )


def _document(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the JSON that describes an object: a body of its own, or the first part of two."""
    boundary = re.search(r"""boundary=["']?([^"';]+)""", content_type)
    if boundary:
        parts = body.split(f"--{boundary[1]}".encode(), 2)
        body = re.split(rb"\r?\n\r?\n", parts[1], maxsplit=1)[-1] if len(parts) > 1 else b""
    elif "json" not in content_type:
        return {}
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@click.command()
@click.option("--port", type=int, required=True, help="Listen on 127.0.0.1 at this port.")
@click.option(
    "--clock-shift",
    type=float,
    default=0.0,
    show_default=True,
    help="Seconds that its Date is ahead.",
)
@click.option(
    "--write-seconds",
    type=float,
    default=WRITE_SECONDS,
    show_default=True,
    help="Between two writes.",
)
def main(port: int, clock_shift: float, write_seconds: float) -> None:
    """Stand in for Cloud Storage on this machine, with its limits."""
    inner = free_port()
    # in this process group, so that a signal to the group ends both
    server = subprocess.Popen(gcs_command(HOST, inner, url=f"http://{HOST}:{port}"))
    try:
        _await(server, inner)
        app = create_app(Limits(f"http://{HOST}:{inner}", clock_shift, write_seconds))
        uvicorn.run(
            app,
            host=HOST,
            port=port,
            log_level="warning",
            date_header=False,
            timeout_graceful_shutdown=1,
        )
    finally:
        server.kill()
        server.wait()


def _await(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the server listens, or has ended instead."""
    while server.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.02)
    raise click.ClickException(f"fake-gcs-server ended with exit code {server.returncode}")


if __name__ == "__main__":
    main()
