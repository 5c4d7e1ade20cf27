"""Serve an ASGI application in a thread of this process, whose code can change its state."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

# Google's load balancers close an idle connection after 600 s; uvicorn after 5, at which a client
# that calls every 5 s finds it closed while it sends
KEEP_ALIVE_SECONDS = 600


def listener(port: int = 0) -> socket.socket:
    """Listen on loopback, for asyncio.

    asyncio turns Nagle's algorithm off only for a socket with IPPROTO_TCP; with Nagle, each answer
    in two parts takes 40 ms longer.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(128)
    return listening


@contextmanager
def serving(app: Any, port: int = 0, tls: tuple[Path, Path] | None = None) -> Iterator[str]:
    """Serve on loopback and yield the URL; `tls` has the PEM files of a certificate and its key."""
    certificate, key = tls or (None, None)
    listening = listener(port)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="error",
            lifespan="off",
            ssl_certfile=certificate,
            ssl_keyfile=key,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
    )
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
