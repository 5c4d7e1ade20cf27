"""The edges of pages and batches: 99, 100, 101 and 201 of everything, through each adapter, none missing or twice."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from google.cloud.devtools.cloudbuild_v1 import Build
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.messages import parse_custom_job
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.serving import serving
from shared.adapters.build.images import CloudBuildImages
from shared.adapters.gcs import GcsLedger
from shared.adapters.gcs.index import metadata_of
from shared.adapters.vertex.jobs import VertexJobs
from shared.adapters.vertex.submit import VertexCompute
from shared.adapters.wandb import Graphql, WandbFiles, WandbRunQueue
from shared.core.building import Recipe
from shared.core.launch import RunPath
from shared.core.message import Queue
from shared.core.ports import FoundJob
from tests.contract.launches import a_launch
from tests.fakes.clock import PLENTY

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
    assert state.requests["Statuses"] == -(-number // 100)


@pytest.mark.parametrize("number", SIZES)
def test_every_run_is_found(state: State, wandb: WandbRunQueue, number: int) -> None:
    """In one project, and each in a project of its own."""
    paths = [RunPath("team", "together", f"r{count}") for count in range(number)]
    paths += [RunPath("team", f"alone{count}", "r") for count in range(number)]
    for path in paths:
        state.upsert_run(path.entity, path.project, path.run_id, {})
    answers = wandb.run_statuses(paths)
    assert (set(answers.found), dict(answers.failed), set(answers.hidden)) == (set(paths), {}, set())
    assert state.requests["Statuses"] == -(-2 * number // 100)


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


@pytest.mark.parametrize("number", [1, 99, 100, 101])
def test_the_newest_job_of_a_launch_is_found_with_one_request(number: int) -> None:
    """However many it has; Vertex AI lists the newest first."""
    state = VertexState()
    body = {
        "displayName": "x",
        "labels": {"launch_key": "k", "launch_attempt": "1"},
        "jobSpec": {"workerPoolSpecs": [{"replicaCount": 1, "containerSpec": {"imageUri": "x"}}]},
    }
    names = [state.add(PARENT, parse_custom_job(body), "JOB_STATE_RUNNING").name for _ in range(number)]
    with serving(vertex_app(state)) as url:
        found = VertexCompute("p", "us-central1", url).find(PARENT, {"launch_key": "k"})
    assert found == FoundJob(names[-1], 1)
    assert state.requests["list"] == 1


@pytest.mark.parametrize("number", [0, *SIZES])
def test_every_open_launch_is_listed_once(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """By a bucket that sends only the requested fields, as GCS does, with a hundred objects a page."""
    launches = [a_launch(f"item-{count}") for count in range(number)]
    asked: list[Mapping[str, str]] = []

    async def listing(request: Request) -> JSONResponse:
        asked.append(request.query_params)
        begin = int(request.query_params.get("pageToken", "0"))
        items = [
            {"name": f"open/{launch.key}", "metadata": metadata_of(launch.entry), "generation": "1", "size": "9"}
            for launch in launches[begin : begin + 100]
        ]
        fields = request.query_params["fields"]
        answer: dict[str, object] = {"items": items} if items and fields.startswith("items(name,metadata)") else {}
        if begin + 100 < number and "nextPageToken" in fields:
            answer["nextPageToken"] = str(begin + 100)
        return JSONResponse(answer)

    with serving(Starlette(routes=[Route("/storage/v1/b/ledger/o", listing)])) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        listed = GcsLedger("ledger").list_open()
    assert [entry.key for entry in listed.entries] == [launch.key for launch in launches]
    assert not listed.unreadable
    assert len(asked) == max(1, -(-number // 100))
    assert {query["prefix"] for query in asked} == {"open/"}


@pytest.mark.parametrize("number", [0, 1, 199, 200, 201, 401])
@pytest.mark.parametrize("most", [200, 150])
def test_every_file_of_an_artifact_is_listed_once(number: int, most: int) -> None:
    """Two hundred a query; W&B may send fewer than that."""
    asked: list[dict[str, Any]] = []

    async def graphql(request: Request) -> JSONResponse:
        variables = (await request.json())["variables"]
        asked.append(variables)
        begin = int(variables.get("cursor") or 0)
        end = min(begin + min(variables["perPage"], most), number)
        edges = [{"node": {"name": f"f{n}", "sizeBytes": n, "directUrl": f"/f{n}"}} for n in range(begin, end)]
        files = {"edges": edges, "pageInfo": {"hasNextPage": end < number, "endCursor": str(end)}}
        found = {"project": {"artifactCollection": {"artifactMembership": {"files": files}}}}
        return JSONResponse({"data": found})

    with serving(Starlette(routes=[Route("/graphql", graphql, methods=["POST"])])) as url:
        files = list(WandbFiles(Graphql(url, KEY)).files_of("team/p/code:v0"))
    assert [(file.name, file.size) for file in files] == [(f"f{n}", n) for n in range(number)]
    assert len(asked) == max(1, -(-number // most))
    assert {variables["perPage"] for variables in asked} == {200}


@pytest.mark.parametrize("number", [1, 19, 20, 21, 101])
def test_the_newest_builds_of_an_image_are_read_with_one_request(number: int) -> None:
    """A build under way is among them: another one would be a second build of the same content."""
    asked: list[Mapping[str, str]] = []

    async def builds(request: Request) -> JSONResponse:
        asked.append(request.query_params)
        size = int(request.query_params["pageSize"])
        ended = [{"name": f"{PARENT}/builds/{n}", "status": int(Build.Status.FAILURE)} for n in range(number - 1)]
        newest = {"name": f"{PARENT}/builds/newest", "status": int(Build.Status.WORKING)}
        more = {"nextPageToken": "more"} if number > size else {}
        return JSONResponse({"builds": [newest, *ended][:size], **more})

    routes = [Route("/v1/projects/p/locations/us-central1/builds", builds)]
    with serving(Starlette(routes=routes)) as url:
        images = CloudBuildImages(PARENT, "a@p", "launch", WandbFiles(Graphql(url, KEY)), url)
        recipe = Recipe("us-docker.pkg.dev/p/r/jobs:tag", "gs://contexts", "e/p/j:v0")
        assert images.ensure(recipe, PLENTY).build == f"{PARENT}/builds/newest"
    assert [(query["pageSize"], query["filter"]) for query in asked] == [("20", 'tags="image-tag"')]
