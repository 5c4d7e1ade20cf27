"""Hosts that look like W&B's: a server that answers under many names sees who is sent the key."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from shared.adapters.wandb import Graphql
from shared.core.errors import LaunchError
from shared.runspec.container import fetch_code, output

KEY = "planted-key-" * 4
OWN = "api.wandb.test"
CONTENT = b"content"
Seen = list[tuple[str, bool]]  # the Host of each request in lower case, and whether it had a login


class World:
    """Servers on loopback, over IPv4 and IPv6, at one port; every name ends there."""

    def __init__(self) -> None:
        self.seen: Seen = []
        self.moved = ""  # the target of a redirection from /moved
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                world.seen.append((self.headers["Host"].lower(), "Authorization" in self.headers))
                away = self.path.startswith("/moved")
                self.send_response(307 if away else 200)
                if away:
                    self.send_header("Location", world.moved)
                self.send_header("Content-Length", str(0 if away else len(CONTENT)))
                self.end_headers()
                self.wfile.write(b"" if away else CONTENT)

            def log_message(self, *_: Any) -> None:
                pass

        class Ipv6(ThreadingHTTPServer):
            address_family = socket.AF_INET6

        first = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = first.server_port
        self.servers: list[ThreadingHTTPServer] = [first, Ipv6(("::1", self.port), Handler)]


@pytest.fixture(scope="module")
def serving() -> Iterator[World]:
    """Serve for all tests."""
    world = World()
    threads = [threading.Thread(target=each.serve_forever, args=[0.01]) for each in world.servers]
    for thread in threads:
        thread.start()
    yield world
    for each, thread in zip(world.servers, threads, strict=True):
        each.shutdown()
        thread.join()
        each.server_close()


@pytest.fixture
def world(serving: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Let every name ending in .test be on this machine."""
    real = socket.getaddrinfo

    def resolve(host: Any, *others: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        return real("127.0.0.1" if name.rstrip(".").lower().endswith(".test") else host, *others, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    serving.seen.clear()
    serving.moved = ""
    return serving


def submit(base: str, address: str) -> bytes:
    """Fetch a file as submit does."""
    return Graphql(base, KEY).download(address, 100, 10)


def container(base: str, address: str) -> bytes:
    """Fetch a file as the program in a container does."""
    return fetch_code.fetched(address)


READERS: dict[str, Callable[[str, str], bytes]] = {"submit": submit, "container": container}
ADDRESSES = {  # whether the key is sent; of `{port}`, the server's
    "http://api.wandb.test:{port}/f": True,
    "http://API.WANDB.Test:{port}/f": True,
    "HTTP://api.wandb.test:{port}/f": True,
    "/f": True,
    "f": True,
    "http://evil-api.wandb.test:{port}/f": False,
    "http://evilapi.wandb.test:{port}/f": False,
    "http://api.wandb.test.evil.test:{port}/f": False,
    "http://wandb.test:{port}/f": False,
    "http://x.api.wandb.test:{port}/f": False,
    "http://api.wandb.test.:{port}/f": False,
    "http://api.wandb.test@evil.test:{port}/f": False,
    "http://api.wandb.test:{port}@evil.test:{port}/f": False,
    "http://api.wandb.test%2eevil.test:{port}/f": False,
    "http://evil.test:{port}/http://api.wandb.test/": False,
    "http://evil.test:{port}/?api.wandb.test": False,
    "http://evil.test:{port}/#@api.wandb.test": False,
    "//evil.test:{port}/f": False,
    "http://[::1]:{port}/f": False,
    "http://127.0.0.1:{port}/f": False,
}


@contextmanager
def base_of(world: World, monkeypatch: pytest.MonkeyPatch, host: str = OWN) -> Iterator[str]:
    """Let W&B be at this host."""
    base = f"http://{host}:{world.port}"
    monkeypatch.setenv("WANDB_BASE_URL", base)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(fetch_code, "ATTEMPTS", 1)
    yield base


@pytest.mark.parametrize("moved", [False, True], ids=["address", "redirection"])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_only_w_and_bs_own_host_is_sent_the_key(
    world: World, monkeypatch: pytest.MonkeyPatch, reader: str, address: str, moved: bool
) -> None:
    """Whatever another host is called; an address that a reader refuses is sent nothing."""
    own, target = ADDRESSES[address], address.format(port=world.port)
    with base_of(world, monkeypatch) as base, suppress(LaunchError, output.Problem):
        world.moved = target
        assert READERS[reader](base, "/moved" if moved else target) == CONTENT
    with_key = {host for host, login in world.seen if login}
    assert with_key <= {f"{OWN}:{world.port}"}
    if moved:
        assert world.seen.pop(0) == (f"{OWN}:{world.port}", True)
    if own:
        assert world.seen == [(f"{OWN}:{world.port}", True)]
    else:
        assert not any(login for _, login in world.seen)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("host", "address", "own"),
    [
        ("[::1]", "http://[::1]:{port}/f", True),
        ("[::1]", "http://127.0.0.1:{port}/f", False),
        ("[::1]", "http://api.wandb.test:{port}/f", False),
        ("api.wandb.test.", "http://api.wandb.test:{port}/f", False),
        ("API.WANDB.TEST", "http://api.wandb.test:{port}/f", True),
    ],
)
def test_the_operators_address_has_the_same_readers(
    world: World, monkeypatch: pytest.MonkeyPatch, reader: str, host: str, address: str, own: bool
) -> None:
    """An address in capital letters, over IPv6 or with a dot at its end."""
    with base_of(world, monkeypatch, host) as base, suppress(LaunchError, output.Problem):
        READERS[reader](base, address.format(port=world.port))
    assert [login for _, login in world.seen] in ([own], [] if not own else [own])
