"""A job whose image is built, on the embedded stack: the real `wandb job create` and `wandb launch`, the whole way."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import requests

from deploy.local.image_store import ImageStore
from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.stack import BUILDING, ENTITY, QUEUE, Stack
from tests.e2e.test_crashes import ledger, stack
from tests.waiting import eventually

IMAGES = Path("deploy/local/images").resolve()
TRAIN = "import wandb\nwith wandb.init() as run:\n    run.log({'loss': 1})\n"


def wandb_says(running: Stack, folder: Path, *command: str) -> None:
    """Run W&B's own command."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **running.user_settings()}
    call = [str(Path(sys.executable).parent / "wandb"), *command, "--entity", ENTITY, "--project", "cats"]
    subprocess.run(call, cwd=folder, env=env, check=True, capture_output=True, timeout=120)


def test_images_are_built_once_and_run(tmp_path: Path) -> None:
    """Two launches of one code share a build; what cannot be built fails its item, at the stage `build`."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text(TRAIN)
    (code / "requirements.txt").write_text("wandb\n")
    (code / "Broken").write_text("FROM local/python:3\nRUN exit 3\n")
    with closing(Runner(IMAGES, tmp_path / "jobs", pending_seconds=0.1, built=(tmp_path / "images"))) as runner:
        wandb, vertex = State(), VertexState(runner.start)
        with stack(tmp_path, wandb_app(wandb), vertex_app(vertex), BUILDING | {"LAUNCH_MAX_JOBS": "8"}) as running:
            created = ["job", "create", "code", str(code), "--entry-point", "python train.py", "--name"]
            wandb_says(running, tmp_path, *created, "good")
            wandb_says(running, tmp_path, *created, "bad", "--dockerfile", "Broken")
            for job in ("good", "good", "bad"):
                wandb_says(running, tmp_path, "launch", "--queue", QUEUE, "--job", f"{ENTITY}/cats/{job}:latest")
            eventually(lambda: len(ledger(running, "closed/")) == 3, "all are closed", 120)
            builds = requests.get(f"{running.ports.url('build')}/standin/builds", timeout=5).json()
        # two launches that ask at the same moment both build: the second push fails
        statuses = sorted(build["status"] for build in builds)
        assert statuses in (["FAILURE", "SUCCESS"], ["FAILURE", "FAILURE", "SUCCESS"])
        [image] = next(build["images"] for build in builds if build["status"] == "SUCCESS")
        assert [job.state for job in vertex.jobs()] == ["JOB_STATE_SUCCEEDED"] * 2
        containers = [job.message.job_spec.worker_pool_specs[0].container_spec for job in vertex.jobs()]
        pushed = ImageStore(IMAGES, tmp_path / "images").digest(image)
        by_digest = f"{image.rpartition(':')[0]}@{pushed}"
        assert {(one.image_uri, *one.command) for one in containers} == {(by_digest, "python3", "train.py")}
        items = sorted(wandb.queues.items.values(), key=lambda item: item.state)
        assert [item.state for item in items] == ["CLAIMED", "CLAIMED", "FAILED"]
        assert [run.state for run in wandb.runs.by_path.values()] == ["finished"] * 2
        failed = items[-1].error or {}
        assert failed["stage"] == "build"
        assert "returned a non-zero code: 3" in failed["message"]
        assert "/standin/builds/" in failed["message"]
