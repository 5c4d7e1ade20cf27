"""A job reads W&B's key from Secret Manager, on the embedded stack: W&B's SDK works, and the key stands nowhere."""

from contextlib import closing
from pathlib import Path

import requests

from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.stack import BUCKET, DEFAULT_CONFIG, ENTITY, PROJECT, QUEUE
from tests.contract.secret import google
from tests.e2e.test_crashes import SPEC, ledger, stack
from tests.unit.specs import put
from tests.waiting import eventually

IMAGES = Path("deploy/local/images").resolve()
KEY = "planted-key-" * 4
CONTAINER = ("resource_args", "gcp-vertex", "spec", "worker_pool_specs", 0, "container_spec")


def test_the_key_of_a_job_that_reads_it_itself_stands_nowhere(tmp_path: Path) -> None:
    """The job is as good as any; neither Vertex AI nor the ledger nor a log has the key."""
    settings = {"WANDB_API_KEY": KEY, "LAUNCH_KEY_SECRET": f"projects/{PROJECT}/secrets/key"}
    with google() as outside, closing(Runner(IMAGES, tmp_path / "jobs", pending_seconds=0.1)) as runner:
        outside.secrets[f"projects/{PROJECT}/secrets/key/versions/latest"] = KEY.encode()
        wandb, vertex = State(api_keys=[KEY]), VertexState(runner.start)
        with stack(tmp_path, wandb_app(wandb), vertex_app(vertex), settings) as running:
            env = [{"name": name, "value": value} for name, value in outside.environ.items()]
            config = put(DEFAULT_CONFIG, (*CONTAINER, "env"), env)
            queue = {"entity": ENTITY, "queue": QUEUE, "resource": "gcp-vertex", "config": config}
            requests.post(f"{running.ports.url('wandb')}/standin/queues", json=queue, timeout=5).raise_for_status()
            overrides = {"entry_point": ["python", "train.py"], "run_config": {"epochs": 1}}
            spec = {**SPEC, "docker": {"docker_image": "local/train"}, "overrides": overrides}
            item = wandb.push(ENTITY, QUEUE, spec)
            eventually(lambda: ledger(running, "closed/"), "the launch is closed", 120)
            [run] = wandb.runs.by_id.values()
            assert (run.state, item.state, item.error) == ("finished", "CLAIMED", None)
            shown = requests.get(f"{running.ports.url('vertex')}/v1/{vertex.jobs()[0].name}", timeout=5)
            written = f"{running.ports.url('gcs')}/download/storage/v1/b/{BUCKET}/o/{{}}?alt=media"
            kept = [requests.get(written.format(name.replace("/", "%2F")), timeout=5) for name in ledger(running, "")]
        for answer in (shown, *kept):
            assert answer.status_code == 200
            assert KEY not in answer.text
        assert "secrets/key/versions/latest" in shown.text
        logs = [*tmp_path.glob("*.log"), *tmp_path.rglob("log.txt")]
        assert {"poll.log", "submit.log", "status.log", "log.txt"} <= {path.name for path in logs}
        assert not [path for path in logs if KEY in path.read_text(encoding="utf-8", errors="replace")]
