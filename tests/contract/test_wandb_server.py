"""The stand-in for W&B: its rules as tables, then W&B's own clients, unmodified, as processes of their own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from deploy.local.wandb_server.app import create_app
from deploy.local.wandb_server.errors import Refused
from deploy.local.wandb_server.filters import matches
from deploy.local.wandb_server.state import State
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.core.errors import Denied
from shared.core.launch import RunPath
from shared.core.message import Queue

KEY = "0123456789" * 4
WANDB = str(Path(sys.executable).parent / "wandb")
SPEC = {"entity": "team", "project": "vision", "docker": {"docker_image": "img:1"}, "_wandb_api_key": "k" * 40}
VERTEX = {"spec": {"staging_bucket": "gs://b", "labels": {"a": "1"}}, "run": {"timeout": 60}}


class Clock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def state(clock: Clock) -> State:
    """Return a state with one queue, `team/gpus`."""
    made = State(api_keys=[KEY], clock=clock)
    made.make_queue("team", "gpus", config=VERTEX)
    return made


@pytest.fixture
def url(state: State) -> Iterator[str]:
    """Serve the state on loopback, in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(state), log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture
def client_env(url: str, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a W&B client that has never been used on this machine."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    return own | {"WANDB_BASE_URL": url, "WANDB_API_KEY": KEY, "HOME": str(tmp_path), "WANDB_DIR": str(tmp_path)}


@contextlib.contextmanager
def process(command: list[str], env: dict[str, str], cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a client; it is ended at the end, whatever comes."""
    started = subprocess.Popen(
        command, env=env, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def finished(command: list[str], env: dict[str, str], cwd: Path) -> tuple[int, str]:
    """Run a client to its end; returns its exit code and all it said."""
    with process(command, env, cwd) as client:
        said, _ = client.communicate(timeout=45)
        return client.returncode, said


def eventually(true: Callable[[], Any], seconds: float = 40) -> Any:
    """Return what `true` returns once that is true; fail if it takes too long."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)
    return found


def mutate(url: str, document: str, **variables: Any) -> Any:
    """Send one document with the good key and return its data."""
    return Graphql(url, KEY).mutate(document, variables)


def test_an_item_is_merged_over_its_queue(state: State) -> None:
    """An item's own resource args win, key by key; the rest comes from the queue, the resource type too."""
    spec = SPEC | {"resource": None, "resource_args": {"gcp-vertex": {"run": {"timeout": 5}}}}
    merged = state.push("team", "gpus", spec).run_spec
    assert merged["resource_args"] == {"gcp-vertex": VERTEX | {"run": {"timeout": 5}}}
    assert merged["resource"] == "gcp-vertex"


@pytest.mark.parametrize(
    ("text", "given", "filled"),
    [
        ("{{n}}", {"n": 3}, 3),
        ("x-{{n}}-{{zone}}", {"n": 3, "zone": "b"}, "x-3-b"),
        ("{{ zone }}", {}, "a"),
        ("${run_id}", {}, "${run_id}"),
    ],
)
def test_template_variables_are_filled_in_at_push(state: State, text: str, given: dict[str, Any], filled: Any) -> None:
    """A string that is one variable takes its type, others its text; a default stands in; macros stay."""
    schemas = {"n": {"type": "integer", "default": 1}, "zone": {"schema": '{"type": "string", "default": "a"}'}}
    state.make_queue("team", "templates", config={"spec": [text]}, template_variables=schemas)
    pushed = state.push("team", "templates", SPEC, template_variables=given)
    assert pushed.run_spec["resource_args"] == {"gcp-vertex": {"spec": [filled]}}


@pytest.mark.parametrize(("mode", "order"), [("V0", [0, 2, 2, 3]), ("DISABLED", [2, 3, 0, 2])])
def test_priorities_count_where_the_queue_says_so(state: State, mode: str, order: list[int]) -> None:
    """With V0 the most critical comes first, medium being the default; else the oldest."""
    queue = state.make_queue("team", "ranked", prioritization_mode=mode)
    for priority in (None, 3, 0, 2):
        state.push("team", "ranked", SPEC, priority=priority)
    popped = [state.queues.pop(queue, None) for _ in range(4)]
    assert [item.priority for item in popped if item] == order
    assert state.queues.pop(queue, None) is None


def test_a_lease_that_ends_puts_the_item_back_in_its_place(state: State, clock: Clock) -> None:
    """What is not acked in time is pending again, ahead of younger items, and the old lease acks nothing."""
    queue = state.make_queue("team", "gpus", config=VERTEX)
    first, second = state.push("team", "gpus", SPEC), state.push("team", "gpus", SPEC)
    assert state.queues.pop(queue, "agent") is first
    clock.now += state.queues.lease_seconds
    assert not state.queues.ack(first.id, "late")
    assert [state.queues.pop(queue, None), state.queues.pop(queue, None)] == [first, second]


@pytest.mark.parametrize(
    ("was", "popped", "acked", "success"),
    [("pending", False, False, False), ("leased", True, False, True), ("claimed", True, True, False)],
)
def test_only_a_live_lease_is_acked(state: State, was: str, popped: bool, acked: bool, success: bool) -> None:
    """An ack needs a lease, and the first one wins."""
    item = state.push("team", "gpus", SPEC)
    if popped:
        state.queues.pop(item.queue, None)
    if acked:
        state.queues.ack(item.id, "first")
    assert state.queues.ack(item.id, "now") is success, was
    assert item.associated_run_id == ("first" if acked else "now" if success else None)


@pytest.mark.parametrize("was", ["running", "pending", "finished", "failed", "crashed", "preempted", "killed"])
@pytest.mark.parametrize("wanted", ["pending", "failed", "running", "finished"])
def test_run_states_change_as_the_table_says(state: State, was: str, wanted: str) -> None:
    """UpdateRunState knows the way to pending and to failed, and no other."""
    allowed = {"pending": {"running", "failed", "crashed", "preempted"}, "failed": {"pending", "running"}}
    run, _ = state.upsert_run("team", "vision", "r", {"state": was})
    if was in allowed.get(wanted, ()):
        state.runs.change_state(run.id, wanted)
        assert run.state == wanted
    else:
        with pytest.raises(Refused, match="transition"):
            state.runs.change_state(run.id, wanted)


@pytest.mark.parametrize(
    ("messages", "stop", "silent", "ends"),
    [
        ([{}], False, 299, "running"),
        ([{}], False, 301, "crashed"),
        ([{"complete": True, "exitcode": 0}], False, 301, "finished"),
        ([{"complete": True, "exitcode": 1}], False, 0, "failed"),
        ([{"complete": True, "exitcode": 255}], True, 0, "killed"),
        ([{"preempting": True}, {"complete": True, "exitcode": 1}], False, 0, "preempted"),
        ([{"preempting": True}], False, 301, "preempted"),
    ],
)
def test_a_run_ends_as_its_file_stream_tells(
    state: State, clock: Clock, messages: list[dict[str, Any]], stop: bool, silent: float, ends: str
) -> None:
    """The exit code decides; silence means crashed, stopped from the page means killed, preempted has its own."""
    run, _ = state.upsert_run("team", "vision", "r", {})
    if stop:
        state.runs.stop(run.id)
    for message in messages:
        state.runs.stream(run, message)
    clock.now += silent
    found = state.runs.get("team", "vision", "r")
    assert found is not None
    assert found.state == ends


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({}, True),
        ({"name": {"$in": ["r", "s"]}}, True),
        ({"$or": [{"state": "failed"}, {"loss": {"$lt": 1}}]}, True),
        ({"$and": [{"state": "running"}, {"loss": {"$gt": 1}}]}, False),
        ({"name": "s"}, False),
        ({"gone": {"$exists": False}}, True),
    ],
)
def test_runs_are_filtered_as_mongodb_does(filters: dict[str, Any], fits: bool) -> None:
    """Equality, $in, $or, $and and comparisons select runs."""
    run = {"name": "r", "state": "running", "loss": 0.5}
    assert matches(filters, run.get) is fits
