"""What operators see of launches that the real functions write: each keeps the index, and one listing answers."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.__main__ import main
from deploy.local.serving import serving
from shared.core.message import Queue, Ticket, encode
from shared.core.message import Request as LaunchRequest
from tests.contract.gcs import put
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM, POOL, eventarc

NAME = "".join(chr(0x1F300 + number) for number in range(64))  # 256 bytes, as names of W&B can have
LONG = {**ITEM, "name": NAME, "author": NAME[::-1], "project": NAME, "run_id": NAME[3:] + "abc"}
LISTED = ("name", "author", "source", "reason", "machine", "started_at", "ended_at", "events")


def vertex_launch(*arguments: str) -> Any:
    """Run a command as an operator of the same deployment does; return its JSON."""
    result = CliRunner().invoke(main, [*arguments, "--project=p", "--agent-name=vertex-launch", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@contextmanager
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Count the calls of the ledger's bucket."""
    made: list[str] = []
    send = requests.adapters.HTTPAdapter.send

    def count(self: Any, request: requests.PreparedRequest, *rest: Any, **more: Any) -> requests.Response:
        if str(request.url).startswith(os.environ["STORAGE_EMULATOR_HOST"]):
            made.append(f"{request.method} {request.path_url}")
        return send(self, request, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(requests.adapters.HTTPAdapter, "send", count)
        yield made


def as_older(key: str) -> None:
    """Write a record as an older revision has: without the fields of a listing."""
    server, bucket, name = os.environ["STORAGE_EMULATOR_HOST"], os.environ["LEDGER_BUCKET"], f"open/{key}"
    record = requests.get(f"{server}/storage/v1/b/{bucket}/o/open%2F{key}?alt=media", timeout=5).json()
    for field in LISTED:
        record["entry"].pop(field, None)
    record.pop("events")
    metadata = {
        field: value if isinstance(value, str) else json.dumps(value)
        for field, value in record["entry"].items()
        if value not in (None, "", 0, False)
    }
    put(server, bucket, name, metadata, json.dumps(record).encode())


@pytest.mark.parametrize("before", [lambda _: None, as_older], ids=["this revision", "records of an older one"])
def test_each_writer_keeps_what_a_listing_shows(
    outside: Outside, before: Callable[[str], None], tmp_path: Path
) -> None:
    """Poll's intake, submit and status; one listing answers, whatever the names are, and reads no record."""
    outside.wandb.push("team", "vertex", LONG)
    assert outside.client("poll").post("/").json["launched"] == {"vertex": 1}

    def listed() -> dict[str, Any]:
        with calls(outside.monkeypatch) as made:
            [found] = vertex_launch("ls", "--since=1h")["launches"]
        assert [call.partition("?")[0].rpartition("/")[2] for call in made] == ["o", "o"], "the open and closed ones"
        names = (found["name"][0], found["author"][0], found["source"], found["project"], found["run_id"])
        assert names == (NAME[0], NAME[-1], "wandb", NAME, LONG["run_id"])
        return dict(found)

    key = listed()["launch_key"]
    before(key)
    outside.client("submit").post(**eventarc(encode(Ticket(launch_key=key))))
    submitted = listed()
    assert (submitted["state"], submitted["machine"], submitted["tries"]) == ("pending", "1×n1-standard-4", 1)
    [job] = outside.vertex.jobs()
    outside.vertex.force(job.name, "JOB_STATE_RUNNING")
    before(key)
    outside.client("status").post("/")
    assert (listed()["state"], bool(listed()["started_at"])) == ("running", True)
    log = tmp_path / "log"
    log.write_text("epoch 0\n\x1b[2Jepoch 1", encoding="utf-8")
    job.log = str(log)
    outside.vertex.force(job.name, "JOB_STATE_FAILED", "exit code 1")
    for _ in range(2):
        outside.client("status").post("/")
    ended = listed()
    assert (ended["state"], ended["outcome"], bool(ended["ended_at"])) == ("failed", "FAILED", True)
    assert "exit code 1" in ended["reason"]
    story = vertex_launch("show", key[:9])
    assert story["steps"][-1]["step"] == "ended"
    assert f"/team/{quote(NAME)}/runs/" in story["run_url"]
    assert vertex_launch("show", story["run_url"])["launch_key"] == key
    assert [line["text"] for line in vertex_launch("logs", job.name)] == ["epoch 0", "·[2Jepoch 1"]
    assert vertex_launch("top")["queues"][0]["open"] == 0


def test_a_request_with_the_longest_names_is_listed(outside: Outside) -> None:
    """Its queue's and its source's too; the beginning of its key finds it as its source and its own key do."""
    config = {"gcp-vertex": {"spec": {"worker_pool_specs": [POOL], "staging_bucket": "gs://of-queue"}}}
    outside.wandb.make_queue("team", NAME, config={"resource_args": config}, resource="gcp-vertex")
    queue = Queue(entity="team", name=NAME)
    request = LaunchRequest(source=NAME * 4, idempotency_key=NAME * 4, run_spec=LONG, queue=queue)
    outside.client("submit").post(**eventarc(encode(request)))
    with calls(outside.monkeypatch) as made:
        [found] = vertex_launch("ls", f"--queue={NAME}")["launches"]
    assert len(made) == 1
    assert (found["launch_key"], found["queue"], found["state"]) == (request.launch_key, NAME, "rejected")
    assert vertex_launch("show", f"{NAME * 4}/{NAME * 4}")["idempotency_key"] == NAME * 4


def test_an_unreadable_record_is_listed_with_its_problem(outside: Outside) -> None:
    """And in `top`; a launch beside it is listed as always."""
    outside.wandb.push("team", "vertex", ITEM)
    outside.client("poll").post("/")
    key = "k" + "u" * 26
    put(os.environ["STORAGE_EMULATOR_HOST"], os.environ["LEDGER_BUCKET"], f"open/{key}", {"needs": "9"}, b"{}")
    assert "needs version 9" in vertex_launch("ls")["unreadable"][key]
    assert len(vertex_launch("ls")["launches"]) == 1
    assert vertex_launch("top")["unreadable"].keys() == {key}
    result = CliRunner().invoke(main, ["show", "kuuu", "--project=p"])
    assert (result.exit_code, "needs version 9" in result.stderr) == (1, True)


def test_a_damaged_record_is_named_by_commands_that_read_it(outside: Outside) -> None:
    """Its index is listed as before; exit code 1, because it stays so."""
    outside.wandb.push("team", "vertex", ITEM)
    outside.client("poll").post("/")
    server, bucket = os.environ["STORAGE_EMULATOR_HOST"], os.environ["LEDGER_BUCKET"]
    [found] = vertex_launch("ls")["launches"]
    name = f"open/{found['launch_key']}"
    metadata = requests.get(f"{server}/storage/v1/b/{bucket}/o/{name.replace('/', '%2F')}", timeout=5).json()[
        "metadata"
    ]
    put(server, bucket, name, metadata, b"{")
    assert vertex_launch("ls")["launches"][0].keys() == found.keys()
    for command in ("show", "logs"):
        result = CliRunner().invoke(main, [command, found["launch_key"][:9], "--project=p"])
        assert (result.exit_code, "cannot read the record" in result.stderr) == (1, True)


def refusing(status: int, message: str) -> Starlette:
    """Return a server that answers each call in the same way."""

    async def answer(_: Request) -> JSONResponse:
        return JSONResponse({"error": {"code": status, "message": message}}, status)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


REFUSALS = {
    # what the server answers; the exit code, and what the message says
    "no permission": (403, "bob does not have storage.objects.list access", 1, "You need roles/storage.objectViewer"),
    "how to get it": (403, "no", 1, "gcloud storage buckets add-iam-policy-binding gs://p-launch-ledger"),
    "no bucket": (404, "The specified bucket does not exist.", 1, "--project, --name or --bucket name another one"),
}


@pytest.mark.parametrize("command", [["ls"], ["show", "abc"], ["logs", "k" + "a" * 26], ["top"]], ids=lambda it: it[0])
@pytest.mark.parametrize(("status", "message", "code", "says"), REFUSALS.values(), ids=REFUSALS)
def test_a_ledger_that_may_not_be_read_names_the_permission(
    monkeypatch: pytest.MonkeyPatch, command: list[str], status: int, message: str, code: int, says: str
) -> None:
    """And the command that grants it; nobody reads of a function's account."""
    with serving(refusing(status, message)) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        monkeypatch.delenv("LEDGER_BUCKET", raising=False)
        result = CliRunner().invoke(main, [*command, "--project=p"])
    assert result.exit_code == code
    assert says in result.stderr
    assert "function's account" not in result.stderr
    assert "Traceback" not in result.output


def test_logs_that_may_not_be_read_name_the_permission(outside: Outside) -> None:
    """The ledger can be read, Cloud Logging cannot."""
    outside.wandb.push("team", "vertex", ITEM)
    outside.client("poll").post("/")
    [found] = vertex_launch("ls")["launches"]
    outside.client("submit").post(**eventarc(encode(Ticket(launch_key=found["launch_key"]))))
    with serving(refusing(403, "bob may not")) as url:
        outside.monkeypatch.setenv("LOGGING_ENDPOINT", url)
        result = CliRunner().invoke(main, ["logs", found["launch_key"], "--project=p"])
    assert result.exit_code == 1
    assert "bob may not" in result.stderr
    assert "gcloud projects add-iam-policy-binding p --role=roles/logging.viewer" in result.stderr
    with serving(refusing(429, "quota")) as url:
        outside.monkeypatch.setenv("LOGGING_ENDPOINT", url)
        result = CliRunner().invoke(main, ["logs", found["launch_key"], "--project=p"])
    assert (result.exit_code, "60 reads a minute" in result.stderr) == (4, True)
