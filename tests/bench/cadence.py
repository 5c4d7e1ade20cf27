"""The calls of a minute, idle and warm, and those of one launch: what a deployment costs is made from them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import psutil
import requests

from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.state import State as WandbState
from deploy.local.stack import ENTITY, QUEUE, Stack
from tests.bench.figures import Figure
from tests.bench.sizes import cpu_seconds
from tests.bench.stacks import fill, full

MINUTES = 5  # idle ones
LAUNCHES = 20
PATIENCE = 60.0
NAMES = ("poll", "status")


def calls(folder: Path, _: int) -> Iterator[Figure]:
    """Calls without work: an idle minute, and a warm one with an empty queue."""
    with full(folder / "idle", 0, NAMES, {"LAUNCH_CADENCE": "adaptive"}) as (stack, wandb, _vertex):
        _minute(stack)  # registers the agent
        before, cpu, calls_before = operations(stack), _cpu(stack), wandb.requests.total()
        for _minute_number in range(MINUTES):
            _minute(stack)
        idle = {name: (count - before[name]) / MINUTES for name, count in operations(stack).items()}
        queries, cpu = (wandb.requests.total() - calls_before) / MINUTES, (_cpu(stack) - cpu) / MINUTES
    yield Figure("calls of W&B an hour, idle", queries * 60, 180, "calls")
    yield Figure(
        "operations of class A in the ledger's bucket, an idle minute", idle["A"], 3, "calls", key="idle_class_a"
    )
    yield Figure("operations of class B, an idle minute", idle["B"], 6, "calls", key="idle_class_b")
    yield Figure("CPU of poll and status, an idle minute", cpu, 0.3, "s", key="idle_cpu_seconds")
    with full(folder / "warm", 0, NAMES, {"LAUNCH_CADENCE": "always"}) as (stack, wandb, _vertex):
        began, before, calls_before = time.monotonic(), operations(stack), wandb.requests.total()
        with ThreadPoolExecutor(len(NAMES)) as pool:
            list(pool.map(lambda name: _call(stack, name), NAMES))
        lasted = max(time.monotonic() - began, 60.0) / 60  # the next call of Cloud Scheduler comes after a minute
        warm = {name: (count - before[name]) / lasted for name, count in operations(stack).items()}
        queries = (wandb.requests.total() - calls_before) / lasted
    yield Figure("calls of W&B an hour, warm with an empty queue", queries * 60, 800, "calls")
    yield Figure("operations of class A, a warm minute", warm["A"], 20, "calls", key="warm_class_a")
    yield Figure("operations of class B, a warm minute", warm["B"], 60, "calls", key="warm_class_b")


def launches(folder: Path, _: int) -> Iterator[Figure]:
    """The calls of a launch, from its pop to its end."""
    with full(folder, 0) as (stack, wandb, vertex):
        _minute(stack)
        before, created = operations(stack), vertex.requests["create"]
        cpu = _cpu(stack, "poll", "submit", "status")
        fill(stack, QUEUE, LAUNCHES)
        _call(stack, "poll")
        deadline = time.monotonic() + PATIENCE
        while vertex.requests["create"] - created < LAUNCHES:
            if time.monotonic() > deadline:
                raise click.ClickException("not every item has a CustomJob")
            time.sleep(0.2)
        time.sleep(2)  # until submit has recorded the last one
        for state, of_run in (("JOB_STATE_RUNNING", "running"), ("JOB_STATE_SUCCEEDED", "finished")):
            _move(wandb, vertex, state, of_run)
            _call(stack, "status")
        each = {name: (count - before[name]) / LAUNCHES for name, count in operations(stack).items()}
        cpu = (_cpu(stack, "poll", "submit", "status") - cpu) / LAUNCHES
    yield Figure("operations of class A for each launch", each["A"], 7, "calls", key="launch_class_a")
    yield Figure("operations of class B for each launch", each["B"], 9, "calls", key="launch_class_b")
    yield Figure("CPU of all three functions for each launch", cpu, 0.2, "s", key="launch_cpu_seconds")


def operations(stack: Stack) -> dict[str, int]:
    """Return the operations of the stack's Cloud Storage so far, by class."""
    return dict(requests.get(f"{stack.ports.url('gcs')}/standin/gcs", timeout=30).json()["operations"])


def _minute(stack: Stack) -> None:
    """Make the calls of Cloud Scheduler."""
    for name in NAMES:
        _call(stack, name)


def _call(stack: Stack, name: str) -> None:
    requests.post(stack.ports.url(name) + "/", timeout=120).raise_for_status()


def _cpu(stack: Stack, *names: str) -> float:
    return sum(cpu_seconds(psutil.Process(stack.processes.pid(name))) for name in names or NAMES)


def _move(wandb: WandbState, vertex: VertexState, state: str, of_run: str) -> None:
    for job in vertex.jobs():
        vertex.move(job, state)
        wandb.upsert_run(ENTITY, "bench", job.labels["wandb-run-id"], {"state": of_run})
