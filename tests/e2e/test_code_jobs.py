"""Jobs of code of each shape, on the embedded stack: without a builder, and with images that are built.

The real `wandb job create` makes the jobs, and the real pip installs.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.local.image_store import ImageStore
from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.stack import BUILDING, ENTITY, QUEUE, Stack
from tests.contract.test_install import wheel
from tests.e2e.test_crashes import ledger, stack
from tests.waiting import eventually

pytestmark = pytest.mark.long  # twelve jobs with what pip installs for each

IMAGES = Path("deploy/local/images").resolve()
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


def wandb_says(running: Stack, folder: Path, *command: str) -> None:
    """Run W&B's own command."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **running.user_settings()}
    call = [str(Path(sys.executable).parent / "wandb"), *command, "--entity", ENTITY, "--project", "cats"]
    subprocess.run(call, cwd=folder, env=env, check=True, capture_output=True, timeout=120)


@dataclass
class Ran:
    """The items, runs, logs and containers, by the name of the launch; the builds, if there is a builder."""

    items: dict[str, Any]
    runs: dict[str, str]
    logs: dict[str, str]
    containers: dict[str, Any]
    builds: list[dict[str, Any]]
    images: ImageStore

    @property
    def built(self) -> bool:
        """Tell whether there is a builder."""
        return bool(self.builds)


@pytest.fixture(scope="module")
def both(index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Ran]]]:
    """Run two deployments at the same time: most of it is waiting."""
    with ThreadPoolExecutor() as pool:
        ways = {"without a builder": False, "with a builder": True}
        folders = {way: tmp_path_factory.mktemp("jobs") for way in ways}
        yield {way: pool.submit(launch_all, index, folders[way], built=built) for way, built in ways.items()}


@pytest.fixture(scope="module", params=["without a builder", "with a builder"])
def ran(request: pytest.FixtureRequest, both: dict[str, Future[Ran]]) -> Ran:
    """Return what ran, of each of the deployments."""
    return both[request.param].result()


def launch_all(index: str, folder: Path, *, built: bool) -> Ran:
    """Launch all shapes at once, and wait until they are over."""
    shapes = {name: shape for name, shape in SHAPES.items() if built or name != "beside"}
    wandb = State()
    with closing(Runner(IMAGES, folder / "runs", pending_seconds=0.1, built=folder / "images")) as runner:
        vertex = VertexState(runner.start)
        vertex.build_logs = folder / "builds"
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
            items, builds = {}, []
            for name in (*shapes, "again"):
                job = f"{ENTITY}/cats/{'windows' if name == 'again' else name}:latest"
                spec = {"entity": ENTITY, "project": "cats", "job": job, "name": name, "run_id": name}
                items[name] = wandb.push(ENTITY, QUEUE, spec)
            eventually(lambda: len(ledger(running, "closed/")) == len(items), "all are closed", 240)
            if built:
                builds = requests.get(f"{running.ports.url('build')}/standin/builds", timeout=5).json()
    runs = {path[-1]: run.state for path, run in wandb.runs.by_path.items()}
    logs = {job.message.display_name: Path(job.log).read_text() for job in vertex.jobs() if job.log}
    containers = {
        job.message.display_name: job.message.job_spec.worker_pool_specs[0].container_spec for job in vertex.jobs()
    }
    return Ran(items, runs, logs, containers, builds, ImageStore(IMAGES, folder / "images"))


def test_what_is_available_of_a_frozen_list_runs(ran: Ran) -> None:
    """Its conflict does not matter; the rest is named at the item, and in the log."""
    assert ran.runs["frozen"] == "finished", ran.logs.get("frozen")
    message = ran.items["frozen"].warning["message"]
    for named in ("-e . (an editable install)", "gone==1.0 (", "old @ file:///home/me/old (a path"):
        assert named in message
        assert ran.built or f"skipped {named}" in ran.logs["frozen"]


@pytest.mark.parametrize("name", ["project", "windows"])
def test_the_shape_runs(ran: Ran, name: str) -> None:
    """A pyproject.toml that is no package; an entry point of Windows."""
    assert ran.runs[name] == "finished", ran.logs.get(name)


def test_a_requirement_that_cannot_be_had_ends_the_job(ran: Ran) -> None:
    """Its author wrote it, and reads pip's own last line at the item."""
    assert ran.items["strict"].state == "FAILED"
    error = ran.items["strict"].error
    assert "No matching distribution found for gone==1.0" in error["message"]
    assert not ran.built or (error["stage"], "/standin/builds/" in error["message"]) == ("build", True)


def test_a_notebook_needs_nbconvert(ran: Ran) -> None:
    """The item says what to install."""
    assert ran.items["notebook"].state == "FAILED"
    assert "Add nbconvert to the code's requirements.txt" in ran.items["notebook"].error["message"]


def test_a_dockerfile_beside_the_entry_point_is_found(ran: Ran) -> None:
    """As the agent finds it; the image's context is its folder."""
    assert not ran.built or ran.runs["beside"] == "finished", ran.logs.get("beside")


def test_two_launches_of_one_code_share_an_image(ran: Ran) -> None:
    """They run it by its digest, with the same command."""
    first, second = (ran.containers[name] for name in ("windows", "again"))
    assert (ran.runs["again"], first.image_uri, list(first.command)) == (
        "finished",
        second.image_uri,
        list(second.command),
    )
    assert list(first.command)[-2:] == ["python3", "src/train.py"]
    if ran.built:
        made = [one for one in ran.builds if one["status"] == "SUCCESS" and ran.images.digest(one["images"][0])]
        names = {f"{one['images'][0].rpartition(':')[0]}@{ran.images.digest(one['images'][0])}" for one in made}
        assert len(made) == len(names)  # of two builds at the same moment, the second push fails
        assert first.image_uri in names
