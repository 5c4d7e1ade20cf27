"""Stacks for measurements: with running launches, and with this process as a client."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.project import NAME
from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.messages import parse_custom_job
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State as WandbState
from deploy.local.serving import serving
from deploy.local.stack import (
    API_KEY,
    BUCKET,
    DEFAULT_CONFIG,
    ENTITY,
    FUNCTIONS,
    LOCATION,
    PROJECT,
    QUEUE,
    Ports,
    Stack,
)
from shared.adapters.gcs import GcsLedger
from shared.adapters.wandb import Graphql
from shared.core.intake import from_item
from shared.core.launch import State
from shared.core.message import Queue
from tests.bench.counted import Counted

PARENT = f"projects/{PROJECT}/locations/{LOCATION}"


@contextmanager
def full(
    folder: Path,
    number: int,
    functions: tuple[str, ...] = FUNCTIONS,
    settings: Mapping[str, str] | None = None,
    *,
    page_seconds: float = 0.0,
    query_seconds: float = 0.0,
) -> Iterator[tuple[Stack, WandbState, VertexState]]:
    """Run a stack with `number` running launches in ledger, Vertex AI and W&B.

    Vertex AI takes `page_seconds` for each page and each get, W&B `query_seconds` for each query.
    """
    ports, wandb, vertex = Ports.free(), WandbState(), VertexState()
    settings = {"LAUNCH_MAX_JOBS": "-1", "STATUS_BUDGET_SECONDS": "100", **(settings or {})}
    with ExitStack() as all_:
        all_.enter_context(serving(Counted(wandb_app(wandb), {"POST": query_seconds}), ports.wandb))
        all_.enter_context(serving(Counted(vertex_app(vertex), {"GET": page_seconds}), ports.vertex))
        unlimited = ("--write-seconds", "0")
        without = frozenset({"wandb", "vertex"})
        stack = Stack(
            folder,
            ports,
            settings,
            every=0,
            emulator=False,  # Google's pushes two messages at a time
            without=without,
            functions=functions,
            gcs_options=unlimited,
        )
        all_.enter_context(stack)
        all_.enter_context(clients_of(stack))
        ledger, queue = GcsLedger(BUCKET), Queue(entity=ENTITY, name=QUEUE)

        def put(item: int) -> None:
            spec = {"entity": ENTITY, "project": "bench", "name": f"run-{item}", **DEFAULT_CONFIG}
            launch = from_item(f"item-{item}", queue, spec, datetime.now(UTC))
            entry = launch.entry
            labels = {"launch_key": launch.key, "launch_attempt": "1", "launch_agent": NAME}
            pools = [{"replicaCount": 1, "containerSpec": {"imageUri": "local/train"}}]
            message = parse_custom_job({"displayName": "b", "labels": labels, "jobSpec": {"workerPoolSpecs": pools}})
            job = vertex.add(PARENT, message, "JOB_STATE_RUNNING")
            wandb.upsert_run(ENTITY, "bench", entry.run.run_id, {"state": "running"})
            claim = launch.move(State.SUBMITTING, attempt=1, parent=PARENT)
            runs = claim.move(State.SUBMITTED, job_name=job.name, submitted_at=datetime.now(UTC))
            announced = replace(runs.entry, announced=runs.entry.events)  # or the first tick reads every record
            ledger.write(replace(runs, entry=announced))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, range(number)))
        yield stack, wandb, vertex


@contextmanager
def clients_of(stack: Stack) -> Iterator[None]:
    """Point Google's clients of this process at a stack."""
    names = ("STORAGE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST")
    before = {name: os.environ.get(name) for name in names}
    os.environ |= {name: stack.function_settings()[name] for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def fill(stack: Stack, name: str, number: int) -> None:
    """Push `number` items to a queue."""
    push = """mutation push($e: String!, $q: String!, $s: JSONString!) { pushToRunQueueByName(input:
        {entityName: $e, projectName: "model-registry", queueName: $q, runSpec: $s}) { runQueueItemId } }"""
    spec = '{"entity": "team", "project": "bench", "docker": {"docker_image": "local/train"}}'
    wandb = Graphql(stack.ports.url("wandb"), API_KEY, 32)
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda _: wandb.mutate(push, {"e": ENTITY, "q": name, "s": spec}), range(number)))
