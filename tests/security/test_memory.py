"""The container of a function stays below its memory, with any request, item, answer or record."""

import base64
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from google.cloud import pubsub_v1
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import Response
from starlette.routing import Route

from deploy.local.environment import clean
from deploy.local.functions import function_command, platform_variables
from deploy.local.processes import Processes, free_port
from deploy.local.servers.pubsub import PubSubServer
from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.state import VertexState
from deploy.local.serving import serving
from shared.adapters.gcs import GcsLedger
from shared.core.errors import UnreadableRecord
from tests.bench.sizes import container_megabytes, deployed, megabytes_given
from tests.contract.gcs import fresh_bucket, limited_gcs

TOPIC = "projects/p/topics/launch-requests"
ANY_ID = "k" + "a" * 26


@dataclass
class Wandb:
    """W&B, which answers each operation with what a test has planted, in bytes."""

    answers: dict[str, Callable[[dict[str, Any]], bytes]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    status: int = 200
    asked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    async def graphql(self, request: Asked) -> Response:
        """Answer a query or a mutation."""
        body = await request.json()
        operation = body["query"].partition("(")[0].partition(" ")[2].split()[0]
        with self.lock:
            self.asked.append(operation)
        answer = self.answers.get(operation)
        content = answer(body["variables"]) if answer else b'{"data": {}}'
        return Response(content, self.status, media_type="application/json")

    async def file(self, request: Asked) -> Response:
        """Return a file."""
        return Response(self.files.get(request.path_params["name"], b""))


@dataclass
class World:
    """The services around a function, and the function as a process."""

    wandb: Wandb
    vertex: VertexState
    ledger: GcsLedger
    settings: dict[str, str]
    folder: Path

    @contextmanager
    def serving(self, verb: str, **settings: str) -> Iterator["Function"]:
        """Serve a function under gunicorn, with the threads and the environment of its container."""
        processes, port = Processes(self.folder), free_port()
        environ = clean(caller={}) | self.settings | platform_variables(verb, 120) | settings
        environ["THREADS"] = deployed(verb, "concurrency")
        process = processes.start(verb, function_command(verb, port), environ)
        try:
            processes.await_port(verb, port, time.monotonic() + 60)
            yield Function(verb, f"http://127.0.0.1:{port}", psutil.Process(process.pid), processes.log(verb))
        finally:
            processes.stop()


@dataclass
class Function:
    """A running function, and the most memory that its container has had."""

    verb: str
    url: str
    process: psutil.Process
    log: Path
    highest: float = 0

    def send(self, *bodies: bytes, headers: dict[str, str] | None = None) -> list[int]:
        """Send these requests at once; return their statuses, and note the memory meanwhile."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(0.02):
                self.highest = max(self.highest, container_megabytes(self.process))

        def post(body: bytes) -> int:
            path = f"/{TOPIC}" if self.verb == "submit" else "/"
            content = {"Content-Type": "application/json"} | (headers or {})
            return requests.post(self.url + path, data=body, headers=content, timeout=120).status_code

        looking = threading.Thread(target=look)
        looking.start()
        try:
            with ThreadPoolExecutor(len(bodies)) as pool:
                return list(pool.map(post, bodies))
        finally:
            over.set()
            looking.join()

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of an event in its log."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] == event]

    def assert_within_its_memory(self) -> None:
        """Compare with the memory in cloudbuild.yaml."""
        given = megabytes_given(deployed(self.verb, "memory"))
        sys.stderr.write(f"{self.verb}: {self.highest:.0f} of {given:.0f} MB\n")
        assert 0 < self.highest < given


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve GCS."""
    with limited_gcs(tmp_path_factory.mktemp("gcs"), "--write-seconds=0") as url:
        yield url


@pytest.fixture
def world(gcs: str, tmp_path: Path) -> Iterator[World]:
    """Serve W&B, Vertex AI and Pub/Sub."""
    wandb, vertex, pubsub = Wandb(), VertexState(), PubSubServer()
    pubsub.start()
    routes = [Route("/graphql", wandb.graphql, methods=["POST"]), Route("/files/{name}", wandb.file)]
    bucket = fresh_bucket(gcs)
    try:
        with serving(Starlette(routes=routes)) as wandb_url, serving(vertex_app(vertex)) as vertex_url:
            settings = {
                "WANDB_BASE_URL": wandb_url,
                "WANDB_API_KEY": "planted-key-" * 4,
                "VERTEX_ENDPOINT": vertex_url,
                "LOGGING_ENDPOINT": vertex_url,
                "BUILD_ENDPOINT": vertex_url,
                "VERTEX_LOCATION": "us-central1",
                "GOOGLE_CLOUD_PROJECT": "p",
                "LEDGER_BUCKET": bucket,
                "STORAGE_EMULATOR_HOST": gcs,
                "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{pubsub.port}",
                "LAUNCH_ENTITY": "team",
                "LAUNCH_QUEUES": "vertex",
                "LAUNCH_MAX_JOBS": "-1",
                "LAUNCH_BASE_IMAGE": "python:3.12",
            }
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PUBSUB_EMULATOR_HOST", settings["PUBSUB_EMULATOR_HOST"])
                pubsub_v1.PublisherClient().create_topic(name=TOPIC)
            yield World(wandb, vertex, GcsLedger(bucket), settings, tmp_path)
    finally:
        pubsub.stop()


def pushed(data: bytes) -> bytes:
    """Return the body of a push."""
    message = {"data": base64.b64encode(data).decode(), "messageId": "1", "publishTime": "2026-01-01T00:00:00Z"}
    return json.dumps({"subscription": "projects/p/subscriptions/s", "message": message}).encode()


def asking(run_spec: bytes, number: int = 0, more: bytes = b"") -> bytes:
    """Return a request with this run spec, which is JSON."""
    head = b'{"kind":"request","source":"a","idempotency_key":"%d",' % number
    return head + more + b'"run_spec":' + run_spec + b"}"


def amplifying(size: int) -> bytes:
    """Return JSON of this size that takes thirty times as much memory once parsed."""
    return b"[" + b"[]," * (size // 3 - 1) + b"[]]"


POOL = {
    "machine_spec": {"machine_type": "n1-standard-4"},
    "replica_count": 1,
    "container_spec": {"image_uri": "${image_uri}"},
}
SPEC = {"worker_pool_specs": [POOL], "staging_bucket": "gs://staging"}
ITEM = {"entity": "team", "project": "cats", "resource_args": {"vertex": {"spec": SPEC}}}
BODIES: dict[str, Callable[[int], bytes]] = {
    "text": lambda size: pushed(asking(b'{"a":"' + b"x" * (size * 3 // 4) + b'"}')),
    "no base64": lambda size: b'{"message":{"messageId":"1","data":"' + b"?" * size + b'"}}',
    "lists": lambda size: pushed(asking(b'{"a":' + amplifying(size * 3 // 4) + b"}")),
    "an envelope of lists": lambda size: b'{"message":{"data":"","a":' + amplifying(size) + b"}}",
    "attributes": lambda size: (
        b'{"message":{"data":"","attributes":{' + b",".join(b'"%d":""' % n for n in range(size // 12)) + b"}}}"
    ),
    "deep": lambda size: pushed(asking(b'{"a":' * (size // 10))),
}


def test_four_requests_of_nine_megabytes_at_once(world: World) -> None:
    """Submit refuses them before it parses them; a good request is served afterwards."""
    good = pushed(asking(json.dumps(ITEM | {"docker": {"docker_image": "local/x"}}).encode(), 7))
    with world.serving("submit") as submit:
        for make in BODIES.values():
            body = make(9_000_000)
            assert submit.send(body, body, body, body) == [500] * 4
        submit.assert_within_its_memory()
        assert submit.send(good) == [200]
        problems = {line["problem"] for line in submit.lines("submit.not_a_message")}
        assert all(" bytes; the limit is 1,733,333" in problem for problem in problems), problems
    assert len(world.vertex.jobs()) == 1


@pytest.mark.long
def test_four_requests_that_grow_when_they_are_parsed(world: World) -> None:
    """Each is within the size, and refused for the number of its values."""
    bodies = [BODIES[name](1_300_000) for name in ("lists", "an envelope of lists", "attributes", "deep")]
    with world.serving("submit") as submit:
        for body in bodies:
            assert submit.send(body, body, body, body) == [500] * 4
        submit.assert_within_its_memory()
        problems = {line["problem"] for line in submit.lines("submit.not_a_message")}
        assert {problem.partition(". ")[0] for problem in problems} == {
            "message: has more than 100,000 keys and values",
            "the request: has more than 100,000 keys and values",
        }


def popping(spec: bytes, count: int) -> Callable[[dict[str, Any]], bytes]:
    """Return W&B's answers to pops: so many items with this run spec, then none."""
    numbers = iter(range(count))

    def pop(_: dict[str, Any]) -> bytes:
        number = next(numbers, None)
        if number is None:
            return b'{"data":{"popFromRunQueue":null}}'
        return b'{"data":{"popFromRunQueue":{"runQueueItemId":"item-%d-%d","runSpec":%s}}}' % (
            id(numbers),
            number,
            spec,
        )

    return pop


QUEUES = b'{"data":{"project":{"runQueues":[{"id":"q","name":"vertex","access":"PROJECT"}]}}}'
REGISTERED = b'{"data":{"createLaunchAgent":{"launchAgentId":"agent"}}}'
ACKED = b'{"data":{"ackRunQueueItem":{"success":true}}}'
SPECS: dict[str, Callable[[], tuple[bytes, int]]] = {
    "ten megabytes of text": lambda: (b'{"a":"' + b"x" * 10_000_000 + b'"}', 4),
    "ten megabytes of lists": lambda: (b'{"a":' + amplifying(10_000_000) + b"}", 4),
    "many of a megabyte of text": lambda: (b'{"entity":"e","project":"p","a":"' + b"x" * 990_000 + b'"}', 32),
    "many with the most values": lambda: (
        b'{"entity":"e","project":"p","b":"' + b"x" * 600_000 + b'","a":' + amplifying(299_000) + b"}", 32
    ),
}  # fmt: skip


@pytest.mark.long
def test_items_of_any_size(world: World) -> None:
    """Poll records a refusal or the launch, over all its connections."""
    world.wandb.answers = {
        "ProjectRunQueues": lambda _: QUEUES,
        "createLaunchAgent": lambda _: REGISTERED,
        "ackRunQueueItem": lambda _: ACKED,
    }
    with world.serving("poll", LAUNCH_MAX_QUEUED="1000") as poll:
        for make in SPECS.values():
            world.wandb.answers["popFromRunQueue"] = popping(*make())
            assert poll.send(b"") == [200], poll.log.read_text()[-2000:]
        poll.assert_within_its_memory()
    assert world.ledger.list_open().entries


def most(number: int) -> bytes:
    """Return a run spec of a megabyte with as many values as a message may have."""
    lists = amplifying(280_000)
    text = b"x" * (990_000 - len(lists) - 500)
    item = ITEM | {"docker": {"docker_image": "local/x"}, "name": f"run-{number}"}
    return (
        json.dumps(item).encode()[:-1]
        + b',"git":{"repo":"'
        + text
        + b'"},"overrides":{"run_config":{"a":'
        + lists
        + b"}}}"
    )


@pytest.mark.long
def test_requests_at_the_limits_are_launched(world: World) -> None:
    """Four at once, each with the most bytes and the most values, become jobs."""
    bodies = [pushed(asking(most(number), number)) for number in range(4)]
    with world.serving("submit") as submit:
        assert submit.send(*bodies) == [200] * 4
        submit.assert_within_its_memory()
    assert len(world.vertex.jobs()) == 4, [e for e in submit.log.read_text().splitlines() if "why" in e]


MEMBERSHIP = {
    "versionIndex": 0,
    "artifactCollection": {"name": "train", "project": {"name": "cats", "entity": {"name": "team"}}},
    "artifact": {"state": "COMMITTED", "digest": "d", "artifactType": {"name": "job"}},
}


def files_page(count: int) -> Callable[[dict[str, Any]], bytes]:
    """Return W&B's answers for the list of an artifact's files, as many a page as it is asked for."""

    def page(asked: dict[str, Any]) -> bytes:
        start = int(asked.get("cursor") or 0)
        end = min(start + asked["perPage"], count)
        signature = "s" * 700
        nodes = [
            {"node": {"name": f"{n}.py", "directUrl": f"/files/{n}?{signature}", "sizeBytes": 1, "md5": f"{n:024}"}}
            for n in range(start, end)
        ]
        files = {"edges": nodes, "pageInfo": {"endCursor": str(end), "hasNextPage": end < count}}
        membership = {"artifactMembership": {"files": files}}
        return json.dumps({"data": {"project": {"artifactCollection": membership}}}).encode()

    return page


def job_request(number: int) -> bytes:
    """Return a request for a W&B job."""
    return pushed(asking(json.dumps(ITEM | {"job": "team/cats/train:latest", "name": f"{number}"}).encode(), number))


def refusals(submit: Function) -> list[str]:
    """Return the reasons of the launches that were refused."""
    return [line["why"] for line in submit.lines("launch.rejected")]


@pytest.mark.long
def test_a_job_with_two_hundred_thousand_files(world: World) -> None:
    """Submit stops at its limit, before it has them all, and says so to the author."""
    answer = json.dumps({"data": {"project": {"artifactCollectionMembership": MEMBERSHIP}}}).encode()
    world.wandb.answers = {
        "ArtifactMembershipByName": lambda _: answer,
        "GetArtifactMembershipFileUrls": files_page(200_000),
    }
    with world.serving("submit") as submit:
        assert submit.send(*(job_request(number) for number in range(4))) == [200] * 4
        submit.assert_within_its_memory()
        assert len([why for why in refusals(submit) if "has more than 2,000 files" in why]) == 4
    assert world.wandb.asked.count("GetArtifactMembershipFileUrls") <= 4 * 11


ANSWERS: dict[str, tuple[int, Callable[[], bytes]]] = {
    "text": (200, lambda: b'{"data":"' + b"x" * 20_000_000 + b'"}'),
    "lists": (200, lambda: amplifying(20_000_000)),
    "lists within the size": (200, lambda: b'{"data":{"a":' + amplifying(990_000) + b"}}"),
    "an error of lists": (500, lambda: amplifying(990_000)),
    "a large error": (400, lambda: b'{"errors":[{"message":"' + b"x" * 20_000_000 + b'"}]}'),
    "deep": (200, lambda: b'{"data":' * 100_000),
}


@pytest.mark.long
def test_answers_of_w_and_b_of_any_size(world: World) -> None:
    """Four launches ask for their jobs at once; each is retried."""
    with world.serving("submit") as submit:
        for number, (status, make) in enumerate(ANSWERS.values()):
            answer = make()
            world.wandb.status, planted = status, lambda _, answer=answer: answer
            world.wandb.answers = {"ArtifactMembershipByName": planted, "GetViewer": planted}
            assert submit.send(*(job_request(10 * number + each) for each in range(4))) == [200] * 4
        submit.assert_within_its_memory()
    assert not world.vertex.jobs()


def test_a_configuration_of_lists(world: World) -> None:
    """A queue's configuration is JSON within JSON: its values count too."""
    text = json.dumps(amplifying(900_000).decode()).encode()
    config = b'{"data":{"entity":{"defaultResourceConfig":{"resource":"gcp-vertex","config":' + text + b"}}}}"
    queue = b'{"data":{"project":{"runQueue":{"id":"q","access":"PROJECT","defaultResourceConfigID":"c"}}}}'
    world.wandb.answers = {"GetRunQueueMetadata": lambda _: queue, "GetDefaultResourceConfig": lambda _: config}
    item = json.dumps({"entity": "team", "project": "cats", "docker": {"docker_image": "local/x"}}).encode()
    bodies = [pushed(asking(item, n, b'"queue":{"entity":"team","name":"vertex"},')) for n in range(4)]
    with world.serving("submit") as submit:
        assert submit.send(*bodies) == [200] * 4
        submit.assert_within_its_memory()
        assert ["queue: has more than 100,000 keys and values" in why for why in refusals(submit)] == [True] * 4


@pytest.mark.long
def test_a_description_of_a_job_that_is_all_lists(world: World) -> None:
    """wandb-job.json is content of an author."""
    answer = json.dumps({"data": {"project": {"artifactCollectionMembership": MEMBERSHIP}}}).encode()
    node = {"node": {"name": "wandb-job.json", "directUrl": "/files/job", "sizeBytes": 1, "md5": "d"}}
    files = {"edges": [node], "pageInfo": {"hasNextPage": False}}
    page = json.dumps({"data": {"project": {"artifactCollection": {"artifactMembership": {"files": files}}}}}).encode()
    world.wandb.answers = {
        "ArtifactMembershipByName": lambda _: answer,
        "GetArtifactMembershipFileUrls": lambda _: page,
    }
    world.wandb.files["job"] = amplifying(990_000)
    with world.serving("submit") as submit:
        assert submit.send(*(job_request(number) for number in range(4))) == [200] * 4
        submit.assert_within_its_memory()
        assert ["has more than 100,000 keys and values" in why for why in refusals(submit)] == [True] * 4


@pytest.mark.long
def test_a_record_of_any_size(world: World) -> None:
    """Another version may have written it: it is unreadable, and its launch waits."""
    bucket = world.ledger._bucket  # noqa: SLF001 - no method of the ledger writes such a record
    bucket.write(f"open/{ANY_ID}", b'{"a":' + amplifying(60_000_000) + b"}", {}, 0)
    ticket = pushed(b'{"kind":"ticket","launch_key":"%s"}' % ANY_ID.encode())
    with world.serving("submit") as submit:
        assert submit.send(ticket, ticket, ticket, ticket) == [500] * 4
        submit.assert_within_its_memory()
    with pytest.raises(UnreadableRecord, match="more than 8,000,000 bytes"):
        world.ledger.read(ANY_ID)
