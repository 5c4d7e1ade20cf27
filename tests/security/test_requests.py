"""Publishers who ask for other people's queues, runs, jobs and secrets, at submit's own door."""

import json
import time
from typing import Any

import pytest

from shared.config.requests import RequestLimits
from shared.config.settings import SubmitSettings, load
from shared.core.errors import SettingsError
from shared.core.message import Queue, Request, Ticket, encode, launch_key
from shared.runspec.requests import admit_request
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM, POOL, RENDERED, REQUEST, eventarc, events
from tests.unit.specs import draft_of, run_spec

SECRET = "planted-team-secret"
STOCKOUT = "Resources are insufficient in region: us-central1. Try a different region."
OWN = {**ITEM, "resource_args": {"vertex": RENDERED}}


@pytest.fixture
def others(outside: Outside) -> Outside:
    """Return the services with other teams' queues, each with an environment, an account and a label."""
    container = {"image_uri": "${image_uri}", "env": [{"name": "TEAM_TOKEN", "value": SECRET}]}
    spec = {
        "worker_pool_specs": [{**POOL, "container_spec": container}],
        "staging_bucket": "gs://theirs",
        "labels": {"cost-centre": "research"},
    }
    run = {"service_account": "gpu@p.iam.gserviceaccount.com"}
    config = {"resource_args": {"gcp-vertex": {"spec": spec, "run": run}}}
    for entity, name in (("research", "gpus"), ("team", "unserved"), ("team", "Vertex"), ("team", " vertex")):
        outside.wandb.make_queue(entity, name, config=config, resource="gcp-vertex")
    return outside


def published(outside: Outside, capsys: pytest.CaptureFixture[str], request: Request, **settings: str) -> str:
    """Publish a request; return why it was rejected, or empty if it became a job."""
    before = len(outside.vertex.jobs())
    answer = outside.client("submit", **settings).post(**eventarc(encode(request)))
    assert answer.status_code == 200
    why = [e["why"] for e in events(capsys.readouterr().out) if e["message"] == "launch.rejected"]
    assert len(outside.vertex.jobs()) - before == (0 if why else 1)
    return str(why[0]) if why else ""


def asked(run_spec: dict[str, Any] = OWN, queue: Queue | None = None, source: str = "ci") -> Request:
    """Return a request with its own key."""
    return Request(source=source, idempotency_key=f"{time.monotonic_ns()}", run_spec=run_spec, queue=queue)


@pytest.mark.parametrize(
    ("entity", "name"),
    [
        ("research", "gpus"),
        ("team", "unserved"),
        ("team", "Vertex"),
        ("team", " vertex"),
        ("team ", "vertex"),
        ("TEAM", "vertex"),
        ("team", "vertex\n"),
        ("team/vertex", "vertex"),
        ("team", "research/gpus"),
    ],
)
def test_a_publisher_cannot_use_a_queue_that_is_not_served(
    others: Outside, capsys: pytest.CaptureFixture[str], entity: str, name: str
) -> None:
    """Neither its configuration nor its name alone; the log names the queue, and those that are allowed."""
    for wanted in (ITEM, OWN):
        why = published(others, capsys, asked(wanted, Queue(entity=entity, name=name)))
        assert why.startswith("queue: is ")
        assert "which requests.queues does not allow. Allowed: team/vertex." in why


@pytest.mark.parametrize(
    "settings", [{}, {"LAUNCH_REQUESTS": '{"queues": ["team/vertex", "research/gpus"]}'}], ids=["own", "listed"]
)
def test_a_publisher_uses_the_queues_that_are_allowed(
    others: Outside, capsys: pytest.CaptureFixture[str], settings: dict[str, str]
) -> None:
    """The deployment's own without any setting; another one if the operator lists it."""
    assert published(others, capsys, asked(ITEM, Queue(entity="team", name="vertex")), **settings) == ""
    why = published(others, capsys, asked(ITEM, Queue(entity="research", name="gpus")), **settings)
    assert bool(why) == (not settings)
    if settings:
        assert others.vertex.jobs()[0].labels["cost-centre"] == "research"


@pytest.mark.parametrize(
    ("changes", "settings", "why"),
    [
        ({"entity": "research"}, {}, "entity: is 'research', which requests.entities does not allow. Allowed: team."),
        ({"entity": "Team"}, {}, "entity: is 'Team', which requests.entities"),
        ({"entity": " team"}, {}, "entity: is ' team', which requests.entities"),
        ({"entity": ""}, {}, "entity: is empty"),
        ({"project": "secret"}, {"projects": ["cats"]}, "project: is 'secret', which requests.projects does not allow"),
        ({"project": "CATS"}, {"projects": ["Cats"]}, ""),
        ({}, {"sources": ["nightly"]}, "source: is 'ci', which requests.sources does not allow. Allowed: nightly."),
        ({}, {"sources": []}, "source: is 'ci', which requests.sources does not allow. Allowed: none."),
        ({}, {"sources": ["CI"]}, "source: is 'ci', which requests.sources"),
        ({}, {"sources": ["ci"], "projects": ["cats"]}, ""),
        ({"entity": "research"}, {"entities": ["team", "research"]}, ""),
        ({"job": "research/secret/train:v1", "docker": {}}, {}, "job: is 'research', which requests.entities"),
        ({"job": "research/secret/train:v1"}, {}, "job: is 'research', which requests.entities"),
        ({"job": "secret/train:v1"}, {"projects": ["cats"]}, "job: is 'secret', which requests.projects"),
        ({"job": "Team/cats/train:v1"}, {}, "job: is 'Team', which requests.entities"),
        ({"job": "team/cats/../train:v1"}, {}, "job: is 'team/cats/../train:v1'. Write entity/project/name:alias."),
        ({"run_id": "someones"}, {}, "run_id: is 'someones', which could be another launch's run. Leave run_id out"),
        ({"uri": "placeholder-uri-scheduler"}, {}, "uri: is a sweep's scheduler, which a request cannot be."),
        (
            {"uri": "placeholder-uri-scheduler", "resource": "gcp-vertex", "run_id": "sw1"},
            {},
            "uri: is a sweep's scheduler, which a request cannot be.",
        ),
        ({"sweep_id": "research/vision/sw1"}, {}, "sweep_id: the sweep research/vision/sw1 of team/cats was not found"),
    ],
    ids=str,
)
def test_a_publisher_reaches_only_what_its_limits_allow(
    outside: Outside, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], settings: dict[str, Any], why: str
) -> None:
    """The run, its job, its sweep; names are compared letter by letter, but for a project's case."""
    with outside.wandb.lock:
        outside.wandb.runs.add_sweep("research", "vision", "sw1", "RUNNING")
    limits = {"LAUNCH_REQUESTS": json.dumps(settings)} if settings else {}
    seen = published(outside, capsys, asked({**OWN, **changes}), **limits)
    assert seen.startswith(why) if why else seen == ""


@pytest.mark.parametrize("run_spec", [{"job": "research/secret/train:v1"}, {"run_id": "r1"}], ids=str)
def test_a_refusal_comes_before_any_query(
    outside: Outside, capsys: pytest.CaptureFixture[str], run_spec: dict[str, Any]
) -> None:
    """W&B is not asked about what the publisher may not see: it cannot be reached here."""
    down = {"WANDB_BASE_URL": "http://127.0.0.1:9"}
    assert published(outside, capsys, asked({**OWN, "docker": {}, **run_spec}), **down)


MACRO_THIEVES: dict[str, tuple[dict[str, Any], str]] = {
    "its own arguments": (
        {
            **ITEM,
            "resource_args": {
                "vertex": {
                    **RENDERED,
                    "run": {"tensorboard": "x"},
                    "spec": {**RENDERED["spec"], "labels": {"a": "${TEAM_BUCKET}"}},
                }
            },
        },
        "resource_args: contain ${TEAM_BUCKET}, which only a queue's configuration may contain.",
    ),
    "a template variable": (
        {**ITEM, "template_variables": {"one": "${TEAM_BUCKET}", "two": ""}},
        "template_variables: bring a macro of LAUNCH_MACROS into the queue's configuration.",
    ),
    "two template variables": (
        {**ITEM, "template_variables": {"one": "${TEAM_", "two": "BUCKET}"}},
        "template_variables: bring a macro of LAUNCH_MACROS into the queue's configuration.",
    ),
}


@pytest.mark.parametrize("thief", MACRO_THIEVES)
def test_a_publisher_cannot_read_the_macros_of_queues(
    outside: Outside, capsys: pytest.CaptureFixture[str], thief: str
) -> None:
    """A queue may contain `${TEAM_BUCKET}`; a publisher cannot, in arguments or in template variables."""
    _queue_with_macros(outside)
    spec, why = MACRO_THIEVES[thief]
    queue = None if "resource_args" in spec else Queue(entity="team", name="macros")
    outside.monkeypatch.setenv("TEAM_BUCKET", "gs://planted")
    settings = {"LAUNCH_MACROS": "TEAM_BUCKET", "LAUNCH_QUEUES": "vertex,macros"}
    assert published(outside, capsys, asked(spec, queue), **settings).startswith(why)


def test_a_queues_own_macros_are_filled_in_at_each_attempt(outside: Outside) -> None:
    """The second attempt has the queue's configuration in its record, and is not taken for a thief."""
    _queue_with_macros(outside)
    outside.monkeypatch.setenv("TEAM_BUCKET", "gs://planted")
    outside.monkeypatch.setenv("FIRST_RETRY_SECONDS", "0.01")
    outside.vertex.faults.refuse_next(429, "RESOURCE_EXHAUSTED", STOCKOUT)
    settings = {"LAUNCH_MACROS": "TEAM_BUCKET", "LAUNCH_QUEUES": "vertex,macros"}
    request = asked({**ITEM, "template_variables": {"one": "1", "two": "2"}}, Queue(entity="team", name="macros"))
    submit = outside.client("submit", **settings)
    assert submit.post(**eventarc(encode(request))).status_code == 200
    assert not outside.vertex.jobs()
    time.sleep(1.1)
    assert submit.post(**eventarc(encode(Ticket(launch_key=request.launch_key)))).status_code == 200
    [job] = outside.vertex.jobs()
    assert job.message.job_spec.base_output_directory.output_uri_prefix.startswith("gs://planted/")


def _queue_with_macros(outside: Outside) -> None:
    spec = {**RENDERED["spec"], "staging_bucket": "${TEAM_BUCKET}", "display_name": "{{one}}{{two}}"}
    schemas = {"one": {"type": "string"}, "two": {"type": "string"}}
    config = {"resource_args": {"gcp-vertex": {"spec": spec}}}
    outside.wandb.make_queue("team", "macros", config=config, resource="gcp-vertex", template_variables=schemas)


def test_a_publisher_cannot_pretend_to_be_an_item(outside: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither by its source and key nor by fields of a record: the item's launch is another one, and untouched."""
    item = outside.wandb.push("team", "vertex", ITEM)
    outside.client("poll").post("/")
    capsys.readouterr()
    named = {
        **json.loads(encode(asked(ITEM, Queue(entity="research", name="gpus"), "wandb"))),
        "idempotency_key": item.id,
    }
    forged = {
        **named,
        "item_id": item.id,
        "launch_key": launch_key("wandb", item.id),
        "from_queue": True,
        "attempt": 5,
        "entry": {"item_id": item.id, "attempt": 5},
    }
    submit = outside.client("submit")
    assert submit.post(**eventarc(json.dumps(forged).encode())).status_code == 500
    [problem] = [e["problem"] for e in events(capsys.readouterr().out) if e["message"] == "submit.not_a_message"]
    assert problem.startswith("request.item_id: is not known here.")
    assert submit.post(**eventarc(json.dumps(named).encode())).status_code == 200
    [why] = [e["why"] for e in events(capsys.readouterr().out) if e["message"] == "launch.rejected"]
    assert "requests.queues does not allow" in why
    assert submit.post(**eventarc(encode(Ticket(launch_key=launch_key("wandb", item.id))))).status_code == 200
    assert [job.labels["launch_key"] for job in outside.vertex.jobs()] == [launch_key("wandb", item.id)]


def test_a_ticket_of_another_launch_changes_nothing(outside: Outside) -> None:
    """It says "look": what runs stays as it is, and what waits goes on waiting."""
    submit = outside.client("submit")
    assert submit.post(**eventarc(encode(REQUEST))).status_code == 200
    outside.vertex.faults.refuse_next(429, "RESOURCE_EXHAUSTED", STOCKOUT)
    waiting = asked()
    assert submit.post(**eventarc(encode(waiting))).status_code == 200
    jobs = outside.vertex.jobs()
    for _ in range(3):
        for key in (REQUEST.launch_key, waiting.launch_key, launch_key("wandb", "no such item")):
            assert submit.post(**eventarc(encode(Ticket(launch_key=key)))).status_code == 200
    assert outside.vertex.jobs() == jobs
    assert len(jobs) == 1


@pytest.mark.parametrize("limits", [{"sources": []}, {"queues": []}, {"projects": ["other"]}], ids=str)
def test_items_of_queues_have_no_such_limits(outside: Outside, limits: dict[str, Any]) -> None:
    """Their rights are W&B's."""
    item = outside.wandb.push("team", "vertex", {**ITEM, "entity": "guests"})
    outside.client("poll").post("/")
    submit = outside.client("submit", LAUNCH_REQUESTS=json.dumps(limits))
    assert submit.post(**eventarc(encode(Ticket(launch_key=launch_key("wandb", item.id))))).status_code == 200
    assert len(outside.vertex.jobs()) == 1


def test_limits_that_were_tightened_hold_for_a_request_that_waits(
    outside: Outside, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its next attempt is refused."""
    outside.monkeypatch.setenv("FIRST_RETRY_SECONDS", "0.01")
    outside.vertex.faults.refuse_next(429, "RESOURCE_EXHAUSTED", STOCKOUT)
    request = asked()
    assert outside.client("submit").post(**eventarc(encode(request))).status_code == 200
    time.sleep(1.1)
    submit = outside.client("submit", LAUNCH_REQUESTS='{"sources": []}')
    assert submit.post(**eventarc(encode(Ticket(launch_key=request.launch_key)))).status_code == 200
    assert [e for e in events(capsys.readouterr().out) if e["message"] == "launch.rejected"]
    assert not outside.vertex.jobs()


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('{"queues": ["vertex"]}', "queues: is 'vertex': write ENTITY/QUEUE"),
        ('{"queues": ["team/"]}', "queues: is 'team/': write ENTITY/QUEUE"),
        ('{"queues": ["team / vertex"]}', "queues: is 'team / vertex': write ENTITY/QUEUE"),
        ('{"entities": []}', "entities: "),
        ('{"projects": ["team/cats"]}', "projects: is 'team/cats': write only the name, without /"),
        ('{"sources": null}', "sources: Input should be the allowed values; remove the key for its default"),
        ('{"queue": ["team/vertex"]}', "queue: is not known; write queues"),
        ("[]", "Input should be a valid dictionary"),
        ("{", "LAUNCH_REQUESTS (or requests in launch-config.yaml): "),
    ],
)
def test_wrong_limits_are_named(monkeypatch: pytest.MonkeyPatch, written: str, problem: str) -> None:
    """With the setting, the key and the fix."""
    monkeypatch.setenv("LAUNCH_REQUESTS", written)
    with pytest.raises(SettingsError) as wrong:
        load(SubmitSettings)
    assert "LAUNCH_REQUESTS (or requests in launch-config.yaml): " in str(wrong.value)
    assert problem in str(wrong.value)


def test_wrong_limits_allow_nothing(outside: Outside) -> None:
    """The function does not start, and Pub/Sub keeps the message."""
    submit = outside.client("submit", LAUNCH_REQUESTS='{"queue": []}')
    assert submit.post(**eventarc(encode(REQUEST))).status_code == 500
    assert not outside.vertex.jobs()


def test_the_limits_of_the_file_are_read(outside: Outside) -> None:
    """Beside the deployment's own names, which are the defaults."""
    outside.monkeypatch.setenv("LAUNCH_CONFIG", "limits.yaml")
    with open("limits.yaml", "w", encoding="utf-8") as file:  # noqa: PTH123 - in the test's own folder
        file.write("requests:\n  queues: [research/gpus]\n  sources: [ci]\n")
    limits = load(SubmitSettings).request_limits
    assert (limits.queues, limits.sources, limits.entities) == (("research/gpus",), ("ci",), ("team",))


def test_without_limits_no_queue_is_allowed() -> None:
    """A submit without entity and queues serves requests that name none, and every item."""
    limits = RequestLimits()
    assert not limits.allows_queue(Queue(entity="team", name="vertex"))
    admit_request(draft_of(run_spec()), limits, ())
