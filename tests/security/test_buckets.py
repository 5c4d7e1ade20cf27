"""A job names a bucket that is not for jobs: a ledger, sources or contexts, in each way to write a bucket."""

import json
import os
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from deploy.operate.plan import plan
from shared.config.ladder import Ladder
from shared.config.settings import SubmitSettings, load
from shared.core.errors import Reject, SettingsError
from shared.core.launch import Launch, State
from shared.core.message import Request, Ticket, encode
from shared.core.reserved import ReservedPlaces
from shared.runspec.prepare import Preparation
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM, POOL, emulator_push, events
from tests.fakes import FakeJobs, FakeQueueConfigs, FakeSweeps
from tests.unit.specs import NAMES, SITE, launch_of, put, run_spec

LEDGER, SOURCES, CONTEXTS = "LEDGER_BUCKET", "SOURCES_BUCKET", "CONTEXTS_BUCKET"
BUCKETS = {SOURCES: "p-launch-sources", CONTEXTS: "p-launch-contexts"}
JOBS = {"worker_pool_specs": [POOL], "staging_bucket": "gs://staging"}
FORMS = (
    "gs://{}",
    "{}",
    "gs://{}/",
    "gs://{}/open/x",
    "{}/open",
    " gs://{} ",
    "gs://{}//open",
    "gs://${{MINE}}/jobs",  # filled in below
    "gs://${{run_name}}/jobs",
)
OTHERS = (
    "gs://p-research-ledger",
    "gs://p-research-sources/source",
    "gs://p-research-contexts",
    "p-research-ledger/open",
    "gs://other-project-launch-ledger",  # of the job's own project
    "gs://gcf-v2-sources-123-us-central1",
)
NO_BUCKETS = (
    "gs://{UPPER}",
    "GS://{}",
    "gs://{}.",
    "gs://{}%2fopen",
    "gs://{}:open",
    "gs://{}\n/open",
    "gs:///{}",
    "gs://staging/../{}/open",
    "gs://staging/./x",
)
FOR_JOBS = (
    "gs://staging",
    "gs://p-launch-staging/jobs",
    "gs://p-data",
    "gs://team/open/p-launch-ledger",
    "gs://p-launch-ledger-archive",
    "gs://another-launch-ledger",
    "gs://ledger",
    "gs://staging/a..b",
)


@pytest.fixture
def deployment(outside: Outside) -> Outside:
    """Give the functions with the buckets of a deployment, which has a macro with the ledger's name."""
    macro = {"LAUNCH_MACROS": "MINE", "MINE": os.environ[LEDGER]}
    for name, value in {**BUCKETS, **macro, "LAUNCH_MAX_JOBS": "100"}.items():
        outside.monkeypatch.setenv(name, value)
    return outside


def written(forms: tuple[str, ...], bucket: str) -> list[str]:
    """Return a bucket in these forms."""
    return [form.format(bucket, UPPER=bucket.upper()) for form in forms]


def launched(outside: Outside, capsys: pytest.CaptureFixture[str], specs: list[dict[str, Any]]) -> list[Any]:
    """Enqueue an item for each `spec` of a CustomJob, let the three functions run, and return the items."""
    items = []
    for spec in specs:
        ours = {**ITEM, "name": os.environ[LEDGER], "resource_args": {"gcp-vertex": {"spec": spec, "run": {}}}}
        items.append(outside.wandb.push("team", "vertex", ours))
    capsys.readouterr()
    outside.client("poll").post("/")
    keys = [str(e["launch_key"]) for e in events(capsys.readouterr().out) if e["message"] == "poll.item"]
    assert len(keys) == len(specs)
    submit = outside.client("submit")
    for key in keys:
        assert submit.post(**emulator_push(encode(Ticket(launch_key=key)))).status_code == 200
    outside.client("status").post("/")
    return items


@pytest.mark.parametrize("argument", ["staging_bucket", "base_output_dir"])
def test_a_job_cannot_use_a_reserved_bucket(
    deployment: Outside, capsys: pytest.CaptureFixture[str], argument: str
) -> None:
    """However its author writes it: the item fails with the field and the fix, and Vertex AI is not called."""
    own = [os.environ[name] for name in (LEDGER, SOURCES, CONTEXTS)]
    values = [value for bucket in own for value in written(FORMS, bucket)]
    values += [*OTHERS, *written(NO_BUCKETS, own[0])]
    specs = [{**JOBS, argument: value, "project": "other-project"} for value in values]
    for value, item in zip(values, launched(deployment, capsys, specs), strict=True):
        assert item.state == "FAILED", value
        message = str(dict(item.error or {})["message"])
        assert f"resource_args.gcp-vertex.spec.{argument}: " in message, (value, message)
        assert "Write " in message, (value, message)
    assert deployment.vertex.jobs() == []


def test_buckets_of_jobs_are_not_refused(deployment: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    """Also those whose names only resemble a deployment's."""
    launched(deployment, capsys, [{**JOBS, "staging_bucket": value} for value in FOR_JOBS])
    folders = [job.message.job_spec.base_output_directory.output_uri_prefix for job in deployment.vertex.jobs()]
    assert len(folders) == len(FOR_JOBS)
    assert {folder.split("/team/cats/")[0] for folder in folders} == set(FOR_JOBS)


def test_a_request_and_a_queues_configuration_are_refused_too(
    deployment: Outside, capsys: pytest.CaptureFixture[str]
) -> None:
    """The queue's own configuration names the ledger: so does each item that has none of its own."""
    ledger = f"gs://{os.environ[LEDGER]}/open"
    bad = {"gcp-vertex": {"spec": {**JOBS, "staging_bucket": ledger}}}
    deployment.wandb.make_queue("team", "vertex", config={"resource_args": bad}, resource="gcp-vertex")
    request = Request(source="ci", idempotency_key="1", run_spec={**ITEM, "resource_args": bad})
    answer = deployment.client("submit").post(**emulator_push(encode(request)))
    assert answer.status_code == 200
    item = deployment.wandb.push("team", "vertex", ITEM)
    deployment.client("poll").post("/")
    [key] = [str(e["launch_key"]) for e in events(capsys.readouterr().out) if e["message"] == "poll.item"]
    deployment.client("submit").post(**emulator_push(encode(Ticket(launch_key=key))))
    deployment.client("status").post("/")
    assert "a bucket that holds the ledger of this deployment" in str(item.error)
    assert deployment.vertex.jobs() == []


def test_plan_refuses_what_submit_refuses(deployment: Outside, tmp_path: Path) -> None:
    """Without the settings of the functions it knows the buckets of each deployment by their names."""
    values = [f"gs://{os.environ[LEDGER]}", "gs://p-launch-ledger/open", "gs://p-launch-sources", "p-launch-contexts"]
    for name, value in BUILDER.items():
        deployment.monkeypatch.setenv(name, value)
    for value in values:
        bad = {"gcp-vertex": {"spec": {**JOBS, "staging_bucket": value}}}
        deployment.wandb.make_queue("team", "bad", config={"resource_args": bad}, resource="gcp-vertex")
        with chdir(tmp_path):
            done = CliRunner().invoke(plan, ["--queue=bad"], catch_exceptions=False)
        [document] = yaml.safe_load_all(done.stdout)
        assert (done.exit_code, document["outcome"]) == (3, "would be refused")
        assert document["field"] == "resource_args.gcp-vertex.spec.staging_bucket"
        for name in (LEDGER, SOURCES, CONTEXTS):
            deployment.monkeypatch.delenv(name, raising=False)


def test_a_run_that_resumes_does_not_return_to_the_ledger() -> None:
    """The record of an earlier version names the ledger as the folder of its checkpoints."""
    site = replace(SITE, reserved=ReservedPlaces("gcp-project", {"ours": "the ledger"}))
    queues, jobs = FakeQueueConfigs(), FakeJobs({})
    prepare = Preparation(queues, jobs, FakeSweeps(), site, NAMES).prepare
    launch = launch_of(run_spec())
    assert prepare(resumed(launch, "gs://others/x")).call.constructor["base_output_dir"] == "gs://others/x"
    with pytest.raises(Reject, match="base_output_dir"):
        prepare(resumed(launch, "gs://ours/open"))


def resumed(launch: Launch, folder: str) -> Launch:
    """Return a launch that continues in a folder."""
    again = launch.move(State.SUBMITTING, attempt=2)
    entry = replace(again.entry, resumes=1)
    return replace(again, entry=entry, climb=replace(again.climb, output_dir=folder))


BUILDER = {"LAUNCH_BUILDER": "cloud-build", "LAUNCH_BUILD_DESTINATION": "us-docker.pkg.dev/p/r/i"}
LADDER = {"regions": [{"region": "europe-west4", "staging_bucket": "gs://eu"}]}


def ladder(bucket: str) -> dict[str, str]:
    """Return the setting of a ladder with one bucket."""
    return {"LAUNCH_LADDER": json.dumps(put(LADDER, ("regions", 0, "staging_bucket"), bucket))}


WRONG = {
    "the ladder's bucket is the ledger": (ladder("gs://p-launch-ledger/x"), "LAUNCH_LADDER", "regions.0.staging_"),
    "the ladder's bucket has the contexts": (ladder("gs://p-launch-contexts"), "LAUNCH_LADDER", "image builds"),
    "the ladder's bucket is of others": (ladder("gs://p-research-sources"), "LAUNCH_LADDER", "deployment research"),
    "the ladder's bucket is in the store": (
        {"LAUNCH_BUILD_CONTEXT_STORE": "gs://both", **ladder("gs://both/launch-builds/x")},
        "LAUNCH_LADDER",
        "image builds",
    ),
    "contexts in the ledger": (
        {"LAUNCH_BUILD_CONTEXT_STORE": "gs://p-launch-ledger/open"},
        "LAUNCH_BUILD_CON",
        "ledger",
    ),
    "contexts in the sources": ({"LAUNCH_BUILD_CONTEXT_STORE": "gs://p-launch-sources"}, "LAUNCH_BUILD_CON", "sources"),
    "contexts of others": ({"LAUNCH_BUILD_CONTEXT_STORE": "gs://p-b-x-contexts"}, "LAUNCH_BUILD_CON", "deployment b-x"),
    "contexts and ledger": ({CONTEXTS: "p-launch-ledger"}, CONTEXTS, "LEDGER_BUCKET"),
    "contexts and sources": ({CONTEXTS: "p-launch-sources"}, CONTEXTS, "SOURCES_BUCKET"),
    "sources and ledger": ({SOURCES: "p-launch-ledger"}, SOURCES, "LEDGER_BUCKET"),
    "an address as a name": ({LEDGER: "gs://p-launch-ledger"}, LEDGER, "match"),
}


@pytest.mark.parametrize(("changed", "name", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_setting_that_names_another_purposes_bucket_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: dict[str, str], name: str, says: str
) -> None:
    """At the start, with the setting and the fix."""
    with pytest.raises(SettingsError) as refused:
        settings(monkeypatch, tmp_path, **changed)
    assert str(refused.value).startswith(name)
    assert says in str(refused.value)


def settings(monkeypatch: pytest.MonkeyPatch, folder: Path, **changed: str) -> SubmitSettings:
    """Return the settings of submit as the deployment sets them, with these changed."""
    given = {"GOOGLE_CLOUD_PROJECT": "p", "VERTEX_LOCATION": "us-central1", "WANDB_API_KEY": "k" * 40}
    for variable, value in {**given, LEDGER: "p-launch-ledger", **BUCKETS, **changed}.items():
        monkeypatch.setenv(variable, value)
    with chdir(folder):
        return load(SubmitSettings)


def test_the_launch_config_is_checked_as_the_variables_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A store and a ladder that the agent's own file names."""
    file = tmp_path / "launch-config.yaml"
    file.write_text("builder: {build-context-store: gs://p-launch-ledger/open}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="build-context-store in"):
        settings(monkeypatch, tmp_path)
    file.write_text(yaml.safe_dump({"ladder": put(LADDER, ("regions", 0, "staging_bucket"), "gs://p-launch-sources")}))
    with pytest.raises(SettingsError, match="ladder in"):
        settings(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("store", "folder"),
    [
        ("", "gs://p-launch-contexts"),
        ("gs://p-launch-contexts", "gs://p-launch-contexts"),
        ("gs://team/contexts", "gs://team/contexts"),
    ],
)
def test_contexts_go_to_their_own_bucket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: str, folder: str
) -> None:
    """By default; never to the launch's staging bucket, and jobs cannot use the folder of another store."""
    loaded = settings(monkeypatch, tmp_path, LAUNCH_BUILD_CONTEXT_STORE=store, **BUILDER, **ladder("gs://team/jobs"))
    assert loaded.context_store == folder
    assert loaded.reserved.problem(f"{folder}/launch-builds/x")
    assert loaded.ladder == Ladder.model_validate(put(LADDER, ("regions", 0, "staging_bucket"), "gs://team/jobs"))
