"""The functions as the framework serves them, in this process, among stand-ins whose state the tests can see."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import functions_framework
import pytest

from deploy.local.servers.pubsub import PubSubServer
from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.serving import serving
from deploy.local.stack import DEFAULT_CONFIG
from tests.contract.gcs import fresh_bucket, limited_gcs

KEY = "planted-key-" * 4
MAIN = Path(__file__).parent.parent.parent / "main.py"
TOPIC = "projects/p/topics/launch-requests"


@dataclass
class Outside:
    """The services around the functions."""

    wandb: State
    vertex: VertexState
    monkeypatch: pytest.MonkeyPatch

    def client(self, name: str, **changed: str) -> Any:
        """Serve one function, freshly wired, and return a client of it."""
        for variable, value in {"FUNCTION_TARGET": name, **changed}.items():
            self.monkeypatch.setenv(variable, value)
        served = functions_framework.create_app(name, str(MAIN))  # type: ignore[no-untyped-call]
        return served.test_client()

    def rewire(self, name: str) -> None:
        """Let a function wire itself anew, as a new container would."""
        _forget(name)


@pytest.fixture(scope="package")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve GCS with a clock that is ahead: a Date in whole seconds would put `now` before a job's end."""
    with limited_gcs(tmp_path_factory.mktemp("gcs"), "--write-seconds=0", "--clock-shift=2") as url:
        yield url


@pytest.fixture
def outside(gcs: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Outside]:
    """Serve W&B with a Vertex queue, Vertex AI and Pub/Sub, and tell the functions where they are."""
    wandb, vertex, pubsub = State(api_keys=[KEY]), VertexState(), PubSubServer()
    wandb.make_queue("team", "vertex", config=DEFAULT_CONFIG, resource="gcp-vertex")
    pubsub.start()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.chdir(tmp_path)  # no launch-config.yaml of anybody's
    with serving(wandb_app(wandb)) as wandb_url, serving(vertex_app(vertex)) as vertex_url:
        settings = {
            "WANDB_BASE_URL": wandb_url,
            "WANDB_API_KEY": KEY,
            "VERTEX_ENDPOINT": vertex_url,
            "LOGGING_ENDPOINT": vertex_url,
            "VERTEX_LOCATION": "us-central1",
            "GOOGLE_CLOUD_PROJECT": "p",
            "LEDGER_BUCKET": fresh_bucket(gcs),
            "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{pubsub.port}",
            "LAUNCH_ENTITY": "team",
            "LAUNCH_QUEUES": "vertex",
            "LAUNCH_MAX_JOBS": "10",
            "INIT_GRACE_SECONDS": "0",
            "LAUNCH_CADENCE": "never",  # a test calls, and goes on after one round
        }
        for variable, value in settings.items():
            monkeypatch.setenv(variable, value)
        from google.cloud import pubsub_v1

        pubsub_v1.PublisherClient().create_topic(name=TOPIC)
        for entry in ("poll", "submit", "status"):
            _forget(entry)
        yield Outside(wandb, vertex, monkeypatch)
    pubsub.stop()
    root.handlers[:], root.level = handlers, level


def _forget(name: str) -> None:
    """Let an entry wire itself anew, as a new container would."""
    import importlib

    getattr(importlib.import_module(f"functions.{name}.handler"), f"build_{name}").cache_clear()
