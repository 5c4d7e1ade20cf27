"""What a job's code needs, installed by the real pip from an index on this machine."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared.runspec.container.requirements import PYTORCH
from shared.runspec.programs import INSTALL, NOTEBOOK


def wheel(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> Path:
    """Make a wheel whose module says its version; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    path = folder / f"{module}-{version}-py3-none-any.whl"
    info = f"{module}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{module}.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@dataclass
class Machine:
    """An index of packages, and a Python that has nothing but pip."""

    folder: Path
    url: str
    python: Path

    def install(self, files: dict[str, str], frozen: str = "", **env: str) -> tuple[int, str, str]:
        """Install as a build does; return the exit code, the log and what was left out."""
        place, report = self.folder / "code", self.folder / "left-out.txt"
        shutil.rmtree(place, ignore_errors=True)
        report.unlink(missing_ok=True)
        place.mkdir()
        for name, content in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(content)
        listed = self.folder / "requirements.frozen.txt"
        listed.write_text(frozen)
        program = INSTALL.replace(PYTORCH, f"{self.url}/whl/")
        words = [str(self.python), "-c", program, str(listed if frozen else place / "none"), str(report)]
        done = subprocess.run(words, cwd=place, env=self.env | env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr, report.read_text() if report.is_file() else ""

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of pip: this index, and no other configuration."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"{self.url}/simple/",
            "PIP_RETRIES": "0",
        }

    def version(self, module: str) -> str:
        """Return the version of an installed module, and remove it; empty if it is not installed."""
        [site] = (self.folder / "venv").glob("lib/*/site-packages")
        if not (site / f"{module}.py").is_file():
            return ""
        (site / f"{module}.py").unlink()
        [info] = site.glob(f"{module}-*.dist-info")
        shutil.rmtree(info)
        return info.name.removeprefix(f"{module}-").removesuffix(".dist-info")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Serve an index; make a Python with this one's pip."""
    folder = tmp_path_factory.mktemp("install")
    simple, torch = folder / "index" / "simple", folder / "index" / "whl" / "cu118"
    wheel(simple / "tiny-part", "tiny-part", "1.0")
    wheel(simple / "tiny-part", "tiny-part", "2.0")
    wheel(simple / "picky", "picky", "1.0", ["tiny-part==2.0"])
    wheel(simple / "helper", "helper", "1.0")
    wheel(simple / "wandb", "wandb", "9.0", ["helper"])
    wheel(simple / "torch", "torch", "2.1.0")
    wheel(torch / "torch", "torch", "2.1.0+cu118", ["helper"])
    wheel(torch / "torchvision", "torchvision", "0.16.0+cu118", ["torch==2.1.0"])
    made = [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")]
    subprocess.run(made, check=True, capture_output=True)
    [site] = (folder / "venv").glob("lib/*/site-packages")
    (folder / "pip-only").mkdir()
    (folder / "pip-only" / "pip").symlink_to(Path(sysconfig.get_path("purelib"), "pip"))
    (site / "pip.pth").write_text(f"{folder / 'pip-only'}\n")
    handler = partial(_Quiet, directory=str(folder / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield Machine(folder, f"http://127.0.0.1:{server.server_port}", folder / "venv" / "bin" / "python3")
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.mark.slow
def test_what_is_available_of_a_frozen_list_is_installed(machine: Machine) -> None:
    """Conflicts do not matter; what cannot be had is named, in the log and in the warning, without its secrets."""
    frozen = """tiny-part==1.0
picky==1.0
-e .
gone==1.0
odd==1=py_0
numpy @ file:///home/conda/feedstock_root/x
lost @ http://me:s3cret@127.0.0.1:1/lost-1.0-py3-none-any.whl?sig=s3cret
torch==2.1.0+cu118
torchvision==0.16.0+cu118
wandb==0.31.1.dev1
"""
    exit_code, log, left_out = machine.install({}, frozen)
    assert exit_code == 0, log
    found = [machine.version(name) for name in ("tiny_part", "picky", "torch", "torchvision", "wandb", "helper")]
    assert found == ["1.0", "1.0", "2.1.0+cu118", "0.16.0+cu118", "9.0", "1.0"]
    for text in (log, left_out):
        assert "-e . (an editable install)" in text
        assert "gone==1.0 (ERROR: " in text
        assert "odd==1=py_0 (ERROR: Invalid requirement" in text
        assert "numpy @ file:///home/conda/feedstock_root/x (a path of another machine)" in text
        assert "lost @ http://[redacted]@127.0.0.1:1/lost-1.0-py3-none-any.whl?[redacted] (" in text
        assert "s3cret" not in text
    assert "vertex-launch: wandb==0.31.1.dev1 is no release: the newest release of wandb replaces it" in log
    assert left_out.startswith("Not installed: ")
    assert "tiny-part" not in left_out


@pytest.mark.slow
def test_the_authors_requirements_are_all_installed_or_none(machine: Machine) -> None:
    """The log and the reason have pip's own last lines; the frozen list is not read."""
    files = {"requirements.txt": "tiny-part==2.0\ntorch==2.1.0+cu118\n"}
    assert machine.install(files, "picky==1.0")[::2] == (0, "")
    found = [machine.version(name) for name in ("tiny_part", "torch", "helper", "picky")]
    assert found == ["2.0", "2.1.0+cu118", "1.0", ""]
    exit_code, log, _ = machine.install({"requirements.txt": "tiny-part==1.0\ngone==1.0\n"}, "picky==1.0")
    assert exit_code == 1
    last = log.splitlines()[-1]
    assert "pip install ended with exit code 1: ERROR: Could not find a version" in last
    assert last.endswith("ERROR: No matching distribution found for gone==1.0")
    assert machine.version("tiny_part") == ""


PROJECT = '[project]\nname = "mine"\nversion = "1"\n'
LISTED, DYNAMIC = f'{PROJECT}dependencies = ["tiny-part"]\n', f'{PROJECT}dynamic = ["dependencies"]\n'
BUILT = '[build-system]\nrequires = []\nbuild-backend = "back"\nbackend-path = ["."]\n'
BACKEND = r"""import zipfile

def build_wheel(folder, *_):
    name = "mine-1-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as made:
        made.writestr("mine.py", "VERSION = '1'")
        made.writestr("mine-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 1\n" + NEEDS)
        made.writestr("mine-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        made.writestr("mine-1.dist-info/RECORD", "")
    return name
"""
NOTHING, TINY = f"NEEDS = ''\n{BACKEND}", f"NEEDS = 'Requires-Dist: tiny-part\\n'\n{BACKEND}"
MODULES = {"a/x.py": "", "b/y.py": ""}
PROJECTS: list[tuple[str, dict[str, str], list[str], str]] = [
    # what it is, with the source of a public one; pyproject.toml; what is installed; what is named
    ("ragflow PR 6370: settings only", {"": "[tool.ruff]\nline-length = 9\n", "setup.py": "1/0"}, ["picky"], ""),
    ("verifiers issue 41: several modules", {"": LISTED} | MODULES, ["tiny_part"], ""),
    ("a package", {"": LISTED + BUILT, "back.py": NOTHING}, ["tiny_part", "mine"], ""),
    ("a package that computes", {"": DYNAMIC + BUILT, "back.py": TINY}, ["tiny_part", "mine"], ""),
    ("a package without any", {"": PROJECT + BUILT, "back.py": NOTHING}, ["picky", "mine"], ""),
    ("a broken package that computes", {"": DYNAMIC + BUILT, "back.py": "1/0"}, ["picky"], "the package of pypro"),
    ("not TOML", {"": "not toml ["}, ["picky"], "pyproject.toml (it is not TOML"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("_what", "files", "installed", "left_out"), PROJECTS, ids=[row[0] for row in PROJECTS])
def test_a_project_names_its_dependencies(
    machine: Machine, _what: str, files: dict[str, str], installed: list[str], left_out: str
) -> None:
    """Only a package is built; a file without dependencies leaves the frozen list."""
    written = {name or "pyproject.toml": text for name, text in files.items()}
    exit_code, log, found = machine.install(written, "picky==1.0")
    assert exit_code == 0, log
    names = ("picky", "tiny_part", "mine")
    assert {name for name in names if machine.version(name)} == set(installed), log
    assert (left_out in found) if left_out else not found, found


@pytest.mark.slow
def test_a_project_whose_dependency_cannot_be_had_ends_the_job(machine: Machine) -> None:
    """Its author wrote it."""
    exit_code, log, _ = machine.install({"pyproject.toml": f'{PROJECT}dependencies = ["gone"]\n'})
    assert (exit_code, "No matching distribution found for gone" in log) == (1, True)


def test_an_empty_list_needs_no_pip(machine: Machine, tmp_path: Path) -> None:
    """The base image may have none."""
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    words = [str(machine.python), "-S", "-c", INSTALL, "none", str(tmp_path / "left")]  # -S: without site-packages
    subprocess.run(words, cwd=tmp_path, env=machine.env, check=True, capture_output=True)


def test_a_list_of_powershell_is_read(machine: Machine) -> None:
    """`pip freeze > requirements.txt` writes UTF-16 there."""
    code = machine.folder / "wide.txt"
    code.write_text("tiny-part==2.0\r\n", encoding="utf-16")
    words = [str(machine.python), "-c", INSTALL, str(code), str(machine.folder / "left")]
    subprocess.run(words, cwd=machine.folder / "index", env=machine.env, check=True, capture_output=True)
    assert machine.version("tiny_part") == "2.0"


NB = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}}


@pytest.mark.parametrize("program", ["nbconvert", "IPython", "nbclient", ""])
def test_a_notebook_runs_by_what_the_image_has(machine: Machine, tmp_path: Path, program: str) -> None:
    """IPython runs a script with magic commands; without nbconvert, nbclient or the words what to install."""
    cell: dict[str, Any] = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None}
    source = "print('it ran')" if program != "IPython" else "get_ipython().system('it ran')"
    (tmp_path / "n b.ipynb").write_text(json.dumps(NB | {"cells": [cell | {"source": source}]}))
    fakes = tmp_path / "site"
    fakes.mkdir()
    if program == "IPython":  # its own options end at the first --
        (fakes / "IPython.py").write_text(
            "import sys\nassert sys.argv[1:] == ['--', 'n b.py', '--x']\nprint('it ran')\n"
        )
    if program in ("nbconvert", "IPython"):  # converts as the real one does, by the same options
        (fakes / "nbconvert.py").write_text(
            "import json, sys\nassert sys.argv[1:5] == ['--to', 'python', '--log-level', 'ERROR']\n"
            "cells = json.load(open(sys.argv[5]))['cells']\n"
            "open(sys.argv[5][:-5] + 'py', 'w').write(cells[0]['source'])\n"
        )
    if program == "nbclient":
        (fakes / "ipykernel.py").write_text("")
        (fakes / "nbformat.py").write_text("def read(name, version):\n    return open(name).read()\n")
        (fakes / "nbclient.py").write_text(
            "class NotebookClient:\n    def __init__(self, book, kernel_name):\n"
            "        assert 'it ran' in book\n    def execute(self):\n        print('it ran')\n"
        )
    words = [str(machine.python), "-c", NOTEBOOK, "n b.ipynb", "--x"]
    env = machine.env | {"PYTHONPATH": str(fakes)}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    if program:
        assert (done.returncode, done.stdout) == (0, "it ran\n"), done.stderr
    else:
        assert done.returncode == 1
        assert "has no nbconvert. Add nbconvert to the code's requirements.txt" in done.stderr
