"""The embedded stack: the three functions, served as in the cloud, among processes that stand where it would be.

Only endpoints tell the functions where they are. Everything listens on loopback.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import requests
from google.api_core.exceptions import GoogleAPIError
from google.api_core.retry import Retry
from google.cloud import pubsub_v1
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import DeadLetterPolicy, PushConfig, RetryPolicy, Subscription

from deploy.local.emulator import emulator_command
from deploy.local.environment import ROOT as ROOT
from deploy.local.environment import clean
from deploy.local.gcs_server import make_bucket
from deploy.local.ports import HOST
from deploy.local.ports import Ports as Ports
from deploy.local.processes import NotStartedError, Processes

PROJECT, LOCATION, BUCKET, TOPIC = (
    "local-project",
    "us-central1",
    "launch-ledger",
    "launch-requests",
)
DEAD_LETTERS = "launch-dead-letters"
ENTITY, QUEUE = "local-team", "vertex"
API_KEY = "local" * 8  # 40 characters, as W&B's clients want; the stand-in accepts any
FUNCTIONS = ("poll", "submit", "status")
TIMEOUTS = {"poll": 120, "submit": 540, "status": 120}  # seconds, as in cloudbuild.yaml
BUILDING = {  # settings with which the images of jobs' code are built
    "LAUNCH_BUILDER": "cloud-build",
    "LAUNCH_BUILD_DESTINATION": f"{LOCATION}-docker.pkg.dev/{PROJECT}/launch/jobs",
    "LAUNCH_BUILD_CONTEXT_STORE": "gs://local-contexts",
}
START_SECONDS = (
    60  # bounds every wait of start-up; it takes two, unless the machine has a lot else to do
)

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
    timeouts: Mapping[str, int] = field(
        default_factory=dict
    )  # seconds that a function has, if not those of the cloud
    start_seconds: float = START_SECONDS

    def __post_init__(self) -> None:
        (self.folder / "home").mkdir(parents=True, exist_ok=True)
        self.processes = Processes(self.folder)

    def __enter__(self) -> "Stack":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the functions before their servers: a tick that loses a server logs an error."""
        self.processes.stop(("scheduler",), self.functions)

    def start(self) -> None:
        """Start everything and wait until it listens.

        Raises:
            NotStartedError: one line that names the process that did not, and its log.
        """
        deadline = time.monotonic() + self.start_seconds
        for name, command in self._servers().items():
            self.processes.start(name, command, self.environ())
        for name in self.functions:
            self.start_function(name)
        for name in self._servers():
            self.processes.await_port(name, getattr(self.ports, name), deadline)
        self._prepare("gcs", deadline, self._make_buckets)
        self._prepare("pubsub", deadline, self._make_topic)
        self._prepare("wandb", deadline, lambda seconds: self.make_queue(QUEUE, seconds=seconds))
        for name in self.functions:
            self.processes.await_port(name, getattr(self.ports, name), deadline)
        if self.every:
            urls = [self.ports.url(name) + "/" for name in ("poll", "status")]
            command = [
                sys.executable,
                "-m",
                "deploy.local.scheduler",
                "--every",
                str(self.every),
                *urls,
            ]
            self.processes.start("scheduler", command, self.function_environ())

    def start_function(self, name: str) -> None:
        """Serve one function through gunicorn, as the buildpack's container does."""
        told = {
            "FUNCTION_TARGET": name,
            "FUNCTION_SIGNATURE_TYPE": "cloudevent" if name == "submit" else "http",
        }
        seconds = self.timeouts.get(name, TIMEOUTS[name])
        told |= {"CLOUD_RUN_TIMEOUT_SECONDS": str(seconds), "THREADED_TIMEOUT_ENABLED": "true"}
        command = [
            sys.executable,
            "-m",
            "functions_framework",
            "--target",
            name,
            "--source",
            str(ROOT / "main.py"),
        ]
        port = str(getattr(self.ports, name))
        self.processes.start(
            name, [*command, "--host", HOST, "--port", port], self.function_environ() | told
        )

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

    def make_queue(
        self, name: str, config: Mapping[str, Any] = DEFAULT_CONFIG, seconds: float = 5
    ) -> None:
        """Make a Vertex queue in W&B, or give it another configuration than the one that W&B's page fills in."""
        queue = {"entity": ENTITY, "queue": name, "resource": "gcp-vertex", "config": config}
        requests.post(
            f"{self.ports.url('wandb')}/standin/queues", json=queue, timeout=seconds
        ).raise_for_status()

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
            "gcs": [
                *python,
                "deploy.local.gcs_limits",
                "--port",
                str(ports.gcs),
                *self.gcs_options,
            ],
            "wandb": [
                *python,
                "deploy.local.servers.wandb",
                "--port",
                str(ports.wandb),
                *self.wandb_options,
            ],
            "vertex": [
                *python,
                "deploy.local.servers.vertex",
                "--port",
                str(ports.vertex),
                *self._vertex(),
            ],
            "pubsub": emulator
            or [
                *python,
                "deploy.local.servers.pubsub",
                "--port",
                str(ports.pubsub),
                *self.pubsub_options,
            ],
        }
        if self.builds:
            told = [
                "--gcs",
                ports.url("gcs"),
                "--built",
                str(self.images),
                "--state-dir",
                str(self.folder / "builds"),
            ]
            servers["build"] = [
                *python,
                "deploy.local.servers.build",
                "--port",
                str(ports.build),
                *told,
            ]
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

    def environ(self) -> dict[str, str]:
        """Return what every process of the stack has: nothing of the caller's leads it elsewhere."""
        whose = {"VERTEX_LAUNCH_STACK": str(self.folder.resolve())}  # what `ps e` shows of it
        return clean(self.folder / "home") | {"PYTHONPATH": str(ROOT)} | whose

    def function_environ(self) -> dict[str, str]:
        """Return what every function has."""
        return self.environ() | self.function_settings()

    def _prepare(self, server: str, deadline: float, prepare: Callable[[float], None]) -> None:
        """Make what the functions need at a server, within the time that is left."""
        try:
            prepare(max(deadline - time.monotonic(), 0.1))
        except (requests.RequestException, GoogleAPIError) as exc:
            said = str(exc).partition("\n")[0]
            raise NotStartedError(
                f"{server} does not answer ({said}): see {self.processes.log(server)}"
            ) from exc

    def _make_buckets(self, seconds: float) -> None:
        for name in (BUCKET, "local-contexts") if self.builds else (BUCKET,):
            make_bucket(self.ports.url("gcs"), name, seconds=seconds)

    def _make_topic(self, seconds: float) -> None:
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
                retry_policy=RetryPolicy(
                    minimum_backoff=Duration(seconds=1), maximum_backoff=Duration(seconds=10)
                ),
                dead_letter_policy=DeadLetterPolicy(
                    dead_letter_topic=dead, max_delivery_attempts=5
                ),
            ),
        ]
        with subscriber:
            for name in (dead, topic):
                publisher.create_topic(name=name, retry=Retry(timeout=seconds), timeout=seconds)
            for subscription in subscriptions:
                subscriber.create_subscription(
                    request=subscription, retry=Retry(timeout=seconds), timeout=seconds
                )

    def _channel(self, transport: type[Any]) -> Any:
        """Return a plaintext connection; the clients' own variable for it would hold for this whole process."""
        return transport(channel=grpc.insecure_channel(f"{HOST}:{self.ports.pubsub}"))
