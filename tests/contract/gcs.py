"""A GCS server for the tests, one for all of a process, and a fresh bucket for each test."""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from deploy.local.processes import HOST, Processes, free_port
from deploy.local.servers.gcs.server import gcs_command, make_bucket

_numbers = itertools.count()


@contextmanager
def gcs_server(folder: Path) -> Iterator[str]:
    """Serve GCS and point Google's client at it; yields its URL."""
    port = free_port()
    with _serving(folder, port, gcs_command(HOST, port)) as url:
        yield url


@contextmanager
def limited_gcs(folder: Path, *options: str) -> Iterator[str]:
    """Serve GCS behind its own limits, as the embedded stack does; yields its URL."""
    port = free_port()
    with _serving(
        folder, port, [sys.executable, "-m", "deploy.local.servers.gcs", "--port", str(port), *options]
    ) as url:
        yield url


@contextmanager
def _serving(folder: Path, port: int, command: list[str]) -> Iterator[str]:
    processes = Processes(folder)
    before = {name: os.environ.get(name) for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT")}
    try:
        processes.start("gcs", command)
        processes.await_port("gcs", port, time.monotonic() + 20)
        url = f"http://{HOST}:{port}"
        os.environ |= {"STORAGE_EMULATOR_HOST": url, "GOOGLE_CLOUD_PROJECT": "p"}
        yield url
    finally:
        processes.stop()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def fresh_bucket(url: str) -> str:
    """Make a bucket that nobody has used, and return its name."""
    name = f"ledger-{os.getpid()}-{next(_numbers)}"
    make_bucket(url, name)
    return name


def put(server: str, bucket: str, name: str, metadata: dict[str, str], content: bytes) -> None:
    """Write an object by hand."""
    parts = [json.dumps({"name": name, "metadata": metadata}).encode(), content]
    body = b"".join(b"--cut\r\nContent-Type: application/json\r\n\r\n%s\r\n" % part for part in parts) + b"--cut--"
    headers = {"Content-Type": "multipart/related; boundary=cut"}
    upload = f"{server}/upload/storage/v1/b/{bucket}/o?uploadType=multipart"
    requests.post(upload, data=body, headers=headers, timeout=5).raise_for_status()
