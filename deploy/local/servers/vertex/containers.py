"""A container on this machine: its environment, and the end of its processes."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.local.environment import mark
from deploy.local.image_store import search_path
from deploy.local.servers.vertex.expansion import expanded_variables
from deploy.local.servers.vertex.state import Job

_OUTPUTS = {"model": "model", "checkpoint": "checkpoints", "tensorboard_log": "logs"}


def environment_of(
    job: Job, root: Path, image: Mapping[str, str], container: Any, *, expands: bool
) -> dict[str, str]:
    """Return a container's environment: of this process's, the path to Python and the mark."""
    home, scratch = root / "home", root / "tmp"
    for folder in (home, scratch):
        folder.mkdir()
    base = {
        "PATH": search_path(root / "image"),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }
    known = base | mark() | {"TMPDIR": str(scratch)} | dict(image) | _vertex(job)
    own = [(variable.name, variable.value) for variable in container.env]
    return known | (expanded_variables(own, known) if expands else dict(own))


def _vertex(job: Job) -> dict[str, str]:
    """Return the variables that Vertex AI sets."""
    vertex = {"CLOUD_ML_JOB_ID": job.name.rpartition("/")[2]}
    if output := job.message.job_spec.base_output_directory.output_uri_prefix:
        below = output.rstrip("/")
        vertex |= {f"AIP_{what}_DIR".upper(): f"{below}/{path}/" for what, path in _OUTPUTS.items()}
    return vertex


def end_processes(processes: list[subprocess.Popen[bytes]], grace: float) -> None:
    """End processes as a container ends: SIGTERM for the first, SIGKILL for all after `grace`."""
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
