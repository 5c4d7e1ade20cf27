"""The two systems: each can be started on a queue, and stopped."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import click
import psutil
import requests

from deploy.local.stack import API_KEY, ENTITY, FUNCTIONS, LOCATION, PROJECT, ROOT, Stack
from tests.bench.agent.world import World
from tests.bench.sizes import container_megabytes, cpu_seconds, deployed

START_SECONDS = 180
MINUTE = 60.0  # between two calls of Cloud Scheduler


@dataclass
class Running:
    """A started system: its processes, each with its children."""

    pids: list[int]
    bucket_url: str = ""  # of the Cloud Storage that it uses

    def cpu_seconds(self) -> float:
        """Return the CPU time so far."""
        return sum(cpu_seconds(psutil.Process(pid)) for pid in self.pids)

    def megabytes(self) -> float:
        """Return the memory of all processes, each in a container of its own."""
        return sum(container_megabytes(psutil.Process(pid)) for pid in self.pids)

    def operations(self) -> dict[str, int]:
        """Return the calls of Cloud Storage so far, by class."""
        if not self.bucket_url:
            return {}
        return dict(requests.get(f"{self.bucket_url}/standin/gcs", timeout=30).json()["operations"])


class System(Protocol):
    """One of the two."""

    @property
    def name(self) -> str:
        """Return its name in the names of queues."""

    def on(self, world: World, folder: Path, queue: str, max_jobs: int) -> AbstractContextManager[Running]:
        """Start on a queue, with a limit of jobs (-1: none); the processes end with the context."""


@dataclass(frozen=True)
class Agent:
    """The unmodified agent of wandb, in its own environment."""

    python: Path
    name: str = "agent"

    @contextmanager
    def on(self, world: World, folder: Path, queue: str, max_jobs: int) -> Iterator[Running]:
        """Start it, and wait until it asks for items."""
        folder.mkdir(parents=True)
        config = {
            "entity": ENTITY,
            "queues": [queue],
            "max_jobs": max_jobs,
            "environment": {"type": "gcp", "region": LOCATION},
            "builder": {"type": "noop"},
        }
        (folder / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "WANDB_DIR": str(folder),
            "WANDB_BASE_URL": world.ports.url("wandb"),
            "WANDB_API_KEY": API_KEY,
            "LOCAL_VERTEX": world.ports.url("vertex"),
            "LOCAL_PROJECT": PROJECT,
            "PYTHONWARNINGS": "ignore",
        }
        start = str(Path(__file__).with_name("start_agent.py"))
        command = [str(self.python), start, "--config", str(folder / "config.yaml")]
        polled = _pops(world)
        log = folder / "agent.log"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                command, env=environ, cwd=folder, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            deadline = time.monotonic() + START_SECONDS
            while _pops(world) <= polled:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise click.ClickException(f"the agent did not start: see {log}")
                time.sleep(0.2)
            yield Running([process.pid])
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            world.clear()


@dataclass(frozen=True)
class Ours:
    """The three functions, called once a minute; `cadence` is LAUNCH_CADENCE."""

    cadence: str = "adaptive"
    name: str = "ours"

    @contextmanager
    def on(self, world: World, folder: Path, queue: str, max_jobs: int) -> Iterator[Running]:
        """Start the stack, with as many creates side by side as the cloud's instances of submit make."""
        creates = int(deployed("submit", "concurrency")) * int(deployed("submit", "max-instances"))
        settings = {
            "LAUNCH_QUEUES": queue,
            "LAUNCH_MAX_JOBS": str(max_jobs),
            "LAUNCH_MAX_QUEUED": "1000",
            "LAUNCH_CADENCE": self.cadence,
            "THREADS": str(creates),
        }
        stack = Stack(
            folder,
            world.ports,
            settings,
            every=MINUTE,
            emulator=False,
            without=frozenset({"wandb", "vertex"}),
            start_seconds=START_SECONDS,
        )
        with stack:
            try:
                pids = [stack.processes.pid(name) for name in FUNCTIONS]
                yield Running(pids, world.ports.url("gcs"))
            finally:
                world.clear()


def _pops(world: World) -> int:
    return sum(count for name, count in world.wandb.requests.items() if "pop" in name.lower())


def python_of(environment: Path) -> Path:
    """Return the Python of a virtual environment."""
    return environment / "bin" / "python"


def install(environment: Path, python: str) -> Path:
    """Create the agent's environment, once; return its Python."""
    there = python_of(environment)
    wanted = ROOT / "requirements-agent.txt"
    done = environment / "installed.txt"
    if there.exists() and done.exists() and done.read_text(encoding="utf-8") == wanted.read_text(encoding="utf-8"):
        return there
    subprocess.run([python, "-m", "venv", environment], check=True)
    command = [str(there), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)]
    subprocess.run(command, check=True)
    done.write_text(wanted.read_text(encoding="utf-8"), encoding="utf-8")
    return there
