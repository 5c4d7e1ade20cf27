"""No secret of others leaves: each name and form of a secret, in each field that people read.

`REDACTION_EXAMPLES=2000` lets the search of known secrets try more surroundings.
"""

import base64
import html
import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.local.servers.vertex.pages import job_row, log_response
from deploy.local.servers.vertex.pages import page as vertex_page
from deploy.local.servers.wandb.pages import page as wandb_page
from deploy.local.servers.wandb.standin import item_row
from deploy.local.serving import serving
from shared.adapters.google import storage_client
from shared.core.intake import from_item
from shared.core.launch import Backoff, Launch, Outcome, State
from shared.core.message import Queue, encode
from shared.core.redaction import hide, hiding, redacted, secrets_in
from shared.core.secret_names import is_secret
from shared.core.shortage import Shortage
from shared.core.shorten import quoted, shortened, shown
from shared.log import CloudLoggingFormatter, configure
from tests.entrypoints.conftest import KEY, Outside
from tests.entrypoints.test_functions import ITEM, REQUEST
from tests.entrypoints.test_redaction import Scene, own, vertex
from tests.fakes import InMemoryLedger
from tests.security.secrets_of_others import (
    HARMLESS,
    HARMLESS_LINES,
    HARMLESS_NAMES,
    KEY40,
    SECRET_NAMES,
    SHAPES,
)
from tests.unit.polling import A
from tests.unit.polling import Scene as PollScene
from tests.unit.specs import put

MOST = 700  # characters of one error; Google's and W&B's reasons are cut at 1,000 and 500
ENV = ("spec", "worker_pool_specs", 0, "container_spec", "env")


@pytest.fixture
def scene(outside: Outside, capsys: pytest.CaptureFixture[str]) -> Scene:
    """Return the functions with all that they let out."""
    outside.monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    outside.monkeypatch.setenv("FIRST_RETRY_SECONDS", "0.01")
    return Scene(outside, capsys)


def errors() -> Iterator[tuple[str, list[str]]]:
    """Yield texts of an error, which together contain every form; and the secrets of each text."""
    text = ""
    secrets: list[str] = []
    for form, secret in SHAPES.values():
        if text and len(text) + len(form) > MOST:
            yield text, secrets
            text, secrets = "", []
        text, secrets = f"{text} {form};", [*secrets, secret]
    yield text, secrets


ERRORS = list(errors())
LOGS = [  # three errors each
    (" ".join(text for text, _ in some), [secret for _, secrets in some for secret in secrets])
    for some in (ERRORS[begin : begin + 3] for begin in range(0, len(ERRORS), 3))
]


def ledger() -> str:
    """Return all records of the ledger: their contents and their metadata."""
    blobs = storage_client().bucket(os.environ["LEDGER_BUCKET"]).list_blobs()
    records = []
    for blob in blobs:
        record = json.loads(blob.download_as_bytes())
        if "entry" in record:
            record.pop("run_spec")  # it keeps what its author wrote
        records.append(f"{json.dumps(record)} {blob.metadata}")
    assert records
    return "\n".join(records)


def everything(scene: Scene) -> str:
    """Return what people can read: items, logs, answers, the ledger and the stand-ins' pages."""
    wandb, vertex_state = scene.outside.wandb, scene.outside.vertex
    pages = [wandb_page(wandb, "/"), vertex_page(vertex_state)]
    pages += [str(item_row(item)) for item in wandb.queues.items.values()]
    pages += [str(job_row(job)) for job in vertex_state.jobs()]
    return "\n".join([scene.shown(), ledger(), *pages])


def leaked(text: str, secrets: list[str]) -> list[str]:
    """Return the secrets that a text contains, as they are or escaped."""
    return [one for one in secrets if one in text or json.dumps(one)[1:-1] in text or html.escape(one) in text]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_the_name_of_a_secret(name: str) -> None:
    """Its value is removed from any text about its launch, however it is printed."""
    spec = {"env": [{"name": name, "value": "of-the-author"}]}
    assert list(secrets_in(spec)) == ["of-the-author"]
    assert "of-the-author" not in str(redacted(spec))
    for text in (f"{name}=aZ7-x9Q2k4Wc", f'"{name}": "aZ7-x9Q2k4Wc"', f"--{name} aZ7-x9Q2k4Wc"):
        assert "x9Q2" not in redacted(text)


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_a_harmless_name(name: str) -> None:
    """A setting that only resembles one stays readable."""
    assert not is_secret(name)
    spec = {"env": [{"name": name, "value": "of-the-author"}]}
    assert (list(secrets_in(spec)), redacted(spec)) == ([], spec)
    assert redacted(f"{name}=of-the-author {name}: x1") == f"{name}=of-the-author {name}: x1"


@pytest.mark.parametrize("form", SHAPES)
def test_the_form_of_a_secret(form: str) -> None:
    """In a line, in JSON, in Python's form, and before a cut at any place."""
    text, secret = SHAPES[form]
    for written in (text, json.dumps({"m": text}), repr([text]), f"12:00 E {text}", f"{text}\nand more"):
        assert leaked(redacted(written), [secret]) == []
    for most in range(20, 200, 7):
        for short in (shown(text, most), quoted(text, most), shortened(text, most)):
            longest = max((len(secret[:n]) for n in range(8, len(secret)) if secret[:n] in short), default=0)
            assert longest < 8 or len(text) <= most


@pytest.mark.parametrize("line", HARMLESS_LINES)
def test_a_harmless_line(line: str) -> None:
    """Commits, digests, names of resources, and the words of pip, torch, git and Vertex AI stay."""
    assert redacted(line) == line


def test_harmless_lines_together() -> None:
    """No line is judged by the words of another."""
    assert redacted(HARMLESS) == HARMLESS


@pytest.mark.slow
@pytest.mark.parametrize(("text", "secrets"), ERRORS)
def test_vertex_ai_shows_secrets_of_others(scene: Scene, text: str, secrets: list[str]) -> None:
    """A refusal, a wait and a failed job: in item, warning, ledger, logs, answers and pages."""
    refuse, force = scene.outside.vertex.faults.refuse_next, scene.outside.vertex.force
    refuse(400, "INVALID_ARGUMENT", f"refused {text}")
    refused = scene.launch({**ITEM, "name": "refused"})
    refuse(429, "RESOURCE_EXHAUSTED", f"Resources are insufficient in region us-central1. {text}")
    waiting = scene.launch({**ITEM, "name": "waiting"})
    scene.call("submit", *scene.tickets())
    scene.outside.wandb.queues.items[waiting.id].run_spec["x"] = 1
    request = REQUEST.model_copy(update={"idempotency_key": "failing"})
    scene.call("submit", encode(request))
    for job in scene.outside.vertex.jobs():
        force(job.name, "JOB_STATE_FAILED", f"failed {text}")
    scene.call("status")
    out = everything(scene)
    assert "refused" in str(refused.error)
    assert "insufficient" in str(waiting.warning)
    assert "[redacted]" in str(refused.error)
    assert "[redacted]" in str(waiting.warning)
    assert leaked(out, secrets) == []


@pytest.mark.slow
@pytest.mark.parametrize(("text", "secrets"), LOGS)
def test_a_jobs_log_shows_secrets_of_others(scene: Scene, tmp_path: Path, text: str, secrets: list[str]) -> None:
    """The end of the log is part of the report; the stand-in's page shows the whole log."""
    item = scene.outside.wandb.push("team", "vertex", ITEM)
    scene.call("poll")
    scene.call("submit", *scene.tickets())
    [job] = scene.outside.vertex.jobs()
    job.log = str(tmp_path / "log.txt")
    Path(job.log).write_text(f"it prints\n{text}", encoding="utf-8")
    scene.outside.vertex.force(job.name, "JOB_STATE_FAILED", "exit code 1")
    scene.call("status")
    assert "The end of its log" in str(item.error)
    page = bytes(log_response(scene.outside.vertex, job.name.rpartition("/")[2]).body).decode()
    assert leaked(everything(scene) + page, secrets) == []


@pytest.mark.slow
@pytest.mark.parametrize("status", [200, *(pytest.param(status, marks=pytest.mark.long) for status in (400, 403, 500))])
def test_wandb_shows_secrets_of_others(scene: Scene, status: int) -> None:
    """As the reason of any refusal: in the answers of poll and status, and in the logs."""
    for text, secrets in ERRORS:

        async def quoting(_: Asked, text: str = text) -> JSONResponse:
            return JSONResponse({"errors": [{"message": text}]}, status)

        with serving(Starlette(routes=[Route("/graphql", quoting, methods=["POST"])])) as url:
            scene.outside.monkeypatch.setenv("WANDB_BASE_URL", url)
            naming = {"run_spec": ITEM, "queue": Queue(entity="team", name="vertex"), "idempotency_key": text[:9]}
            scene.call("submit", encode(REQUEST.model_copy(update=naming)))
            for name in ("poll", "status"):
                scene.call(name)
        assert leaked(f"{scene.shown()} {ledger()}", secrets) == []


NAMED = {"HF_AUTH": "correct-horse", "DB_PASSWD": "battery staple", "DATABASE_URL": "postgres://u:tr0ub4dor@db/x"}


def test_vertex_ai_quotes_an_authors_variables(scene: Scene) -> None:
    """They have no form: only their names betray them; each is printed in another way."""
    words = NAMED["DB_PASSWD"]
    printed = [
        f"{NAMED['HF_AUTH']} {base64.b64encode(b'api:' + NAMED['HF_AUTH'].encode()).decode()}",
        f"{quote(words)} {quote_plus(words)} {words[:7]}\n{words[7:]}",
        "the password tr0ub4dor is wrong",
    ]
    env = [{"name": name, "value": value} for name, value in NAMED.items()]
    arguments = put(vertex(("spec", "staging_bucket"), "gs://staging"), ("gcp-vertex", *ENV), env)
    scene.outside.vertex.faults.refuse_next(400, "INVALID_ARGUMENT", f"{printed}")
    refused = scene.launch(own(resource_args=arguments))
    assert "refuses the job" in str(refused.error)
    kept = [*NAMED.values(), "tr0ub4dor", "battery", "battery%20staple", base64.b64encode(b"correct").decode()[:8]]
    assert leaked(everything(scene), kept) == []


class QuotingLedger(InMemoryLedger):
    """A ledger that refuses each record, and quotes it."""

    def write(self, launch: Launch) -> Launch:
        """Refuse a record."""
        raise ValueError(f"bad content: {launch.run_spec}")


def test_a_failed_write_quotes_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    """The ledger may quote what it refuses, with the variables of the item that poll is taking."""
    spec = {**ITEM, "env": [{"name": "HF_AUTH", "value": "correct-horse"}]}
    polling = PollScene(ledger=QuotingLedger())
    polling.wandb.push("item", A, **spec)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure("p")
    report = polling.poll()
    root.handlers[:], root.level = handlers, level
    out = capsys.readouterr().out
    assert "poll.not_written" in out
    assert "bad content" in str(report.errors)
    assert leaked(f"{out} {report.errors}", ["correct-horse"]) == []


def test_one_authors_variable_changes_no_other_text(scene: Scene) -> None:
    """A variable named like a secret may have any value: only its own launch's texts miss it."""
    env = [{"name": "A_TOKEN", "value": "JOB_STATE_FAILED"}, {"name": "B_KEY", "value": "exit code"}]
    mine = own(resource_args=put(vertex(("spec", "staging_bucket"), "gs://s"), ("gcp-vertex", *ENV), env))
    items = [scene.outside.wandb.push("team", "vertex", spec) for spec in (mine, {**ITEM, "name": "other"})]
    scene.call("poll")
    scene.call("submit", *scene.tickets())
    for job in scene.outside.vertex.jobs():
        scene.outside.vertex.force(job.name, "JOB_STATE_FAILED", "exit code 1")
    scene.call("status")
    scene.call("status")
    assert ["exit code" in str(item.error) for item in items] == [False, True]


SECRETS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_+/=.~-]{8,60}", fullmatch=True),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=8, max_size=40),
)
AROUND = st.text(max_size=30)


def encodings(secret: str) -> dict[str, str]:
    """Return a secret in all forms in which it may be printed."""
    data = secret.encode()
    return {
        "plain": secret,
        "JSON": json.dumps({"x": secret}),
        "JSON in JSON": json.dumps(json.dumps(secret)),
        "readable JSON": json.dumps(secret, ensure_ascii=False),
        "Python": repr([secret]),
        "HTML": html.escape(secret),
        "URL": quote(secret),
        "query": quote_plus(secret),
        "whole URL": quote(secret, safe=""),
        "base64": base64.b64encode(data).decode(),
        "login": base64.b64encode(b"api:" + data).decode(),
        "another login": base64.urlsafe_b64encode(b"user:" + data + b"!").decode(),
        "hexadecimal": data.hex(),
        "two lines": f"{secret[: len(secret) // 2]}\n  {secret[len(secret) // 2 :]}",
        "two texts": f'{secret[: len(secret) // 2]}" \\\n "{secret[len(secret) // 2 :]}',
    }


@pytest.mark.parametrize("name", encodings("x" * 8))
@given(before=AROUND, secret=SECRETS, after=AROUND, most=st.integers(20, 120))
@settings(max_examples=int(os.environ.get("REDACTION_EXAMPLES", "15")))
@example(before="", secret="nnnnnnnn", after="", most=20)
def test_a_known_secret_never_leaves(name: str, before: str, secret: str, after: str, most: int) -> None:
    """In random surroundings, encoded, cut, as a launch's notice, and in a log line."""
    if len("".join(secret.split())) < 8:
        return
    form = encodings(secret)[name]
    text = f"{before} {form} {after}"
    # what random surroundings contain by themselves is no leak
    parts = [part for part in (secret, form) if part not in f"{before} {after} [redacted]"]
    assert [part for part in parts if part in redacted(text, [secret])] == []
    with hiding():
        hide([secret])
        for short in (shown(text, most), shortened(text, most)):
            assert [part for part in parts if part in redacted(short)] == []
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "%s", (text,), None)
        line = json.loads(CloudLoggingFormatter("p").format(record))["message"]
        assert [part for part in parts if part in line] == []


def test_a_cut_key_is_no_less_secret() -> None:
    """Somebody else may have cut it, or printed a time between its two halves."""
    key = "q1W2e3R4t5Y6u7I8o9P0" * 2
    for place in range(13, 28):
        parts = [key[:place], key[place:]]
        text = redacted(f"{parts[0]}…\n2026-11-25T12:00:00Z {parts[1]}", [key])
        assert not any(key[begin : begin + 12] in text for begin in range(29))


HOSTILE = [
    *("a", "A", "aA0", "eyJ", "eyJ.", "//", "://a:", "https://", "sk-", "xoxb-1-", "ghp_", "AKIA", "key", "key="),
    *("A_KEY=", "--token ", "-", "_", " ", "\n", "'", '"', "\\", "\\n", "[", "a.", "a=b\n", f"{'a' * 20} ", "login "),
    *("-----BEGIN PRIVATE KEY-----\n", "name: A_KEY value: '", "token: '", "cookie:", "-u a", "Bearer ", "%2F"),
    *("YXBpOmFiY2RlZmdoaWprbA== ", f"key {KEY40} ", "commit ", '{"name":', "authorization:", "password login x "),
]


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_takes_linear_time(text: str) -> None:
    """A megabyte of anything: a form that takes quadratic time would take an hour."""
    secrets = ["n" * 40 + "b", "a" * 39 + "b", " " * 30 + "x", KEY40]
    assert len(redacted(text * (1_000_000 // len(text)), secrets)) < 1_000_000


def test_a_deep_structure_is_not_shown() -> None:
    """Python's own stack ends first."""
    deep: Any = "x"
    for _ in range(20_000):
        deep = [deep]
    assert redacted(deep) == "[redacted]"
    assert list(secrets_in(deep)) == []


def test_fields_keep_their_types() -> None:
    """A structure of JSON stays one; booleans, numbers and names of resources stay."""
    fields = {"launch_key": "k1", "own_key": True, "count": 3, "none": None, "key_secret": "projects/p/secrets/s"}
    assert redacted({**fields, "api_key": "abc", "list": ("a", 1)}) == {
        **fields,
        "api_key": "[redacted]",
        "list": ["a", 1],
    }


def test_the_records_text_fields_are_redacted() -> None:
    """Notice, reason and history of a launch, wherever the text comes from."""
    now = datetime.now(UTC)
    text = f"{KEY} {SHAPES['GitHub'][0]} of-the-author"
    spec = {**ITEM, "env": [{"name": "HF_AUTH", "value": "of-the-author"}]}
    launch: Launch = from_item("item", Queue(entity="team", name="vertex"), spec, now)
    secrets = [SHAPES["GitHub"][1], "of-the-author"]
    claimed = launch.move(State.SUBMITTING, attempt=1)
    records = [
        launch.tell(text),
        launch.note(now, text),
        launch.because(text),
        launch.end(Outcome.FAILED, text, now),
        claimed.again(now, timedelta(0), text, text, text),
        claimed.wait_for_capacity(now, Shortage.STOCKOUT, text, Backoff()),
    ]
    for record in records:
        assert "[redacted]" in str(record)
        assert leaked(f"{record.entry} {record.reason} {record.history} {record.climb}", secrets) == []
