"""The real gcloud, imported once: each command is a fork of that process, which starts faster."""

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
    """Put a warm gcloud into this cloud's PATH, if gcloud is installed."""
    gcloud = shutil.which("gcloud", path=cloud.path)
    if gcloud is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="gcloud-") as made:  # short, since a socket's path is limited
        folder = Path(made)
        address, command = folder / "socket", folder / "gcloud"
        ask = shlex.join([sys.executable, "-IS", str(HERE / "ask.py"), str(address)])
        command.write_text(f'#!/bin/sh\nexec {ask} "$@"\n', encoding="utf-8")
        command.chmod(0o755)
        processes = Processes(folder)
        # gcloud's launcher finds its Python, and starts our module with gcloud.py as first argument
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
