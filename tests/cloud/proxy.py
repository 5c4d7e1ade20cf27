"""A CONNECT proxy that routes Google's hosts to the local REST and gRPC servers."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.cloud.certificates import HOSTS


@dataclass
class Proxy:
    """Connects Google's hosts to `rest` or `grpc` (host, port each); other hosts get 403."""

    rest: Callable[[], tuple[str, int]]
    grpc: Callable[[], tuple[str, int]]
    refused: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client's connection."""
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client has left
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, address, *_ = head.split(" ", 2)
        host, _, port = address.rpartition(":")
        if method != "CONNECT" or port != "443" or not is_google(host):
            self.refused.append(address)
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        hello = await reader.read(65536)
        target = self.grpc() if speaks_http2(hello) else self.rest()
        upstream_reader, upstream_writer = await asyncio.open_connection(*target)
        upstream_writer.write(hello)
        answered = _copy(upstream_reader, writer)
        await asyncio.gather(_copy(reader, upstream_writer, acknowledged=writer), answered)


def is_google(host: str) -> bool:
    """Return whether the local server's certificate has `host`."""
    return any(host.endswith(pattern.removeprefix("*")) for pattern in HOSTS)


def speaks_http2(hello: bytes) -> bool:
    """Return whether a client's first TLS message offers only HTTP/2 (ALPN), as gRPC does."""
    return b"\x02h2" in hello and b"\x08http/1.1" not in hello


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, acknowledged: asyncio.StreamWriter | None = None
) -> None:
    """Copy until the end. What comes over `acknowledged` is acknowledged at once.

    urllib3 uses Nagle's algorithm for a proxy: a body waits for the acknowledgement of its head, which Linux delays
    by 40 ms.
    """
    try:
        while True:
            if acknowledged:
                acknowledged.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            if not (chunk := await reader.read(65536)):
                break
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        return  # one side has left: the other is closed below
    finally:
        writer.close()
