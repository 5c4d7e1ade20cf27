"""Trees of any files and links: the check's program against Python's own real paths, and docker's real client.

For a longer run: `HYPOTHESIS_TREES=2000 python -m pytest tests/security/test_build_trees.py`.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from shared.adapters.build.images import CHECK
from tests.security.docker_daemon import Daemon, docker_daemon

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")

OUTSIDE = "what lies outside"
NAMES = ("a", "b", "D", ".dockerignore", "D.dockerignore", "-f", "odd\nname", "odd name", "$HOME")
TARGETS = (
    ".",
    "..",
    "a",
    "b",
    "D",
    "../a",
    "../..",
    "/",
    "/nowhere",
    "../../home",
    "../../home/login",
    "odd\nname",
    "-f",
)
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(tuple)
LINKS = st.dictionaries(PATHS, st.one_of(st.none(), st.sampled_from(TARGETS)), max_size=3)  # None: a file
ENTRIES = LINKS.map(lambda links: links | {("D",): links.get(("D",)), ("a", "D"): None, ("c", "x"): None})
CONTEXTS = st.sampled_from(((), ("a",), ("c",))) | PATHS
DOCKERFILES = st.just(("D",)) | PATHS


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """Serve a daemon for the real docker client."""
    with docker_daemon() as made:
        yield made


def grown(root: Path, entries: dict[tuple[str, ...], str | None]) -> None:
    """Make a workspace with this code, and a home beside it."""
    (root / "home").mkdir()
    (root / "home" / "login").write_text(OUTSIDE)
    code = root / "workspace" / "code"
    code.mkdir(parents=True)
    (root / "workspace" / "beside").write_text(OUTSIDE)
    for path, target in entries.items():
        place = code.joinpath(*path)
        folders = [code.joinpath(*path[:depth]) for depth in range(1, len(path))]
        if any(os.path.lexists(each) and (each.is_symlink() or not each.is_dir()) for each in folders):
            continue
        if os.path.lexists(place):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if target is None:
            place.write_text("FROM scratch\n")
        else:
            place.symlink_to(target)


def stays(path: Path, code: Path) -> bool:
    """Tell whether a path's real path is in the code; Python resolves a loop as far as it goes."""
    real = Path(os.path.realpath(path))
    return real == code or code in real.parents


@settings(
    max_examples=int(os.environ.get("HYPOTHESIS_TREES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(entries=ENTRIES, context=CONTEXTS, dockerfile=DOCKERFILES)
def test_the_check_is_right_about_any_tree(
    daemon: Daemon, entries: dict[tuple[str, ...], str | None], context: tuple[str, ...], dockerfile: tuple[str, ...]
) -> None:
    """It accepts exactly the trees that stay in the code, and docker then sends nothing from outside."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        grown(root, entries)
        code = root / "workspace" / "code"
        where = code.joinpath(*context)
        file = where.joinpath(*dockerfile)
        checked = [str(each.relative_to(code.parent)) for each in (where, file)]
        call = ["bash", "-c", CHECK, "bash", *checked]
        done = subprocess.run(call, cwd=code.parent, capture_output=True, text=True, check=False, timeout=60)
        inside = [Path(at, name) for at, folders, files in os.walk(f"{where}/") for name in (*folders, *files)]
        paths = [where, file, Path(f"{file}.dockerignore"), *(each for each in inside if each.is_symlink())]
        event("accepted" if done.returncode == 0 else done.stderr.rpartition(" ")[2].strip())
        wanted = all(stays(each, code) for each in paths) and where.is_dir() and file.is_file()
        assert (done.returncode == 0) == wanted, done.stderr
        if done.returncode:
            assert "The code of this job cannot be built: " in done.stderr
        elif shutil.which("docker"):
            build = ["docker", "build", "--tag", "x", "--file", *checked[::-1]]
            env = {"PATH": os.environ["PATH"], "HOME": str(root / "home"), "DOCKER_HOST": daemon.url}
            env["DOCKER_BUILDKIT"] = "0"
            subprocess.run(build, cwd=code.parent, env=env, check=False, capture_output=True, timeout=60)
        sent = b"".join(content for each in daemon.contexts for content in each.values())
        assert OUTSIDE.encode() not in sent
        daemon.contexts.clear()
