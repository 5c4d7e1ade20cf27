"""One tick of status: with ten thousand launches and slow answers, and with a hundred ends."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import psutil
import requests

from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.state import State as WandbState
from deploy.local.stack import BUCKET, ENTITY, Stack
from shared.adapters.gcs import GcsLedger
from tests.bench.figures import Figure
from tests.bench.sizes import cpu_seconds
from tests.bench.stacks import full

OPEN, PAGE_SECONDS, QUERY_SECONDS = 10_000, 0.15, 0.12
ENDS, FEW_ENDS = 100, 5
ONCE = {"STATUS_BUDGET_SECONDS": "45"}  # the default


def scale(folder: Path, rounds: int) -> Iterator[Figure]:
    """One tick with 10,000 open launches, 0.15 s a page of Vertex AI and 0.12 s a query of W&B."""
    slow = {"page_seconds": PAGE_SECONDS, "query_seconds": QUERY_SECONDS}
    with full(folder, OPEN, ("status",), ONCE, **slow) as (stack, wandb, vertex):
        _tick(stack)  # imports, and connects
        process, found = psutil.Process(stack.processes.pid("status")), []
        for _ in range(min(rounds, 3)):
            _end(wandb, vertex, FEW_ENDS)
            began, before = time.monotonic(), cpu_seconds(process)
            acted = _tick(stack).get("Finish", 0)
            found.append((time.monotonic() - began, cpu_seconds(process) - before, acted))
        seconds, cpu, acted_on = zip(*found, strict=True)
        peak = max(peak_megabytes(one.pid) for one in [process, *process.children(recursive=True)])
    yield Figure("the tick", min(seconds), 20.0, "s")
    yield Figure("CPU of the tick", min(cpu), 1.2, "s")
    yield Figure("memory of status at its highest", peak, 150.0, "MB")
    yield Figure("jobs that ended before the tick, and are closed in it", min(acted_on), FEW_ENDS, "launches", True)


def ends(folder: Path, _: int) -> Iterator[Figure]:
    """One tick in which 100 launches end."""
    with full(folder, ENDS, ("status",), ONCE) as (stack, wandb, vertex):
        _end(wandb, vertex, ENDS)
        _tick(stack)
        closed = len(GcsLedger(BUCKET).list_closed().entries)
    yield Figure("launches that are reported and closed in it", closed, ENDS, "launches", at_least=True)


def peak_megabytes(pid: int) -> float:
    """Return the highest resident memory of a process."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def _end(wandb: WandbState, vertex: VertexState, number: int) -> None:
    """End running jobs, with their runs."""
    running = [job for job in vertex.jobs() if job.state == "JOB_STATE_RUNNING"][:number]
    for job in running:
        vertex.move(job, "JOB_STATE_SUCCEEDED")
    for run in wandb.runs.in_project(ENTITY, "bench"):
        run.state = "finished"  # of every run: only the ended jobs' ones are asked for


def _tick(stack: Stack) -> dict[str, Any]:
    answer = requests.post(stack.ports.url("status") + "/", timeout=300)
    answer.raise_for_status()
    body = answer.json()
    if body.get("errors"):
        raise click.ClickException(f"the tick failed: {body['errors'][:3]}")
    return dict(body["done"])
