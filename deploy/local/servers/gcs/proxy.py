"""The proxy before fake-gcs-server: passes calls on, except those that GCS would refuse.

It also checks the preconditions of deletes, which fake-gcs-server ignores.
"""

import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deploy.local.servers.gcs.limits import (
    CONDITION,
    METADATA_BYTES,
    RATE,
    SIZE,
    Limits,
    Write,
    metadata_bytes,
    operation_class,
    write_of,
)

CONTROL = "/standin/gcs"
_NOT_PASSED_ON = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
# GCS's JSON API never answers with x-goog-meta headers
_DROPPED = re.compile("connection|keep-alive|transfer-encoding|x-goog-meta-.*")


class Proxy:
    """Passes calls on to fake-gcs-server, except those that GCS would refuse."""

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
        self.limits.operations[operation_class(request.method, path)] += 1
        write = write_of(request.method, path, query, request.headers.get("content-type", ""), body)
        if write is None:
            return await self._pass_on(request, body)
        async with self.limits.locks[write.name]:
            return await self._write(request, body, write, query)

    async def control(self, request: Request) -> Response:
        """Return the counts of refusals and operations; POST {"shift": SECONDS} sets the clock."""
        if request.method == "POST":
            self.limits.shift = float((await request.json())["shift"])
        limits = self.limits
        counts = {"refused": dict(limits.refused), "operations": limits.operations}
        return JSONResponse({"shift": limits.shift, **counts})

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
    """Return the proxy before the server at `limits.upstream`."""
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
