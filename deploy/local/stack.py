"""The embedded stack: the three functions, served as in the cloud, among processes that stand where it would be.

Only endpoints tell the functions where they are. Everything listens on loopback.
"""

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import grpc
import requests
from google.cloud import pubsub_v1
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import DeadLetterPolicy, PushConfig, RetryPolicy, Subscription

from deploy.local.emulator import emulator_command
from deploy.local.gcs_server import gcs_command, make_bucket
from deploy.local.processes import HOST, Processes, free_port

ROOT = Path(__file__).parent.parent.parent
PROJECT, LOCATION, BUCKET, TOPIC = "local-project", "us-central1", "launch-ledger", "launch-requests"
DEAD_LETTERS = "launch-dead-letters"
ENTITY, QUEUE = "local-team", "vertex"
API_KEY = "local" * 8  # 40 characters, as W&B's clients want; the stand-in accepts any
FUNCTIONS = ("poll", "submit", "status")
BUILDING = {  # settings with which the images of jobs' code are built
    "LAUNCH_BUILDER": "cloud-build",
    "LAUNCH_BUILD_DESTINATION": f"{LOCATION}-docker.pkg.dev/{PROJECT}/launch/jobs",
    "LAUNCH_BUILD_CONTEXT_STORE": "gs://local-contexts",
}
START_SECONDS = 60  # two, unless the machine has a lot else to do

DEFAULT_CONFIG: dict[str, Any] = {
    "resource_args": {
        "gcp-vertex": {
            "spec": {
                "worker_pool_specs": [
                    {
                        "machine_spec": {
                            "machine_type": "n1-standard-4",
                            "accelerator_type": "ACCELERATOR_TYPE_UNSPECIFIED",
                            "accelerator_count": 0,
                        },
                        "replica_count": 1,
                        "container_spec": {"image_uri": "${image_uri}"},
                    }
                ],
                "staging_bucket": "gs://local-staging",
            },
            "run": {"restart_job_on_worker_restart": False},
        }
    }
}
"""What W&B's page fills in for a Vertex queue, with its bucket given."""


@dataclass(frozen=True)
class Ports:
    """Where everything listens; fixed for `make up`, free ones for tests and the demo."""

    wandb: int = 7001
    pubsub: int = 7002
    vertex: int = 7003
    gcs: int = 7004
    build: int = 7005
    poll: int = 7011
    submit: int = 7012
    status: int = 7013

    @classmethod
    def free(cls) -> "Ports":
        """Return ports that nobody listens at."""
        return cls(*(free_port() for _ in fields(cls)))

    def url(self, name: str) -> str:
        """Return the URL of one of them."""
        return f"http://{HOST}:{getattr(self, name)}"


@dataclass
class Stack:
    """All processes of one stack. A context manager: nothing is left behind when it is left.

    `settings` are environment variables for the functions, on top of the endpoints; `every` is how often, in seconds,
    poll and status are called (0: never, the caller does it).
    """

    folder: Path
    ports: Ports = field(default_factory=Ports)
    settings: Mapping[str, str] = field(default_factory=dict)
    every: float = 2.0
    emulator: bool = True  # use Google's Pub/Sub emulator where it is installed
    gcs_options: tuple[str, ...] = ()
    wandb_options: tuple[str, ...] = ()
    vertex_options: tuple[str, ...] = ()
    pubsub_options: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()  # servers that somebody else has put at their ports
    functions: tuple[str, ...] = FUNCTIONS
    timeouts: Mapping[str, int] = field(default_factory=dict)  # seconds that a function has, as the platform gives them

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.processes = Processes(self.folder)

    def __enter__(self) -> "Stack":
        try:
            self.start()
        except BaseException:
            self.processes.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.stop()

    def start(self) -> None:
        """Start everything and wait until it listens.

        Raises:
            NotStartedError: naming the process that did not, with the end of its output.
        """
        deadline = time.monotonic() + START_SECONDS
        for name, command in self._servers().items():
            self.processes.start(name, command)
        for name in self.functions:
            self.start_function(name)
        for name in self._servers():
            self.processes.await_port(name, getattr(self.ports, name), deadline)
        make_bucket(self.ports.url("gcs"), BUCKET)
        if self.builds:
            make_bucket(self.ports.url("gcs"), "local-contexts")
        self._make_topic()
        self.make_queue(QUEUE)
        for name in self.functions:
            self.processes.await_port(name, getattr(self.ports, name), deadline)
        if self.every:
            urls = [self.ports.url(name) + "/" for name in ("poll", "status")]
            command = [sys.executable, "-m", "deploy.local.scheduler", "--every", str(self.every), *urls]
            self.processes.start("scheduler", command, self.function_environ())

    def start_function(self, name: str) -> None:
        """Serve one function through gunicorn, as the buildpack's container does."""
        told = {"FUNCTION_TARGET": name, "FUNCTION_SIGNATURE_TYPE": "cloudevent" if name == "submit" else "http"}
        if name in self.timeouts:
            told |= {"CLOUD_RUN_TIMEOUT_SECONDS": str(self.timeouts[name]), "THREADED_TIMEOUT_ENABLED": "true"}
        command = [sys.executable, "-m", "functions_framework", "--target", name, "--source", str(ROOT / "main.py")]
        port = str(getattr(self.ports, name))
        self.processes.start(name, [*command, "--host", HOST, "--port", port], self.function_environ() | told)

    def function_settings(self) -> dict[str, str]:
        """Return the environment variables that tell the functions where they are: all that differs from the cloud."""
        return {
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "VERTEX_LOCATION": LOCATION,
            "LEDGER_BUCKET": BUCKET,
            "LAUNCH_TOPIC": TOPIC,
            "LAUNCH_ENTITY": ENTITY,
            "LAUNCH_QUEUES": QUEUE,
            "LAUNCH_MAX_JOBS": "8",
            "LAUNCH_BASE_IMAGE": "local/python:3",
            "WANDB_BASE_URL": self.ports.url("wandb"),
            "WANDB_API_KEY": API_KEY,
            "VERTEX_ENDPOINT": self.ports.url("vertex"),
            "LOGGING_ENDPOINT": self.ports.url("vertex"),
            "BUILD_ENDPOINT": self.ports.url("build"),
            "PUBSUB_EMULATOR_HOST": f"{HOST}:{self.ports.pubsub}",
            "STORAGE_EMULATOR_HOST": self.ports.url("gcs"),
            **self.settings,
        }

    def user_settings(self) -> dict[str, str]:
        """Return what a person exports so that their own wandb goes through this stack."""
        return {"WANDB_BASE_URL": self.ports.url("wandb"), "WANDB_API_KEY": API_KEY}

    def make_queue(self, name: str, config: Mapping[str, Any] = DEFAULT_CONFIG) -> None:
        """Make a Vertex queue in W&B, or give it another configuration than the one that W&B's page fills in."""
        queue = {"entity": ENTITY, "queue": name, "resource": "gcp-vertex", "config": config}
        requests.post(f"{self.ports.url('wandb')}/standin/queues", json=queue, timeout=5).raise_for_status()

    def publisher(self) -> pubsub_v1.PublisherClient:
        """Return Google's own client, speaking to this stack's topic."""
        return pubsub_v1.PublisherClient(transport=self._channel(PublisherGrpcTransport))

    def subscriber(self) -> pubsub_v1.SubscriberClient:
        """Return Google's own client, speaking to this stack's subscriptions."""
        return pubsub_v1.SubscriberClient(transport=self._channel(SubscriberGrpcTransport))

    def _servers(self) -> dict[str, list[str]]:
        python = [sys.executable, "-m"]
        ports = self.ports
        emulator = emulator_command(HOST, ports.pubsub) if self.emulator else None
        servers = {
            "gcs": gcs_command(HOST, ports.gcs),
            "wandb": [*python, "deploy.local.wandb_server", "--port", str(ports.wandb), *self.wandb_options],
            "vertex": [*python, "deploy.local.vertex_server", "--port", str(ports.vertex), *self._vertex()],
            "pubsub": emulator
            or [*python, "deploy.local.pubsub_server", "--port", str(ports.pubsub), *self.pubsub_options],
        }
        if self.builds:
            told = ["--gcs", ports.url("gcs"), "--built", str(self.images), "--state-dir", str(self.folder / "builds")]
            servers["build"] = [*python, "deploy.local.build_server", "--port", str(ports.build), *told]
        return {name: command for name, command in servers.items() if name not in self.without}

    @property
    def builds(self) -> bool:
        """Tell whether the images of jobs' code are built."""
        return "LAUNCH_BUILDER" in self.settings

    @property
    def images(self) -> Path:
        """Return the folder of the images that were built."""
        return (self.folder / "images").resolve()

    def _vertex(self) -> list[str]:
        where = ["--state-dir", str((self.folder / "jobs").resolve()), "--built", str(self.images)]
        logs = ["--build-logs", str((self.folder / "builds").resolve())]
        return [*where, *logs, *self.vertex_options]

    def function_environ(self) -> dict[str, str]:
        """Return a clean environment: nothing of the caller's that could lead a function anywhere else."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | self.function_settings()

    def _make_topic(self) -> None:
        """Make the topic, its push subscription and the dead letters, as the deployment does."""
        publisher = self.publisher()
        subscriber = self.subscriber()
        topic, dead = (publisher.topic_path(PROJECT, name) for name in (TOPIC, DEAD_LETTERS))
        subscriptions = [
            Subscription(name=subscriber.subscription_path(PROJECT, DEAD_LETTERS), topic=dead),
            Subscription(
                name=subscriber.subscription_path(PROJECT, "submit"),
                topic=topic,
                # functions-framework takes the topic from the path of a push
                push_config=PushConfig(push_endpoint=f"{self.ports.url('submit')}/{topic}"),
                ack_deadline_seconds=120,
                retry_policy=RetryPolicy(minimum_backoff=Duration(seconds=1), maximum_backoff=Duration(seconds=10)),
                dead_letter_policy=DeadLetterPolicy(dead_letter_topic=dead, max_delivery_attempts=5),
            ),
        ]
        with subscriber:
            for name in (dead, topic):
                publisher.create_topic(name=name)
            for subscription in subscriptions:
                subscriber.create_subscription(request=subscription)

    def _channel(self, transport: type[Any]) -> Any:
        """Return a plaintext connection; the clients' own variable for it would hold for this whole process."""
        return transport(channel=grpc.insecure_channel(f"{HOST}:{self.ports.pubsub}"))
