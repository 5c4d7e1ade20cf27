"""Names of images: what Docker reads, and what a prefix covers."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.image import Image

DIGEST = "sha256:" + "0a" * 32
NAMES = {
    "python": ("docker.io", "library/python", "", ""),
    "python:3.12": ("docker.io", "library/python", "3.12", ""),
    "team/train": ("docker.io", "team/train", "", ""),
    "docker.io/python": ("docker.io", "library/python", "", ""),
    "index.docker.io/python:3": ("docker.io", "library/python", "3", ""),
    "us-docker.pkg.dev/p/r/train:1": ("us-docker.pkg.dev", "p/r/train", "1", ""),
    f"gcr.io/p/x@{DIGEST}": ("gcr.io", "p/x", "", DIGEST),
    f"gcr.io/p/x:1@{DIGEST}": ("gcr.io", "p/x", "1", DIGEST),
    "GCR.io/p/x": ("gcr.io", "p/x", "", ""),
    "localhost/x": ("localhost", "x", "", ""),
    "localhost:5000/x": ("localhost:5000", "x", "", ""),
    "registry:5000/x:1": ("registry:5000", "x", "1", ""),
    "[::1]:5000/x": ("[::1]:5000", "x", "", ""),
    "Foo/bar": ("foo", "bar", "", ""),
    "a__b/c-d--e/f.g:_x": ("docker.io", "a__b/c-d--e/f.g", "_x", ""),
    "x@sha512:" + "0" * 128: ("docker.io", "library/x", "", "sha512:" + "0" * 128),
}
NOT_NAMES = [
    *("", " ", "/", "x/", "/x", "a//b", "a/./b", "a/../b", "a/%2e%2e/b", "a\\b", "x\n", " x", "x ", "x\0", "x y"),
    *("X", "team/X", "a___b", "a.-b", "-a", "a-", ".a", "a..b", "é", "x:", "x:.", "x:-1", "x:1:2", "x:" + "t" * 129),
    *("x@", "x@sha256:00", "x@sha256:" + "A" * 64, "x@md5:" + "0" * 32, "@" + DIGEST, f"x@{DIGEST}@{DIGEST}"),
    *("ubuntu:22.04 as base", "https://gcr.io/p/x", "user:pw@gcr.io/p/x", "gcr.io./p/x", "gcr_.io/p/x", "[::1/x"),
    *("0" * 64, "a/" * 200 + "a", "${image_uri}", "$(id)", "x?y", "x#y", "x;y", "--privileged", "localhost:/x"),
]
DOCKER = shutil.which("docker")


@pytest.mark.parametrize(("name", "parts"), NAMES.items())
def test_a_name_has_parts(name: str, parts: tuple[str, str, str, str]) -> None:
    """Docker Hub is the default registry, and `library` its default folder."""
    assert Image.parse(name) == Image(*parts)


@pytest.mark.parametrize("text", NOT_NAMES)
def test_another_text_is_no_name(text: str) -> None:
    """The error continues a sentence."""
    with pytest.raises(ValueError, match=r"^(is|has) "):
        Image.parse(text)


@pytest.mark.slow
@pytest.mark.skipif(DOCKER is None, reason="needs the docker client")
def test_docker_reads_the_same_names() -> None:
    """Its client reads a name before it asks a daemon, of which there is none."""
    for name in [*NAMES, *NOT_NAMES]:
        if "\0" in name:
            continue  # no argument of a program can have it
        command = [str(DOCKER), "--host", "tcp://127.0.0.1:1", "pull", "--", name]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stderr
        is_name = "Cannot connect" in answer
        assert is_name is (name in NAMES), (name, answer)


@given(st.text(max_size=30) | st.text("aA:/@.-_0%\\ \n", max_size=30))
def test_any_text_is_a_name_or_none(text: str) -> None:
    """A name that is written in full is read as the same name."""
    try:
        image = Image.parse(text)
    except ValueError:
        return
    tag, digest = (f"{mark}{part}" if part else "" for mark, part in ((":", image.tag), ("@", image.digest)))
    assert Image.parse(f"{image.registry}/{image.path}{tag}{digest}") == image


@pytest.mark.parametrize(
    ("prefix", "covered", "others"),
    [
        ("docker.io", ["python", "team/x:1"], ["gcr.io/p/x"]),
        ("docker.io/library", ["python:3", f"python@{DIGEST}"], ["team/x", "library.io/x"]),
        ("docker.io/python", ["python/x"], ["python"]),
        ("gcr.io/p/", ["gcr.io/p/x", "GCR.IO/p/x"], ["gcr.io/pp/x", "gcr.io:443/p/x", "eu.gcr.io/p/x"]),
        ("gcr.io/p/x", ["gcr.io/p/x", "gcr.io/p/x:1", f"gcr.io/p/x@{DIGEST}", "gcr.io/p/x/y"], ["gcr.io/p/xy"]),
        (
            "gcr.io/p/x:1",
            ["gcr.io/p/x:1"],
            ["gcr.io/p/x", "gcr.io/p/x:1.2", f"gcr.io/p/x:1@{DIGEST}", "gcr.io/p/x/y:1"],
        ),
        (f"gcr.io/p/x@{DIGEST}", [f"gcr.io/p/x@{DIGEST}", f"gcr.io/p/x:1@{DIGEST}"], ["gcr.io/p/x", "gcr.io/p/x:1"]),
        ("localhost:5000", ["localhost:5000/x"], ["localhost/x", "localhost:50001/x"]),
    ],
)
def test_a_prefix_covers_whole_parts(prefix: str, covered: list[str], others: list[str]) -> None:
    """A tag can move, so a prefix with a tag covers no digest, and a digest decides alone."""
    assert [name for name in covered if not Image.prefix(prefix).covers(Image.parse(name))] == []
    assert [name for name in others if Image.prefix(prefix).covers(Image.parse(name))] == []


@pytest.mark.parametrize(
    "text", ["", "python", "python:3", "team/x", "registry:5000", "gcr.io//p", "gcr.io/P", "/", "x y.z"]
)
def test_a_prefix_names_its_registry(text: str) -> None:
    """`python` would be Docker Hub's library, or a folder of it."""
    with pytest.raises(ValueError, match=r"^(is|has|names) "):
        Image.prefix(text)
