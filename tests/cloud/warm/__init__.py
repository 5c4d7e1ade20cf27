"""The real gcloud, imported once: each of its commands is then a fork of that process, which saves most of a start."""

import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.processes import NotStartedError, Processes
from tests.cloud.world import Cloud

HERE = Path(__file__).parent
_START_SECONDS = 120


@contextmanager
def warm_gcloud(cloud: Cloud) -> Iterator[None]:
    """Let whoever runs with this cloud's environment find such a gcloud; nothing changes where none is installed."""
    gcloud = shutil.which("gcloud", path=cloud.path)
    if gcloud is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="gcloud-") as made:  # short, as a socket's address has to be
        folder = Path(made)
        address, command = folder / "socket", folder / "gcloud"
        ask = shlex.join([sys.executable, "-IS", str(HERE / "ask.py"), str(address)])
        command.write_text(f'#!/bin/sh\nexec {ask} "$@"\n', encoding="utf-8")
        command.chmod(0o755)
        processes = Processes(folder)
        # gcloud's own launcher finds its Python, and starts our module with the path of gcloud.py in front
        environ = {"PATH": cloud.path, "HOME": made, "LANG": "C.UTF-8", "PYTHONPATH": str(HERE)}
        try:
            processes.start("gcloud", [gcloud, str(address)], environ | {"CLOUDSDK_PYTHON_ARGS": "-S -m serve"})
            _await(processes, address)
            cloud.path = f"{made}:{cloud.path}"
            yield
        finally:
            processes.stop()


def _await(processes: Processes, address: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not address.exists():
        if processes.ended() or time.monotonic() > deadline:
            raise NotStartedError(f"gcloud could not be imported:\n{processes.tail('gcloud')}")
        time.sleep(0.05)
