"""A key of its own is planted in every input that can hold one; none of them comes out anywhere."""

import json
import logging
import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from google.pubsub_v1.types import PubsubMessage, ReceivedMessage
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.local.serving import serving
from deploy.local.stack import DEFAULT_CONFIG
from deploy.operate.dead_letters.dead_letter import read_dead_letter
from deploy.operate.plan import plan
from shared.adapters.wandb import Graphql
from shared.core.errors import LaunchError
from shared.core.message import Queue, Ticket, encode
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM, RENDERED, REQUEST, eventarc, events
from tests.unit.specs import put

INPUTS = (
    "file", "second-file", "item", "request", "wrong-item", "variable", "password", "macro", "login", "remote",
    "address", "signature", "garbage", "kind",
)  # fmt: skip
PLANTED = {name: f"planted-{name}-0123456789abcdef" for name in INPUTS}
CONTAINER = ("gcp-vertex", "spec", "worker_pool_specs", 0, "container_spec")
ENV = [
    {"name": "TEAM_TOKEN", "value": PLANTED["variable"]},
    {"name": "DB_PASSWORD", "value": PLANTED["password"]},
    {"name": "OF_MACRO", "value": "${TEAM_SECRET}"},
]


@dataclass
class Scene:
    """The functions with planted keys, and all that they have let out."""

    outside: Outside
    capsys: pytest.CaptureFixture[str]
    out: list[str] = field(default_factory=list)

    def call(self, name: str, *messages: bytes) -> None:
        """Call a function, or deliver messages to it; keep its answers."""
        client = self.outside.client(name)
        for called in [eventarc(message) for message in messages] or [{"path": "/"}]:
            self.out.append(client.post(**called).text)

    def launch(self, spec: dict[str, Any]) -> Any:
        """Enqueue an item, and let all three functions see to it."""
        item = self.outside.wandb.push("team", "vertex", spec)
        self.call("poll")
        self.call("submit", *self.tickets())
        self.call("status")
        self.call("status")
        return item

    def tickets(self) -> Iterator[bytes]:
        """Yield the tickets of what was just popped."""
        printed = self.capsys.readouterr()
        self.out += [printed.out, printed.err]
        for event in events(printed.out):
            if event["message"] == "poll.item":
                yield encode(Ticket(launch_key=event["launch_key"]))

    def shown(self) -> str:
        """Return all that was let out by now: logs, answers, items, jobs' labels."""
        printed = self.capsys.readouterr()
        self.out += [printed.out, printed.err]
        items = self.outside.wandb.queues.items.values()
        reports = [f"{item.error} {item.warning}" for item in items]
        labels = [f"{dict(job.labels)} {job.display_name}" for job in self.outside.vertex.jobs()]
        return "\n".join([*self.out, *reports, *labels])


@pytest.fixture
def scene(outside: Outside, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Scene:
    """Plant keys in the settings and in the queue; every library says all that it can."""
    file = tmp_path / "api-key"
    file.write_text(PLANTED["file"])
    outside.monkeypatch.delenv("WANDB_API_KEY")
    settings = {"WANDB_API_KEY_FILE": str(file), "LOG_LEVEL": "DEBUG", "FIRST_RETRY_SECONDS": "0.01"}
    settings |= {"LAUNCH_MACROS": "TEAM_SECRET", "TEAM_SECRET": PLANTED["macro"]}
    for variable, value in settings.items():
        outside.monkeypatch.setenv(variable, value)
    outside.wandb.api_keys = frozenset({PLANTED["file"], PLANTED["second-file"]})
    config = {"resource_args": put(DEFAULT_CONFIG["resource_args"], (*CONTAINER, "env"), ENV)}
    outside.wandb.make_queue("team", "vertex", config=config, resource="gcp-vertex")
    return Scene(outside, capsys)


def own(**changes: Any) -> dict[str, Any]:
    """Return an item's run spec with a key of its own, and with these parts changed."""
    return {**ITEM, "_wandb_api_key": PLANTED["item"], **changes}


def vertex(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return resource arguments with one part changed."""
    arguments = deepcopy(DEFAULT_CONFIG["resource_args"])
    arguments = put(arguments, (*CONTAINER, "env"), ENV)
    changed: dict[str, Any] = put(arguments, ("gcp-vertex", *path), value)
    return changed


SPECS = {
    "a key that is a list": {**ITEM, "_wandb_api_key": [PLANTED["wrong-item"]]},
    "a key in an image": own(resource_args=vertex((*CONTAINER[1:], "image_uri"), f"{PLANTED['item']} ${{X}}")),
    "a variable in a label": own(resource_args=vertex(("spec", "labels"), {"x": f"T {PLANTED['variable']}"})),
    "a macro in a label": own(resource_args=vertex(("spec", "labels"), {"x": "T ${TEAM_SECRET}"})),
    "a login in a bucket": own(resource_args=vertex(("spec", "staging_bucket"), f"https://u:{PLANTED['login']}@x/y")),
    "a login in a job": own(docker=None, job=f"https://u:{PLANTED['remote']}@git.test/a.git"),
    "a login in a repository": own(docker=None, git={"repo": f"https://u:{PLANTED['remote']}@git.test/a.git"}),
    "a variable that is an object": own(
        resource_args=vertex((*CONTAINER[1:], "env"), [{"name": "A_KEY", "value": {"x": PLANTED["variable"]}}])
    ),
}


def assert_nothing_is_shown(text: str) -> None:
    """Assert that a text has none of the planted keys; a failure shows their names."""
    assert [name for name, value in PLANTED.items() if value in text] == []


@pytest.mark.parametrize("spec", SPECS)
def test_a_refusal_quotes_no_key(scene: Scene, spec: str) -> None:
    """Wherever its author wrote it; the item, the logs and the answers say what is wrong all the same."""
    item = scene.launch(SPECS[spec])
    assert item.state == "FAILED"
    assert_nothing_is_shown(scene.shown())


@pytest.mark.parametrize(
    ("status", "code", "worked"),
    [
        (400, "INVALID_ARGUMENT", False),
        (403, "PERMISSION_DENIED", False),
        (429, "RESOURCE_EXHAUSTED", False),
        (503, "UNAVAILABLE", True),
    ],
)
def test_vertex_ai_may_quote_the_whole_request(scene: Scene, status: int, code: str, worked: bool) -> None:
    """Of an item and of another system's request: what goes on from its error is without a key."""
    refuse = scene.outside.vertex.faults.refuse_next
    sent = [PLANTED[name] for name in ("item", "variable", "password", "macro", "file")]
    refuse(status, code, f"not taken: {sent}", worked=worked)
    scene.launch(own())
    refuse(status, code, f"not taken: {[PLANTED['request'], PLANTED['macro']]}", worked=worked)
    spec = {**REQUEST.run_spec, "_wandb_api_key": PLANTED["request"]}
    scene.call("submit", encode(REQUEST.model_copy(update={"run_spec": spec})))
    scene.call("status")
    shown = scene.shown()
    assert "not taken: ['[redacted]" in shown
    assert_nothing_is_shown(shown)


def test_vertex_ai_may_quote_a_jobs_variables_afterwards(scene: Scene) -> None:
    """As the reason for which the job failed."""
    item = scene.launch(own())
    [job] = scene.outside.vertex.jobs()
    sent = [PLANTED[name] for name in ("item", "variable", "password")]
    scene.outside.vertex.force(job.name, "JOB_STATE_FAILED", f"bad variables: {sent}")
    scene.call("status")
    assert "bad variables: ['[redacted]" in str(item.error)
    assert_nothing_is_shown(scene.shown())


def test_wandb_may_quote_the_key(scene: Scene) -> None:
    """Whichever is the file's now; the one before it is no less secret."""
    scene.call("poll")
    file = Path(os.environ["WANDB_API_KEY_FILE"])
    keys = [PLANTED["file"], PLANTED["second-file"]]

    async def quoting(asked: Asked) -> JSONResponse:
        return JSONResponse({"errors": [{"message": f"bad header: {file.read_text()}"}]})

    with serving(Starlette(routes=[Route("/graphql", quoting, methods=["POST"])])) as url:
        scene.outside.monkeypatch.setenv("WANDB_BASE_URL", url)
        naming = REQUEST.model_copy(update={"run_spec": ITEM, "queue": Queue(entity="team", name="vertex")})
        for key in keys:
            file.write_text(key)
            scene.call("submit", encode(naming))
            for name in ("poll", "status"):
                scene.call(name)
    logging.getLogger("x").error("%s", keys)
    shown = scene.shown()
    assert "bad header: [redacted]" in shown
    assert_nothing_is_shown(shown)


@pytest.mark.parametrize("name", ["poll", "submit", "status"])
def test_an_address_of_wandb_with_a_password_is_refused(scene: Scene, name: str, caplog: Any) -> None:
    """It would stand in every job; the refusal does not show it."""
    scene.outside.monkeypatch.setenv("WANDB_BASE_URL", f"https://u:{PLANTED['address']}@wandb.test")
    scene.call(name, *([encode(REQUEST)] if name == "submit" else []))
    shown = scene.shown() + caplog.text
    assert "WANDB_BASE_URL: has a user or a password in it" in shown
    assert_nothing_is_shown(shown)


def test_a_signed_address_is_not_shown() -> None:
    """Its login is not shown either, if a file cannot be fetched from it."""
    address = f"http://u:{PLANTED['login']}@127.0.0.1:9/f?X-Goog-Signature={PLANTED['signature']}"
    with pytest.raises(LaunchError, match=r"the file at 127\.0\.0\.1:9 cannot be fetched") as failed:
        Graphql("http://127.0.0.1:9", PLANTED["file"]).download(address, 10)
    assert_nothing_is_shown(str(failed.value))


GARBAGE = [
    json.dumps({"kind": PLANTED["kind"], "key": PLANTED["garbage"]}).encode(),
    json.dumps({"kind": "request", "source": {"_wandb_api_key": PLANTED["garbage"]}, "run_spec": []}).encode(),
    f"_wandb_api_key={PLANTED['garbage']}".encode(),
]


def test_a_message_that_is_none_is_not_quoted(scene: Scene, caplog: Any) -> None:
    """Submit does not show it, and the list of dead letters does not."""
    scene.call("submit", *GARBAGE)
    shown = scene.shown() + caplog.text
    assert "NotAMessage" in shown
    now = datetime.now(UTC)
    for content in GARBAGE:
        letter = read_dead_letter(
            ReceivedMessage(ack_id="a", message=PubsubMessage(data=content, message_id="1", publish_time=now))
        )
        shown += f"{letter} {letter.description} {letter.document()}"
    assert_nothing_is_shown(shown)


def test_plan_shows_no_key(scene: Scene) -> None:
    """Of the settings, the queue's variables and the macros."""
    done = CliRunner().invoke(plan, [])
    assert (done.exit_code, "TEAM_TOKEN" in done.output) == (0, True), done.output
    assert_nothing_is_shown(done.output + scene.shown())


def test_plan_shows_what_reads_the_key_by_its_name(scene: Scene) -> None:
    """The output has the secret's name, and a name in place of the program's text."""
    scene.outside.monkeypatch.setenv("LAUNCH_KEY_SECRET", "projects/p/secrets/s")
    config = {"resource_args": vertex((*CONTAINER[1:], "command"), ["python", "x.py"])}
    scene.outside.wandb.make_queue("team", "vertex", config=config, resource="gcp-vertex")
    done = CliRunner().invoke(plan, [])
    assert done.exit_code == 0, done.output
    assert "'[the program that reads the key]'" in done.output
    assert "projects/p/secrets/s/versions/latest" in done.output
    assert "WANDB_API_KEY" not in done.output


def test_the_jobs_still_have_their_variables(scene: Scene) -> None:
    """The job gets the values that readers do not see, and the ledger keeps the item's own key."""
    scene.launch(own(resource_args={"vertex": RENDERED}))
    scene.launch({**ITEM, "name": "two"})
    jobs = [job.message.job_spec.worker_pool_specs[0].container_spec.env for job in scene.outside.vertex.jobs()]
    second, first = [{one.name: one.value for one in env} for env in jobs]
    assert first["WANDB_API_KEY"] == PLANTED["item"]
    assert second["WANDB_API_KEY"] == PLANTED["file"]
    assert (second["TEAM_TOKEN"], second["OF_MACRO"]) == (PLANTED["variable"], PLANTED["macro"])
