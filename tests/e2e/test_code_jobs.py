"""Jobs of code of each shape, on the embedded stack: without a builder, and with images that are built."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.stack import BUILDING, ENTITY, QUEUE
from tests.contract.test_install import wheel
from tests.e2e.test_build import IMAGES, wandb_says
from tests.e2e.test_crashes import ledger, stack
from tests.waiting import eventually

LOG = "import wandb\nwith wandb.init() as run:\n    run.log({'loss': 1})\n"
PARTS = "import tiny_part, picky\nassert (tiny_part.VERSION, picky.VERSION) == ('1.0', '1.0')\n"
BESIDE = """FROM local/python:3
WORKDIR /app
COPY --link train.py .
RUN --mount=type=cache,target=/c echo made > made.txt
"""
PROJECT = '[project]\nname = "p"\ndependencies = ["wandb"]\n'
SHAPES: dict[str, tuple[dict[str, str], str]] = {
    # the files of the code, and the entry point
    "frozen": ({"train.py": PARTS + LOG}, "python train.py"),
    "project": ({"pyproject.toml": PROJECT, "a/x.py": "", "b/y.py": "", "train.py": LOG}, "python train.py"),
    "windows": ({"src/train.py": LOG}, r"python3.11.exe src\train.py"),
    "strict": ({"train.py": LOG, "requirements.txt": "INDEX\ngone==1.0\n"}, "python train.py"),
    "notebook": ({"n.ipynb": '{"cells": []}'}, "python n.ipynb"),
    "beside": ({"src/train.py": f"open('made.txt')\n{LOG}", "src/Dockerfile.wandb": BESIDE}, "python src/train.py"),
}
FROZEN = "INDEX\ntiny-part==1.0\npicky==1.0\n-e .\ngone==1.0\nwandb==0.31.1.dev1\nold @ file:///home/me/old\n"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a few packages; return the option that leads pip there."""
    folder = tmp_path_factory.mktemp("index")
    wheel(folder / "tiny-part", "tiny-part", "1.0")
    wheel(folder / "picky", "picky", "1.0", ["tiny-part==2.0"])
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"--index-url http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@dataclass
class Ran:
    """The items and runs of all shapes, by the name of the shape; `built` with images."""

    built: bool
    items: dict[str, Any]
    runs: dict[str, str]
    logs: dict[str, str]


@pytest.fixture(scope="module", params=["without a builder", "with a builder"])
def ran(request: pytest.FixtureRequest, index: str, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Launch all shapes at once, and wait until they are over."""
    folder = tmp_path_factory.mktemp("jobs")
    built = request.param == "with a builder"
    shapes = {name: shape for name, shape in SHAPES.items() if built or name != "beside"}
    wandb = State()
    with closing(Runner(IMAGES, folder / "runs", pending_seconds=0.1, built=folder / "images")) as runner:
        vertex = VertexState(runner.start)
        settings = {"LAUNCH_MAX_JOBS": "20", **(BUILDING if built else {})}
        with stack(folder, wandb_app(wandb), vertex_app(vertex), settings) as running:

            def create(name: str) -> None:
                files, entry_point = shapes[name]
                for path, text in files.items():
                    (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name / path).write_text(text.replace("INDEX", index))
                made = ["job", "create", "code", str(folder / name), "--entry-point", entry_point, "--name", name]
                wandb_says(running, folder / name, *made)

            with ThreadPoolExecutor() as pool:
                list(pool.map(create, shapes))
            for artifact in wandb.artifacts.by_id.values():
                if artifact.collection.type_name == "job":
                    artifact.files["requirements.frozen.txt"] = FROZEN.replace("INDEX", index).encode()
            items = {}
            for name in shapes:
                spec = {"entity": ENTITY, "project": "cats", "job": f"{ENTITY}/cats/{name}:latest", "name": name}
                items[name] = wandb.push(ENTITY, QUEUE, spec | {"run_id": f"run-{name}"})
            eventually(lambda: len(ledger(running, "closed/")) == len(shapes), "all are closed", 240)
    runs = {path[-1]: run.state for path, run in wandb.runs.by_path.items()}
    logs = {job.message.display_name: Path(job.log).read_text() for job in vertex.jobs() if job.log}
    return Ran(built, items, runs, logs)


def test_what_is_available_of_a_frozen_list_runs(ran: Ran) -> None:
    """Its conflict does not matter; the rest is named at the item, and in the log."""
    assert ran.runs["run-frozen"] == "finished", ran.logs.get("frozen")
    message = ran.items["frozen"].warning["message"]
    for named in ("-e . (an editable install)", "gone==1.0 (", "old @ file:///home/me/old (a path"):
        assert named in message
        assert ran.built or f"skipped {named}" in ran.logs["frozen"]


@pytest.mark.parametrize("name", ["project", "windows"])
def test_the_shape_runs(ran: Ran, name: str) -> None:
    """A pyproject.toml that is no package; an entry point of Windows."""
    assert ran.runs[f"run-{name}"] == "finished", ran.logs.get(name)


def test_a_requirement_that_cannot_be_had_ends_the_job(ran: Ran) -> None:
    """Its author wrote it, and reads pip's own last line at the item."""
    assert ran.items["strict"].state == "FAILED"
    assert "No matching distribution found for gone==1.0" in ran.items["strict"].error["message"]


def test_a_notebook_needs_nbconvert(ran: Ran) -> None:
    """The item says what to install."""
    assert ran.items["notebook"].state == "FAILED"
    assert "Add nbconvert to the code's requirements.txt" in ran.items["notebook"].error["message"]


def test_a_dockerfile_beside_the_entry_point_is_found(ran: Ran) -> None:
    """As the agent finds it; the image's context is its folder."""
    assert not ran.built or ran.runs["run-beside"] == "finished", ran.logs.get("beside")
