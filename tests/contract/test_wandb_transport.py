"""Our connection to W&B over time and across addresses, against raw sockets: each call ends, and no key leaks."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from deploy.local.serving import listener, serving
from shared.adapters.wandb import Graphql
from shared.adapters.wandb.answers import Lost
from shared.adapters.wandb.transport import new_session, origin
from shared.core.budget import Budget
from shared.core.errors import LaunchError, OutcomeUnknown, OutOfTime, Retry
from tests.contract.test_wandb_adapter import answering

KEY = "planted-key-" * 4
ASK = "query GetViewer { viewer { username } }"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def trickling(first: bytes, byte: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Answer with `first`, then with a byte every 20 ms, for ever; yields the address, and the requests."""
    listening, over, asked = listener(), threading.Event(), []

    def answer(client: socket.socket) -> None:
        with client, suppress(OSError):
            asked.append(client.recv(65_536))
            client.sendall(first)
            while not over.wait(0.02):
                client.sendall(byte)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=[listening.accept()[0]], daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
    finally:
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


SLOW = {
    "a body": (HEAD + b"Content-Length: 1000000\r\n\r\n", b" "),
    "a body of unknown length": (HEAD + b"Connection: close\r\n\r\n" + b'{"data": {"viewer": null}}', b" "),
    "a body in chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "headers": (HEAD, b"X: 1\r\n"),
    "one header": (HEAD, b"x"),
    "nothing": (b"", b""),
}


@pytest.mark.parametrize("name", SLOW)
def test_an_answer_that_never_ends_is_given_up(name: str) -> None:
    """A call ends with its budget, however its answer trickles; the limit that pytest sees is far above it.

    A query is lost then, not out of time: one slow project does not count as a failure of all of W&B.
    """
    with trickling(*SLOW[name]) as (url, asked):
        for call, kind in ((Graphql(url, KEY).mutate, OutcomeUnknown), (Graphql(url, KEY).query, Lost)):
            budget = Budget(0.5)
            with pytest.raises(kind):
                call(ASK, {}, budget)
            assert -10 < budget.left < 0.1
    assert len(asked) == 2, "a query is not repeated without time for it"


@pytest.mark.parametrize("name", SLOW)
def test_a_download_that_never_ends_is_given_up(name: str) -> None:
    """The bytes until then are not taken for the file."""
    with trickling(*SLOW[name]) as (url, _), pytest.raises(Retry):
        b"".join(Graphql(url, KEY).chunks("/file", 1_000_000, 0.5))


def test_a_handshake_that_never_ends_is_given_up() -> None:
    """TLS, too, is within the budget."""
    record = b"\x16\x03\x03\x40\x00"
    with trickling(record, b"\x00") as (url, _), pytest.raises(LaunchError):
        Graphql(url.replace("http:", "https:"), KEY).mutate(ASK, {}, Budget(0.5))


def test_nothing_is_sent_when_the_time_is_over() -> None:
    """A frozen invocation that goes on changes nothing in W&B."""
    now = 0.0
    budget = Budget(10, lambda: now)
    now = 3600.0
    with trickling(b"", b"") as (url, asked), pytest.raises(OutOfTime):
        Graphql(url, KEY).mutate(ASK, {}, budget)
    assert not asked


def test_a_connection_is_used_again() -> None:
    """Watching it does not end it: three calls, one connection, and nobody watches any more."""
    peers = set()

    async def graphql(request: Request) -> Response:
        peers.add(request.client)
        return Response('{"data": {"viewer": null}}', media_type="application/json")

    with serving(Starlette(routes=[Route("/graphql", graphql, methods=["POST"])])) as url:
        connection = Graphql(url, KEY)
        for _ in range(3):
            connection.query(ASK, {})
        for timer in (thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)):
            timer.join()  # the last has been called off, or this waits for CALL_SECONDS, and the connection is shut
        connection.query(ASK, {})
    assert len(peers) == 1


def test_a_file_is_read_up_to_its_limit() -> None:
    """A file that is longer than W&B says is not read to its end."""
    with trickling(HEAD + b"Connection: close\r\n\r\n" + b"x" * 200_000, b"x") as (url, _):
        assert b"".join(Graphql(url, KEY).chunks("/file", 100_000)) == b"x" * 100_000


def test_an_answer_beyond_all_bounds_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not fit into the memory of a function."""
    endless = HEAD + b"Connection: close\r\n\r\n" + b" " * 9_000_000
    with trickling(endless, b" ") as (url, _), pytest.raises(OutcomeUnknown, match="more than 1,000,000 bytes"):
        Graphql(url, KEY).mutate(ASK, {})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://api.wandb.ai/graphql", "https://API.wandb.ai:443/x", True),
        ("http://w/", "http://w:80", True),
        ("https://w/", "http://w/", False),
        ("https://w:8080/", "http://w:8080/", False),
        ("https://w/", "https://w:8443/", False),
        ("https://w/", "https://w.evil.test/", False),
        ("https://w/", "https://w@evil.test/", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    """All three, as browsers compare them."""
    assert (origin(one) == origin(other)) is same


@contextmanager
def files(answer: Callable[[Request], Response]) -> Iterator[tuple[str, list[str]]]:
    """Serve `/file`; yields the address, and which login was shown."""
    shown: list[str] = []

    async def file(request: Request) -> Response:
        shown.append(request.headers.get("authorization", ""))
        return answer(request)

    with serving(Starlette(routes=[Route("/file", file)])) as url:
        yield url, shown


def test_a_redirection_elsewhere_is_not_shown_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another port of the same host is another origin; a .netrc with the key changes nothing."""
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login api password {KEY}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    content = files(lambda _: Response(b"content"))
    with content as (other, shown_there), files(lambda _: RedirectResponse(f"{other}/file")) as (own, shown):
        assert Graphql(own, KEY).download("/file", 100) == b"content"
        assert Graphql(own, KEY).download(f"{other}/file", 100) == b"content"
    assert [bool(login) for login in shown] == [True]
    assert shown_there == ["", ""]


def test_a_call_is_not_redirected() -> None:
    """Mutations are sent to W&B only."""
    elsewhere = files(lambda _: Response(b"{}"))
    refused = pytest.raises(OutcomeUnknown, match="answers 307")
    with elsewhere as (other, shown), answering(RedirectResponse(f"{other}/file")) as (wandb, _), refused:
        wandb.ack("i", "r")
    assert not shown


def test_redirections_in_a_circle_end() -> None:
    """Not after thirty, and not never."""
    with files(lambda request: RedirectResponse(str(request.url))) as (url, shown), pytest.raises(Retry):
        Graphql(url, KEY).download("/file", 100)
    assert len(shown) <= 5


def test_both_schemes_have_the_same_pool_and_repetitions() -> None:
    """W&B in the cloud is reached by https, its stand-ins by http."""
    session = new_session(17)
    secure, plain = (session.get_adapter(f"{scheme}://api.wandb.ai") for scheme in ("https", "http"))
    assert secure is plain
    assert (secure._pool_maxsize, secure.max_retries.connect) == (17, 2)  # type: ignore[attr-defined]  # noqa: SLF001
