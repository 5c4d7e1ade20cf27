"""Run a job's containers as local processes, with Vertex AI's command, arguments and environment.

An image `local/NAME[:TAG]`, or an image built here, is a folder (deploy/local/image_store.py). Each
replica gets a copy of its files, as a container has its own file system. Any other image fails as
if its pull had failed. The image `local/played` has no folder and starts no process.
"""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.local.image_store import ImageStore, Start, give_python
from deploy.local.servers.vertex.containers import end_processes, environment_of
from deploy.local.servers.vertex.expansion import expanded
from deploy.local.servers.vertex.messages import strategy_of
from deploy.local.servers.vertex.played import IMAGE as PLAYED
from deploy.local.servers.vertex.played import MachinesLost, part_of, play
from deploy.local.servers.vertex.refusals import INTERNAL
from deploy.local.servers.vertex.rules import DAY
from deploy.local.servers.vertex.shortages import stockout
from deploy.local.servers.vertex.state import Job, VertexState


class Runner:
    """Runs each created job in its own thread; `close` ends all jobs."""

    def __init__(
        self,
        images: Path,
        folder: Path,
        pending_seconds: float = 0.3,
        grace_seconds: float = 5.0,
        built: Path | None = None,
    ) -> None:
        self._images = ImageStore(images, built)
        self._folder = folder
        self._pending = pending_seconds
        self._grace = grace_seconds
        self._running: list[tuple[threading.Thread, Job]] = []
        self._broken: set[str] = set()  # runs whose first attempt failed with an internal error
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def start(self, state: VertexState, job: Job) -> None:
        """Start a job."""
        thread = threading.Thread(target=self._live, args=(state, job), name=job.name, daemon=True)
        self._running = [(other, its) for other, its in self._running if other.is_alive()] + [
            (thread, job)
        ]
        thread.start()

    def close(self) -> None:
        """End every started process, and wait for it."""
        self._closed.set()
        for _, job in self._running:
            job.stop.set()
        for thread, _ in self._running:
            thread.join(self._grace + 2)

    def _live(self, state: VertexState, job: Job) -> None:
        """Move a job from QUEUED to its end."""
        location = job.parent.rpartition("/")[2]
        if not self._take_machines(state, job, location):
            self._cancel(state, job, "The job was cancelled before it began.")
            return
        try:
            self._begin(state, job)
        finally:
            state.machines.give_back(location, job.message)

    def _take_machines(self, state: VertexState, job: Job, location: str) -> bool:
        """Wait in QUEUED for machine quota; return False if the job is cancelled first."""
        if job.stop.wait(self._pending / 2):
            return False
        while not state.machines.take(location, job.message):
            if job.stop.wait(0.05):
                return False
        return True

    def _begin(self, state: VertexState, job: Job) -> None:
        """Wait in PENDING for the machines, then run."""
        state.move(job, "JOB_STATE_PENDING")
        if job.stop.wait(self._pending / 2):
            self._cancel(state, job, "The job was cancelled before it began.")
        elif state.take_internal_error() or self._breaks(job):
            state.move(job, "JOB_STATE_FAILED", INTERNAL)
        elif not (error := state.shortages.stockout(job.parent, job.message)):
            self._run(state, job)
        elif strategy_of(job.message) == "FLEX_START":
            self._wait_for_flex_start(state, job)
        else:
            state.move(job, "JOB_STATE_FAILED", error)

    def _breaks(self, job: Job) -> bool:
        """Return whether this attempt of a played job fails before its container runs."""
        try:
            if not _is_played(job) or not part_of(_variables(job)).internal:
                return False
        except (ValueError, TypeError):  # an invalid part; `play` reports it
            return False
        run = _variables(job).get("WANDB_RUN_ID", job.name)
        with self._lock:
            first = run not in self._broken
            self._broken.add(run)
        return first

    def _wait_for_flex_start(self, state: VertexState, job: Job) -> None:
        """Wait for machines as long as the job allows, then end as `Behaviour.flex_ends` sets."""
        scheduling = job.message.job_spec.scheduling
        limit = scheduling.max_wait_duration.ToTimedelta().total_seconds()
        if not scheduling.HasField("max_wait_duration"):
            limit = DAY
        deadline = time.monotonic() + limit if limit else float("inf")
        while error := state.shortages.stockout(job.parent, job.message):
            if job.stop.wait(0.05):
                self._cancel(state, job, "The job was cancelled before it began.")
                return
            if time.monotonic() > deadline:
                end = state.behaviour.flex_ends
                state.move(
                    job, end, "The job was cancelled." if end.endswith("CANCELLED") else error
                )
                return
        self._run(state, job)

    def _run(self, state: VertexState, job: Job) -> None:
        if _is_played(job):
            state.move(job, "JOB_STATE_RUNNING")
            self._end(state, job, *_play(job))
            return
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for replica, container in _replicas(job):
                processes.append(self._spawn(state, job, replica, container))
        except (OSError, ValueError) as exc:
            end_processes(processes, self._grace)
            state.move(job, "JOB_STATE_FAILED", str(exc))
            return
        state.move(job, "JOB_STATE_RUNNING")
        end, error = self._watch(job, processes)
        end_processes(processes, self._grace)
        self._end(state, job, end, error)

    def _end(self, state: VertexState, job: Job, end: str, error: str) -> None:
        if end == "JOB_STATE_CANCELLED":
            self._cancel(state, job, error)
        else:
            state.move(job, end, error)

    def _cancel(self, state: VertexState, job: Job, error: str) -> None:
        """End a cancelled job after `Behaviour.cancelling_seconds`."""
        self._closed.wait(state.behaviour.cancelling_seconds)
        state.move(job, "JOB_STATE_CANCELLED", error)

    def _watch(self, job: Job, processes: list[subprocess.Popen[bytes]]) -> tuple[str, str]:
        """Wait until the first replica of the first pool ends, a cancel, or the job's timeout."""
        limit = job.message.job_spec.scheduling.timeout.ToTimedelta().total_seconds()
        deadline = time.monotonic() + limit if limit else float("inf")
        while processes[0].poll() is None:
            if job.stop.wait(0.05):
                return _ending(job, None)
            if time.monotonic() > deadline:
                return "JOB_STATE_FAILED", f"The job exceeded its timeout of {limit:g} seconds."
        return _ending(job, processes[0].returncode)

    def _spawn(
        self, state: VertexState, job: Job, replica: str, container: Any
    ) -> subprocess.Popen[bytes]:
        image = self._images.find(container.image_uri)
        root = self._folder / job.name.rpartition("/")[2] / replica
        shutil.copytree(image, root / "image", symlinks=True)
        give_python(root / "image")  # what a job installs stays in its container
        start = Start.of(image)
        log = root / "log.txt"
        job.log = job.log or str(log)
        command = [*(container.command or start.entrypoint), *container.args]
        environment = environment_of(
            job, root, start.env, container, expands=state.behaviour.expands
        )
        if state.behaviour.expands:
            command = [expanded(word, environment) for word in command]
        with log.open("wb") as output:
            try:
                return subprocess.Popen(
                    command,
                    cwd=root / "image" / start.workdir,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # one process group, so that its children end with it
                )
            except OSError as exc:
                raise ValueError(
                    f"The replica {replica} exited with a non-zero status of 128. "
                    "Termination reason: StartError. Termination log message: "
                    f"failed to start the container: {command[0]}: {exc.strerror}."
                ) from exc


def _is_played(job: Job) -> bool:
    return bool(_container(job).image_uri.partition(":")[0] == PLAYED)


def _play(job: Job) -> tuple[str, str]:
    try:
        return _ending(job, play(_variables(job), job.stop))
    except MachinesLost:
        return "JOB_STATE_FAILED", stockout(job.parent.rpartition("/")[2])
    except (OSError, ValueError, TypeError, KeyError) as exc:  # W&B is gone, or an invalid part
        return "JOB_STATE_FAILED", f"The job cannot be played: {exc!r}"


def _ending(job: Job, code: int | None) -> tuple[str, str]:
    """Return the state and the error of a job by its first replica's exit code; None: cancelled."""
    if code is None:
        return "JOB_STATE_CANCELLED", "The job was cancelled."
    if code == 0:
        return "JOB_STATE_SUCCEEDED", ""
    status = code if code > 0 else 128 - code  # 128 + the signal's number, as in containers
    return "JOB_STATE_FAILED", (
        f"The replica workerpool0-0 exited with a non-zero status of {status}. "
        f"To find out more about why your job exited please check the logs: {job.log}"
    )


def _container(job: Job) -> Any:
    return job.message.job_spec.worker_pool_specs[0].container_spec


def _replicas(job: Job) -> Iterator[tuple[str, Any]]:
    for number, pool in enumerate(job.message.job_spec.worker_pool_specs):
        for replica in range(pool.replica_count):
            if pool.WhichOneof("task") == "python_package_spec":
                raise ValueError(
                    "This machine cannot run a python_package_spec: use a container_spec."
                )
            yield f"workerpool{number}-{replica}", pool.container_spec


def _variables(job: Job) -> dict[str, str]:
    return {variable.name: variable.value for variable in _container(job).env}
