"""The embedded stack: the three functions, served as in the cloud, and the stand-ins around them.

Only endpoints and names in the environment differ from the cloud. Every process listens on
loopback.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from google.api_core.exceptions import GoogleAPIError
from google.cloud import pubsub_v1

from deploy.local import topics
from deploy.local.environment import ROOT, clean
from deploy.local.functions import (
    cadence_settings,
    function_command,
    local_settings,
    platform_variables,
)
from deploy.local.ports import Ports
from deploy.local.processes import NotStartedError, Processes
from deploy.local.project import (
    API_KEY,
    BUCKET,
    BUILDING,
    CONTEXTS,
    DEAD_LETTERS,
    DEFAULT_CONFIG,
    ENTITY,
    FUNCTIONS,
    LOCATION,
    PROJECT,
    QUEUE,
    TIMEOUTS,
    TOPIC,
)
from deploy.local.server_commands import server_commands
from deploy.local.servers.gcs.server import make_bucket

__all__ = [
    "API_KEY",
    "BUCKET",
    "BUILDING",
    "DEAD_LETTERS",
    "DEFAULT_CONFIG",
    "ENTITY",
    "FUNCTIONS",
    "LOCATION",
    "PROJECT",
    "QUEUE",
    "ROOT",
    "START_SECONDS",
    "TIMEOUTS",
    "TOPIC",
    "Ports",
    "Stack",
]

START_SECONDS = 60  # bounds every wait of start-up, which takes 2 s on a quiet machine


@dataclass
class Stack:
    """All processes of one stack, as a context manager that ends every process when it exits.

    `settings` are environment variables of the functions, in addition to the endpoints. `every` is
    the number of seconds between two calls of poll and status, which their cadence takes for a
    minute; with 0 nothing calls them.
    """

    folder: Path
    ports: Ports = field(default_factory=Ports)
    settings: Mapping[str, str] = field(default_factory=dict)
    every: float = 2.0
    emulator: bool = True  # prefer Google's Pub/Sub emulator if it is installed
    gcs_options: tuple[str, ...] = ()
    wandb_options: tuple[str, ...] = ()
    vertex_options: tuple[str, ...] = ()
    pubsub_options: tuple[str, ...] = ()
    attempts: int = 5  # deliveries of a message
    without: frozenset[str] = frozenset()  # stand-ins that the caller has started at their ports
    functions: tuple[str, ...] = FUNCTIONS
    # the root of a function's code by function; without one, this project's
    sources: dict[str, Path] = field(default_factory=dict)
    # seconds by function that replace TIMEOUTS
    timeouts: Mapping[str, int] = field(default_factory=dict)
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
        """Start every process and wait until each listens.

        Raises:
            NotStartedError: a process did not start; its one line names the process and its log.
        """
        deadline = time.monotonic() + self.start_seconds
        servers = self._servers()
        for name, command in servers.items():
            self.processes.start(name, command, self.environ())
        for name in self.functions:
            self.start_function(name)
        for name in servers:
            self.processes.await_port(name, getattr(self.ports, name), deadline)
        self._prepare("gcs", deadline, self._make_buckets)
        self._prepare("pubsub", deadline, self._make_topics)
        self._prepare("wandb", deadline, lambda seconds: self.make_queue(QUEUE, seconds=seconds))
        for name in self.functions:
            self.processes.await_port(name, getattr(self.ports, name), deadline)
        if self.every:
            self._start_scheduler()

    def start_function(self, name: str) -> None:
        """Serve one function through gunicorn, as the buildpack's container does."""
        source = self.sources.get(name, ROOT)
        seconds = self.timeouts.get(name, TIMEOUTS[name])
        environ = self.function_environ() | platform_variables(name, seconds)
        command = function_command(name, getattr(self.ports, name), source)
        only = {"PYTHONPATH": str(source), "PYTHONSAFEPATH": "1"}  # not the current folder
        self.processes.start(name, command, environ | only)

    def function_settings(self) -> dict[str, str]:
        """Return the settings of the functions: the endpoints, then those of the caller."""
        return {**local_settings(self.ports), **cadence_settings(self.every), **self.settings}

    def user_settings(self) -> dict[str, str]:
        """Return the variables that a person exports to use this stack with their own wandb."""
        return {"WANDB_BASE_URL": self.wandb_url, "WANDB_API_KEY": API_KEY}

    @property
    def wandb_url(self) -> str:
        """Return W&B's address, which a setting can place under a path."""
        return self.function_settings()["WANDB_BASE_URL"].rstrip("/")

    def make_queue(
        self, name: str, config: Mapping[str, Any] = DEFAULT_CONFIG, seconds: float = 5
    ) -> None:
        """Create a Vertex queue in W&B, or replace its configuration."""
        queue = {"entity": ENTITY, "queue": name, "resource": "gcp-vertex", "config": config}
        url = f"{self.wandb_url}/standin/queues"
        requests.post(url, json=queue, timeout=seconds).raise_for_status()

    def publisher(self) -> pubsub_v1.PublisherClient:
        """Return Google's own client, connected to this stack's topics."""
        return topics.publisher(self.ports)

    def subscriber(self) -> pubsub_v1.SubscriberClient:
        """Return Google's own client, connected to this stack's subscriptions."""
        return topics.subscriber(self.ports)

    @property
    def builds(self) -> bool:
        """Return whether the stack builds images of jobs' code."""
        return "LAUNCH_BUILDER" in self.settings

    def environ(self) -> dict[str, str]:
        """Return the environment of every process: nothing from the caller's leads elsewhere."""
        return clean(self.folder / "home") | {"PYTHONPATH": str(ROOT)}

    def function_environ(self) -> dict[str, str]:
        """Return the environment of every function."""
        return self.environ() | self.function_settings()

    def _servers(self) -> dict[str, list[str]]:
        options = {
            "gcs": self.gcs_options,
            "wandb": self.wandb_options,
            "vertex": self.vertex_options,
            "pubsub": self.pubsub_options,
        }
        commands = server_commands(
            self.ports, self.folder, options, emulator=self.emulator, builds=self.builds
        )
        return {name: command for name, command in commands.items() if name not in self.without}

    def _start_scheduler(self) -> None:
        urls = [self.ports.url(name) + "/" for name in ("poll", "status")]
        command = [sys.executable, "-m", "deploy.local.scheduler", "--every", str(self.every)]
        self.processes.start("scheduler", [*command, *urls], self.function_environ())

    def _prepare(self, server: str, deadline: float, prepare: Callable[[float], None]) -> None:
        """Create the functions' resources at a stand-in, within the time that is left."""
        try:
            prepare(max(deadline - time.monotonic(), 0.1))
        except (requests.RequestException, GoogleAPIError) as exc:
            reason = str(exc).partition("\n")[0]
            log = self.processes.log(server)
            raise NotStartedError(f"{server} does not answer ({reason}): see {log}") from exc

    def _make_buckets(self, seconds: float) -> None:
        for name in (BUCKET, CONTEXTS) if self.builds else (BUCKET,):
            make_bucket(self.ports.url("gcs"), name, seconds=seconds)

    def _make_topics(self, seconds: float) -> None:
        topics.create_topics(self.ports, seconds, self.attempts)
