"""The edges of pages and batches: 99, 100, 101 and 201 of everything, through each adapter, none missing or twice."""

from collections.abc import Iterator

import pytest

from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.messages import parse_custom_job
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.serving import serving
from shared.adapters.vertex.jobs import VertexJobs
from shared.adapters.wandb import Graphql, WandbRunQueue
from shared.core.launch import RunPath
from shared.core.message import Queue

KEY = "0123456789" * 4
QUEUE = Queue(entity="team", name="gpus")
PARENT = "projects/p/locations/us-central1"
SIZES = [1, 99, 100, 101, 201]


@pytest.fixture
def state() -> State:
    """Return W&B's state, with one queue."""
    made = State(api_keys=[KEY])
    made.make_queue("team", "gpus", config={})
    return made


@pytest.fixture
def wandb(state: State) -> Iterator[WandbRunQueue]:
    """Serve it, and connect."""
    with serving(wandb_app(state)) as url:
        yield WandbRunQueue(Graphql(url, KEY))


@pytest.mark.parametrize("number", SIZES)
def test_every_item_is_found(state: State, wandb: WandbRunQueue, number: int) -> None:
    """An item that a page leaves out would count as deleted, and its waiting launch would be cancelled."""
    ids = [state.push("team", "gpus", {"entity": "team", "project": "p"}).id for _ in range(number)]
    answers = wandb.item_statuses([(QUEUE, item_id) for item_id in ids])
    assert (set(answers.found), dict(answers.failed)) == (set(ids), {})


@pytest.mark.parametrize("number", SIZES)
def test_every_run_is_found(state: State, wandb: WandbRunQueue, number: int) -> None:
    """In one project, and each in a project of its own."""
    paths = [RunPath("team", "together", f"r{count}") for count in range(number)]
    paths += [RunPath("team", f"alone{count}", "r") for count in range(number)]
    for path in paths:
        state.upsert_run(path.entity, path.project, path.run_id, {})
    answers = wandb.run_statuses(paths)
    assert (set(answers.found), dict(answers.failed), set(answers.hidden)) == (set(paths), {}, set())


@pytest.mark.parametrize("number", SIZES)
def test_every_job_is_listed_once(number: int) -> None:
    """A job that a page leaves out would count as gone."""
    state = VertexState()
    for count in range(number):
        body = {
            "displayName": "x",
            "labels": {"launch_key": f"k{count}", "launch_attempt": "1", "launch_agent": "ours"},
            "jobSpec": {"workerPoolSpecs": [{"replicaCount": 1, "containerSpec": {"imageUri": "x"}}]},
        }
        state.add(PARENT, parse_custom_job(body), "JOB_STATE_RUNNING")
    with serving(vertex_app(state)) as url:
        listed = [job.key for job in VertexJobs("ours", url).list_jobs(PARENT)]
    assert sorted(listed) == sorted(f"k{count}" for count in range(number))
    assert state.requests["list"] == -(-number // 100)
