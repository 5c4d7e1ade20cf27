"""The three functions through the framework: both shapes of delivery, every door's bad input, no key anywhere."""

import base64
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from shared.core.message import Queue, Request, Ticket, encode
from tests.entrypoints.conftest import KEY, MAIN, TOPIC, Outside

ITEM = {"entity": "team", "project": "cats", "docker": {"docker_image": "local/x"}, "name": "one"}
POOL = {
    "machine_spec": {"machine_type": "n1-standard-4"},
    "replica_count": 1,
    "container_spec": {"image_uri": "${image_uri}"},
}
RENDERED = {"spec": {"worker_pool_specs": [POOL], "staging_bucket": "gs://staging"}}
REQUEST = Request(
    source="ci", idempotency_key="42", run_spec={**ITEM, "resource_args": {"vertex": RENDERED}, "name": "from-ci"}
)


def emulator_push(data: bytes) -> dict[str, Any]:
    """Return the request of a Pub/Sub push, as the emulator makes it."""
    message = {"data": base64.b64encode(data).decode(), "messageId": "1", "publishTime": "2026-01-01T00:00:00Z"}
    return {"path": f"/{TOPIC}", "json": {"subscription": "projects/p/subscriptions/s", "message": message}}


def eventarc(data: bytes) -> dict[str, Any]:
    """Return the request of Eventarc: a binary CloudEvent."""
    attributes = {
        "type": "google.cloud.pubsub.topic.v1.messagePublished",
        "source": f"//pubsub.googleapis.com/{TOPIC}",
        "id": "1",
    }
    message = {"data": base64.b64encode(data).decode(), "messageId": "1", "message_id": "1"}
    body = {"message": message, "subscription": "projects/p/subscriptions/s", "deliveryAttempt": 1}
    headers, content = to_binary(CloudEvent(attributes, body))
    return {"path": "/", "headers": {**headers, "content-type": "application/json"}, "data": content}


SHAPES = pytest.mark.parametrize("shape", [emulator_push, eventarc])


def events(printed: str) -> list[dict[str, Any]]:
    """Return the log lines."""
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def polled(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the key of the launch that poll has just opened."""
    [item] = [e for e in events(capsys.readouterr().out) if e["message"] == "poll.item"]
    return str(item["launch_key"])


@SHAPES
def test_a_launch_goes_all_the_way(outside: Outside, shape: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Popped, written down, acked, published, created, ended and reported; no key in any line."""
    item = outside.wandb.push("team", "vertex", ITEM)
    answer = outside.client("poll").post("/")
    assert (answer.status_code, answer.json["launched"]) == (200, {"vertex": 1})
    key = next(e["launch_key"] for e in events(capsys.readouterr().out) if e["message"] == "poll.item")
    submit = outside.client("submit")
    for _ in range(2):
        assert submit.post(**shape(encode(Ticket(launch_key=key)))).status_code == 200
    [job] = outside.vertex.jobs()
    assert job.labels["launch_key"] == key
    outside.vertex.force(job.name, "JOB_STATE_FAILED", "no such image: local/x")
    answer = outside.client("status").post("/")
    assert (answer.status_code, answer.json["done"]) == (200, {"Finish": 1})
    assert outside.client("status").post("/").json["open_launches"] == 0
    assert item.state == "FAILED"
    assert "no such image: local/x" in str(item.error)
    printed = capsys.readouterr().out
    assert KEY not in printed
    assert {"launch.submitted", "launch.nothing_to_do", "tick.done"} <= {e["message"] for e in events(printed)}


def test_each_line_belongs_to_the_trace_of_its_call(outside: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    """Cloud Logging shows a call's lines together; a call without a header has no trace."""

    def traces() -> set[str | None]:
        return {event.get("logging.googleapis.com/trace") for event in events(capsys.readouterr().out)}

    outside.wandb.push("team", "vertex", ITEM)
    outside.client("poll").post("/", headers={"X-Cloud-Trace-Context": "abc/1;o=1"})
    printed = capsys.readouterr().out
    assert {event.get("logging.googleapis.com/trace") for event in events(printed)} == {"projects/p/traces/abc"}
    [key] = [event["launch_key"] for event in events(printed) if event["message"] == "poll.item"]
    delivery = eventarc(encode(Ticket(launch_key=key)))
    delivery["headers"]["X-Cloud-Trace-Context"] = "def/2"
    outside.client("submit").post(**delivery)
    assert traces() == {"projects/p/traces/def"}
    outside.client("status").post("/", headers={"X-Cloud-Trace-Context": "ghi"})
    assert traces() == {"projects/p/traces/ghi"}
    outside.client("status").post("/")
    assert traces() == {None}


@pytest.mark.parametrize(("wanted", "shown"), [("true", True), ("false", False)])
def test_the_end_of_a_jobs_log_is_shown_unless_it_is_switched_off(
    outside: Outside, capsys: pytest.CaptureFixture[str], tmp_path: Path, wanted: str, shown: bool
) -> None:
    """As the settings say; the key that the job has printed is redacted."""
    item = outside.wandb.push("team", "vertex", ITEM)
    outside.client("poll").post("/")
    outside.client("submit").post(**eventarc(encode(Ticket(launch_key=polled(capsys)))))
    [job] = outside.vertex.jobs()
    log = tmp_path / "log"
    log.write_text(f"logging in with {KEY}\nCUDA out of memory", encoding="utf-8")
    job.log = str(log)
    outside.vertex.force(job.name, "JOB_STATE_FAILED", "exit code 1")
    outside.client("status", LAUNCH_LOG_EXCERPT=wanted).post("/")
    message = str(dict(item.error or {})["message"])
    assert ("logging in with [redacted]\nCUDA out of memory" in message) is shown
    assert "exit code 1" in message


@SHAPES
def test_another_systems_request_is_launched_once(outside: Outside, shape: Any) -> None:
    """However often it is delivered."""
    submit = outside.client("submit")
    for _ in range(3):
        assert submit.post(**shape(encode(REQUEST))).status_code == 200
    assert [job.display_name for job in outside.vertex.jobs()] == ["from-ci"]


def test_a_request_may_leave_the_resource_arguments_to_a_queue(outside: Outside) -> None:
    """W&B is asked for its configuration, and template variables are filled in; while W&B is down the request waits."""
    pool = {**POOL, "machine_spec": {"machine_type": "{{machine}}"}, "replica_count": "{{replicas}}"}
    config = {"gcp-vertex": {"spec": {"worker_pool_specs": [POOL, pool], "staging_bucket": "gs://of-queue"}}}
    schemas = {"machine": {"type": "string", "enum": ["n1-standard-8"]}, "replicas": {"type": "integer", "default": 2}}
    outside.wandb.make_queue("team", "templates", config={"resource_args": config}, template_variables=schemas)
    asked = {
        "source": "ci",
        "idempotency_key": "by-queue",
        "run_spec": {**ITEM, "template_variables": {"machine": "n1-standard-8"}},
        "queue": Queue(entity="team", name="templates"),
    }
    request, refused = Request(**asked), Request(**{**asked, "idempotency_key": "other", "run_spec": ITEM})
    outside.monkeypatch.setenv("FIRST_RETRY_SECONDS", "0.01")
    outside.monkeypatch.setenv("LAUNCH_QUEUES", "vertex,templates")
    real = os.environ["WANDB_BASE_URL"]
    down = outside.client("submit", WANDB_BASE_URL="http://127.0.0.1:9")
    assert down.post(**eventarc(encode(request))).status_code == 200
    assert not outside.vertex.jobs()
    outside.rewire("submit")
    time.sleep(1.1)  # a new client's clock may be a second behind, by which the retry is not due yet
    submit = outside.client("submit", WANDB_BASE_URL=real)
    for message in (Ticket(launch_key=request.launch_key), request, refused):
        assert submit.post(**eventarc(encode(message))).status_code == 200
    [job] = outside.vertex.jobs()
    [_, rendered] = job.message.job_spec.worker_pool_specs
    assert (rendered.machine_spec.machine_type, rendered.replica_count) == ("n1-standard-8", 2)
    variables = {variable.name: variable.value for variable in rendered.container_spec.env}
    assert variables["WANDB_LAUNCH_QUEUE_NAME"] == "templates"


MESSAGE = {"data": base64.b64encode(encode(REQUEST)).decode(), "attributes": {}}
EVENT = {"specversion": "1.0", "id": "1", "type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//x"}
LEGACY = {"eventId": "1", "timestamp": "2026-01-01T00:00:00Z", "eventType": "google.pubsub.topic.publish"}
SERVICE = {"service": "pubsub.googleapis.com", "name": f"projects/p/topics/{TOPIC}", "type": "PubsubMessage"}
PUBSUB_MESSAGE = {"@type": "type.googleapis.com/google.pubsub.v1.PubsubMessage", **MESSAGE}
IN_BASE64 = {"data_base64": base64.b64encode(json.dumps({"message": MESSAGE}).encode()).decode()}


ORDERED = {**MESSAGE, "orderingKey": "k", "messageId": "1", "message_id": "1", "publishTime": "2026-01-01T00:00:00Z"}
SUBSCRIPTION = {"subscription": "projects/p/subscriptions/s"}


def structured(event: dict[str, Any], kind: str = "application/cloudevents+json") -> dict[str, Any]:
    """Return the request of an event that is its whole body."""
    return {"path": "/", "data": json.dumps(event), "content_type": kind}


def binary(event: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return the request of an event whose attributes are headers, as Eventarc sends it."""
    headers = {f"ce-{name}": str(value) for name, value in event.items()}
    return {"path": "/", "headers": headers, "data": json.dumps(data), "content_type": "application/json"}


FORMS: dict[str, dict[str, Any]] = {
    "structured": structured({**EVENT, "data": {"message": MESSAGE}}),
    "structured 0.3": structured({**EVENT, "specversion": "0.3", "data": {"message": MESSAGE}}),
    "structured with an ordering key": structured({**EVENT, "data": {"message": ORDERED, **SUBSCRIPTION}}),
    "structured, another type": structured({**EVENT, "data": {"message": MESSAGE}}, "application/json"),
    "structured with a charset": structured(
        {**EVENT, "data": {"message": MESSAGE}}, "application/cloudevents+json; charset=utf-8"
    ),
    "in base64": structured({**EVENT, **IN_BASE64}),
    "binary": binary(EVENT, {"message": MESSAGE, **SUBSCRIPTION}),
    "binary 0.3": binary({**EVENT, "specversion": "0.3"}, {"message": MESSAGE, **SUBSCRIPTION}),
    "binary with an ordering key": binary(EVENT, {"message": ORDERED, **SUBSCRIPTION, "deliveryAttempt": 2}),
    "binary with a trace": binary(
        {**EVENT, "traceparent": "00-1-1-01", "time": "2026-01-01T00:00:00Z"}, {"message": MESSAGE}
    ),
    "legacy": structured({"context": {**LEGACY, "resource": SERVICE}, "data": PUBSUB_MESSAGE}, "application/json"),
    "legacy without context": structured(
        {**LEGACY, "resource": SERVICE["name"], "data": PUBSUB_MESSAGE}, "application/json"
    ),
    "legacy with the name of a topic": structured(
        {"context": {**LEGACY, "resource": SERVICE["name"]}, "data": MESSAGE}, "application/json"
    ),
    "legacy of the first kind": structured(
        {
            "context": {**LEGACY, "eventType": "providers/cloud.pubsub/eventTypes/topic.publish", "resource": SERVICE},
            "data": {**PUBSUB_MESSAGE, "orderingKey": "k"},
        },
        "application/json",
    ),
    "push with an ordering key": structured({"message": ORDERED, **SUBSCRIPTION}, "application/json"),
}


def test_every_form_that_the_framework_reads_is_read(outside: Outside) -> None:
    """Submit reads events itself, to bound them first; a form that it could not read would be answered by a 500."""
    submit = outside.client("submit")
    assert {form: submit.post(**request).status_code for form, request in FORMS.items()} == dict.fromkeys(FORMS, 200)
    assert len(outside.vertex.jobs()) == 1


@pytest.mark.parametrize("form", [form for form in FORMS if "push" not in form])
def test_the_framework_reads_these_forms_too(tmp_path: Path, form: str) -> None:
    """Its own conversion is the judge of the table above: a function that takes a CloudEvent gets the same data."""
    source = tmp_path / "main.py"
    source.write_text(
        "import functions_framework\nseen = []\n"
        "@functions_framework.cloud_event\ndef read(event):\n    seen.append(event.data['message']['data'])\n"
    )
    served = functions_framework.create_app("read", str(source), "cloudevent")  # type: ignore[no-untyped-call]
    assert served.test_client().post(**FORMS[form]).status_code == 200
    assert sys.modules["main"].seen == [MESSAGE["data"]]


CALLED = """
import functions_framework, json, sys
name, main, request = json.loads(sys.argv[1])
client = functions_framework.create_app(name, main).test_client()
assert client.post(**request).status_code == 200
"""


def test_lines_stay_json_if_the_framework_adds_execution_ids(outside: Outside) -> None:
    """With LOG_EXECUTION_ID=true it rewrites each line that a function prints; each in a process of its own."""
    outside.wandb.push("team", "vertex", ITEM)
    calls, request = {}, dict[str, Any]()
    for name, event in {"poll": "poll.item", "submit": "launch.submitted", "status": "tick.done"}.items():
        request = binary(EVENT, {"message": MESSAGE}) if name == "submit" else {"path": "/"}
        request["headers"] = {**request.get("headers", {}), "Function-Execution-Id": f"id-of-{name}"}
        settings = {**os.environ, "FUNCTION_TARGET": name, "LOG_EXECUTION_ID": "true", "PYTHONPATH": str(MAIN.parent)}
        command = [sys.executable, "-c", CALLED, json.dumps([name, str(MAIN), request])]
        calls[name, event] = subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, text=True)
    for (name, event), call in calls.items():
        printed, _ = call.communicate(timeout=60)
        assert call.returncode == 0
        lines = [json.loads(line) for line in printed.splitlines() if line]
        assert (event, "INFO") in {(line["message"], line["severity"]) for line in lines}
        # a thread's line has none: the framework knows its request by a variable of the context
        assert f"id-of-{name}" in {line.get("logging.googleapis.com/labels", {}).get("execution_id") for line in lines}


GARBAGE = [b"", b"garbage", b"\xff\xfe", b"[]", b"{}", b'{"version": 2, "kind": "ticket"}', b'{"kind": "ticket"}',
           b'{"kind": "request", "source": 1}', b"[" * 100_000, b'{"kind": "ticket", "launch_key": "../../x"}',
           b'"' + b"x" * 9_999_998 + b'"']  # fmt: skip


@SHAPES
def test_an_invalid_message_is_refused_and_the_function_lives(
    outside: Outside, shape: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Delivered again and again it ends in the dead-letter topic; the log says why."""
    submit = outside.client("submit")
    for data in GARBAGE:
        assert submit.post(**shape(data)).status_code == 500
    refused = [e for e in events(capsys.readouterr().out) if e["message"] == "submit.not_a_message"]
    assert len(refused) == len(GARBAGE)
    assert all(e["severity"] == "ERROR" and e["problem"] for e in refused)
    assert submit.post(**shape(encode(REQUEST))).status_code == 200


@pytest.mark.parametrize(
    "request_",
    [
        {"path": "/", "data": b"garbage"},
        {"path": "/", "json": []},
        {"path": f"/{TOPIC}", "json": {"message": {"data": "%%%"}, "subscription": "projects/p/subscriptions/s"}},
        {"path": f"/{TOPIC}", "json": {"message": {}, "subscription": "projects/p/subscriptions/s"}},
    ],
    ids=["no JSON", "a list", "no base64", "no data"],
)
def test_a_delivery_that_is_none_is_refused(outside: Outside, request_: dict[str, Any]) -> None:
    """With an error status, and the next one is served."""
    submit = outside.client("submit")
    assert submit.post(**request_).status_code >= 400
    assert submit.post(**eventarc(encode(REQUEST))).status_code == 200


@pytest.mark.parametrize("name", ["poll", "status"])
def test_the_body_of_a_call_means_nothing(outside: Outside, name: str) -> None:
    """Cloud Scheduler sends none; status ignores any body."""
    client = outside.client(name)
    for body in (b"", b"\xff" * 1000, b"[" * 100_000):
        assert client.post("/", data=body, content_type="application/json").status_code == 200


def test_a_bad_spec_is_no_error_of_the_function(outside: Outside) -> None:
    """Its author reads the field, the value and the fix on the item."""
    spec = {
        **ITEM,
        "resource_args": {"gcp-vertex": {"spec": {"worker_pool_specs": [], "staging_bucket": "gs://staging"}}},
    }
    outside.wandb.push("team", "vertex", spec)
    outside.client("poll").post("/")
    listing = outside.client("status").post("/")
    assert listing.json["open_launches"] == 1


def test_the_policy_holds_for_items_and_for_requests(outside: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither becomes a job; the item's author reads the rule in W&B, the other system's operator in the log."""
    item = outside.wandb.push("team", "vertex", ITEM)
    outside.client("poll").post("/")
    key = next(e["launch_key"] for e in events(capsys.readouterr().out) if e["message"] == "poll.item")
    submit = outside.client("submit", LAUNCH_POLICY='{"images": ["us-docker.pkg.dev/p"]}')
    for message in (Ticket(launch_key=key), REQUEST):
        assert submit.post(**eventarc(encode(message))).status_code == 200
    refused = [e["why"] for e in events(capsys.readouterr().out) if e["message"] == "launch.rejected"]
    assert len(refused) == 2
    assert all("is 'local/x', which the rule policy.images does not allow" in why for why in refused)
    assert not outside.vertex.jobs()
    outside.client("status").post("/")
    assert item.state == "FAILED"
    assert "Allowed: images that begin with us-docker.pkg.dev/p" in str(item.error)


@pytest.mark.parametrize("name", ["poll", "submit", "status"])
def test_missing_settings_are_all_named_in_one_answer(outside: Outside, name: str, caplog: Any) -> None:
    """For who deployed it."""
    for variable in ("LEDGER_BUCKET", "WANDB_API_KEY", "VERTEX_LOCATION"):
        outside.monkeypatch.delenv(variable)
    client = outside.client(name)
    answer = client.post(**eventarc(encode(REQUEST))) if name == "submit" else client.post("/")
    assert answer.status_code == 500
    problem = answer.json["error"] if name != "submit" else caplog.text
    also = "VERTEX_LOCATION (or environment.region in launch-config.yaml)"
    for variable in ("LEDGER_BUCKET", "WANDB_API_KEY (or WANDB_API_KEY_FILE)", also):
        assert f"{variable}: is missing" in problem


@pytest.mark.parametrize("name", ["poll", "status"])
def test_a_refused_key_is_named_and_not_shown(outside: Outside, name: str, capsys: Any) -> None:
    """503: Cloud Scheduler's page shows the failure, and the next call tries again, perhaps with a new key."""
    wrong = "wrong-key-" * 4
    outside.client("submit").post(**eventarc(encode(REQUEST)))
    answer = outside.client(name, WANDB_API_KEY=wrong).post("/")
    assert answer.status_code == 503
    assert "check the API key" in answer.text
    assert wrong not in answer.text + "".join(capsys.readouterr())


def test_a_key_that_was_revoked_is_replaced_without_a_deploy(
    outside: Outside, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Meanwhile nothing is popped, launched, reported or lost; then all of it happens, with the new key in the jobs."""
    file, old, new = tmp_path / "api-key", KEY, "second-key-" * 4
    file.write_text(old)
    outside.monkeypatch.delenv("WANDB_API_KEY")
    outside.monkeypatch.setenv("WANDB_API_KEY_FILE", str(file))
    outside.monkeypatch.setenv("FIRST_RETRY_SECONDS", "0.01")
    poll, submit, status = (outside.client(name) for name in ("poll", "submit", "status"))
    naming = REQUEST.model_copy(update={"run_spec": ITEM, "queue": Queue(entity="team", name="vertex")})
    first = outside.wandb.push("team", "vertex", {**ITEM, "name": "first"})
    assert poll.post("/").status_code == 200
    submit.post(**eventarc(encode(Ticket(launch_key=polled(capsys)))))
    outside.vertex.force(outside.vertex.jobs()[0].name, "JOB_STATE_FAILED", "out of memory")
    second = outside.wandb.push("team", "vertex", {**ITEM, "name": "second"})

    outside.wandb.api_keys = frozenset({new})
    outside.rewire("submit")  # it asks whether W&B takes its key, once a minute
    other = REQUEST.model_copy(update={"idempotency_key": "43", "run_spec": {**REQUEST.run_spec, "name": "other"}})
    for request in (naming, other):
        assert submit.post(**eventarc(encode(request))).status_code == 200
    for function in (poll, status):
        answer = function.post("/")
        assert (answer.status_code, "401: check the API key" in answer.text) == (503, True)
    lines = events(capsys.readouterr().out)
    assert [e["key_refused"] for e in lines if e["message"] == "tick.done" and e["function"] == "poll"] == [1]
    denied = [e for e in lines if e["message"] == "launch.denied"]
    assert {(e["severity"], e["launch_key"]) for e in denied} == {("ERROR", one.launch_key) for one in (naming, other)}
    assert (first.state, second.state, len(outside.vertex.jobs())) == ("CLAIMED", "PENDING", 1)

    file.write_text(new)
    time.sleep(1.1)  # a new key means new clients, whose clock may be a second behind: the retries are not due yet
    assert poll.post("/").status_code == 200
    for key in (polled(capsys), naming.launch_key, other.launch_key):
        assert submit.post(**eventarc(encode(Ticket(launch_key=key)))).status_code == 200
    assert status.post("/").status_code == 200
    assert "out of memory" in str(first.error)
    jobs = {job.display_name: job.message.job_spec.worker_pool_specs[0].container_spec for job in outside.vertex.jobs()}
    variables = {name: {one.name: one.value for one in container.env} for name, container in jobs.items()}
    assert {name: one["WANDB_API_KEY"] for name, one in variables.items()} == {
        "first": old, "second": new, "one": new, "other": new,
    }  # fmt: skip
    logging.getLogger("x").error("%s, once %s", new, old)
    printed = capsys.readouterr().out
    assert events(printed)[-1]["message"] == "[redacted], once [redacted]"
    assert not any(key in printed for key in (old, new))


@pytest.mark.parametrize("name", ["poll", "submit", "status"])
def test_a_key_file_that_cannot_be_read_is_named(outside: Outside, name: str, caplog: Any, tmp_path: Path) -> None:
    """Its message is delivered again, its tick comes again; with the file back it goes on."""
    file = tmp_path / "api-key"
    outside.monkeypatch.delenv("WANDB_API_KEY")
    client = outside.client(name, WANDB_API_KEY_FILE=str(file))
    called = eventarc(encode(REQUEST)) if name == "submit" else {"path": "/"}
    answer = client.post(**called)
    assert answer.status_code == 500
    problem = answer.json["error"] if name != "submit" else caplog.text
    assert f"WANDB_API_KEY_FILE: {file} cannot be read: No such file or directory" in problem
    file.write_text(KEY)
    assert client.post(**called).status_code == 200


@pytest.mark.parametrize("name", ["poll", "submit", "status"])
def test_each_function_imports_only_its_own(name: str) -> None:
    """No function pays for another's imports: the SDK is submit's alone."""
    code = (
        f"import gc, os, sys; os.environ['FUNCTION_TARGET'] = {name!r}; import main; "
        "print(*sorted(sys.modules)); print(gc.isenabled() and gc.get_freeze_count() > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=MAIN.parent, capture_output=True, text=True, check=True)
    *modules, collects_again = done.stdout.split()
    loaded = set(modules)
    assert collects_again == "True"
    assert f"functions.{name}.handler" in loaded
    others = {"poll", "submit", "status"} - {name}
    assert not {f"functions.{other}" for other in others} & loaded
    assert ("google.cloud.aiplatform" in loaded) == (name == "submit")
    assert ("google.cloud.aiplatform_v1" in loaded) == (name == "submit")
    assert "wandb" not in loaded
    heavy = {"cryptography", "google.api_core", "google.cloud.storage", "grpc"}
    assert heavy & loaded == (heavy if name == "submit" else set())


def test_an_unknown_target_says_what_there_is() -> None:
    """A deploy with a misspelt entry point."""
    done = subprocess.run(
        [sys.executable, "-c", "import main"],
        cwd=MAIN.parent, env={"FUNCTION_TARGET": "pol"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "FUNCTION_TARGET is 'pol': set it to one of poll, submit, status" in done.stderr
