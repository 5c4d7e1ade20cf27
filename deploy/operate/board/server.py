"""Serve the board on loopback."""

import socket
from collections.abc import Callable

import uvicorn

from deploy.operate.board.app import create_app
from deploy.operate.fleet.target import Target

PORT = 7020
GRACE = 2  # seconds for answers that are under way when the board ends


def serve(target: Target, port: int = PORT, ready: Callable[[str], object] = print) -> None:
    """Serve the board until Ctrl-C; `ready` gets its URL once it listens.

    Raises:
        OSError: the port is taken.
    """
    with listener(port) as listening:
        ready(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        config = uvicorn.Config(
            create_app(target),
            log_level="warning",
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        uvicorn.Server(config).run(sockets=[listening])


def listener(port: int) -> socket.socket:
    """Listen on 127.0.0.1; IPPROTO_TCP lets asyncio turn Nagle's algorithm off."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening
