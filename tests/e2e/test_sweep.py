"""A sweep on the embedded stack: the real `wandb launch-sweep`, the real `wandb scheduler` in a job of its own.

Its project has capitals, blanks and an apostrophe, and W&B is served under a path.
"""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.app import under
from deploy.local.servers.wandb.state import State
from deploy.local.stack import ENTITY, QUEUE
from tests.e2e.test_crashes import ledger, stack
from tests.waiting import eventually

IMAGES = Path("deploy/local/images").resolve()
SETTINGS = {
    "LAUNCH_MAX_JOBS": "1",
    "LAUNCH_SCHEDULER_IMAGE": "local/noinit",  # any with Python: what it runs is its command
    "LAUNCH_SCHEDULER_MACHINE": "e2-standard-4",
}
SWEEP = {
    "method": "grid",
    "image_uri": "local/train:latest",
    "run_cap": 1,
    "parameters": {"learning_rate": {"values": [0.25, 0.5]}, "epochs": {"value": 1}},
    "launch": {"queue": QUEUE},
    "scheduler": {"num_workers": 1},
}


PROJECT = "Bob's Cats 2.0"  # W&B's scheduler compares the name letter by letter


def test_a_sweep_goes_the_whole_way(tmp_path: Path) -> None:
    """The scheduler enqueues the run while it is a job itself, sees it end, and ends the sweep."""
    with closing(Runner(IMAGES, tmp_path / "jobs", pending_seconds=0.1)) as runner:
        wandb, vertex = State(), VertexState(runner.start)
        served = under("/a/wandb", wandb_app(wandb))
        with stack(tmp_path, served, vertex_app(vertex), SETTINGS, wandb_path="/a/wandb/") as running:
            (tmp_path / "sweep.yaml").write_text(json.dumps(SWEEP))
            env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **running.user_settings()}
            command = [str(Path(sys.executable).parent / "wandb"), "launch-sweep", "sweep.yaml"]
            where = ["--entity", ENTITY, "--project", PROJECT]
            subprocess.run([*command, *where], cwd=tmp_path, env=env, check=True, capture_output=True, timeout=60)
            eventually(lambda: len(ledger(running, "closed/")) == 2, "both launches are closed", 120)
        [sweep] = wandb.runs.sweeps.values()
        assert sweep.state == "FINISHED"
        run = wandb.runs.by_path[ENTITY, PROJECT, f"{sweep.name}-1"]
        assert (run.state, run.sweep_name, run.config["learning_rate"]["value"]) == ("finished", sweep.name, 0.25)
        assert [job.state for job in vertex.jobs()] == ["JOB_STATE_SUCCEEDED"] * 2
        machines = {job.labels["wandb-run-id"]: job.message.job_spec.worker_pool_specs[0] for job in vertex.jobs()}
        assert machines[sweep.name].machine_spec.machine_type == "e2-standard-4"
        assert {item.state for item in wandb.queues.items.values()} == {"CLAIMED"}
