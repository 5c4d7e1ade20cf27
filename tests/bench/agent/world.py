"""W&B and Vertex AI in this process: each create is seen, each job moves on by itself, each call is counted."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.state import Job, VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State as WandbState
from deploy.local.serving import serving
from deploy.local.stack import DEFAULT_CONFIG, ENTITY, Ports
from tests.bench.counted import Counted

STEP = 0.1  # seconds between two moves of the jobs
STARTS = 1.0  # seconds from a create to JOB_STATE_RUNNING, in which the run appears
FOR_EVER = 1e9
LABEL = "wandb-run-id"
PROJECT = "bench"


class World:
    """The stand-ins, with the times of creates and ends by display name, which is the item's name."""

    def __init__(self) -> None:
        self.wandb, self.vertex = WandbState(), VertexState(self._create)
        self.wandb_calls, self.vertex_calls = Counted(wandb_app(self.wandb)), Counted(vertex_app(self.vertex))
        self.ports = Ports.free()
        self.job_seconds = FOR_EVER  # from RUNNING to SUCCEEDED
        self.created: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self._living: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    @contextmanager
    def serving(self) -> Iterator["World"]:
        """Serve both, and move the jobs."""
        with ExitStack() as all_:
            all_.enter_context(serving(self.wandb_calls, self.ports.wandb))
            all_.enter_context(serving(self.vertex_calls, self.ports.vertex))
            driver = threading.Thread(target=self._drive)
            driver.start()
            try:
                yield self
            finally:
                self._stopped.set()
                driver.join()

    def queue(self, name: str) -> str:
        """Create a queue; return its name."""
        self.wandb.make_queue(ENTITY, name, config=DEFAULT_CONFIG)
        return name

    def push(self, queue: str, name: str) -> float:
        """Push an item whose job gets this name; return the time."""
        spec = {"entity": ENTITY, "project": PROJECT, "docker": {"docker_image": "local/train"}, "name": name}
        began = time.monotonic()
        self.wandb.push(ENTITY, queue, spec)
        return began

    def running(self) -> int:
        """Return how many jobs have not ended."""
        with self._lock:
            return len(self._living)

    def clear(self) -> None:
        """Forget all jobs."""
        with self._lock:
            self._living.clear()
        for job in self.vertex.jobs():
            self.vertex.forget(job.name)
        self.created, self.ended = {}, {}

    def _create(self, _: VertexState, job: Job) -> None:
        with self._lock:
            self.created.setdefault(job.display_name, time.monotonic())
            self._living[job.name] = job

    def _drive(self) -> None:
        """Move each job from PENDING over RUNNING to SUCCEEDED, with its run."""
        while not self._stopped.wait(STEP):
            with self._lock:
                living = list(self._living.values())
            for job in living:
                self._move(job, time.monotonic() - job.made)

    def _move(self, job: Job, age: float) -> None:
        if age > STARTS + self.job_seconds:
            self._run(job, "finished")
            self.vertex.move(job, "JOB_STATE_SUCCEEDED")
            with self._lock:
                self.ended[job.display_name] = time.monotonic()
                self._living.pop(job.name, None)
        elif age > STARTS and job.state != "JOB_STATE_RUNNING":
            self._run(job, "running")
            self.vertex.move(job, "JOB_STATE_RUNNING")
        elif job.state == "JOB_STATE_QUEUED":
            self.vertex.move(job, "JOB_STATE_PENDING")

    def _run(self, job: Job, state: str) -> None:
        given: dict[str, Any] = {"state": state}
        self.wandb.upsert_run(ENTITY, PROJECT, job.labels[LABEL], given)
