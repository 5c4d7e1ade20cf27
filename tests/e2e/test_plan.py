"""`plan` against the W&B stand-in in a process of its own: what it shows, and that it touches nothing.

W&B's clients never ask for the run spec of an item that waits, so neither the stand-in nor, perhaps, W&B shows it. The
tests therefore call through a proxy that passes everything on, and adds run specs on request.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests
import yaml
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.processes import Processes, free_port
from deploy.local.serving import serving
from deploy.operate.plan import plan
from tests.unit.specs import PAGE_DEFAULT, POOL, put, run_spec

ROOT = Path(__file__).parent.parent.parent
KEY = "0123456789" * 4
AUTHORS_KEY = "abcdef7890" * 4
PUSH = """mutation pushToRunQueueByName($entityName: String!, $projectName: String!, $queueName: String!,
                                         $runSpec: JSONString!) {
  pushToRunQueueByName(input: {entityName: $entityName, projectName: $projectName, queueName: $queueName,
                               runSpec: $runSpec}) { runQueueItemId }
}"""
SUBMIT = """
import json, sys
from datetime import UTC, datetime
from functions.submit.handler import build_submit
from shared.config.settings import SubmitSettings, load
from shared.core.launch import State
from shared.core.intake import from_item
from shared.core.message import Queue
item, spec = json.load(sys.stdin)
launch = from_item(item, Queue(entity="team", name="vertex"), spec, datetime.now(UTC))
call = build_submit(load(SubmitSettings)).prepare(launch.move(State.SUBMITTING, attempt=1)).call
print(json.dumps([call.parent, call.constructor, call.submit]))
"""
VERTEX = put(PAGE_DEFAULT, ("spec", "staging_bucket"), "gs://staging")
FOR_ANY_IMAGE = "the queue's configuration, for any image"


@dataclass
class Door:
    """Before the stand-in: passes GraphQL on, keeps what was asked, and may show the run specs of what waits."""

    behind: str
    shows_run_specs: bool = False
    specs: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def graphql(self, request: Request) -> Response:
        """Pass one request on."""
        body = await request.json()
        self.asked.append(body["query"])
        shown = self.shows_run_specs and "runSpec" in body["query"]
        passed = {**body, "query": body["query"].replace("runSpec", "")} if shown else body
        headers = {"authorization": request.headers["authorization"]}
        url = f"{self.behind}/graphql"
        answer = await run_in_threadpool(requests.post, url, json=passed, headers=headers, timeout=20)
        content = answer.json()
        if shown:
            for edge in content["data"]["project"]["runQueue"]["runQueueItems"]["edges"]:
                edge["node"]["runSpec"] = self.specs[edge["node"]["id"]]
        elif self.shows_run_specs and "__type" in body["query"]:
            content["data"]["TypeInfo"]["fields"].append({"name": "runSpec"})
        return JSONResponse(content, answer.status_code)

    def push(self, queue: str, spec: dict[str, Any]) -> str:
        """Put an item on a queue as W&B's client does; the stand-in counts it, the door does not."""
        where = {"entityName": "team", "projectName": "model-registry", "queueName": queue, "runSpec": json.dumps(spec)}
        asked = {"query": PUSH, "variables": where}
        answer = requests.post(f"{self.behind}/graphql", json=asked, auth=("api", KEY), timeout=20).json()
        item = str(answer["data"]["pushToRunQueueByName"]["runQueueItemId"])
        self.specs[item] = spec
        return item

    def make_queue(self, name: str, config: dict[str, Any], **more: Any) -> None:
        """Make a Vertex queue with this configuration."""
        queue = {"entity": "team", "queue": name, "config": config, **more}
        requests.post(f"{self.behind}/standin/queues", json=queue, timeout=20).raise_for_status()

    def states(self) -> dict[str, str]:
        """Return the state of every item, by id."""
        found = requests.get(f"{self.behind}/standin/items", timeout=20).json()
        return {item["id"]: item["state"] for item in found}


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the stand-in."""
    port = free_port()
    processes = Processes(tmp_path_factory.mktemp("standin"))
    command = [sys.executable, "-m", "deploy.local.servers.wandb", "--port", str(port), "--api-key", KEY]
    try:
        processes.start("wandb", command, dict(os.environ))
        processes.await_port("wandb", port, time.monotonic() + 30)
        yield f"http://127.0.0.1:{port}"
    finally:
        processes.stop()


@contextmanager
def door_to(standin: str, *, shows_run_specs: bool) -> Iterator[Door]:
    """Open a door, and see at its end that no mutation went through it."""
    door = Door(standin, shows_run_specs)
    with serving(Starlette(routes=[Route("/graphql", door.graphql, methods=["POST"])])) as door.url:
        yield door
    assert door.asked
    assert not [query for query in door.asked if "mutation" in query]
    assert set(door.states().values()) <= {"PENDING"}


def environment(door: Door) -> dict[str, str]:
    """Return the functions' settings, without the ledger's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "LAUNCH"))}
    return own | {
        "WANDB_BASE_URL": door.url,
        "WANDB_API_KEY": KEY,
        "LAUNCH_ENTITY": "team",
        "LAUNCH_QUEUES": "vertex",
        "GOOGLE_CLOUD_PROJECT": "gcp-project",
        "VERTEX_LOCATION": "us-central1",
        "PYTHONPATH": str(ROOT),
    }


def planned(door: Door, folder: Path, *options: str, **environ: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run the command; returns its exit code, its documents and its messages. No key is ever printed."""
    with patch.dict(os.environ, environment(door) | environ, clear=True), chdir(folder):
        done = CliRunner().invoke(plan, options, catch_exceptions=False)
    assert KEY not in done.output
    assert AUTHORS_KEY not in done.output
    return done.exit_code, list(yaml.safe_load_all(done.stdout)), done.stderr


def submitted(door: Door, folder: Path, item: str, spec: dict[str, Any]) -> list[Any]:
    """Return the parent and the arguments with which submit, wired as in its function, would create the job."""
    settings = environment(door) | {"LEDGER_BUCKET": "ledger", "STORAGE_EMULATOR_HOST": door.url}
    asked = json.dumps([item, spec])
    done = subprocess.run(
        [sys.executable, "-c", SUBMIT],
        env=settings,
        cwd=folder,
        input=asked,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_waiting_items_are_rendered_as_by_submit_and_a_bad_one_is_refused(standin: str, tmp_path: Path) -> None:
    """A good item shows its CustomJob, but for keys; a bad one the field and the fix, and the exit code says so."""
    with door_to(standin, shows_run_specs=True) as door:
        door.make_queue("vertex", VERTEX)
        account = put(VERTEX, ("spec", "service_account"), "a@p.iam.gserviceaccount.com")
        good = run_spec(account, _wandb_api_key=AUTHORS_KEY)
        good["overrides"] = {"run_config": {"said": f"my key is {AUTHORS_KEY}"}}
        bad = run_spec(put(VERTEX, ("spec", "worker_pool_spec"), []), author=AUTHORS_KEY)
        items = [door.push("vertex", good), door.push("vertex", bad)]
        code, documents, messages = planned(door, tmp_path)
        assert [document["item"] for document in documents] == items
        launched, refused = documents
        parent, constructor, submit = submitted(door, tmp_path, items[0], good)
        shown = json.loads(json.dumps(constructor).replace(AUTHORS_KEY, "[redacted]"))
        assert [launched["parent"], launched["CustomJob"], launched["submit"]] == [parent, shown, submit]
        assert launched["outcome"] == "would be launched"
        assert "service_account belongs under run" in launched["warnings"][0]
        assert refused["outcome"] == "would be refused"
        assert refused["field"] == "resource_args.gcp-vertex.spec.worker_pool_spec"
        assert "Did you mean worker_pool_specs?" in refused["reason"]
        assert code == 3
        assert "1 would be launched; 1 would be refused. Nothing was popped." in messages

        code, documents, _ = planned(door, tmp_path, "--item", items[0])
        assert ([each["item"] for each in documents], code) == (items[:1], 0)
        code, documents, _ = planned(door, tmp_path, "--limit", "1")
        assert ([each["item"] for each in documents], code) == (items[:1], 0)
        code, documents, messages = planned(door, tmp_path, "--item", "none")
        assert (documents, code) == ([], 1)
        assert "no item none waits in vertex of team" in messages


def test_a_job_is_looked_up_and_pinned(standin: str, tmp_path: Path) -> None:
    """By its alias; an item of code shows the base image that it would run in, one of no job its refusal."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text("")
    with door_to(standin, shows_run_specs=True) as door:
        created = [sys.executable, "-m", "wandb", "job", "create", "-e", "team", "-p", "cats", "-n", "train"]
        settings = {"WANDB_BASE_URL": standin, "HOME": str(tmp_path), "WANDB_DIR": str(tmp_path)}
        made_of = ["code", str(tmp_path / "code"), "--entry-point", "python train.py"]
        subprocess.run([*created, *made_of], env=environment(door) | settings, cwd=tmp_path, check=True, timeout=60)
        door.make_queue("with-jobs", VERTEX)
        for name in ("train:latest", "gone:v0"):
            door.push("with-jobs", run_spec(VERTEX, docker=None, job=f"team/cats/{name}"))
        environ = {"LAUNCH_QUEUES": "with-jobs", "LAUNCH_BASE_IMAGE": "python:3.12"}
        code, (launched, refused), _ = planned(door, tmp_path, **environ)
        container = launched["CustomJob"]["worker_pool_specs"][0]["container_spec"]
        assert container["image_uri"] == "python:3.12"
        assert container["command"] == [
            "python3",
            "-c",
            "[the program that fetches the code]",
            '{"job": "team/cats/train:v0", "code": "team/cats/code-train:v0", "install": true}',
            "python3",
            "train.py",
        ]
        assert (refused["field"], code) == ("job", 3)
        assert "team/cats/gone:v0 was not found in W&B" in refused["reason"]


def test_without_visible_run_specs_the_configuration_is_checked(standin: str, tmp_path: Path) -> None:
    """Items that cannot be seen are listed, and what their queue gives to each of them is rendered."""
    with door_to(standin, shows_run_specs=False) as door:
        door.make_queue("unseen", VERTEX)
        item = door.push("unseen", run_spec(VERTEX))
        code, (unseen, checked), _ = planned(door, tmp_path, LAUNCH_QUEUES="unseen")
        assert unseen == {"queue": "unseen", "item": item, "outcome": "cannot be seen before it is popped"}
        assert (checked["checked"], checked["outcome"]) == (FOR_ANY_IMAGE, "would be launched")
        assert code == 0


def test_an_empty_queue_and_a_missing_one(standin: str, tmp_path: Path) -> None:
    """Of an empty queue its configuration is checked, template variables filled in; a missing one is named."""
    pool = put(POOL, ("machine_spec", "machine_type"), "{{machine}}")
    config = put(VERTEX, ("spec", "worker_pool_specs"), [put(pool, ("replica_count",), "{{replicas}}")])
    variables = {"machine": {"type": "string", "enum": ["n1-standard-8"]}, "replicas": {"type": "integer"}}
    with door_to(standin, shows_run_specs=True) as door:
        door.make_queue("templates", config, template_variables=variables)
        door.make_queue("page-default", PAGE_DEFAULT)
        queues = ("--queue", "templates", "--queue", "page-default", "--queue", "gone")
        prices = {"date": "2026-11-01", "currency": "USD", "machines": {"n1-standard-8": {"hour": 0.4}}}
        (tmp_path / "prices.yaml").write_text(json.dumps(prices))
        code, (good, bad, gone), messages = planned(door, tmp_path, *queues)
        assert good["cost of an hour"] == "0.40 USD, prices of 2026-11-01"
        assert "cost of an hour" not in bad
        (shown,) = good["CustomJob"]["worker_pool_specs"]
        assert (shown["machine_spec"]["machine_type"], shown["replica_count"]) == ("n1-standard-8", 1)
        assert good["checked"] == bad["checked"] == FOR_ANY_IMAGE
        assert bad["field"] == "resource_args.gcp-vertex.spec.staging_bucket"
        assert "team has no queue named gone. Its queues: page-default, templates" in gone["reason"]
        assert code == 1
        assert "1 would be launched; 1 would be refused; 1 does not exist" in messages


def test_settings_may_come_from_the_agents_file(standin: str, tmp_path: Path) -> None:
    """The agent's own file will do; what is missing is named, the ledger's bucket not being needed."""
    config = tmp_path / "agent.yaml"
    config.write_text("{entity: team, queues: [vertex], environment: {type: gcp, region: r, project: p}}")
    empty = {"LAUNCH_ENTITY": "", "LAUNCH_QUEUES": "", "GOOGLE_CLOUD_PROJECT": "", "VERTEX_LOCATION": ""}
    with door_to(standin, shows_run_specs=False) as door:
        door.make_queue("vertex", VERTEX)
        code, documents, _ = planned(door, tmp_path, "--config", str(config), **empty)
        assert (documents[-1]["parent"], code) == ("projects/p/locations/r", 0)
        code, documents, messages = planned(door, tmp_path, **empty | {"WANDB_API_KEY": ""})
        assert (documents, code) == ([], 1)
        assert "WANDB_API_KEY (or WANDB_API_KEY_FILE): is missing" in messages
        assert "LAUNCH_QUEUES (or queues in launch-config.yaml): is missing" in messages
        assert "LEDGER_BUCKET" not in messages


def test_a_launch_against_the_policy_is_refused_beforehand(standin: str, tmp_path: Path) -> None:
    """As submit would; the image that an item to come brings along is not held against its queue."""
    config = tmp_path / "launch-config.yaml"
    config.write_text("policy: {images: [us-docker.pkg.dev/p], machine_types: [n1-standard-4]}")
    large = put(POOL, ("machine_spec", "machine_type"), "a3-ultragpu-8g")
    foreign = put(POOL, ("container_spec", "image_uri"), "gcr.io/other/train")
    with door_to(standin, shows_run_specs=False) as door:
        door.make_queue("fits", VERTEX)
        door.make_queue("large", put(VERTEX, ("spec", "worker_pool_specs"), [large]))
        door.make_queue("foreign", put(VERTEX, ("spec", "worker_pool_specs"), [foreign]))
        queues = ("--queue", "fits", "--queue", "large", "--queue", "foreign")
        code, (good, machine, image), _ = planned(door, tmp_path, *queues)
        assert (good["outcome"], code) == ("would be launched", 3)
        assert "'a3-ultragpu-8g', which the rule policy.machine_types does not allow" in machine["reason"]
        assert image["field"] == "spec.worker_pool_specs[0].container_spec.image_uri"
        assert "'gcr.io/other/train', which the rule policy.images does not allow" in image["reason"]


def test_the_next_places_of_a_launch_are_shown(standin: str, tmp_path: Path) -> None:
    """The places of the ladder behind its own, and those that are none for it."""
    config = tmp_path / "launch-config.yaml"
    eu = "{region: europe-west4, staging_bucket: gs://team-eu}"
    config.write_text(f"ladder: {{strategies: [SPOT, STANDARD], regions: [{eu}]}}")
    tied = put(put(VERTEX, ("run", "scheduling_strategy"), "SPOT"), ("run", "network"), "projects/1/global/networks/n")
    with door_to(standin, shows_run_specs=False) as door:
        door.make_queue("fits", put(VERTEX, ("run", "scheduling_strategy"), "SPOT"))
        door.make_queue("tied", tied)
        door.make_queue("standard", VERTEX)
        queues = ("--queue", "fits", "--queue", "tied", "--queue", "standard")
        _, (fits, tied, standard), _ = planned(door, tmp_path, *queues)
        there = "next places if there is no capacity"
        assert fits[there] == ["europe-west4 with SPOT", "europe-west4 with STANDARD"]
        assert there not in tied
        assert tied["left out of the ladder"] == "europe-west4 is left out, because run.network is regional"
        assert standard[there] == ["europe-west4 with STANDARD"]


def test_a_key_that_is_not_accepted(standin: str, tmp_path: Path) -> None:
    """W&B's refusal is printed in one line, without a traceback."""
    with door_to(standin, shows_run_specs=False) as door:
        code, documents, messages = planned(door, tmp_path, WANDB_API_KEY=AUTHORS_KEY)
        assert (documents, code) == ([], 1)
        assert messages.startswith("Error: W&B at 127.0.0.1")
        assert "401: check the API key" in messages
