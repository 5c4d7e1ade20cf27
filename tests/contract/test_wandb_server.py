"""The stand-in for W&B: its rules as tables, then W&B's own clients, unmodified, as processes of their own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from deploy.local.servers.wandb.app import create_app
from deploy.local.servers.wandb.errors import Refused
from deploy.local.servers.wandb.filters import matches
from deploy.local.servers.wandb.state import State
from deploy.local.serving import listener
from shared.adapters.wandb import Graphql, WandbRunQueue
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
    listening = listener()
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
    """Run a client, and end it in any case."""
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
    """Run a client to its end; returns its exit code and its output."""
    with process(command, env, cwd) as client:
        output, _ = client.communicate(timeout=45)
        return client.returncode, output


def eventually(true: Callable[[], Any], seconds: float = 40) -> Any:
    """Return what `true` returns once that is true; fail if it takes too long."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)
    return found


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


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"type": "integer"}, 3, True),
        ({"type": "integer"}, 3.0, True),
        ({"type": "integer"}, 3.5, False),
        ({"type": "integer"}, "3", False),
        ({"type": "integer"}, True, False),
        ({"type": "number", "minimum": 0, "maximum": 1}, 0.5, True),
        ({"type": "number", "minimum": 0}, -1, False),
        ({"type": "number", "maximum": 1}, 2, False),
        ({"type": "number"}, False, False),
        ({"type": "string", "enum": ["a", "b"]}, "a", True),
        ({"type": "string", "enum": ["a", "b"]}, "c", False),
        ({"type": "string"}, None, False),
        ({"type": "boolean"}, 1, False),
        ({}, [1], True),
    ],
)
def test_template_values_are_checked_at_push(state: State, schema: dict[str, Any], value: Any, fits: bool) -> None:
    """A value that its schema does not allow is refused by name; no item is on the queue then."""
    state.make_queue("team", "templates", config={"spec": ["{{n}}"]}, template_variables={"n": schema})
    if fits:
        assert state.push("team", "templates", SPEC, template_variables={"n": value})
        return
    with pytest.raises(Refused, match="template variable n: "):
        state.push("team", "templates", SPEC, template_variables={"n": value})
    assert not state.queues.items


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
    """An item that is not acked in time is pending again, before younger ones, and the old lease acks nothing."""
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


@pytest.mark.parametrize(("was", "still"), [("pending", True), ("killed", False)])
def test_a_run_that_begins_again_runs(state: State, was: str, still: bool) -> None:
    """Init makes a run of any state running; a wish to stop outlives the wait for it, not the end of an earlier try."""
    run, _ = state.upsert_run("team", "vision", "r", {"state": was})
    run.stopped = True
    assert state.upsert_run("team", "vision", "r", {}) == (run, False)
    assert (run.state, run.stopped) == ("running", still)


def test_a_sweeps_run_keeps_its_state(state: State) -> None:
    """UpdateRunState refuses a run that belongs to a sweep."""
    run, _ = state.upsert_run("team", "vision", "r", {"sweep": "s1"})
    with pytest.raises(Refused, match="sweep"):
        state.runs.change_state(run.id, "pending")


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


def test_a_wrong_key_is_refused(url: str) -> None:
    """Without a key that is accepted GraphQL and file streams answer 401."""
    for auth in (None, ("api", "wrong"), ("api", "")):
        for path in ("/graphql", "/files/team/vision/r/file_stream"):
            assert requests.post(url + path, auth=auth, json={"query": "{viewer{id}}"}, timeout=10).status_code == 401


def test_the_product_drains_a_queue_over_many_connections(state: State, url: str) -> None:
    """Each item goes to one of 32 connections, and the requests are counted by operation."""
    pushed = {state.push("team", "gpus", SPEC | {"name": str(n)}).id for n in range(100)}
    queue = WandbRunQueue(Graphql(url, KEY, connections=32))
    popped: list[str] = []

    def drain(_: int) -> None:
        while (item := queue.pop(Queue(entity="team", name="gpus"), "agent")) is not None:
            assert queue.ack(item.id, f"run-{item.id}")
            popped.append(item.id)

    with ThreadPoolExecutor(32) as threads:
        list(threads.map(drain, range(32)))
    assert sorted(popped) == sorted(pushed)
    assert state.requests == {"popFromRunQueue": 132, "ackRunQueueItem": 100}


def test_the_product_reports_and_asks(state: State, url: str) -> None:
    """Fail, warn, states of items and of runs of several projects, and an agent's registration work as it does them."""
    queue, name = WandbRunQueue(Graphql(url, KEY)), Queue(entity="team", name="gpus")
    item, other = state.push("team", "gpus", SPEC), state.push("team", "gpus", SPEC)
    queue.fail_item(name, item.id, "no quota", "run")
    queue.fail_item(name, item.id, "no quota", "run")
    queue.fail_item(name, "gone", "nobody reads this", "run")
    queue.warn_item(name, other.id, "odd spec", "agent")
    assert [item.error, other.warning] == [
        {"message": "no quota", "stage": "run", "file_paths": []},
        {"message": "odd spec", "stage": "agent", "file_paths": []},
    ]
    statuses = queue.item_statuses([(name, item.id), (name, other.id), (name, "gone")]).found
    assert {key: status.state for key, status in statuses.items()} == {item.id: "FAILED", other.id: "PENDING"}

    stopped, _ = state.upsert_run("team", "vision", "a", {})
    state.runs.stop(stopped.id)
    state.upsert_run("lab", "speech", "b", {"state": "failed"})
    paths = [RunPath("team", "vision", "a"), RunPath("lab", "speech", "b"), RunPath("team", "vision", "gone")]
    runs = queue.run_statuses(paths).found
    assert {path.run_id: (run.state, run.stopped) for path, run in runs.items()} == {
        "a": ("running", True),
        "b": ("failed", False),
    }

    agent = queue.register("team", ["gpus"], {"max_jobs": 4})
    assert queue.heartbeat(agent, running=True) is False
    state.agents.by_id[agent].stop_polling = True
    assert queue.heartbeat(agent, running=False) is True
    assert queue.heartbeat("gone", running=True) is None


def test_pages_of_the_stand_in_are_escaped_and_without_keys(state: State, url: str) -> None:
    """A queue made in one call is pushed to; no page and no list shows a key or somebody else's HTML."""
    made = {"entity": "team", "queue": "web", "resource": "gcp-vertex", "config": VERTEX, "prioritization_mode": "V0"}
    assert requests.post(f"{url}/standin/queues", json=made, timeout=10).json()["queue"] == "web"
    container = {"env": [{"name": "WANDB_API_KEY", "value": KEY}]}
    item = state.push("team", "web", SPEC | {"name": "<script>", "resource_args": {"gcp-vertex": {"spec": container}}})
    state.queues.pop(item.queue, None)
    state.queues.ack(item.id, "r1")
    state.upsert_run("team", "vision", "r1", {"display_name": "<b>bold</b>", "config": {"lr": {"value": 0.1}}})

    pages = [requests.get(url + path, timeout=10).text for path in ("/", "/team/vision/runs/r1", "/standin/items")]
    assert not [text for text in pages if "k" * 40 in text or KEY in text or "<b>bold" in text]
    assert "&lt;script&gt;" in pages[0]
    shown = requests.get(f"{url}/standin/items", timeout=10).json()
    assert [(row["queue"], row["state"], row["run_name"]) for row in shown] == [("web", "CLAIMED", "r1")]
    runs = requests.get(f"{url}/standin/runs", timeout=10).json()
    assert [(run["display_name"], run["config"], run["state"]) for run in runs] == [
        ("<b>bold</b>", {"lr": 0.1}, "running")
    ]


@pytest.mark.parametrize("spec", [{"name": {"a": 1}}, {"name": ["a"], "entity": 5, "project": [1]}, {"name": None}, {}])
def test_an_odd_run_spec_is_shown(state: State, url: str, spec: dict[str, Any]) -> None:
    """Whatever JSON object somebody pushes, the page and the list go on showing it and all the others."""
    item = state.push("team", "gpus", spec)
    state.queues.pop(item.queue, "agent")
    state.queues.ack(item.id, "r1")
    assert requests.get(url, timeout=10).ok
    (row,) = requests.get(f"{url}/standin/items", timeout=10).json()
    assert (row["run_spec"], row["agent_id"]) == (item.run_spec, "agent")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"[]", {}),
        (b"{}", {}),
        (b'{"query": 5}', {}),
        (b'{"query": "{viewer{id}}", "variables": [1]}', {}),
        (b"zz", {"Content-Encoding": "gzip"}),
    ],
)
def test_an_invalid_request_is_refused(url: str, body: bytes, headers: dict[str, str]) -> None:
    """A body that no client sends is answered with 400, as a GraphQL error."""
    answer = requests.post(f"{url}/graphql", data=body, headers=headers, auth=("api", KEY), timeout=10)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("spec", ["[1]", "3", "null", "not JSON"])
def test_only_an_object_is_a_run_spec(state: State, url: str, spec: str) -> None:
    """Anything else is refused with a GraphQL error, and nothing is on the queue."""
    push = """mutation Push($spec: JSONString!) { pushToRunQueueByName(input: {entityName: "team",
        projectName: "model-registry", queueName: "gpus", runSpec: $spec}) { runQueueItemId } }"""
    asked = {"query": push, "variables": {"spec": spec}}
    answer = requests.post(f"{url}/graphql", json=asked, auth=("api", KEY), timeout=10)
    assert answer.status_code == 200
    assert answer.json()["data"] == {"pushToRunQueueByName": None}
    assert answer.json()["errors"][0]["message"]
    assert not state.queues.items


@pytest.mark.parametrize(("project", "known"), [("vision", True), ("speech", False)])
def test_a_run_belongs_to_the_item_that_was_claimed_for_it(state: State, project: str, known: bool) -> None:
    """A run is the item's if entity, project and name agree with the ack; the script's arguments do not count."""
    item = state.push("team", "gpus", SPEC)
    state.queues.pop(item.queue, None)
    state.queues.ack(item.id, "r1")
    run, _ = state.upsert_run("team", project, "r1", {})
    assert run.run_queue_item_id == (item.id if known else None)


LAUNCH_CALLS = """
import json
from wandb.sdk.launch.api import LaunchApi

api, spec = LaunchApi(), {"entity": "team", "project": "vision", "docker": {"docker_image": "img:1"}}
queue = ("team", "model-registry")
pushed = lambda: api.push_to_run_queue_by_name(*queue, "gpus", json.dumps(spec), {})["runQueueItemId"]
lease = lambda: api.pop_from_run_queue("gpus", *queue, agent)["runQueueItemId"]
agent = api.create_launch_agent(*queue, ["gpus"], {"max_jobs": 1}, "1")["launchAgentId"]
item = pushed()
calls = {
    "get_project_run_queues": lambda call: call(*queue)[0]["name"],
    "push_to_run_queue_by_name": lambda call: bool(call(*queue, "gpus", json.dumps(spec), {}, 0)["runSpec"]),
    "push_to_run_queue": lambda call: bool(call("gpus", spec, {}, "model-registry", 1)["runQueueItemId"]),
    "pop_from_run_queue": lambda call: call("gpus", *queue, agent)["runSpec"]["docker"],
    "ack_run_queue_item": lambda call: call(lease(), "r1"),
    "fail_run_queue_item": lambda call: call(item, "no quota", "run", ["log.txt"]),
    "update_run_queue_item_warning": lambda call: call(item, "odd", "agent", None),
    "create_launch_agent": lambda call: bool(call(*queue, ["gpus"], {}, "1")["launchAgentId"]),
    "update_launch_agent_status": lambda call: call(agent, "RUNNING")["success"],
    "get_launch_agent": lambda call: call(agent)["agentStatus"],
    "entity_is_team": lambda call: call("team"),
    "check_stop_requested": lambda call: call("vision", "team", "r0"),
    "get_run_state": lambda call: call("team", "vision", "r0"),
    "stop_run": lambda call: call(RUN_ID),
}
own = [name for name, held in vars(LaunchApi).items() if callable(held) and not name.startswith("_")]
print(json.dumps({name: calls[name](getattr(api, name)) for name in own}))
"""


def test_every_call_of_the_launch_api_is_understood(
    state: State, client_env: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each operation that the installed client has is valid here and answers what the client expects, none left out."""
    run, _ = state.upsert_run("team", "vision", "r0", {})
    script = LAUNCH_CALLS.replace("RUN_ID", repr(run.id))
    code, output = finished([sys.executable, "-c", script], client_env, tmp_path)
    assert code == 0, output
    assert json.loads(output.splitlines()[-1]) == {
        "get_project_run_queues": "gpus",
        "push_to_run_queue_by_name": True,
        "push_to_run_queue": True,
        "pop_from_run_queue": {"docker_image": "img:1"},
        "ack_run_queue_item": True,
        "fail_run_queue_item": True,
        "update_run_queue_item_warning": True,
        "create_launch_agent": True,
        "update_launch_agent_status": True,
        "get_launch_agent": "RUNNING",
        "entity_is_team": True,
        "check_stop_requested": False,
        "get_run_state": "running",
        "stop_run": True,
    }
    assert run.stopped
    assert not caplog.messages


QUEUE_CALLS = """
import json, wandb

api, template = wandb.Api(), {"n": {"schema": {"type": "integer", "default": 1}}}
config = {"spec": {"n": "{{n}}"}}
api.create_run_queue("web", "gcp-vertex", "team", "V0", config, template)
made = api.run_queue("team", "web")
told = [made.access, made.prioritization_mode, made.type, made.default_resource_config, made.template_variables]
links = {"docs": "http://x"}
api.upsert_run_queue("web", {"spec": {}}, "gcp-vertex", "team", external_links=links, prioritization_mode="V0")
changed = api.run_queue("team", "web")
told += [changed.prioritization_mode, changed.external_links, changed.default_resource_config]
item = api.run_queue("team", "gpus").items[0]
told += [item.state, item._get_run_queue_item_legacy()["state"], [project.name for project in api.projects("team")]]
item.delete()
changed.delete()
print(json.dumps(told))
"""


def test_queues_are_made_and_removed_from_the_client(
    state: State, client_env: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`wandb.Api` makes a queue with a resource config and template variables, changes it, and removes items and it."""
    state.push("team", "gpus", SPEC)
    code, output = finished([sys.executable, "-c", QUEUE_CALLS], client_env, tmp_path)
    assert code == 0, output
    assert json.loads(output.splitlines()[-1]) == [
        "PROJECT",
        "V0",
        "gcp-vertex",
        {"resource_args": {"gcp-vertex": {"spec": {"n": "{{n}}"}}}},
        [{"name": "n", "schema": '{"type": "integer", "default": 1}'}],
        "V0",
        {"links": [{"label": "docs", "url": "http://x"}]},
        {"resource_args": {"gcp-vertex": {"spec": {}}}},
        "pending",
        "PENDING",
        ["model-registry"],
    ]
    assert not state.queues.items
    assert [queue.name for queue in state.queues.by_path.values()] == ["gpus"]
    assert not caplog.messages


def test_wandb_launch_pushes(state: State, client_env: dict[str, str], tmp_path: Path) -> None:
    """The CLI puts a job on the queue with nothing but the URL and a key set."""
    (tmp_path / "config.json").write_text('{"overrides": {"args": ["--lr", "1"], "run_config": {"lr": 1}}}')
    launch = [WANDB, "launch", "--queue", "gpus", "--entity", "team", "--project", "vision", "--docker-image", "img:1"]
    code, output = finished([*launch, "--name", "first", "--config", "config.json"], client_env, tmp_path)
    assert (code, "Added run to queue gpus" in output) == (0, True), output
    (item,) = state.queues.items.values()
    spec = item.run_spec
    assert (spec["name"], spec["docker"]["docker_image"], spec["overrides"]["args"]) == (
        "first",
        "img:1",
        ["--lr", "1"],
    )
    assert spec["resource_args"] == {"gcp-vertex": VERTEX}


@pytest.mark.parametrize(("exit_code", "ends"), [(0, "finished"), (3, "failed")])
def test_a_training_script_logs(
    state: State, client_env: dict[str, str], tmp_path: Path, exit_code: int, ends: str
) -> None:
    """A script's config, history, summary, files and exit code arrive."""
    script = f"""
import sys, wandb
run = wandb.init(entity="team", project="vision", id="r1", name="nice", config={{"lr": 0.1}})
for step in range(3):
    run.log({{"loss": 1 / (step + 1), "gone": float("nan")}})
sys.exit({exit_code})
"""
    code, output = finished([sys.executable, "-c", script], client_env, tmp_path)
    assert code == exit_code, output
    run = state.runs.by_path["team", "vision", "r1"]
    assert (run.state, run.exit_code, run.display_name) == (ends, exit_code, "nice")
    assert run.config["lr"] == {"value": 0.1}
    assert (run.summary["loss"], run.summary["gone"]) == (pytest.approx(1 / 3), "NaN")
    assert len(run.streams["wandb-history.jsonl"]) == 3
    assert "wandb-metadata.json" in run.files


def test_a_script_stops_on_request(state: State, client_env: dict[str, str], tmp_path: Path, url: str) -> None:
    """Stopping a run from W&B interrupts the script that logs to it."""
    script = """
import time, wandb
wandb.init(entity="team", project="vision", id="r1", settings=wandb.Settings(x_file_stream_transmit_interval=0.5))
while True:
    wandb.log({"loss": 1})
    time.sleep(0.1)
"""
    with process([sys.executable, "-c", script], client_env, tmp_path) as training:
        run = eventually(lambda: state.runs.get("team", "vision", "r1"))
        Graphql(url, KEY).mutate("mutation StopRun($id: ID!) { stopRun(input: {id: $id}) { success } }", {"id": run.id})
        output, _ = training.communicate(timeout=45)
    assert "KeyboardInterrupt" in output
    assert (run.state, run.stopped) == ("killed", True)


def test_the_launch_agent_serves(state: State, client_env: dict[str, str], tmp_path: Path) -> None:
    """The agent registers, opens its own run, pops and acks; it fails the item, having no Google Cloud to go to."""
    item = state.push("team", "gpus", SPEC)
    with process([WANDB, "launch-agent", "-q", "gpus", "-e", "team"], client_env, tmp_path):
        eventually(lambda: item.state == "FAILED")
    assert item.associated_run_id
    assert item.error is not None
    assert item.error["stage"] == "agent"
    (agent,) = state.agents.by_id.values()
    assert item.agent_id == agent.id
    assert ("team", "model-registry", agent.name) in state.runs.by_path


def test_the_public_api_reads(state: State, client_env: dict[str, str], tmp_path: Path) -> None:
    """`wandb.Api` finds runs by path and by filter, follows a queue's items, and says what is not there."""
    state.upsert_run("team", "vision", "r1", {"state": "finished", "config": {"lr": {"value": 0.1}}})
    state.upsert_run("team", "vision", "r2", {"state": "failed"})
    item = state.push("team", "gpus", SPEC)
    script = f"""
import json, wandb
api = wandb.Api()
run, queue = api.run("team/vision/r1"), api.run_queue("team", "gpus")
try:
    api.run("team/vision/gone")
except wandb.errors.CommError as exc:
    missing = str(exc)
item = api.queued_run("team", "vision", "gpus", {item.id!r}, "model-registry")
failed = [found.name for found in api.runs("team/vision", filters={{"state": "failed"}})]
print(json.dumps([run.state, run.config, failed, missing, queue.type, queue.default_resource_config, item.state]))
"""
    code, output = finished([sys.executable, "-c", script], client_env, tmp_path)
    assert code == 0, output
    answers = json.loads(output.splitlines()[-1])
    config = {"resource_args": {"gcp-vertex": VERTEX}}
    assert answers[:3] == ["finished", {"lr": 0.1}, ["r2"]]
    assert "Could not find run" in answers[3]
    assert answers[4:] == ["gcp-vertex", config, "pending"]


LOOKS = """
import json, wandb
api = wandb.Api()
kind, = api.artifact_types("team/vision")
(collection,) = kind.collections()
(same,) = api.artifact_collections("team/vision", "code")
(file,) = api.run("team/vision/r1").files()
print(json.dumps([kind.name, collection.name, same.type, len(api.list_jobs("team", "vision")), file.md5]))
"""


def test_the_public_client_reads_artifacts_and_files(state: State, client_env: dict[str, str], tmp_path: Path) -> None:
    """Types, collections by type, the jobs of a project, and a file's checksum."""
    run, _ = state.upsert_run("team", "vision", "r1", {})
    run.files["a.txt"] = b"a"
    made = state.artifacts.create("team", "vision", "code", "source", {"digest": "d"})
    state.artifacts.commit(made.id)
    code, output = finished([sys.executable, "-c", LOOKS], client_env, tmp_path)
    assert code == 0, output
    assert json.loads(output.splitlines()[-1]) == ["code", "source", "code", 0, "0cc175b9c0f1b6a831c399e269772661"]
    job = state.artifacts.create("team", "vision", "job", "train", {"digest": "j"})
    state.artifacts.commit(job.id)
    code, output = finished(
        [sys.executable, "-c", "import wandb; print(wandb.Api().list_jobs('team', 'vision'))"], client_env, tmp_path
    )
    assert (code, "'artifactSequence': {'name': 'train'}" in output) == (0, True), output


def test_an_item_is_found_in_the_project_of_its_queue(state: State, client_env: dict[str, str], tmp_path: Path) -> None:
    """`QueuedRun.state` asks for the queue in `project_queue`: without it W&B looks in another project."""
    item = state.push("team", "gpus", SPEC)
    state.project("team", "vision")
    script = f"""
import wandb
api = wandb.Api()
print(api.queued_run("team", "vision", "gpus", {item.id!r}, project_queue="model-registry").state)
try:
    print("found", api.queued_run("team", "vision", "gpus", {item.id!r}, project_queue="vision").state)
except Exception as exc:
    print("not found", type(exc).__name__)
"""
    code, output = finished([sys.executable, "-c", script], client_env, tmp_path)
    assert code == 0, output
    assert output.splitlines()[-2] == "pending"
    assert output.splitlines()[-1].startswith("not found")
