"""A daemon that keeps what the real docker client sends it: the context of each build, and its Dockerfile."""

import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Daemon:
    """`contexts` has the content of each file, or the target of each link, of each context."""

    url: str = ""
    contexts: list[dict[str, bytes]] = field(default_factory=list)


@contextmanager
def docker_daemon() -> Iterator[Daemon]:
    """Serve the two calls of a `docker build`; each build succeeds."""
    daemon = Daemon()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"OK")

        def do_HEAD(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            archive = io.BytesIO(b"".join(self._chunks()))
            context: dict[str, bytes] = {}
            with tarfile.open(fileobj=archive) as opened, suppress(tarfile.ReadError):  # it may lack an end
                context.update((one.name, _content(opened, one)) for one in opened)
            daemon.contexts.append(context)
            self._answer(b'{"stream": "Successfully built 0123456789ab\\n"}\n')

        def _chunks(self) -> Iterator[bytes]:
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Api-Version", "1.41")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    daemon.url = f"tcp://127.0.0.1:{server.server_address[1]}"
    try:
        yield daemon
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member) if member.isfile() else None
    return file.read() if file else f"-> {member.linkname}".encode()
