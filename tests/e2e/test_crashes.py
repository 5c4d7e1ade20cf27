"""Functions killed (-9) at the worst moments, on the embedded stack: one CustomJob each, every item reported."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.local.processes import HOST, NotStartedError
from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.state import Job, VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.serving import serving
from deploy.local.stack import DEFAULT_CONFIG, ENTITY, LOCATION, PROJECT, QUEUE, TOPIC, Ports, Stack
from shared.core.message import Request, encode, launch_key
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

    def __init__(self, app: Any) -> None:
        self._app = app
        self._wanted: Callable[[str, str, bytes], bool] | None = None
        self._action: Callable[[], None] = lambda: None

    def arm(self, wanted: Callable[[str, str, bytes], bool], action: Callable[[], None]) -> None:
        """Act after the next request that is wanted, once."""
        self._action, self._wanted = action, wanted

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
        if self._wanted and self._wanted(scope["method"], scope["path"], body):
            self._wanted = None  # no other request comes between: the server has one thread
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


@dataclass
class World:
    """One stack for all tests of this module: starting it takes longer than a crash."""

    wandb: State
    vertex: VertexState
    at_wandb: After
    at_vertex: After
    running: Stack
    request: Request  # published behind a message of garbage

    def jobs(self, key: str) -> list[Job]:
        """Return the CustomJobs of a launch."""
        return [job for job in self.vertex.jobs() if job.labels["launch_key"] == key]

    def is_closed(self, key: str) -> bool:
        """Tell whether a launch is closed."""
        return f"closed/{key}" in ledger(self.running, "closed/")

    @contextmanager
    def killed(self, at: After, name: str, wanted: Callable[[str, str, bytes], bool]) -> Iterator[None]:
        """Kill a function after the next request that is wanted, and serve it again."""
        killed = threading.Event()

        def kill() -> None:
            self.running.processes.kill(name)
            killed.set()

        at.arm(wanted, kill)
        yield
        eventually(killed.is_set, f"{name} is killed")
        restart(self.running, name)

    def end(self, key: str) -> None:
        """Let the only job of a launch fail, and wait until the launch is closed."""
        [job] = eventually(lambda: self.jobs(key), "the job is created")
        self.vertex.force(job.name, "JOB_STATE_FAILED", "out of memory")
        eventually(lambda: self.is_closed(key), "the launch is closed")
        assert len(self.jobs(key)) == 1


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Run it with GCS's own limit of writes; publish garbage, whose deliveries take a while, and a request."""
    wandb, vertex = State(lease_seconds=2), VertexState()
    at_wandb, at_vertex = After(wandb_app(wandb)), After(vertex_app(vertex))
    with stack(tmp_path_factory.mktemp("crashes"), at_wandb, at_vertex, gcs_options=()) as running:
        request = Request(source="ci", idempotency_key="1", run_spec={**SPEC, **DEFAULT_CONFIG})
        client = running.publisher()
        for content in (b"garbage \xff", encode(request)):
            client.publish(client.topic_path(PROJECT, TOPIC), content).result(timeout=20)
        made = World(wandb, vertex, at_wandb, at_vertex, running, request)
        eventually(lambda: made.jobs(request.launch_key), "the request after the garbage is launched")
        yield made


def test_a_killed_submit_between_create_and_record_leaves_one_job(world: World) -> None:
    """The next claim finds the job by its labels; the launch ends as usual."""

    def a_create(method: str, path: str, _: bytes) -> bool:
        return method == "POST" and path.endswith("customJobs")

    with world.killed(world.at_vertex, "submit", a_create):
        item = world.wandb.push(ENTITY, QUEUE, SPEC)
    key = launch_key("wandb", item.id)
    eventually(lambda: '"launch.found"' in logged(world, "submit", key), "the job is found by its labels")
    world.end(key)
    assert (item.state, "out of memory" in str(item.error)) == ("FAILED", True)


def test_a_killed_poll_between_ack_and_publish_leaves_one_job(world: World) -> None:
    """W&B has acked the item to us, nobody rang: status does."""
    with world.killed(world.at_wandb, "poll", lambda _method, _path, body: b"ackRunQueueItem" in body):
        item = world.wandb.push(ENTITY, QUEUE, SPEC)
    key = launch_key("wandb", item.id)
    eventually(lambda: world.jobs(key), "the job is created")
    assert item.state == "CLAIMED"
    world.end(key)
    assert item.state == "FAILED"


def test_a_killed_poll_before_its_ack_leaves_one_job(world: World) -> None:
    """The item's lease ends, and it comes again to the same launch."""
    items: list[Any] = []

    def a_full_pop(_method: str, _path: str, body: bytes) -> bool:
        return b"popFromRunQueue" in body and any(item.state == "LEASED" for item in items)

    with world.killed(world.at_wandb, "poll", a_full_pop):
        items.append(world.wandb.push(ENTITY, QUEUE, SPEC))
    key = launch_key("wandb", items[0].id)
    eventually(lambda: world.jobs(key), "the job is created")
    assert items[0].state == "CLAIMED"
    world.end(key)


def test_garbage_ends_in_the_dead_letters_and_the_next_message_is_served(world: World) -> None:
    """A message that is no request is kept where an operator finds it."""
    world.end(world.request.launch_key)
    garbage = eventually(
        lambda: [one for one in dead_letters(world.running) if one["kind"] is None], "the garbage is a dead letter", 90
    )
    # a request whose submit was killed may be among the dead letters too: status rings for it again
    assert {(dead["attempts"], dead["subscription"]) for dead in garbage} == {(5, "submit")}
    assert '"submit.not_a_message"' in world.running.processes.tail("submit", 1000)


def logged(world: World, name: str, key: str) -> str:
    """Return the lines of a function about a launch."""
    lines = world.running.processes.tail(name, 1000).splitlines()
    return "\n".join(line for line in lines if key in line)


def dead_letters(running: Stack) -> list[dict[str, Any]]:
    """Return what the operator's command shows."""
    command = [sys.executable, "-m", "deploy", "dead-letters", "--json", "--wait=0.5", f"--project={PROJECT}"]
    environ = {**os.environ, "PUBSUB_EMULATOR_HOST": f"{HOST}:{running.ports.pubsub}", "VERTEX_LOCATION": LOCATION}
    found: list[dict[str, Any]] = json.loads(
        subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True).stdout
    )
    return found
