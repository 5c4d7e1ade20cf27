"""Serve an ASGI application in a thread of this process, so that its state can be looked at and changed."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn


@contextmanager
def serving(app: Any, port: int = 0, tls: tuple[Path, Path] | None = None) -> Iterator[str]:
    """Serve on loopback, over HTTPS with the PEM files of a certificate and its key; yields the URL."""
    certificate, key = tls or (None, None)
    listening = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="off", ssl_certfile=certificate, ssl_keyfile=key)
    )
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
