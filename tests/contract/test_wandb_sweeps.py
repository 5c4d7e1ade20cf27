"""Sweeps: their state, asked of the W&B stand-in over HTTP as wandb's own client does."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.processes import free_port
from deploy.local.servers.wandb.state import State
from deploy.local.serving import serving
from shared.adapters.wandb import Graphql, WandbQueueConfigs, WandbRunQueue, WandbSweeps
from shared.core.errors import KeyRefused, LaunchError, Reject, Retry
from shared.core.intake import from_item
from shared.core.launch import RunPath
from shared.core.message import Queue
from shared.runspec.model import Draft
from shared.runspec.render import render
from shared.runspec.scheduler import SchedulerDefaults, schedule_as_job
from tests.contract.test_wandb_server import KEY, WANDB, client_env, clock, finished, state, url
from tests.fakes import FakeQueueConfigs
from tests.unit.specs import NAMES, SITE

__all__ = ["client_env", "clock", "state", "url"]  # fixtures

QUEUE = Queue(entity="team", name="vertex")
THEIRS = """
import sys
from wandb.apis.public.sweeps import _get_sweep_state
from wandb.sdk.launch.api import LaunchApi
print(_get_sweep_state(LaunchApi(), sys.argv[1], entity="team", project="vision"))
"""
CANCEL = """
import sys
from wandb.apis.public.sweeps import _set_sweep_state
from wandb.sdk.launch.api import LaunchApi
_set_sweep_state(LaunchApi(), sys.argv[1], "CANCELED", entity="team", project="vision")
"""


AGENTS = """
import json, sys
from wandb.sdk.launch.agent.agent import LaunchAgent
print(LaunchAgent._is_scheduler_job(None, json.loads(sys.argv[1])))
"""


@pytest.mark.parametrize("as_it_is", ["RUNNING", "PAUSED", "FINISHED", "CANCELED"])
def test_a_sweeps_state_is_what_the_agent_reads(
    state: State, url: str, client_env: dict[str, str], tmp_path: Path, as_it_is: str
) -> None:
    """The agent's own function of the installed wandb agrees."""
    with state.lock:
        state.project("team", "vision")
        state.runs.add_sweep("team", "vision", "sw1", as_it_is)
    code, output = finished([sys.executable, "-c", THEIRS, "sw1"], client_env, tmp_path)
    assert code == 0, output
    assert WandbSweeps(Graphql(url, KEY)).state_of("team", "vision", "sw1") == output.splitlines()[-1] == as_it_is


@pytest.mark.parametrize("by", ["us", "the agent"])
@pytest.mark.parametrize(
    ("as_it_is", "becomes"), [("RUNNING", "CANCELED"), ("PENDING", "CANCELED"), ("FINISHED", "FINISHED")]
)
def test_a_sweep_is_cancelled_as_the_agent_does_it(
    state: State, url: str, client_env: dict[str, str], tmp_path: Path, by: str, as_it_is: str, becomes: str
) -> None:
    """The installed wandb sends it, as the agent does when a scheduler has failed."""
    with state.lock:
        state.project("team", "vision")
        sweep = state.runs.add_sweep("team", "vision", "sw1", as_it_is)
    if by == "us":
        for _ in range(2):
            WandbRunQueue(Graphql(url, KEY)).cancel_sweep(RunPath("team", "vision", "sw1"))
    else:
        _, output = finished([sys.executable, "-c", CANCEL, "sw1"], client_env, tmp_path)
        assert ("Sweep already" in output) is (as_it_is == becomes), output
    assert sweep.state == becomes


def test_a_sweep_that_is_gone_or_may_not_be_changed_is_left(state: State, url: str) -> None:
    """There is nothing to end, or its owner has to: neither keeps a launch open."""
    WandbRunQueue(Graphql(url, KEY)).cancel_sweep(RunPath("team", "vision", "gone"))
    app = Starlette(routes=[Route("/graphql", lambda _: Response(status_code=403), methods=["POST"])])
    port = free_port()
    with serving(app, port), pytest.raises(Reject, match=r"sw1 of team/vision .* Stop it in W&B"):
        WandbRunQueue(Graphql(f"http://127.0.0.1:{port}", KEY)).cancel_sweep(RunPath("team", "vision", "sw1"))


def test_a_sweep_that_is_not_there_has_no_state(state: State, url: str) -> None:
    """The sweep, its project or its entity is missing."""
    with state.lock:
        state.project("team", "vision")
    sweeps = WandbSweeps(Graphql(url, KEY))
    for entity, project in (("team", "vision"), ("team", "other"), ("nobody", "vision")):
        assert not sweeps.state_of(entity, project, "sw1")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (JSONResponse({}, 401), KeyRefused),
        (JSONResponse({}, 403), Reject),
        (JSONResponse({}, 429), Retry),
        (JSONResponse({}, 502), Retry),
    ],
    ids=["wrong key", "not its project", "too many requests", "down"],
)
def test_each_failure_has_its_class(answer: Response, kind: type[LaunchError]) -> None:
    """A sweep that the key may not see is the author's affair, a key that is not accepted the operator's."""

    async def graphql(_: Request) -> Response:
        return answer

    app = Starlette(routes=[Route("/graphql", graphql, methods=["POST"])])
    with serving(app) as address, pytest.raises(kind):
        WandbSweeps(Graphql(address, KEY)).state_of("team", "vision", "sw1")


def test_wandb_out_of_reach_is_tried_again() -> None:
    """Nothing listens there."""
    with pytest.raises(Retry, match=r"cannot be reached|did not answer"):
        WandbSweeps(Graphql(f"http://127.0.0.1:{free_port()}", KEY)).state_of("team", "vision", "sw1")


SWEEP = {
    "method": "grid",
    "image_uri": "us-docker.pkg.dev/p/r/train:1",
    "parameters": {"lr": {"values": [0.1, 0.2]}},
    "launch": {"queue": "vertex"},
    "scheduler": {"num_workers": 2},
}


def test_the_item_of_launch_sweep_becomes_a_small_job(
    state: State, url: str, client_env: dict[str, str], tmp_path: Path
) -> None:
    """The real `wandb launch-sweep`: its item is a scheduler to us as it is to the agent, and has all that it needs."""
    training = {"spec": {"staging_bucket": "gs://staging", "labels": {"a": "1"}}, "run": {"timeout": 60}}
    state.make_queue("team", "vertex", config=training)
    (tmp_path / "sweep.yaml").write_text(json.dumps(SWEEP))
    command = [WANDB, "launch-sweep", "sweep.yaml", "--entity", "team", "--project", "vision"]
    code, output = finished(command, client_env, tmp_path)
    assert (code, "Scheduler added to launch queue (vertex)" in output) == (0, True), output
    graphql = Graphql(url, KEY)
    item = WandbRunQueue(graphql).pop(QUEUE, "")
    assert item
    assert WandbSweeps(graphql).state_of("team", "vision", item.run_spec["run_id"]) == "PENDING"
    code, output = finished([sys.executable, "-c", AGENTS, json.dumps(item.run_spec)], client_env, tmp_path)
    assert (code, output.splitlines()[-1]) == (0, "True"), output
    launch = from_item(item.id, QUEUE, item.run_spec, datetime(2026, 1, 1, tzinfo=UTC))
    assert launch.entry.scheduler
    placed = schedule_as_job(
        Draft.of(launch),
        WandbQueueConfigs(graphql),
        SchedulerDefaults("us-docker.pkg.dev/p/r/wandb:1", "e2-standard-4"),
    )
    call = render(placed, SITE, NAMES)
    [pool] = call.constructor["worker_pool_specs"]
    container = pool["container_spec"]
    assert container["command"] == ["wandb", "scheduler", launch.entry.run.run_id]
    assert container["args"][:4] == ["--queue", "vertex", "--project", "vision"]
    assert container["args"][-2:] == ["--image_uri", "us-docker.pkg.dev/p/r/train:1"]
    assert (pool["machine_spec"], call.constructor["staging_bucket"]) == (
        {"machine_type": "e2-standard-4"},
        "gs://staging",
    )
    assert (call.constructor["labels"]["a"], dict(call.submit)) == ("1", {})


OWN_MACHINE = {
    "spec": {
        "staging_bucket": "gs://of-sweep",
        "worker_pool_specs": [
            {
                "machine_spec": {"machine_type": "e2-highmem-2"},
                "replica_count": 1,
                "container_spec": {"image_uri": "${image_uri}"},
            }
        ],
    }
}


@pytest.mark.parametrize("image", ["", "us-docker.pkg.dev/p/r/own:1"])
def test_a_scheduler_for_vertex_ai_can_read_its_arguments(
    state: State, client_env: dict[str, str], tmp_path: Path, image: str
) -> None:
    """The real `wandb launch-sweep` with resource: gcp-vertex, without quotes that `wandb scheduler` would keep."""
    state.make_queue("team", "vertex", config={"spec": {}})
    of_scheduler = {"resource": "gcp-vertex", "resource_args": {"gcp-vertex": OWN_MACHINE}, "num_workers": 2}
    if image:
        of_scheduler["docker_image"] = image
    (tmp_path / "sweep.yaml").write_text(json.dumps({**SWEEP, "scheduler": of_scheduler}))
    command = [WANDB, "launch-sweep", "sweep.yaml", "--entity", "team", "--project", "vision"]
    code, output = finished(command, client_env, tmp_path)
    assert (code, "Scheduler added to launch queue (vertex)" in output) == (0, True), output
    [item] = state.queues.items.values()
    launch = from_item(item.id, QUEUE, item.run_spec, datetime(2026, 1, 1, tzinfo=UTC))
    unasked = FakeQueueConfigs(unreachable=AssertionError("W&B was asked"))
    placed = schedule_as_job(Draft.of(launch), unasked, SchedulerDefaults("us-docker.pkg.dev/p/r/wandb:1"))
    call = render(placed, SITE, NAMES)
    [pool] = call.constructor["worker_pool_specs"]
    container = pool["container_spec"]
    assert container["image_uri"] == (image or "us-docker.pkg.dev/p/r/wandb:1")
    assert pool["machine_spec"] == {"machine_type": "e2-highmem-2"}
    assert container["command"] == ["wandb", "scheduler", launch.entry.run.run_id]
    assert container["args"][:4] == ["--queue", "vertex", "--project", "vision"]
