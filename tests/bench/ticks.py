"""The ticks of poll and status: speed, number of calls and memory."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import requests
from requests.adapters import HTTPAdapter

from deploy.local.project import NAME
from deploy.local.stack import API_KEY, BUCKET, ENTITY, PROJECT, Ports, Stack
from functions.poll.drain import Poll, PollLimits
from functions.status.reconcile import Status
from shared.adapters.build.builds import CloudBuilds
from shared.adapters.gcs import GcsAgentBook, GcsLedger
from shared.adapters.pubsub import PubsubPublisher
from shared.adapters.vertex.jobs import VertexJobs
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.core.budget import Budget
from shared.core.cadence import Cadence, Mode
from shared.core.message import Queue
from tests.bench.cold import megabytes
from tests.bench.figures import Figure
from tests.bench.stacks import PARENT, clients_of, fill, full


def drain(folder: Path, _: int) -> Iterator[Figure]:
    """Poll drains 200 items, with 50 ms of latency on each call of W&B."""
    ports = Ports.free()
    latency = ("--latency-ms", "50")
    unlimited = ("--write-seconds", "0")
    parts = Stack(folder, ports, every=0, wandb_options=latency, gcs_options=unlimited, functions=())
    with parts as stack, clients_of(stack):
        seconds = {connections: _drain_once(stack, connections) for connections in (1, 32)}
    yield Figure("draining over 32 connections, against one", seconds[1] / seconds[32], 15.0, "×", at_least=True)


def _drain_once(stack: Stack, connections: int) -> float:
    name = f"drain-{connections}"
    stack.make_queue(name)
    queue = WandbRunQueue(Graphql(stack.ports.url("wandb"), API_KEY, connections))
    fill(stack, name, 200)
    limits = PollLimits(
        queues=(Queue(entity=ENTITY, name=name),),
        max_jobs=-1,
        max_queued=100_000,
        connections=connections,
    )
    topic = PubsubPublisher(f"projects/{PROJECT}/topics/launch-requests")
    parts = (queue, GcsLedger(BUCKET), GcsAgentBook(BUCKET, name), topic, lambda: datetime.now(UTC))
    began = time.monotonic()
    once = Cadence(mode=Mode.NEVER)
    report = Poll(*parts, limits, wait=time.sleep, cadence=once).run(name, Budget(300))
    if report.launched[name] != 200:
        raise click.ClickException(f"poll did not drain all of 200 items: {report}")
    return time.monotonic() - began


def tick(folder: Path, _: int) -> Iterator[Figure]:
    """One tick of status with 1,000 open launches: calls, not seconds."""
    with full(folder, 1000) as (stack, wandb, vertex):
        ledger, counted = GcsLedger(BUCKET), Counter[str]()
        ledger._bucket._objects.rest.session.get().mount("http://", _Counting(counted))  # noqa: SLF001 - counts HTTP requests
        vertex.requests.update(dict.fromkeys(vertex.requests, 0))
        wandb.requests.clear()
        Status(
            ledger=ledger,
            custom_jobs=VertexJobs(NAME, stack.ports.url("vertex")),
            tracker=WandbRunQueue(Graphql(stack.ports.url("wandb"), API_KEY)),
            publisher=PubsubPublisher(f"projects/{PROJECT}/topics/launch-requests"),
            clock=lambda: datetime.now(UTC),
            builds=CloudBuilds(),
            parents=(PARENT,),
        ).run(Budget(45))
        yield Figure("calls of the ledger's bucket in a tick with 1,000 open launches", counted.total(), 1, "calls")
        yield Figure("calls of Vertex AI in the same tick", sum(vertex.requests.values()), 10, "calls")
        yield Figure("calls of W&B in the same tick", sum(wandb.requests.values()), 10, "calls")


class _Counting(HTTPAdapter):
    """An HTTP adapter that counts requests."""

    def __init__(self, counted: Counter[str]) -> None:
        super().__init__()
        self._counted = counted

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Count a request and send it."""
        self._counted[str(request.method)] += 1
        return super().send(request, *args, **kwargs)


def memory(folder: Path, _: int) -> Iterator[Figure]:
    """Memory of poll and status with 100 and with 10,000 open launches."""
    resident: dict[tuple[str, int], float] = {}
    for number in (100, 10_000):
        with full(folder / str(number), number) as (stack, _wandb, _vertex):
            for name in ("poll", "status"):
                for _tick in range(2):
                    requests.post(stack.ports.url(name) + "/", timeout=120).raise_for_status()
                resident[name, number] = megabytes(stack.processes.pid(name))
    for name in ("poll", "status"):
        ratio = resident[name, 10_000] / resident[name, 100]
        yield Figure(f"memory of {name} with 10,000 open launches, against 100", ratio, 1.3, "×")
