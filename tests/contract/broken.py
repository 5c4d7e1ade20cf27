"""A server that fails in one way, on raw sockets: what a real client meets when its service does not work."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from deploy.local.serving import listener

DRIPS = 400  # bytes, one every 20 ms: a call without a bound of its own reads them all
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
BRIEF, LONG = 0.3, 20.0  # seconds
SHAPES = ("refused", "unavailable", "no answer", "cut off", "dripping", "nobody there")
Right = bytes | Callable[[bytes], bytes]  # an answer, or how it follows from the request


@dataclass
class Broken:
    """The server: its address, what arrived, and whether anybody read a dripping answer to its end."""

    url: str
    asked: list[bytes] = field(default_factory=list)  # the head of each request, and the first part of its body
    read_to_its_end: bool = False
    right: list[tuple[bytes, Right]] = field(default_factory=list)  # answers, by what their requests contain

    def respond(self, wanted: bytes, right: Right) -> None:
        """Answer requests that contain this text, unless they meet the failure."""
        self.right.insert(0, (wanted, right))

    def count(self, start: bytes) -> int:
        """Count the requests that begin like this."""
        return sum(each.startswith(start) for each in self.asked)


def answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a whole answer."""
    content = json.dumps(body).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} x\r\n{head}\r\n".encode() + content


def _error(status: int, text: str) -> bytes:
    """Return an error that reads as one of Google's and as one of W&B's."""
    return answer(status, {"error": {"code": status, "message": text, "status": text}, "errors": [{"message": text}]})


def bound(shape: str, brief: float = BRIEF) -> float:
    """Return the seconds that a call may take: little where it ends by that only, much on a busy machine elsewhere."""
    return brief if shape in ("no answer", "dripping") else LONG


@contextmanager
def broken(shape: str, wanted: bytes = b"", right: bytes = b"") -> Iterator[Broken]:
    """Serve; only requests that contain `wanted` meet the failure, any other gets the answer `right`."""
    listening, over = listener(), threading.Event()
    found = Broken(f"http://127.0.0.1:{listening.getsockname()[1]}", right=[(b"", right)])
    if shape == "nobody there":
        listening.close()
        yield found
        return

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            while request := _request(client):
                found.asked.append(request)
                if wanted in request:
                    _fail(client, shape, over, found)
                    return
                answered = next(each for text, each in found.right if text in request)
                client.sendall(answered if isinstance(answered, bytes) else answered(request))

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=[listening.accept()[0]], daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _request(client: socket.socket) -> bytes:
    """Read one request, with a body of a known length."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (piece := client.recv(65_536)):
            return b""
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        if not (piece := client.recv(65_536)):
            break
        body += piece
    return head + b"\r\n\r\n" + body


def _fail(client: socket.socket, shape: str, over: threading.Event, found: Broken) -> None:
    if shape == "refused":
        client.sendall(_error(403, "PERMISSION_DENIED"))
    elif shape == "unavailable":
        client.sendall(_error(503, "UNAVAILABLE"))
    elif shape == "no answer":
        over.wait()
    elif shape == "cut off":
        client.sendall(HEAD + b'{"customJobs": [{')
    else:
        client.sendall(HEAD)
        for _ in range(DRIPS):
            if over.wait(0.02):
                return
            client.sendall(b" ")
        found.read_to_its_end = True
