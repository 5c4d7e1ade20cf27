"""Machines lack on the embedded stack: a launch climbs the ladder, and what would not run either stays in W&B."""

import json
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.shortages import Lack
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.stack import DEFAULT_CONFIG, ENTITY, QUEUE
from tests.e2e.test_crashes import SPEC, ledger, stack
from tests.waiting import eventually

IMAGES = Path("deploy/local/images").resolve()
LADDER = {
    "strategies": ["SPOT", "STANDARD"],
    "regions": [
        {"region": "us-central1", "staging_bucket": "gs://local-staging"},
        {"region": "europe-west4", "staging_bucket": "gs://local-staging-eu"},
    ],
}
RUNS = "import wandb; wandb.init().finish()"


def on_spot(script: str) -> dict[str, Any]:
    """Return a run spec that asks for Spot VMs."""
    arguments: dict[str, Any] = deepcopy(DEFAULT_CONFIG)
    arguments["resource_args"]["gcp-vertex"]["run"]["scheduling_strategy"] = "SPOT"
    overrides = {"entry_point": ["python", "-c", script]}
    return {**SPEC, **arguments, "docker": {"docker_image": "local/noinit"}, "overrides": overrides}


def test_a_launch_without_machines_climbs_and_its_queue_waits(tmp_path: Path) -> None:
    """Refused in its region, without machines in the next, it runs as soon as there are some; its author reads why."""
    with closing(Runner(IMAGES, tmp_path / "jobs", pending_seconds=0.1)) as runner:
        wandb, vertex = State(), VertexState(runner.start)
        for strategy in ("SPOT", "STANDARD"):
            vertex.shortages.begin("us-central1", strategy, Lack.AMOUNT)
            vertex.shortages.begin("europe-west4", strategy, Lack.AMOUNT)
        settings = {"LAUNCH_LADDER": json.dumps(LADDER)}
        with stack(tmp_path, wandb_app(wandb), vertex_app(vertex), settings) as running:
            item = wandb.push(ENTITY, QUEUE, on_spot(RUNS))

            def reads(words: str) -> bool:
                return words in str(item.warning)

            eventually(lambda: reads("next: europe-west4 with SPOT"), "its author reads where it goes next")
            second = wandb.push(ENTITY, QUEUE, on_spot(RUNS))
            eventually(
                lambda: "1 of its launches wait for capacity" in running.processes.tail("poll", 50), "poll holds"
            )
            assert second.state == "PENDING"
            vertex.shortages.begin("europe-west4", "SPOT", Lack.STOCKOUT)
            eventually(lambda: reads("Resources are insufficient in region: europe-west4"), "a job found no machines")
            vertex.shortages.end("europe-west4", "SPOT")
            eventually(lambda: reads("Launched in europe-west4 with SPOT, because: "), "its author reads where it runs")
            eventually(lambda: len(ledger(running, "closed/")) == 2, "both launches are closed", 90)
        assert {run.state for run in wandb.runs.by_id.values()} == {"finished"}
        assert (item.state, second.state) == ("CLAIMED", "CLAIMED")
        ended = [job for job in vertex.jobs() if job.state == "JOB_STATE_SUCCEEDED"]
        assert {job.parent.rpartition("/")[2] for job in ended} == {"europe-west4"}
        folders = {job.message.job_spec.base_output_directory.output_uri_prefix for job in ended}
        assert all(folder.startswith("gs://local-staging-eu/") for folder in folders)
