"""What operators wait for: a listing of thousands of launches."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from deploy.local.stack import DEFAULT_CONFIG, ENTITY, LOCATION, PROJECT, QUEUE, ROOT
from shared.adapters.gcs import GcsLedger
from shared.core.intake import from_item
from shared.core.launch import State
from shared.core.message import Queue
from tests.bench.figures import Figure
from tests.contract.gcs import fresh_bucket, gcs_server

OPEN = 10_000
WAITS = "Resources are insufficient in region: us-central1. Please try a different region"


def listing(folder: Path, rounds: int) -> Iterator[Figure]:
    """`vertex-launch ls` of 10,000 open launches, as a process, from its start to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    with gcs_server(folder) as server:
        bucket = fresh_bucket(server)
        _fill(bucket, OPEN)
        measured = [_measured(bucket, folder / "ls.txt") for _ in range(max(rounds, 3))]
    wall, cpu, memory = zip(*measured, strict=True)
    yield Figure("`ls` of 10,000 open launches, the fastest round by the clock", min(wall), 3.0, "s")
    yield Figure("CPU time of that process", min(cpu), 3.0, "s")
    yield Figure("memory of that process at its peak", max(memory), 200.0, "MB")


def _fill(bucket: str, number: int) -> None:
    """Write launches that run, and a few that wait, each with a reason of its own."""
    ledger, queue, now = GcsLedger(bucket), Queue(entity=ENTITY, name=QUEUE), datetime.now(UTC)
    parent = f"projects/{PROJECT}/locations/{LOCATION}"

    def put(item: int) -> None:
        spec = {"entity": ENTITY, "project": "bench", "name": f"run-{item}", "author": f"author-{item % 50}"}
        begun = from_item(f"item-{item}", queue, spec | DEFAULT_CONFIG, now - timedelta(seconds=item))
        claim = begun.move(State.SUBMITTING, attempt=1, parent=parent, machine="1×a2-highgpu-1g SPOT")
        if item % 10 == 0:
            wait = timedelta(minutes=5)
            ledger.write(claim.again(now, wait, WAITS, f"{WAITS} ({item})"))
            return
        job = {"job_name": f"{parent}/customJobs/{item}", "submitted_at": now}
        ledger.write(claim.move(State.SUBMITTED, **job).started(now))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(number)))


def _measured(bucket: str, output: Path) -> tuple[float, float, float]:
    """Return the seconds by the clock and of CPU, and the megabytes, of one listing."""
    command = [sys.executable, "-m", "deploy", "ls", f"--project={PROJECT}", f"--bucket={bucket}"]
    began = time.monotonic()
    with output.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    lines = len(output.read_text(encoding="utf-8").splitlines())
    if process.returncode or lines != OPEN + 1:
        raise click.ClickException(f"ls printed {lines} lines, exit code {process.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6
