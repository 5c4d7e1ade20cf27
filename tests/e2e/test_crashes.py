"""Functions killed (-9) at the worst moments, on the embedded stack: one CustomJob each, every item reported."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.local.processes import HOST, NotStartedError
from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.serving import serving
from deploy.local.stack import DEFAULT_CONFIG, ENTITY, LOCATION, PROJECT, QUEUE, TOPIC, Ports, Stack
from shared.core.message import Request, encode
from tests.waiting import eventually

QUICK = {  # minutes of the cloud as seconds, so that what has to be waited for comes soon
    "SUBMIT_BUDGET_SECONDS": "5",
    "SUBMIT_CREATE_SECONDS": "2",
    "SUBMIT_LEASE_SECONDS": "8",
    "SUBMIT_LOOK_AGAIN_SECONDS": "1",
    "SUBMIT_SETTLE_SECONDS": "2",
    "FIRST_RETRY_SECONDS": "1",
    "POLL_BUDGET_SECONDS": "4",
    "POLL_LEASE_SECONDS": "5",
    "OVERDUE_SECONDS": "2",
    "INIT_GRACE_SECONDS": "1",
}
QUICK_WRITES = ("--write-seconds", "0.1")  # of one object; GCS's own second is kept where a test asks for it
SPEC = {"entity": ENTITY, "project": "cats", "docker": {"docker_image": "local/x"}, "name": "one"}


class After:
    """Serve an application, and do something after it has done what a request asks for, before it is answered."""

    def __init__(self, app: Any, wanted: Callable[[str, str, bytes], bool], action: Callable[[], None]) -> None:
        self._app, self._wanted, self._action = app, wanted, action
        self._once = threading.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on; hold its answer back where it is the one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        held: list[Any] = []

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def hold(message: Any) -> None:
            held.append(message)

        await self._app(scope, again, hold)
        if self._wanted(scope["method"], scope["path"], body) and self._once.acquire(blocking=False):
            self._action()
        for message in held:
            await send(message)


@contextmanager
def stack(
    folder: Path,
    wandb: Any,
    vertex: Any,
    settings: Mapping[str, str] | None = None,
    gcs_options: tuple[str, ...] = QUICK_WRITES,
    wandb_path: str = "",
) -> Iterator[Stack]:
    """Run the three functions among these servers; W&B may be served under a path."""
    ports = Ports.free()
    address = {"WANDB_BASE_URL": ports.url("wandb") + wandb_path}
    made = Stack(
        folder, ports, {**QUICK, **address, **(settings or {})}, every=0.5, emulator=False,
        gcs_options=gcs_options, pubsub_options=("--shape", "cloudevent"), without=frozenset({"wandb", "vertex"}),
    )  # fmt: skip
    with ExitStack() as servers:
        servers.enter_context(serving(wandb, ports.wandb))
        servers.enter_context(serving(vertex, ports.vertex))
        yield servers.enter_context(made)


def restart(made: Stack, name: str) -> None:
    """Serve a function again, as the platform does after a crash."""
    made.start_function(name)
    try:
        made.processes.await_port(name, getattr(made.ports, name), time.monotonic() + 30)
    except NotStartedError as exc:
        pytest.fail(str(exc))


def ledger(made: Stack, prefix: str) -> list[str]:
    """Return what is `open/` or `closed/` in the ledger."""
    listing = requests.get(f"{made.ports.url('gcs')}/storage/v1/b/launch-ledger/o?prefix={prefix}", timeout=5).json()
    return [found["name"] for found in listing.get("items", [])]


def test_a_killed_submit_between_create_and_record_leaves_one_job(tmp_path: Path) -> None:
    """The next claim finds the job by its labels; the launch ends as usual."""
    wandb, vertex = State(), VertexState()
    killed = threading.Event()
    made: list[Stack] = []

    def kill() -> None:
        made[0].processes.kill("submit")
        killed.set()

    app = After(vertex_app(vertex), lambda method, path, _: method == "POST" and path.endswith("customJobs"), kill)
    with stack(tmp_path, wandb_app(wandb), app, gcs_options=()) as running:  # with GCS's own limit of writes
        made.append(running)
        item = wandb.push(ENTITY, QUEUE, SPEC)
        eventually(killed.is_set, "submit is killed")
        restart(running, "submit")
        [job] = vertex.jobs()
        eventually(lambda: '"launch.found"' in running.processes.tail("submit", 200), "the job is found by its labels")
        vertex.force(job.name, "JOB_STATE_FAILED", "out of memory")
        eventually(lambda: ledger(running, "closed/"), "the launch is closed")
        assert len(vertex.jobs()) == 1
        assert (item.state, "out of memory" in str(item.error)) == ("FAILED", True)


def test_a_killed_poll_between_ack_and_publish_leaves_one_job(tmp_path: Path) -> None:
    """W&B has acked the item to us, nobody rang: status does."""
    wandb, vertex = State(), VertexState()
    killed = threading.Event()
    made: list[Stack] = []

    def kill() -> None:
        made[0].processes.kill("poll")
        killed.set()

    app = After(wandb_app(wandb), lambda _method, _path, body: b"ackRunQueueItem" in body, kill)
    with stack(tmp_path, app, vertex_app(vertex)) as running:
        made.append(running)
        item = wandb.push(ENTITY, QUEUE, SPEC)
        eventually(killed.is_set, "poll is killed")
        restart(running, "poll")
        jobs = eventually(vertex.jobs, "the job is created")
        assert item.state == "CLAIMED"
        vertex.force(jobs[0].name, "JOB_STATE_FAILED", "out of memory")
        eventually(lambda: ledger(running, "closed/"), "the launch is closed")
        assert len(vertex.jobs()) == 1
        assert item.state == "FAILED"


def test_a_killed_poll_before_its_ack_leaves_one_job(tmp_path: Path) -> None:
    """The item's lease ends, and it comes again to the same launch."""
    wandb, vertex = State(lease_seconds=2), VertexState()
    killed = threading.Event()
    made: list[Stack] = []

    def kill() -> None:
        made[0].processes.kill("poll")
        killed.set()

    def a_full_pop(_method: str, _path: str, body: bytes) -> bool:
        return b"popFromRunQueue" in body and bool(made) and any(i.state == "LEASED" for i in items)

    items: list[Any] = []
    with stack(tmp_path, After(wandb_app(wandb), a_full_pop, kill), vertex_app(vertex)) as running:
        made.append(running)
        items.append(wandb.push(ENTITY, QUEUE, SPEC))
        eventually(killed.is_set, "poll is killed")
        restart(running, "poll")
        eventually(vertex.jobs, "the job is created")
        assert items[0].state == "CLAIMED"
        assert len(vertex.jobs()) == 1


def test_garbage_ends_in_the_dead_letters_and_the_next_message_is_served(tmp_path: Path) -> None:
    """A message that is no request is kept where an operator finds it."""
    wandb, vertex = State(), VertexState()
    with stack(tmp_path, wandb_app(wandb), vertex_app(vertex)) as running:
        client = running.publisher()
        topic = client.topic_path(PROJECT, TOPIC)
        client.publish(topic, b"garbage \xff").result(timeout=20)
        request = Request(source="ci", idempotency_key="1", run_spec={**SPEC, **DEFAULT_CONFIG})
        client.publish(topic, encode(request)).result(timeout=20)
        eventually(vertex.jobs, "the request after it is launched")
        [dead] = eventually(lambda: dead_letters(running), "the garbage is a dead letter", 90)
        assert (dead["kind"], dead["attempts"], dead["subscription"]) == (None, 5, "submit")
        events = [
            json.loads(line) for line in running.processes.tail("submit", 200).splitlines() if line.startswith("{")
        ]
        assert {e["problem"] for e in events if e["message"] == "submit.not_a_message"}


def dead_letters(running: Stack) -> list[dict[str, Any]]:
    """Return what the operator's command shows."""
    command = [sys.executable, "-m", "deploy", "dead-letters", "--json", "--wait=0.5", f"--project={PROJECT}"]
    environ = {**os.environ, "PUBSUB_EMULATOR_HOST": f"{HOST}:{running.ports.pubsub}", "VERTEX_LOCATION": LOCATION}
    found: list[dict[str, Any]] = json.loads(
        subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True).stdout
    )
    return found
