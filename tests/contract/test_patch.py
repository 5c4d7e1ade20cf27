"""A job's uncommitted changes: `git diff` writes them; the container's program and a build's step apply them."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.adapters.build.images import FETCH
from shared.runspec.container.output import Problem
from shared.runspec.container.patch import apply_patch

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

ENV = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "protocol.file.allow",
    "GIT_CONFIG_VALUE_0": "always",
    **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
BINARY, OTHER = bytes(range(256)), bytes(range(255, -1, -1))
ODD = "b é [1]*.bin"
_, IN_BUILD = FETCH.split("# The rest does")  # the part after the clone


def git(folder: Path, *words: str) -> bytes:
    """Run git; return its output."""
    return subprocess.run(["git", *words], cwd=folder, env=ENV, check=True, stdout=subprocess.PIPE).stdout


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with texts, binary files, a script and a submodule."""
    folder = tmp_path_factory.mktemp("origin")
    for name in ("lib", "code"):
        (folder / name).mkdir()
        git(folder / name, "init", "-q")
    (folder / "lib" / "l.txt").write_text("l\n")
    git(folder / "lib", "add", ".")
    git(folder / "lib", "commit", "-qm", "lib")
    code = folder / "code"
    (code / "src").mkdir()
    (code / "src" / "a.py").write_bytes(b"one\ntwo\n")
    (code / "crlf.txt").write_bytes(b"x\r\ny\r\n")
    (code / "run.sh").write_text("#!/bin/sh\n")
    (code / "old.txt").write_text("old\n")
    for name in (ODD, "gone.bin"):
        (code / name).write_bytes(BINARY)
    git(code, "submodule", "--quiet", "add", str(folder / "lib"), "lib")
    git(code, "add", ".")
    git(code, "commit", "-qm", "code")
    return code


@pytest.fixture(params=["in the container", "in a build"])
def applied(request: pytest.FixtureRequest, origin: Path, tmp_path: Path) -> Callable[[bytes], str]:
    """Return a function that applies a patch to a clone in `workspace/code`, and returns its warning."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    git(workspace, "clone", "-q", "--recurse-submodules", str(origin), "code")
    code, patch = workspace / "code", workspace / "diff.patch"

    def apply(content: bytes) -> str:
        patch.write_bytes(content)
        if request.param == "in the container":
            return apply_patch(patch, code)
        env = ENV | {"BUILDER_OUTPUT": str(tmp_path)}
        script = f"set -euo pipefail\n#{IN_BUILD}"
        done = subprocess.run(["bash", "-c", script], cwd=code, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Problem(done.stderr)
        output = tmp_path / "output"
        return output.read_text().strip() if output.is_file() else ""

    return apply


def changed(origin: Path, folder: Path, *options: str, binaries: bool = True) -> bytes:
    """Return `git diff` of a working copy that was changed in every way."""
    code = folder / "mine"
    git(folder, "clone", "-q", "--recurse-submodules", str(origin), "mine")
    (code / "src" / "a.py").write_bytes(b"one\nTWO\n")
    (code / "crlf.txt").write_bytes(b"x\r\nY\r\n")
    (code / "src" / "new.py").write_text("new\n")
    (code / "run.sh").chmod(0o755)
    (code / "lib" / "l.txt").write_text("l\nmore\n")
    git(code, "mv", "old.txt", "renamed.txt")
    git(code, "add", "src/new.py")
    if binaries:
        (code / ODD).write_bytes(OTHER)
        (code / "gone.bin").unlink()
    return git(code, *[word for option in options if "." in option for word in ("-c", option)], "diff",
               *[option for option in options if option.startswith("--")], "HEAD")  # fmt: skip


def check_texts(code: Path) -> None:
    """Each text has its change."""
    assert (code / "src" / "a.py").read_bytes() == b"one\nTWO\n"
    assert (code / "crlf.txt").read_bytes() == b"x\r\nY\r\n"
    assert (code / "src" / "new.py").read_text() == "new\n"
    assert (code / "run.sh").stat().st_mode & 0o100
    assert ((code / "renamed.txt").read_text(), (code / "old.txt").exists()) == ("old\n", False)


@pytest.mark.parametrize(
    "options",
    [
        ("--submodule=diff",),
        (),
        ("diff.mnemonicPrefix=true",),
        ("diff.noprefix=true",),
        ("core.quotePath=false",),
        ("color.diff=always",),
    ],
    ids=["as wandb writes it", "plain", "mnemonic prefixes", "no prefixes", "unquoted names", "colors"],
)
def test_the_texts_change_and_the_binary_files_are_named(
    applied: Callable[[bytes], str], origin: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """The diff has no content of a binary file (wandb PR 6466)."""
    warning = applied(changed(origin, tmp_path, *options))
    code = tmp_path / "workspace" / "code"
    check_texts(code)
    assert [(code / name).read_bytes() for name in (ODD, "gone.bin")] == [BINARY, BINARY]
    assert warning == f"Unchanged, because diff.patch has no binary content: {ODD}, gone.bin."
    assert (code / "lib" / "l.txt").read_text() == ("l\nmore\n" if "--submodule=diff" in options else "l\n")


def test_binary_content_is_applied(applied: Callable[[bytes], str], origin: Path, tmp_path: Path) -> None:
    """Where the diff has it."""
    assert applied(changed(origin, tmp_path, "--binary")) == ""
    code = tmp_path / "workspace" / "code"
    check_texts(code)
    assert ((code / ODD).read_bytes(), (code / "gone.bin").exists()) == (OTHER, False)


def test_a_patch_whose_writer_ended_lines_as_windows_does(
    applied: Callable[[bytes], str], origin: Path, tmp_path: Path
) -> None:
    """It changes the same files, as `patch` of GNU does it."""
    written = changed(origin, tmp_path, binaries=False).replace(b"\n", b"\r\n")
    assert applied(written) == ""
    check_texts(tmp_path / "workspace" / "code")


@pytest.mark.parametrize("content", ["another program's changes\n".encode("utf-16"), b"src/a.py --- Python\n1 one\n"])
def test_a_patch_of_another_program_is_named(applied: Callable[[bytes], str], content: bytes) -> None:
    """Git's setting diff.external lets difftastic write it; PowerShell writes UTF-16."""
    assert applied(content) == "diff.patch is no output of git diff: the code runs without its changes."


def test_many_binary_files_do_not_fill_the_warning(
    applied: Callable[[bytes], str], origin: Path, tmp_path: Path
) -> None:
    """W&B takes a short one, which can have other parts; the log names all."""
    git(tmp_path, "clone", "-q", str(origin), "mine")
    for number in range(15):
        (tmp_path / "mine" / f"{number:02}.bin").write_bytes(BINARY)
    git(tmp_path / "mine", "add", "*.bin")
    assert applied(git(tmp_path / "mine", "diff", "HEAD")).endswith("10.bin, 11.bin, and 3 more.")


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"Submodule lib contains untracked content\n", b"Submodule lib 12..34:\n  > one\n  < two\n"],
)
def test_a_patch_without_changes_is_none(applied: Callable[[bytes], str], content: bytes) -> None:
    """The words of `--submodule=diff` alone change no file."""
    assert applied(content) == ""


@pytest.mark.parametrize("prefix", ["a/", ""])
def test_a_patch_that_does_not_fit_ends_the_job(applied: Callable[[bytes], str], prefix: str) -> None:
    """The code would be other code than that which ran."""
    path = f"{prefix}src/a.py"
    patch = f"diff --git {path} {path}\n--- {path}\n+++ {path}\n@@ -1 +1 @@\n-not this\n+that\n"
    with pytest.raises(Problem, match=r"patch does not apply|No such file"):
        applied(patch.encode())
