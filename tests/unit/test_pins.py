"""Every package and image is pinned by its content, and exactly what is pinned is installed."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from packaging.utils import canonicalize_name

from deploy.local import pins
from tests.advisories import audit, main
from tests.deployment.installed import closure, requirements

ROOT = Path(__file__).parent.parent.parent
LAYERS = ("", "-deploy", "-dev")
FILES = tuple(f"{kind}{layer}.txt" for layer in LAYERS for kind in ("requirements", "constraints"))
BLOCK = re.compile(r"^[\w.-]+==[^\n]*\n(?: +--hash[^\n]*\n)*", re.MULTILINE)
NEW, OLD = f"sha256:{'b' * 64}", f"sha256:{'a' * 64}"


def text(*names: str) -> str:
    """Return the text of some files."""
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def pinned(*names: str) -> dict[str, str]:
    """Return the versions that some files pin for this platform, by package."""
    return {
        canonicalize_name(one.name): str(one.specifier)
        for one in requirements(text(*names))
        if one.marker is None or one.marker.evaluate()
    }


def layers(count: int, kind: str = "") -> list[str]:
    """Return the files of the first layers."""
    return [name for name in FILES[: 2 * count] if name.startswith(kind)]


@pytest.mark.parametrize("name", FILES)
def test_every_line_names_one_version(name: str) -> None:
    """Lines of two files agree."""
    for package, specifier in pinned(name).items():
        assert re.fullmatch(r"==[\w.]+", specifier), package
        assert pinned(*FILES)[package] == specifier


@pytest.mark.parametrize("name", [*FILES, *pins.ALONE])
def test_every_line_has_hashes(name: str) -> None:
    """An index that serves another file under a pinned version cannot get it installed."""
    blocks = BLOCK.findall(text(name))
    assert len(blocks) == len([line for line in text(name).splitlines() if "==" in line and line[0] not in "# "])
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block


@pytest.mark.parametrize("count", range(1, len(LAYERS) + 1))
def test_every_dependency_is_pinned(count: int) -> None:
    """All of it, and nothing else: what is installed today is installed next year."""
    assert closure(requirements(text(*layers(count, "requirements")))).keys() == pinned(*layers(count)).keys()


def test_the_pinned_versions_are_installed() -> None:
    """If this fails, run `make setup`: it installs what the files say."""
    wanted = pinned(*FILES)
    assert {package: f"=={version(package)}" for package in wanted} == wanted


def test_a_lock_keeps_the_direct_lines_and_gets_their_hashes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Comments and markers stay; each layer has only what the layers before do not have."""
    found = {
        name: f"{name}=={number} \\\n    --hash=sha256:{letter * 64}\n"
        for name, number, letter in (("a", "1", "1"), ("b-c", "2", "2"), ("d", "3", "3"))
    }
    monkeypatch.setattr(pins, "_resolve", lambda *_: {pins._key(block): block for block in found.values()})  # noqa: SLF001
    monkeypatch.setattr(pins, "LOCKS", {"requirements.txt": "constraints.txt"})
    monkeypatch.setattr(pins, "ALONE", ("requirements-fuzz.txt",))
    (tmp_path / "requirements.txt").write_text(
        "# direct\n-r constraints.txt\nB_c==2 \\\n    --hash=sha256:0\n# more\na==1\n"
    )
    (tmp_path / "constraints.txt").write_text("# brought\nold==1\n")
    (tmp_path / "requirements-fuzz.txt").write_text('d==3; python_version < "4"\n')
    first, second, third = (f"    --hash=sha256:{letter * 64}\n" for letter in "123")
    assert pins.packages(tmp_path, keep=False) == {
        "requirements.txt": f"# direct\n-r constraints.txt\nB_c==2 \\\n{second}# more\na==1 \\\n{first}",
        "constraints.txt": f"# brought\nd==3 \\\n{third}",
        "requirements-fuzz.txt": f'd==3; python_version < "4" \\\n{third}',
    }


# --- images

IMAGE = re.compile(r"""(gcr\.io/[\w./:-]+|python:[\d.]+)(?:"\s+")?(@sha256:[0-9a-f]{64})?""")


def test_every_image_of_a_build_is_pinned_by_a_digest() -> None:
    """One digest for each name and tag, wherever it is written; `make pins` renews them all."""
    found = IMAGE.findall(text(*pins.WITH_IMAGES))
    assert {image.partition(":")[0] for image, _ in found} == {
        "python",
        "gcr.io/google.com/cloudsdktool/google-cloud-cli",
        "gcr.io/cloud-builders/git",
        "gcr.io/cloud-builders/docker",
    }
    assert all(digest for _, digest in found), found
    assert len(set(found)) == len({image for image, _ in found})


class Registry(BaseHTTPRequestHandler):
    """A registry of the distribution specification, which asks for a token."""

    digests: ClassVar[dict[str, str]] = {}

    def do_HEAD(self) -> None:
        """Answer with the digest of a manifest to a caller with the token."""
        if self.headers.get("Authorization") != "Bearer t0ken":
            self.send_response(401)
            realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="here",scope="repository:x:pull"'
            self.send_header("WWW-Authenticate", realm)
        elif (digest := self.digests.get(self.path)) is None or "image.index" not in self.headers["Accept"]:
            self.send_response(404)
        else:
            self.send_response(200)
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()

    def do_GET(self) -> None:
        """Give the token for the service and scope that were asked for."""
        ok = self.path == "/token?service=here&scope=repository%3Ax%3Apull"
        self.send_response(200 if ok else 403)
        self.end_headers()
        self.wfile.write(json.dumps({"token": "t0ken"}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def registry(**digests: str) -> Iterator[str]:
    """Serve a registry with these tags of one image; yield the image's name."""
    Registry.digests = {f"/v2/team/tool/manifests/{tag}": digest for tag, digest in digests.items()}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}/team/tool"
    finally:
        server.shutdown()
        server.server_close()


def test_digests_are_renewed_from_the_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each reference keeps its name and tag, and gets today's digest of that tag; no tag means latest."""
    monkeypatch.setattr(pins, "WITH_IMAGES", ("build.yaml",))
    with registry(v1=NEW, latest=OLD) as image:
        text = 'name: {0}:v1@{1}\nname = (\n    "{0}"\n    "@{2}"\n)\n'
        (tmp_path / "build.yaml").write_text(text.format(image, OLD, NEW))
        assert pins.images(tmp_path) == {"build.yaml": text.format(image, NEW, OLD)}


@pytest.mark.parametrize(("tag", "problem"), [("gone", "404"), ("odd", "which is no digest")])
def test_a_registry_without_an_answer_changes_nothing(tag: str, problem: str) -> None:
    """The message names the image; no digest is guessed."""
    with registry(odd="md5:1") as image, pytest.raises(pins.PinsError, match=problem) as raised:
        pins.digest(f"{image}:{tag}")
    assert f"{image}:{tag}" in raised.value.message


@pytest.mark.parametrize(
    ("image", "where"),
    [
        ("python:3.12", ("registry-1.docker.io", "library/python", "3.12")),
        ("team/tool", ("registry-1.docker.io", "team/tool", "latest")),
        ("gcr.io/cloud-builders/git", ("gcr.io", "cloud-builders/git", "latest")),
        ("localhost:5000/a/b:1", ("localhost:5000", "a/b", "1")),
    ],
)
def test_an_image_is_looked_up_where_docker_looks(image: str, where: tuple[str, str, str]) -> None:
    """A name without a registry is Docker Hub's."""
    assert pins._parts(image) == where  # noqa: SLF001


# --- advisories


def test_a_known_vulnerability_fails_the_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named with the version that fixes it; what could not be asked is skipped, and counted."""
    flaw = {"id": "PYSEC-1", "fix_versions": ["2"]}
    report: list[dict[str, Any]] = [
        {"name": "a", "version": "1", "vulns": [flaw]},
        {"name": "b", "skip_reason": "not found"},
    ]
    assert audit(report) == (["a 1: PYSEC-1, fixed in 2"], ["b"])
    program = tmp_path / "audit"
    for printed, code in (({"dependencies": report}, 1), ({"dependencies": report[1:]}, 0)):
        program.write_text(f"#!/bin/sh\necho '{json.dumps(printed)}'\n")
        program.chmod(0o755)
        assert main([str(program)]) == code
        assert "skipped 1 of" in capsys.readouterr().out


@pytest.mark.parametrize(("error", "code"), [("requests.exceptions.ConnectionError: no way", 0), ("KeyError: x", 1)])
def test_without_a_network_advisories_are_skipped_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: str, code: int
) -> None:
    """Another failure of the tool fails."""
    program = tmp_path / "audit"
    program.write_text(f"#!/bin/sh\necho '{error}' >&2\nexit 1\n")
    program.chmod(0o755)
    assert main([str(program)]) == code
    assert ("skipped, because" in capsys.readouterr().out) == (code == 0)
