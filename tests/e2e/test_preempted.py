"""A script that W&B's own SDK runs is preempted, on the embedded stack: it goes on as the same run, in another job."""

from contextlib import closing
from pathlib import Path

from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.stack import ENTITY, QUEUE
from tests.e2e.test_crashes import SPEC, ledger, stack
from tests.waiting import eventually

IMAGES = Path("deploy/local/images").resolve()
SCRIPT = """
import pathlib, sys, wandb
run = wandb.init()
if not run.resumed:
    run.mark_preempting()
    run.finish(exit_code=1)
    sys.exit(1)
run.log({"went_on": 1})
run.finish()
"""


def test_a_preempted_run_goes_on_in_another_job(tmp_path: Path) -> None:
    """Two jobs of one launch and one run, which ends well; the item gets a warning and does not fail."""
    with closing(Runner(IMAGES, tmp_path / "jobs", pending_seconds=0.1)) as runner:
        wandb, vertex = State(), VertexState(runner.start)
        with stack(tmp_path, wandb_app(wandb), vertex_app(vertex)) as running:
            overrides = {"entry_point": ["python", "-c", SCRIPT]}
            item = wandb.push(
                ENTITY, QUEUE, {**SPEC, "docker": {"docker_image": "local/noinit"}, "overrides": overrides}
            )
            eventually(lambda: ledger(running, "closed/"), "the launch is closed", 90)
        first, second = vertex.jobs()[::-1]
        assert (first.state, second.state) == ("JOB_STATE_FAILED", "JOB_STATE_SUCCEEDED")
        assert first.labels["launch_key"] == second.labels["launch_key"]
        assert (first.labels["launch_attempt"], second.labels["launch_attempt"]) == ("1", "2")
        [run] = wandb.runs.by_id.values()
        assert (run.state, run.name) == ("finished", first.labels["wandb-run-id"])
        assert item.state == "CLAIMED"
