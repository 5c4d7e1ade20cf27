"""Run a job's containers as local processes: the command, the arguments and the environment that Vertex AI would give.

An image `local/NAME[:TAG]`, or one that was built here, is a folder (deploy/local/image_store.py). Its files are copied
for each replica, as a container has a file system of its own. There is no registry on a laptop, so any other image
fails as one that cannot be pulled. `local/played` alone has no folder: its jobs are played without a process.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.local.image_store import ImageStore, Start, search_path
from deploy.local.vertex_server.played import IMAGE as PLAYED
from deploy.local.vertex_server.played import play
from deploy.local.vertex_server.state import Job, VertexState


class Runner:
    """Start each created job in a thread of its own; `close` ends them all."""

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

    def start(self, state: VertexState, job: Job) -> None:
        """Begin to run a job."""
        thread = threading.Thread(target=self._live, args=(state, job), name=job.name, daemon=True)
        self._running = [(other, its) for other, its in self._running if other.is_alive()] + [(thread, job)]
        thread.start()

    def close(self) -> None:
        """End every process that was started, and wait until they are gone."""
        for _, job in self._running:
            job.stop.set()
        for thread, _ in self._running:
            thread.join(self._grace + 2)

    def _live(self, state: VertexState, job: Job) -> None:
        for waiting in ("JOB_STATE_QUEUED", "JOB_STATE_PENDING"):
            state.move(job, waiting)
            if job.stop.wait(self._pending / 2):
                state.move(job, "JOB_STATE_CANCELLED", "The job was cancelled before it began.")
                return
        if error := state.shortages.stockout(job.parent, job.message):
            state.move(job, "JOB_STATE_FAILED", error)
            return
        if _container(job).image_uri.partition(":")[0] == PLAYED:
            state.move(job, "JOB_STATE_RUNNING")
            state.move(job, *_play(job))
            return
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for replica, container in _replicas(job):
                processes.append(self._spawn(job, replica, container))
        except (OSError, ValueError) as exc:
            _end(processes, self._grace)
            state.move(job, "JOB_STATE_FAILED", str(exc))
            return
        state.move(job, "JOB_STATE_RUNNING")
        end, error = self._watch(job, processes)
        _end(processes, self._grace)
        state.move(job, end, error)

    def _watch(self, job: Job, processes: list[subprocess.Popen[bytes]]) -> tuple[str, str]:
        """Wait until the first replica of the first pool ends, or the job is cancelled, or its time is over."""
        limit = job.message.job_spec.scheduling.timeout.ToTimedelta().total_seconds()
        deadline = time.monotonic() + limit if limit else float("inf")
        while processes[0].poll() is None:
            if job.stop.wait(0.05):
                return _ending(job, None)
            if time.monotonic() > deadline:
                return "JOB_STATE_FAILED", f"The job exceeded its timeout of {limit:g} seconds."
        return _ending(job, processes[0].returncode)

    def _spawn(self, job: Job, replica: str, container: Any) -> subprocess.Popen[bytes]:
        image = self._images.find(container.image_uri)
        root = self._folder / job.name.rpartition("/")[2] / replica
        shutil.copytree(image, root / "image", symlinks=True)
        start = Start.of(image)
        command = [*(container.command or start.entrypoint), *container.args]
        log = root / "log.txt"
        job.log = job.log or str(log)
        environment = _environment(job, root, container, start.env)
        with log.open("wb") as output:
            try:
                return subprocess.Popen(
                    command,
                    cwd=root / "image" / start.workdir,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a process group of its own, so that its children can be ended with it
                )
            except OSError as exc:
                raise ValueError(
                    f"The replica {replica} exited with a non-zero status of 128. Termination reason: StartError. "
                    f"Termination log message: failed to start the container: {command[0]}: {exc.strerror}."
                ) from exc


def _play(job: Job) -> tuple[str, str]:
    try:
        return _ending(job, play(_variables(_container(job)), job.stop))
    except (OSError, ValueError, TypeError, KeyError) as exc:  # W&B is gone, or the part is none
        return "JOB_STATE_FAILED", f"The job cannot be played: {exc!r}"


def _ending(job: Job, code: int | None) -> tuple[str, str]:
    """Return the state and the error of a job whose first replica ended with this code; None: it was cancelled."""
    if code is None:
        return "JOB_STATE_CANCELLED", "The job was cancelled."
    if code == 0:
        return "JOB_STATE_SUCCEEDED", ""
    return "JOB_STATE_FAILED", (
        # ended by a signal: 128 and its number, as containers have it
        f"The replica workerpool0-0 exited with a non-zero status of {code if code > 0 else 128 - code}. "
        f"To find out more about why your job exited please check the logs: {job.log}"
    )


def _container(job: Job) -> Any:
    return job.message.job_spec.worker_pool_specs[0].container_spec


def _replicas(job: Job) -> Iterator[tuple[str, Any]]:
    for number, pool in enumerate(job.message.job_spec.worker_pool_specs):
        for replica in range(pool.replica_count):
            if pool.WhichOneof("task") == "python_package_spec":
                raise ValueError("A python_package_spec cannot be run on this machine: give a container_spec.")
            yield f"workerpool{number}-{replica}", pool.container_spec


def _environment(job: Job, root: Path, container: Any, images: dict[str, str]) -> dict[str, str]:
    """Return a clean environment, as a container's: nothing of this process but where Python is."""
    home, scratch = root / "home", root / "tmp"
    for folder in (home, scratch):
        folder.mkdir()
    base = {"PATH": search_path(root / "image"), "HOME": str(home), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    base |= {"TMPDIR": str(scratch)} | images
    vertex = {"CLOUD_ML_JOB_ID": job.name.rpartition("/")[2]}
    if output := job.message.job_spec.base_output_directory.output_uri_prefix:
        below = output.rstrip("/")
        vertex |= {f"AIP_{what}_DIR".upper(): f"{below}/{path}/" for what, path in _OUTPUTS.items()}
    return base | vertex | _variables(container)


def _variables(container: Any) -> dict[str, str]:
    return {variable.name: variable.value for variable in container.env}


_OUTPUTS = {"model": "model", "checkpoint": "checkpoints", "tensorboard_log": "logs"}


def _end(processes: list[subprocess.Popen[bytes]], grace: float) -> None:
    """End as a container is ended: its first process is asked; after the grace everything in it is killed."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + grace
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(deadline - time.monotonic(), 0))
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
