"""Rendering of run specs, and the refusals that authors read."""

import copy
import dataclasses
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

from shared.adapters.vertex.submit import argument_names
from shared.core.errors import Reject
from shared.core.launch import State
from shared.runspec.model import Draft, RunSpec
from shared.runspec.render import ArgumentNames, render
from tests.unit.specs import NAMES, PAGE_DEFAULT, POOL, SITE, environment, launch_of, put, rendered, run_spec

SPEC = ("resource_args", "gcp-vertex", "spec")
RUN = ("resource_args", "gcp-vertex", "run")
CONTAINER = (*SPEC, "worker_pool_specs", 0, "container_spec")


def test_the_configuration_of_wandbs_page_works_once_its_bucket_is_given() -> None:
    """Unchanged but for that."""
    call = rendered(run_spec())
    assert (call.project, call.location) == ("gcp-project", "us-central1")
    container = call.constructor["worker_pool_specs"][0].pop("container_spec")
    assert container["image_uri"] == "us-docker.pkg.dev/p/r/train:1"
    assert {"command", "args"}.isdisjoint(container)
    assert call.constructor["worker_pool_specs"] == [{k: v for k, v in POOL.items() if k != "container_spec"}]
    assert call.constructor["staging_bucket"] == "gs://staging"
    assert call.submit == {"restart_job_on_worker_restart": False}
    assert call.warnings == ()


def test_rendering_leaves_the_request_as_it_was() -> None:
    """It is rendered again at the next attempt."""
    spec = run_spec(overrides={"args": ["--x"], "entry_point": ["python"]})
    before = copy.deepcopy(spec)
    rendered(spec)
    assert spec == before


@pytest.mark.parametrize("key", ["vertex", "gcp-vertex"])
def test_both_names_of_the_resource_work(key: str) -> None:
    """As for the agent."""
    spec = run_spec()
    spec["resource_args"] = {key: spec["resource_args"]["gcp-vertex"]}
    assert rendered(spec).constructor["staging_bucket"] == "gs://staging"


def test_macros_are_filled_in_everywhere_but_in_keys() -> None:
    """The six of W&B and those that the operator lists; an unknown one stays as it is."""
    spec = run_spec(name="blue", author="ann", run_id="r1")
    spec = put(spec, (*SPEC, "base_output_dir"), "${TEAM_BUCKET}/${entity_name}/${project_name}/${run_id}")
    spec = put(spec, (*SPEC, "labels"), {"who": "${author}", "name": "${run_name}"})
    spec = put(spec, (*CONTAINER, "args"), ["${HOME}", "${WANDB_API_KEY}", "${image_uri}"])
    constructor = rendered(spec).constructor
    assert constructor["base_output_dir"] == "gs://team/team/cats/r1"
    assert (constructor["labels"]["who"], constructor["labels"]["name"]) == ("ann", "blue")
    assert constructor["worker_pool_specs"][0]["container_spec"]["args"] == [
        "${HOME}",
        "${WANDB_API_KEY}",
        "us-docker.pkg.dev/p/r/train:1",
    ]


@pytest.mark.parametrize(
    ("overrides", "command", "args"),
    [
        ({}, ["own"], ["--own"]),
        ({"args": ["--lr", 0.1]}, ["own"], ["--lr", "0.1"]),
        ({"entry_point": ["python", "x.py"]}, ["python", "x.py"], ["--own"]),
        ({"entry_point": ["python"], "args": ["--a"]}, ["python"], ["--a"]),
        ({"entry_point": [], "args": None}, ["own"], ["--own"]),
    ],
)
def test_overrides_replace_what_they_name_and_nothing_else(
    overrides: dict[str, Any], command: list[str], args: list[str]
) -> None:
    """In each worker pool; what is not overridden is the queue's own."""
    own = {**POOL, "container_spec": {"image_uri": "x", "command": ["own"], "args": ["--own"]}}
    spec = put(run_spec(overrides=overrides), (*SPEC, "worker_pool_specs"), [own, own])
    for pool in rendered(spec).constructor["worker_pool_specs"]:
        assert (pool["container_spec"]["command"], pool["container_spec"]["args"]) == (command, args)


def test_each_pool_keeps_its_own_variables_and_gets_ours() -> None:
    """Of two of one name ours is sent, once."""
    env = [{"name": "A", "value": 1}, {"name": "WANDB_PROJECT", "value": "mine"}, {"name": "EMPTY"}]
    spec = put(run_spec(), (*CONTAINER, "env"), env)
    call = rendered(spec)
    assert environment(call) | {"A": "1", "WANDB_PROJECT": "cats", "EMPTY": ""} == environment(call)
    names = [one["name"] for one in call.constructor["worker_pool_specs"][0]["container_spec"]["env"]]
    assert len(names) == len(set(names))


def test_a_job_can_be_found_by_its_labels() -> None:
    """The run id, made a label value, and the launch, its attempt and this deployment."""
    launch = launch_of(put(run_spec(run_id="My.Run"), (*SPEC, "labels"), {"team": "a", "v": 3, "wandb-run-id": "x"}))
    call = render(Draft.of(launch), SITE, NAMES)
    assert call.constructor["labels"] == {
        "team": "a",
        "v": "3",
        "wandb-run-id": "my-run",
        "launch_key": launch.key,
        "launch_attempt": "0",
        "launch_agent": "vertex-launch",
    }
    assert call.warnings == ("the label wandb-run-id is reserved; its value was replaced",)


@pytest.mark.parametrize(
    ("given", "name", "shown"),
    [(None, "blue", "blue"), ("own", "blue", "own"), ("", "", None), (None, "x" * 300, "x" * 128), (" ", None, None)],
)
def test_the_display_name_is_never_empty_and_never_too_long(given: Any, name: Any, shown: str | None) -> None:
    """The SDK would make one of the time."""
    launch = launch_of(put(run_spec(name=name), (*SPEC, "display_name"), given))
    wanted = shown or launch.entry.run.run_id
    assert render(Draft.of(launch), SITE, NAMES).constructor["display_name"] == wanted


def test_misplaced_arguments_are_taken_with_a_warning() -> None:
    """W&B's page shows service_account under spec in places; run's own wins; sync means nothing here."""
    spec = put(run_spec(), (*SPEC, "service_account"), "a@p")
    call = rendered(put(spec, (*RUN, "sync"), True))
    assert call.submit["service_account"] == "a@p"
    assert {"service_account", "sync"}.isdisjoint(call.constructor)
    assert "sync" not in call.submit
    assert len(call.warnings) == 2
    assert rendered(put(spec, (*RUN, "service_account"), "b@p")).submit["service_account"] == "b@p"


def test_a_preempted_run_goes_on_where_it_was() -> None:
    """The same run id, which W&B lets in again, and the same folder; its sweep may be over by then."""
    first = launch_of(run_spec(sweep_id="sw1"))
    submitted = first.move(State.SUBMITTING, attempt=1).move(State.SUBMITTED, job_name="j")
    resumed = submitted.resume(first.entry.opened_at, 5).move(State.SUBMITTING, attempt=2)
    before, after = render(Draft.of(submitted), SITE, NAMES), render(Draft.of(resumed), SITE, NAMES)
    assert environment(before)["WANDB_RESUME"] == "allow"
    assert environment(before)["WANDB_SWEEP_ID"] == "sw1"
    changed = {name: value for name, value in environment(before).items() if name != "WANDB_SWEEP_ID"}
    assert environment(after) == changed
    assert after.constructor["base_output_dir"] == before.constructor["base_output_dir"]
    assert [call.constructor["labels"]["launch_attempt"] for call in (before, after)] == ["1", "2"]


@pytest.mark.parametrize(
    ("bucket", "sent"), [("gs://bkt/f/", "gs://bkt/f/"), ("bkt", "gs://bkt"), ("b.c/f", "gs://b.c/f")]
)
def test_a_bucket_may_be_written_as_the_sdk_takes_it(bucket: str, sent: str) -> None:
    """With or without gs://."""
    assert rendered(put(run_spec(), (*SPEC, "staging_bucket"), bucket)).constructor["staging_bucket"] == sent


def test_each_attempt_of_a_run_writes_to_the_same_place() -> None:
    """A folder of the staging bucket that is named by the run, where the queue names none."""
    spec = put(run_spec(run_id="r/1"), (*SPEC, "staging_bucket"), "gs://staging/launch/")
    first = launch_of(spec)
    again = dataclasses.replace(first, entry=dataclasses.replace(first.entry, attempt=7))
    folders = [render(Draft.of(launch), SITE, NAMES).constructor["base_output_dir"] for launch in (first, again)]
    assert folders == ["gs://staging/launch/team/cats/r%2F1"] * 2
    unnamed = launch_of(run_spec())
    folder = render(Draft.of(unnamed), SITE, NAMES).constructor["base_output_dir"]
    assert folder == f"gs://staging/team/cats/{unnamed.entry.run.run_id}"
    assert rendered(put(spec, (*SPEC, "base_output_dir"), "gs://own")).constructor["base_output_dir"] == "gs://own"


def test_a_pool_after_the_first_may_be_skipped() -> None:
    """As Vertex AI's own requests write a job with an evaluator and no workers."""
    spec = put(run_spec(), (*SPEC, "worker_pool_specs"), [POOL, {}, None, POOL])
    assert [bool(pool) for pool in rendered(spec).constructor["worker_pool_specs"]] == [True, False, False, True]


def test_a_spec_may_name_its_own_project_and_region() -> None:
    """They decide where the job runs."""
    call = rendered(put(put(run_spec(), (*SPEC, "project"), "other"), (*SPEC, "location"), "europe-west4"))
    assert call.parent == "projects/other/locations/europe-west4"
    assert {"project", "location"}.isdisjoint(call.constructor)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no bucket", run_spec(PAGE_DEFAULT), "resource_args.gcp-vertex.spec.staging_bucket: is empty. Write a bucket"),
    ("no gs://", put(run_spec(), (*SPEC, "staging_bucket"), "s3://x"), "gs://BUCKET"),
    ("no pool", put(run_spec(), (*SPEC, "worker_pool_specs"), []), "needs at least one worker pool"),
    (
        "pools are an object",
        put(run_spec(), (*SPEC, "worker_pool_specs"), {}),
        "is empty: Vertex AI needs at least one worker pool.",
    ),
    (
        "no container",
        put(run_spec(), (*SPEC, "worker_pool_specs", 0), {"replica_count": 1}),
        "[0].container_spec: is m",
    ),
    (
        "python package",
        put(run_spec(), (*SPEC, "worker_pool_specs", 0), {"python_package_spec": {}}),
        "runs containers",
    ),
    ("no image", put(run_spec(), (*CONTAINER, "image_uri"), ""), "container_spec.image_uri: is empty"),
    ("misspelt", put(run_spec(), (*SPEC, "worker_pool_spec"), []), "Did you mean worker_pool_specs?"),
    ("misspelt in run", put(run_spec(), (*RUN, "time_out"), 3), "gcp-vertex.run.time_out: is not known here"),
    ("unknown", put(run_spec(), (*RUN, "zzz"), 3), "Known: enable_web_access"),
    (
        "credentials",
        put(run_spec(), (*SPEC, "credentials"), {"private_key": "-----"}),
        "spec.credentials: cannot be set in a queue",
    ),
    (
        "env without a name",
        put(run_spec(), (*CONTAINER, "env"), [{"value": "s3cret"}]),
        "container_spec.env[0].name: sh",
    ),
    (
        "env value",
        put(run_spec(), (*CONTAINER, "env"), [{"name": "a", "value": ["s3cret"]}]),
        "env[0].value: should be",
    ),
    ("too many variables", put(run_spec(), (*CONTAINER, "env"), [{"name": f"v{n}"} for n in range(95)]), "accepts 100"),
    ("bad label", put(run_spec(), (*SPEC, "labels"), {"Team": "x"}), "spec.labels.Team: is not a valid label"),
    ("too many labels", put(run_spec(), (*SPEC, "labels"), {f"l{n}": "x" for n in range(64)}), "has 64 labels"),
    (
        "endless label",
        put(run_spec(), (*SPEC, "labels"), {"X" * 10_000: "x"}),
        f"labels.{'X' * 40}…{'X' * 40}: is not a valid label",
    ),
    (
        "endless macro",
        put(run_spec(), (*CONTAINER, "image_uri"), "${" + "x" * 10_000 + "}"),
        f"in which ${{{'x' * 38}…",
    ),
    (
        "macros that multiply",
        put(run_spec(name="n" * 1_000), (*SPEC, "display_name"), "${run_name}" * 1_001),
        "${run_name}: makes this launch longer than 1,000,000 characters. Shorten its value",
    ),
    (
        "many pools",
        put(run_spec(), (*SPEC, "worker_pool_specs"), [POOL] * 5),
        "spec.worker_pool_specs: has 5 worker pools. Vertex AI has four roles",
    ),
    (
        "many resources",
        run_spec(resource_args={f"r{n}": 1 for n in range(9999)}),
        "resource_args.r0: is not known here; its value is a number.",
    ),
    ("args is a text", run_spec(overrides={"args": "--lr 1"}), "overrides.args: should be a list, but is a text"),
    ("tensorboard", put(run_spec(), (*RUN, "tensorboard"), "tb"), "locations/REGION/tensorboards/ID"),
    (
        "timeout",
        put(run_spec(), (*RUN, "timeout"), "1h"),
        "run.timeout: is '1h', but Vertex AI counts in seconds. Write 3",
    ),
    ("second pool", put(run_spec(), (*SPEC, "worker_pool_specs"), [POOL, {"replica_count": 1}]), "[1].container_spec:"),
    (
        "empty pool",
        put(run_spec(), (*SPEC, "worker_pool_specs"), [{}]),
        "worker_pool_specs[0].container_spec: is missi",
    ),
    (
        "ECR",
        put(run_spec(), (*CONTAINER, "image_uri"), "1.dkr.ecr.us-east-1.amazonaws.com/train:1"),
        "[0].container_spec.image_uri: is '1.dkr.ecr.us-east-1.amazonaws.com/train:1', which is in a private registry",
    ),
    ("ACR", run_spec(docker={"docker_image": "team.azurecr.io/train"}), "Copy the image to Artifact Registry"),
    (
        "a macro without a meaning",
        put(run_spec(), (*CONTAINER, "image_uri"), "${HOST}/train"),
        "image_uri: is '${HOST}/train', in which ${HOST} is not a known macro",
    ),
    (
        "project",
        put(run_spec(), (*SPEC, "project"), "projects/p"),
        "spec.project: is 'projects/p', which is not a project",
    ),
    (
        "zone",
        put(run_spec(), (*SPEC, "location"), "us-central1-a"),
        "spec.location: is 'us-central1-a', which is a zone",
    ),
    ("output", put(run_spec(), (*SPEC, "base_output_dir"), "s3://x"), "spec.base_output_dir: is 's3://x', not in a bu"),
    ("long name", put(run_spec(), (*SPEC, "display_name"), "n" * 129), "spec.display_name: has 129 characters"),
    ("long label", put(run_spec(), (*SPEC, "labels"), {"team": "x" * 65}), "spec.labels.team: is not a valid label"),
    ("no source", run_spec(docker=None), "docker.docker_image: is missing"),
    ("no entity", run_spec(entity=""), "entity: is empty. Write the W&B entity"),
    ("no project", run_spec(project=None), "project: is empty"),
    (
        "another resource",
        run_spec(resource="kubernetes", resource_args={"kubernetes": {"a": 1}}),
        "kubernetes: configures a queue",
    ),
    ("no resource", run_spec(resource_args={}), "resource_args: has no part for Vertex AI; the item's reso"),
]


@pytest.mark.parametrize(("spec", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_the_author_reads_the_field_the_value_and_the_fix(spec: dict[str, Any], message: str) -> None:
    """The refusal never has a secret."""
    with pytest.raises(Reject) as refused:
        rendered(spec)
    assert message in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_secure_mode_refuses_an_entry_point() -> None:
    """As the agent does."""
    with pytest.raises(Reject, match="secure mode"):
        rendered(run_spec(overrides={"entry_point": ["sh"]}), dataclasses.replace(SITE, secure_mode=True))


def test_absurd_nesting_is_refused() -> None:
    """It does not exhaust the stack."""
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Reject, match="levels deep"):
        RunSpec.parse(run_spec(overrides=deep))


def test_keys_show_in_no_repr() -> None:
    """Of what is passed around between render and create."""
    launch = launch_of(run_spec(_wandb_api_key="own-key-123"))
    call = render(Draft.of(launch), SITE, NAMES)
    assert environment(call)["WANDB_API_KEY"] == "own-key-123"
    for shown in (repr(launch), repr(SITE), repr(call)):
        assert "own-key-123" not in shown
        assert SITE.api_key not in shown


def test_the_installed_sdk_takes_what_is_rendered() -> None:
    """Its own constructor builds the request; no call is made."""
    anonymous = AnonymousCredentials()
    aiplatform.init(project="p", location="us-central1", credentials=anonymous)
    names = ArgumentNames(**argument_names())
    spec = put(run_spec(), (*SPEC, "base_output_dir"), "gs://staging/out")
    call = render(Draft.of(launch_of(spec)), SITE, names)
    job = aiplatform.CustomJob(project=call.project, location=call.location, **call.constructor)
    assert job.job_spec.worker_pool_specs[0].container_spec.image_uri == "us-docker.pkg.dev/p/r/train:1"
    assert call.submit.keys() <= names.submit
