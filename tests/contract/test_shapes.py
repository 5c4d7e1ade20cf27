"""The tables of error shapes: each is a whole answer, and meets only the calls that were seen to meet it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.fault_proxy import SHAPES, create_app
from deploy.local.servers.faults import Fault, Faulty
from deploy.local.servers.shapes import GCS, WANDB
from deploy.local.servers.vertex.shapes import VERTEX
from deploy.local.serving import serving
from tests.contract.gcs import fresh_bucket, gcs_server

ALL = [pytest.param(fault, id=f"{system}: {fault.name}") for system, table in SHAPES.items() for fault in table]
FAIL = "POST /graphql\nmutation failRunQueueItem($x: ID!) { failRunQueueItem(input: {}) { success } }"
CREATE = "POST /v1/projects/p/locations/us-central1/customJobs\n{}"


@pytest.mark.parametrize("fault", ALL)
def test_every_shape_is_a_whole_answer(fault: Fault) -> None:
    """JSON that can be read where it is JSON, no brace left open, and a name of its own in its table."""
    answer = fault.answer(FAIL)
    if fault.body.startswith("{"):
        assert isinstance(json.loads(bytes(answer.body)), dict)
    assert fault.weight > 0
    assert not (fault.partial and fault.status != 200)


def test_names_are_unique() -> None:
    """So that `--shapes` can name them."""
    for table in SHAPES.values():
        assert len({fault.name for fault in table}) == len(table)


@pytest.mark.parametrize(
    ("table", "name", "call", "other"),
    [
        (WANDB, "success: false", FAIL, "POST /graphql\nmutation popFromRunQueue { x }"),
        (WANDB, "partial data", "POST /graphql\nquery Statuses($a: ID) { x }", FAIL),
        (WANDB, "agent not found", "POST /graphql\nmutation updateLaunchAgent { x }", FAIL),
        (VERTEX, "act-as", CREATE, "GET /v1/projects/p/locations/us-central1/customJobs\n"),
        (GCS, "429", "POST /upload/storage/v1/b/x/o\n", "GET /storage/v1/b/x/o\n"),
    ],
)
def test_a_shape_meets_its_own_calls_only(table: tuple[Fault, ...], name: str, call: str, other: str) -> None:
    """A definite word such as 404 is given where it may pass."""
    [fault] = [fault for fault in table if fault.name == name]
    assert re.search(fault.only, call)
    assert not re.search(fault.only, other)


@pytest.fixture
def graphql() -> Iterator[str]:
    """Serve a GraphQL answer of two fields, half of whose calls fail in one way."""

    async def act(_: Request) -> Response:
        return JSONResponse({"data": {"a": {"x": 1}, "b": {"x": 2}}})

    partial = Fault("partial data", 200, False, 1, partial=True)
    app = Faulty(Starlette(routes=[Route("/graphql", act, methods=["POST"])]), "/graphql", 1.0, 1, [partial])
    with serving(app) as url:
        yield url


def test_partial_data_has_a_field_less_and_an_error_with_its_path(graphql: str) -> None:
    """The other fields are as they are."""
    answer = requests.post(
        f"{graphql}/graphql", json={"query": "query Statuses { a { x } b { x } }"}, timeout=10
    ).json()
    assert (answer["data"], answer["errors"][0]["path"]) == ({"a": None, "b": {"x": 2}}, ["a"])


def test_the_proxy_passes_on_what_the_bucket_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's own client writes, lists and deletes through it, with preconditions; and meets the faults."""
    with gcs_server(tmp_path) as url, serving(Faulty(create_app(url), "/", 0.0, 1, GCS)) as proxy:
        bucket = fresh_bucket(url)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy)
        client = storage.Client(project="p", credentials=AnonymousCredentials())
        blob = client.bucket(bucket).blob("open/a b")
        blob.metadata = {"state": "QUEUED"}
        blob.upload_from_string("x", if_generation_match=0)
        with pytest.raises(exceptions.PreconditionFailed):
            client.bucket(bucket).blob("open/a b").upload_from_string("y", if_generation_match=0)
        assert [(one.name, one.metadata) for one in client.list_blobs(bucket)] == [("open/a b", blob.metadata)]
        assert blob.download_as_bytes() == b"x"
        requests.post(f"{proxy}/standin/faults", json={"rate": 1, "shapes": ["500"]}, timeout=10).raise_for_status()
        with pytest.raises(exceptions.InternalServerError):
            blob.delete(retry=None)
        requests.post(f"{proxy}/standin/faults", json={"rate": 0}, timeout=10).raise_for_status()
        blob.delete()
        assert not list(client.list_blobs(bucket))
