"""No address that W&B serves, and no redirection, leads W&B's key or Google's token to another origin."""

import json
import os
import pwd
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from shared.adapters.google import rest_session
from shared.adapters.wandb import Graphql
from shared.adapters.wandb.transport import origin
from shared.core.errors import Retry
from shared.runspec.container import fetch_code, output
from shared.runspec.key_secret import reader
from shared.runspec.programs import FETCH
from tests.cloud.certificates import make_certificates
from tests.contract.secret import TOKEN
from tests.contract.test_wandb_ca import LOOPBACK

KEY = "planted-key-" * 4
CONTENT = b"import sys; print('it ran', len(sys.argv))"
SECRET = "planted-argument"
COMMAND = ("python3", "main.py", f"--api_key={SECRET}")


@dataclass
class Served:
    """A server on loopback: its answers by path, and what it was asked, with the login."""

    url: str = ""
    files: dict[str, str] = field(default_factory=dict)  # of each artifact: the address of main.py
    moved: dict[str, str] = field(default_factory=dict)
    code: int = 302
    asked: list[tuple[str, bool]] = field(default_factory=list)  # paths of files, and whether a login came

    @property
    def place(self) -> str:
        """Return host and port."""
        return self.url.partition("://")[2]


@contextmanager
def served(context: ssl.SSLContext | None = None) -> Iterator[Served]:
    """Serve one origin."""
    made = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["variables"]
            name = asked["collection"]
            node = {"name": "main.py", "directUrl": made.files.get(name, "/plain")}
            files = {"edges": [{"node": node}], "pageInfo": {"hasNextPage": False, "endCursor": None}}
            collection = {"artifactMembership": {"files": files}}
            self._answer(200, json.dumps({"data": {"project": {"artifactCollection": collection}}}).encode())

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path != "/plain":
                made.asked.append((path, "Authorization" in self.headers or "Cookie" in self.headers))
            if path in made.moved:
                self._answer(made.code, b"", Location=made.moved[path], **{"Set-Cookie": f"login={KEY}"})
            else:
                self._answer(404 if path.startswith("/none") else 200, CONTENT)

        def _answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    made.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def wandb() -> Iterator[Served]:
    """Serve W&B."""
    with served() as made:
        yield made


@pytest.fixture
def other() -> Iterator[Served]:
    """Serve another origin: a store of files, or an attacker."""
    with served() as made:
        yield made


def _python37() -> str:
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)  # HOME is the tests' own
    found = sorted(home.glob(".pyenv/versions/3.7.*/bin/python"))
    for python in found:
        with suppress(OSError):
            if subprocess.run([python, "-c", ""], check=False).returncode == 0:
                return str(python)
    return ""


OLDEST = _python37()
PYTHONS = [
    pytest.param(sys.executable, id="this Python"),
    pytest.param(
        OLDEST, id="Python 3.7", marks=pytest.mark.skipif(not OLDEST, reason="~/.pyenv/versions has no Python 3.7")
    ),
]


def started(
    python: str, base: str, *command: str, code: dict[str, str] | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run the program that fetches code, as a container does; neither key nor arguments are ever printed."""
    settings = {"job": "team/p/job:v0"} | (code or {"code": "team/p/code:v0"})
    environment = {
        "WANDB_BASE_URL": base,
        "WANDB_API_KEY": KEY,
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
    } | environ
    words = [python, "-c", FETCH, json.dumps(settings), *(command or COMMAND)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    shown = done.stdout + done.stderr
    assert not [secret for secret in (KEY, SECRET, "YXBpOnBsYW50ZWQ") if secret in shown], shown
    assert "Traceback" not in shown
    return done


@dataclass
class Case:
    """A file's address, the redirections of both servers, and who is asked; True: with the key."""

    address: str
    own: list[tuple[str, bool]]
    elsewhere: list[tuple[str, bool]]
    moved: dict[str, str] = field(default_factory=dict)
    moved_elsewhere: dict[str, str] = field(default_factory=dict)


CASES: dict[str, Callable[[str, str], Case]] = {
    "a file of W&B": lambda own, _: Case(f"{own}/a", [("/a", True)], []),
    "a path": lambda _own, _: Case("/a", [("/a", True)], []),
    "capital letters": lambda own, _: Case(own.replace("http", "HTTP") + "/a", [("/a", True)], []),
    "within W&B": lambda own, _: Case(
        "/a", [("/a", True), ("/b", True), ("/c", True)], [], moved={"/a": "/b", "/b": f"{own}/c"}
    ),
    "a file elsewhere": lambda _, other: Case(f"{other}/a", [], [("/a", False)]),
    "to another port": lambda _, other: Case("/a", [("/a", True)], [("/b", False)], moved={"/a": f"{other}/b"}),
    "without a scheme": lambda _, other: Case(
        "/a", [("/a", True)], [("/b", False)], moved={"/a": other.removeprefix("http:") + "/b"}
    ),
    "there and back": lambda own, other: Case(
        "/a",
        [("/a", True), ("/c", False)],
        [("/b", False)],
        moved={"/a": f"{other}/b"},
        moved_elsewhere={"/b": f"{own}/c"},
    ),
    "from elsewhere to W&B": lambda own, other: Case(
        f"{other}/a", [("/b", False)], [("/a", False)], moved_elsewhere={"/a": f"{own}/b"}
    ),
    "another name of the host": lambda own, _: Case(own.replace("127.0.0.1", "localhost") + "/a", [("/a", False)], []),
}


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_each_kind_of_redirection_drops_the_key(wandb: Served, other: Served, code: int) -> None:
    """In submit, and in the container."""
    wandb.code, wandb.files, wandb.moved = code, {"code": "/a"}, {"/a": f"{other.url}/b"}
    assert Graphql(wandb.url, KEY).download("/a", 100) == CONTENT
    assert started(OLDEST or sys.executable, wandb.url).stdout == "it ran 2\n"
    assert (wandb.asked, other.asked) == ([("/a", True)] * 2, [("/b", False)] * 2)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", CASES)
def test_a_container_shows_the_key_to_w_and_b_only(wandb: Served, other: Served, name: str, python: str) -> None:
    """The real program as a process of its own, which then starts the command."""
    case = CASES[name](wandb.url, other.url)
    wandb.moved, other.moved, wandb.files = case.moved, case.moved_elsewhere, {"code": case.address}
    done = started(python, wandb.url)
    assert (done.returncode, done.stdout) == (0, "it ran 2\n"), done.stderr
    assert (wandb.asked, other.asked) == (case.own, case.elsewhere)


@pytest.mark.parametrize("name", CASES)
def test_submit_shows_the_key_to_w_and_b_only(wandb: Served, other: Served, name: str) -> None:
    """The same rule for wandb-job.json and for the files of an image."""
    case = CASES[name](wandb.url, other.url)
    wandb.moved, other.moved = case.moved, case.moved_elsewhere
    assert Graphql(wandb.url, KEY).download(case.address, 100) == CONTENT
    assert (wandb.asked, other.asked) == (case.own, case.elsewhere)


def test_from_https_to_http_drops_the_key(tmp_path: Path, other: Served) -> None:
    """The plain server gets no key, also on the way back."""
    made = make_certificates(tmp_path, [LOOPBACK])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.leaf, made.key)
    with served(context) as wandb:
        wandb.files, wandb.moved = {"code": "/a"}, {"/a": f"{other.url}/b"}
        other.moved = {"/b": f"{wandb.url}/c"}
        assert Graphql(wandb.url, KEY, ca_file=str(made.authority)).download("/a", 100) == CONTENT
        done = started(OLDEST or sys.executable, wandb.url, SSL_CERT_FILE=str(made.authority))
        assert done.stdout == "it ran 2\n", done.stderr
        assert wandb.asked == [("/a", True), ("/c", False)] * 2
    assert other.asked == [("/b", False)] * 2


ODD = {
    "a backslash": "{other}\\@{own}/a",
    "a backslash behind the host": "http://{own}\\.{other_place}/a",
    "a login": "http://{own}@{other_place}/a",
    "a login with a port": "http://{own}:80@{other_place}/a",
    "a fragment": "{other}#@{own}/a",
    "a file": "file:///etc/hostname",
    "ftp": "ftp://{other_place}/a",
    "data": "data:text/plain,import",
    "no host": "http:///a",
    "no address": "http://[/a",
    "a port that is none": "http://127.0.0.1:x/a",
    "a space": "http://{own} .{other_place}/a",
    "a line break": "http://{own}\r\nX: y",
}


@pytest.mark.parametrize("moved", [False, True], ids=["address", "redirection"])
@pytest.mark.parametrize("name", ODD)
def test_an_odd_address_brings_no_key_and_no_local_file(wandb: Served, other: Served, name: str, moved: bool) -> None:
    """Each reader of addresses understands these in its own way."""
    address = ODD[name].format(own=wandb.place, other=other.url, other_place=other.place)
    wandb.moved = {"/a": address.replace("\r\n", "%0d%0a")} if moved else {}
    given_address = "/a" if moved else address
    wandb.files = {"code": given_address}
    with suppress(Retry):
        assert Graphql(wandb.url, KEY).download(given_address, 100) == CONTENT
    done = started(OLDEST or sys.executable, wandb.url)
    assert (done.returncode, done.stdout) in ((0, "it ran 2\n"), (1, ""))
    assert not [path for path, login in other.asked if login]


PIECES = st.sampled_from(
    ["http", "https", "ftp", ":", "//", "/", "\\", "@", "?", "#", "w.test", "W.TEST", "w.test.", "evil.test", ".",
     ":80", ":443", ":0443", "[::1]", "[", "]", "%2e", "%", " ", "\t", "\n", "\u212a", "\uff37", "\u3002", "user", ";"]
)  # fmt: skip


@given(st.lists(PIECES, min_size=1, max_size=9).map("".join) | st.text(max_size=20).map("http://w.test{}".format))
def test_readers_of_an_address_agree_on_its_origin(url: str) -> None:
    """The origin that is compared is the one that is dialled; the container refuses or says the same."""
    try:
        compared = origin(url)
    except (requests.RequestException, HTTPError, ValueError):
        compared = None
    if compared:
        sent = requests.Request("GET", url).prepare()
        pool: Any = HTTPAdapter().get_connection_with_tls_context(sent, verify=True)
        dialled = (pool.scheme, pool.host, pool.port or {"http": 80, "https": 443}[pool.scheme])
        assert compared == (dialled[0], dialled[1] if ":" not in dialled[1] else f"[{dialled[1]}]", dialled[2])
    with suppress(output.Problem):
        in_container = fetch_code.origin(url)
        if compared:
            assert in_container[::2] == compared[::2]
            host = in_container[1]
            assert host == compared[1] or not host.isascii()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://w.test/a", "https://W.Test:443/b", True),
        ("http://w.test", "http://w.test:80/", True),
        ("https://w.test/", "https://w.test./", False),
        ("https://w.test/", "https://w.test:444/", False),
        ("https://w.test:80/", "http://w.test:80/", False),
        ("https://w.test/", "https://w.test.evil.test/", False),
        ("https://w.test/", "https://evilw.test/", False),
        ("https://xn--mnchen-3ya.test/", "https://munchen.test/", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    """For both readers."""
    assert (origin(one) == origin(other)) is same
    assert (fetch_code.origin(one) == fetch_code.origin(other)) is same


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("who", ["metadata server", "Secret Manager"])
def test_the_reader_of_the_key_follows_no_redirection(wandb: Served, other: Served, python: str, who: str) -> None:
    """Google's token stays with Google."""

    class Google(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_token = self.path.endswith("/token")
            if is_token and who != "metadata server":
                body = json.dumps({"access_token": TOKEN}).encode()
                self.send_response(200)
            else:
                body = b""
                self.send_response(302)
                self.send_header("Location", f"{other.url}/stolen")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Google) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        place = f"127.0.0.1:{server.server_port}"
        environ = {"GCE_METADATA_HOST": place, "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"http://{place}"}
        words = [python, *reader("projects/p/secrets/key")[1:], "train", f"--api_key={SECRET}"]
        done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60, check=False)
        server.shutdown()
    assert (done.returncode, other.asked) == (1, [])
    assert "answers 302" in done.stderr
    assert SECRET not in done.stderr
    assert TOKEN not in done.stderr


def test_google_s_token_goes_to_no_other_server(wandb: Served, other: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of ours to Google's REST APIs are not redirected."""

    class Fixed(Credentials):  # type: ignore[misc]
        def refresh(self, request: object) -> None:
            self.token = TOKEN

    monkeypatch.setattr("google.auth.default", lambda **_: (Fixed(), "p"))
    session = rest_session("", "https://www.googleapis.com/auth/logging.read")
    assert isinstance(session, AuthorizedSession)
    wandb.moved = {"/v2": f"{other.url}/stolen"}
    with pytest.raises(requests.TooManyRedirects):
        session.get(f"{wandb.url}/v2")
    assert (wandb.asked, other.asked) == ([("/v2", True)], [])


# --- what the programs print


@pytest.mark.parametrize("python", PYTHONS)
def test_only_the_name_of_the_program_is_printed(wandb: Served, python: str) -> None:
    """An argument can be a key; so can a part of the program's path."""
    done = started(python, wandb.url)
    assert done.stderr.splitlines()[-1] == "vertex-launch: starting python3"
    done = started(python, wandb.url, f"/{SECRET}/train", f"--api_key={SECRET}")
    assert done.returncode == 1
    assert "vertex-launch: starting train" in done.stderr
    assert "cannot be run: No such file or directory" in done.stderr


@pytest.mark.parametrize("python", PYTHONS)
def test_a_repository_s_login_is_not_printed(wandb: Served, other: Served, python: str) -> None:
    """Neither our message nor git's shows it."""
    remote = f"http://user:{SECRET}@{other.place}/none.git"
    done = started(python, wandb.url, code={"remote": remote, "commit": "main"}, GIT_TERMINAL_PROMPT="0")
    assert done.returncode == 1
    assert "git clone ended with exit code 128" in done.stderr or "has no git" in done.stderr
    assert output.hidden(f"fatal: '{remote}' failed") == f"fatal: 'http://[redacted]@{other.place}/none.git' failed"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_login_of_a_package_index_is_not_printed(wandb: Served, other: Served, python: str) -> None:
    """A requirement that cannot be installed is reported without the index's password."""
    code = {"code": "team/p/code:v0", "install": "yes"}
    wandb.files = {"code": f"{other.url}/requirements"}
    index = f"http://user:{SECRET}@{other.place}/simple"
    environ = {"PIP_INDEX_URL": index, "PIP_RETRIES": "0", "PIP_NO_INPUT": "1"}
    script = FETCH.replace('"name"]', '"name"].replace("main.py", "requirements.txt")')
    settings = json.dumps({"job": "team/p/job:v0"} | code)
    environment = {"WANDB_BASE_URL": wandb.url, "WANDB_API_KEY": KEY, "PATH": "/usr/bin:/bin"} | environ
    words = [python, "-c", script, settings, *COMMAND]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "pip install ended with exit code" in done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("python", PYTHONS)
def test_an_answer_of_w_and_b_that_echoes_the_login_shows_no_key(python: str) -> None:
    """An error's text is W&B's; the key in it is ours."""

    class Echo(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"errors": [{"message": f"{self.headers['Authorization']} is {KEY}"}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        done = started(python, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert "W&B does not show the files of team/p/job:v0" in done.stderr
