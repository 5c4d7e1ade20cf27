"""deploy/local/setup.sh: it makes the virtual environment, or says in one line why it cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).parent.parent.parent / "deploy" / "local" / "setup.sh"
PINS = tuple(f"{kind}{part}.txt" for part in ("", "-deploy", "-dev") for kind in ("requirements", "constraints"))
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[tool.ruff]
"""
BACKEND = """
import pathlib, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    info = "command-1.dist-info/"
    with zipfile.ZipFile(pathlib.Path(folder, "command-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("command.pth", str(pathlib.Path.cwd()))
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: command\\nVersion: 1\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "entry_points.txt", "[console_scripts]\\nthe-command = where:show\\n")
        wheel.writestr(info + "RECORD", "")
    return "command-1-py3-none-any.whl"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout whose pins name nothing, in a folder with a space in its name.

    It has a build backend of its own, so that no test needs a package index.
    """
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in PINS:
        (folder / name).touch()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "where.py").write_text("def show(): print(__file__)\n")
    return folder


def setup(
    folder: Path, python: str = sys.executable, venv: str = ".venv", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run it."""
    command = ["sh", str(SETUP), python, venv]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )


def fake_python(path: Path, version: str = "3.9.18", code: int = 1) -> str:
    """Make a Python that is too old, as far as one asks it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    script = f"#!/bin/sh\ncase $2 in '') ;; *exit*) exit {code} ;; *) echo {version} ;; esac\n"
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def refused(folder: Path, python: str = sys.executable) -> str:
    """Run it, and return the one line that it says."""
    done = setup(folder, python)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.slow
def test_it_is_made_once_whatever_the_shell_says(checkout: Path) -> None:
    """PYTHONHOME, PYTHONWARNINGS and pip's own variables do not reach it; a second run finds nothing to do.

    A changed pin, or a change of the project, installs again; a setting of ruff does not.
    """
    shell = {"PYTHONHOME": "/proc/none", "PYTHONWARNINGS": "error", "PIP_USER": "1", "PIP_TARGET": "/proc/none"}
    first = setup(checkout, **shell)
    assert (first.returncode, first.stderr) == (0, "")
    assert "Setting up .venv" in first.stdout
    second = setup(checkout, "no-python")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    (checkout / "pyproject.toml").write_text(PROJECT + "line-length = 80\n")
    assert setup(checkout).stdout == ""
    for file, text in (("constraints.txt", "# changed\n"), ("pyproject.toml", "# another\n" + PROJECT)):
        (checkout / file).write_text(text)
        assert "Setting up" in setup(checkout).stdout
        assert text.splitlines()[0] in (checkout / ".venv" / ".ready").read_text()


@pytest.mark.slow
def test_the_command_is_the_checkouts_own(checkout: Path, tmp_path: Path) -> None:
    """An environment that two checkouts share, or that was copied, never runs the code of another folder."""
    venv = tmp_path / "venv"
    other = tmp_path / "other"
    shutil.copytree(checkout, other)
    for folder in (checkout, other):
        assert "Setting up" in setup(folder, venv=str(venv)).stdout
        shown = subprocess.run([venv / "bin" / "the-command"], cwd="/", capture_output=True, text=True, check=True)
        assert Path(shown.stdout.strip()) == (folder / "where.py").resolve()
    shutil.copytree(venv, checkout / ".venv", symlinks=True)
    assert refused(checkout).startswith(".venv was moved or copied")


def test_a_broken_one(checkout: Path) -> None:
    """Its Python is gone, as after an upgrade of the system."""
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to("/proc/none/python3.11")
    assert refused(checkout) == ".venv is broken: its Python does not start. Remove it (make clean) and try again."


def test_one_of_an_old_python(checkout: Path) -> None:
    """It is not ours to delete."""
    fake_python(checkout / ".venv" / "bin" / "python")
    assert refused(checkout) == ".venv has Python 3.9.18; 3.11 or newer is needed. Remove it: make clean"


def test_a_link(checkout: Path, tmp_path: Path) -> None:
    """Nothing is installed into somebody else's environment; a link to nothing says so."""
    (checkout / ".venv").symlink_to(tmp_path / "other")
    assert refused(checkout).startswith(".venv is a link to a folder that does not exist.")
    fake_python(tmp_path / "other" / "bin" / "python", code=0)
    assert refused(checkout).startswith(".venv is a link to an environment without the pinned packages.")


def test_an_old_python(checkout: Path, tmp_path: Path) -> None:
    """Or none."""
    assert "3.11 or newer is needed" in refused(checkout, fake_python(tmp_path / "python3"))
    assert refused(checkout, "no-such-python").startswith("There is no no-such-python here.")
    assert not (checkout / ".venv").exists()


def test_a_checkout_that_cannot_be_written(checkout: Path) -> None:
    """It names the way out."""
    (checkout / "file").touch()
    command = ["sh", str(SETUP), sys.executable, "file/venv"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.stderr == "file/venv cannot be written. Name another folder: make VENV=/tmp/venv …\n"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_passes_the_folder_and_runs_nothing_side_by_side() -> None:
    """With -j as without; the folder may have spaces."""
    command = ["make", "--no-print-directory", "-n", "-j8", "demo", "test", "VENV=/tmp/a b"]
    done = subprocess.run(command, cwd=SETUP.parent.parent.parent, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line]
    assert lines == [
        'sh deploy/local/setup.sh "python3" "/tmp/a b"',
        'exec "/tmp/a b/bin/python" -E -X utf8 -m deploy demo ',
        'exec "/tmp/a b/bin/python" -E -X utf8 -m pytest -n 6 --dist loadfile --no-loadscope-reorder -m "not long" ',
    ]
