"""Git hosts with names of their own, by https on this machine: for the real git, behind a CONNECT proxy."""

import base64
import json
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.cloud.certificates import make_certificates

WHO = ("-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "init.defaultBranch=main")


def git(folder: Path, *command: str) -> str:
    """Run git, as an author does on a machine of their own."""
    call = ["git", *WHO, "-c", "protocol.file.allow=always", *command]
    done = subprocess.run(call, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass
class GitHosts:
    """Every host of `names` serves the repositories in `folder/HOST`; `requests` has (host, path, login)."""

    folder: Path
    names: tuple[str, ...]
    logins: dict[str, str] = field(default_factory=dict)  # USER:PASSWORD by host
    redirects: dict[tuple[str, str], str] = field(default_factory=dict)  # the new start of an address, by host and path
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # hosts that somebody else asked the proxy for
    env: dict[str, str] = field(default_factory=dict)  # leads git here

    def repository(self, host: str, path: str, source: Path) -> str:
        """Serve what a folder has committed; return the address."""
        bare = self.folder / host / path
        bare.parent.mkdir(parents=True, exist_ok=True)
        git(self.folder, "clone", "--quiet", "--bare", str(source), str(bare))
        git(bare, "update-server-info")
        return f"https://{host}/{path}"

    def received(self, host: str) -> set[str]:
        """Return the logins that a host has received."""
        return {login for name, _, login in self.requests if name == host and login}


def commit(folder: Path, files: Mapping[str, str], links: Mapping[str, str] | None = None) -> str:
    """Commit files and links in a new repository; return the commit."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for name, target in (links or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "code")
    return git(folder, "rev-parse", "HEAD")


@contextmanager
def git_hosts(folder: Path, *names: str) -> Iterator[GitHosts]:
    """Serve these hosts; `env` are the variables of the machine whose git reaches them."""
    folder.mkdir(parents=True, exist_ok=True)
    certificates = make_certificates(folder, [x509.DNSName(name) for name in names])
    hosts = GitHosts(folder, names)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hosts = hosts
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.leaf, certificates.key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    proxy = _Proxy(("127.0.0.1", 0), _Tunnel)
    proxy.hosts, proxy.target = hosts, server.server_address[1]
    threads = [threading.Thread(target=each.serve_forever, args=(0.02,), daemon=True) for each in (server, proxy)]
    for thread in threads:
        thread.start()
    address = f"http://127.0.0.1:{proxy.server_address[1]}"
    hosts.env = {"https_proxy": address, "http_proxy": address, "GIT_SSL_CAINFO": str(certificates.authority)}
    try:
        yield hosts
    finally:
        for each in (server, proxy):
            each.shutdown()
            each.server_close()
        for thread in threads:
            thread.join(10)


class _Server(ThreadingHTTPServer):
    hosts: GitHosts
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a client that leaves."""


class _Handler(SimpleHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        hosts, host = self.server.hosts, self.headers["Host"].partition(":")[0]
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        login = base64.b64decode(encoded).decode() if scheme == "Basic" else ""
        hosts.requests.append((host, self.path, login))
        if hosts.logins.get(host, login) != login:
            self._answer(401, "WWW-Authenticate", 'Basic realm="git"')
            return
        for (name, path), there in hosts.redirects.items():
            if name == host and self.path.startswith(path):
                self._answer(302, "Location", there + self.path.removeprefix(path))
                return
        self.directory = str(hosts.folder / host)
        super().do_GET()

    def _answer(self, code: int, name: str, value: str) -> None:
        self.send_response(code)
        self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


class _Proxy(socketserver.ThreadingTCPServer):
    hosts: GitHosts
    target: int
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a client that leaves."""


class _Tunnel(socketserver.StreamRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        """Connect a client that asks for one of our hosts at port 443."""
        method, address, *_ = self.rfile.readline().decode().split(" ")
        while self.rfile.readline().strip():
            pass
        host, _, port = address.rpartition(":")
        if method != "CONNECT" or host not in self.server.hosts.names or port != "443":
            self.server.hosts.refused.append(address)
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self.server.target)) as upstream:
            back = threading.Thread(target=_copy, args=(upstream, self.connection), daemon=True)
            back.start()
            _copy(self.connection, upstream)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return  # one side has left


def job_of(remote: str, commit: str, **changes: Any) -> bytes:
    """Return the wandb-job.json of a job of a repository, as its author writes it."""
    source = {"git": {"remote": remote, "commit": commit}, "entrypoint": ["python", "train.py"], **changes}
    return json.dumps({"source_type": "repo", "source": source}).encode()
