"""Keys as people write them: each is known, or refused with its path and the place where it belongs.

Each case goes through submit's door and through `plan`, with the arguments of the installed SDK.
"""

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wandb.sdk.launch.utils import construct_launch_spec

from deploy.planner import LAUNCHED, REFUSED, Planner
from deploy.wandb_queues import PendingItem, QueueView
from shared.adapters.vertex.submit import argument_names
from shared.core.errors import NotAMessage
from shared.core.jobsource import JobSource, Kind
from shared.core.launch import Outcome
from shared.core.message import Request, decode
from shared.core.ports import CustomJobCall
from shared.core.queueconfig import QueueConfig
from shared.runspec import render as rendering
from shared.runspec.render import ArgumentNames
from tests.unit.specs import environment, put, run_spec
from tests.unit.submitting import QUEUE, Scene

VERTEX = ("resource_args", "gcp-vertex")
SPEC, RUN = (*VERTEX, "spec"), (*VERTEX, "run")
POOL = (*SPEC, "worker_pool_specs", 0)
CONTAINER, MACHINE = (*POOL, "container_spec"), (*POOL, "machine_spec")
Path = tuple[str | int, ...]
CLIENTS_PLACES: tuple[Path, ...] = ((), ("docker",), ("git",), ("overrides",), ("resource_args",))


@cache
def names() -> ArgumentNames:
    """Return the arguments of the installed SDK."""
    return ArgumentNames(**argument_names())


def scene() -> Scene:
    """Return a submit that renders with the installed SDK's arguments."""
    made = Scene()
    made.prepare_with(render=rendering.render, names=names())
    return made


def reason_of(spec: dict[str, Any]) -> str:
    """Return why submit refuses an item; empty if it launches it. `plan` gives the same answer."""
    where = scene()
    planner = Planner(None, "team", where.preparation)  # type: ignore[arg-type] # it asks W&B nothing here
    view = QueueView(id="1", entity=QUEUE.entity, name=QUEUE.name, resource="gcp-vertex", config={})
    planned = planner._item(view, PendingItem(id="item-1", run_spec=copy.deepcopy(spec)))  # noqa: SLF001
    ticket = where.open(**spec)
    where.deliver(ticket)
    launch = where.launch(ticket)
    if launch.entry.outcome is Outcome.REJECTED:
        assert (planned.outcome, str(planned.refusal)) == (REFUSED, launch.reason)
        assert not where.vertex.calls
        return launch.reason
    assert planned.outcome == LAUNCHED
    assert where.vertex.calls == [planned.call]
    return ""


def launched(spec: dict[str, Any]) -> CustomJobCall:
    """Return what submit sends for an item."""
    where = scene()
    where.sweeps.states = {("team", "cats", "sw1"): "RUNNING"}
    ticket = where.open(**spec)
    assert where.deliver(ticket) == "launch.submitted", where.launch(ticket).reason
    (call,) = where.vertex.calls
    return call


def path_of(path: Path) -> str:
    """Write a path as a refusal does."""
    steps = [f"[{each}]" if isinstance(each, int) else f".{each}" for each in path]
    return "".join(steps).removeprefix(".")


# where it was seen or who writes it so; the path; the value; the fix
MISPLACED: list[tuple[str, Path, Any, str]] = [
    # a part of the configuration under a wrong name: PrefectHQ/prefect 17277, wandb/docs 444
    ("a plural", (*VERTEX, "runs"), {"service_account": "t@p"}, "Did you mean run?"),
    ("beside spec", (*VERTEX, "scheduling_strategy"), "SPOT", "belongs under run."),
    ("Prefect's job", (*VERTEX, "job_spec"), {"a": 1}, "Did you mean spec?"),
    ("capitals", (*VERTEX, "Spec"), {}, "Did you mean spec?"),
    ("no part at all", (*VERTEX, "staging_bucket"), "gs://b", "belongs under spec."),
    ("no resource", ("resource_args", "spec"), {"a": 1}, "belongs under resource_args.gcp-vertex."),
    ("the resource twice", (*VERTEX, "gcp-vertex"), {"a": 1}, "belongs under resource_args."),
    ("the item's", (*VERTEX, "overrides"), {"args": []}, "belongs at the top of the run spec."),
    # arguments in the wrong part: wandb/docs 444
    ("run's argument", (*SPEC, "timeout"), 60, "timeout belongs under run."),
    ("run's argument", (*SPEC, "network"), "n", "network belongs under run."),
    ("spec's argument", (*RUN, "labels"), {"a": "b"}, "labels belongs under spec."),
    ("spec's argument", (*RUN, "project"), "p", "project belongs under spec."),
    ("a pool's", (*SPEC, "machine_type"), "n1", "belongs under spec.worker_pool_specs[].machine_spec."),
    ("a container's", (*POOL, "env"), [], "belongs under spec.worker_pool_specs[].container_spec."),
    ("a disk's", (*MACHINE, "boot_disk_type"), "x", "belongs under spec.worker_pool_specs[].disk_spec."),
    ("a pool's", (*MACHINE, "replica_count"), 2, "belongs under spec.worker_pool_specs[]."),
    (
        "of the item",
        ("overrides", "env"),
        {"A": "1"},
        "under resource_args.gcp-vertex.spec.worker_pool_specs[].container_spec",
    ),
    ("at the top", ("scheduling_strategy",), "SPOT", "belongs under resource_args.gcp-vertex.run."),
    ("at the top", ("run_config",), {"lr": 1}, "run_config belongs under overrides."),
    ("at the top", ("args",), ["--lr"], "args belongs under overrides or resource_args"),
    ("an override", ("overrides", "resource_args"), {"a": 1}, "belongs at the top of the run spec."),
    # Vertex AI's REST API, pasted from its page: kubeflow/pipelines 11504
    ("REST", (*VERTEX, "workerPoolSpecs"), [], "belongs under spec and is written worker_pool_specs."),
    ("REST", (*VERTEX, "serviceAccount"), "t@p", "belongs under run and is written service_account."),
    ("REST", (*SPEC, "workerPoolSpecs"), [], "Did you mean worker_pool_specs?"),
    ("REST", (*SPEC, "scheduling"), {"strategy": "SPOT"}, "under run: strategy as scheduling_strategy"),
    ("REST", (*SPEC, "baseOutputDirectory"), {}, "Did you mean base_output_dir?"),
    ("REST", (*SPEC, "encryptionSpec"), {}, "Write encryption_spec_key_name under spec."),
    ("REST", (*RUN, "restartJobOnWorkerRestart"), True, "Did you mean restart_job_on_worker_restart?"),
    ("REST", (*POOL, "containerSpec"), {}, "Did you mean container_spec?"),
    ("REST", (*POOL, "machineSpec"), {}, "Did you mean machine_spec?"),
    ("REST", (*POOL, "pythonPackageSpec"), {}, "W&B Launch runs containers"),
    ("REST", (*CONTAINER, "imageUri"), "i", "Did you mean image_uri?"),
    ("REST", (*MACHINE, "acceleratorType"), "x", "Did you mean accelerator_type?"),
    ("REST", (*POOL, "disk_spec"), {"bootDiskType": "x"}, "Did you mean boot_disk_type?"),
    ("REST", (*RUN, "psc_interface_config"), {"networkAttachment": "n"}, "Did you mean network_attachment?"),
    ("REST", (*MACHINE, "reservation_affinity"), {"type": "x"}, "Did you mean reservation_affinity_type?"),
    # gcloud ai custom-jobs create
    ("gcloud", (*SPEC, "--worker-pool-spec=machine-type"), "n1", "Did you mean worker_pool_specs?"),
    (
        "gcloud",
        (*POOL, "machine-type"),
        "n1",
        "machine-type belongs under spec.worker_pool_specs[].machine_spec and",
    ),
    ("gcloud", (*POOL, "replica-count"), 1, "Did you mean replica_count?"),
    ("gcloud", (*POOL, "container-image-uri"), "i", "Write image_uri under container_spec"),
    ("gcloud", (*SPEC, "region"), "us-central1", "Write location under spec"),
    ("gcloud", (*SPEC, "kms-key"), "k", "Write encryption_spec_key_name under spec."),
    ("gcloud", (*VERTEX, "--service-account"), "t@p", "belongs under run and is written service_account."),
    # Kubernetes: PrefectHQ/prefect 15450, wandb/wandb 7212
    ("a Pod", (*CONTAINER, "env"), [{"name": "T", "valueFrom": {}}], "Vertex AI reads no secret into a variable."),
    ("a Pod", (*CONTAINER, "envFrom"), [], "Vertex AI reads no secret into a variable."),
    ("a Pod", (*CONTAINER, "resources"), {"limits": {}}, "Vertex AI sizes a machine by its type."),
    ("a Pod", (*CONTAINER, "nvidia.com/gpu"), 1, "accelerator_count under machine_spec of a pool."),
    ("a Pod", (*POOL, "nodeSelector"), {}, "Vertex AI selects a machine by its type."),
    ("a Pod", (*POOL, "volumes"), [], "Vertex AI mounts each bucket at /gcs/BUCKET."),
    ("a Pod", (*CONTAINER, "image"), "i", "Did you mean image_uri?"),
    ("a Job", (*VERTEX, "apiVersion"), "batch/v1", "This is for Kubernetes."),
    ("a Job", (*RUN, "backoffLimit"), 3, "Write restart_job_on_worker_restart or disable_retries under run."),
    ("a Job", (*RUN, "activeDeadlineSeconds"), 3, "Write timeout under run, in seconds."),
    ("a queue of it", ("resource_args", "kubernetes"), {"spec": {}}, "Write the queue's configuration as {gcp-vertex:"),
    # other systems that run such jobs
    ("SkyPilot", (*RUN, "use_spot"), True, "such as scheduling_strategy: SPOT."),
    ("a wish", (*RUN, "spot"), True, "such as scheduling_strategy: SPOT."),
    ("Prefect", (*RUN, "maximum_run_time_hours"), 3, "Write timeout under run, in seconds."),
    ("Prefect", (*RUN, "service_account_name"), "t@p", "Write service_account under run."),
    ("Airflow", (*CONTAINER, "environment_variables"), {}, "Write env under container_spec"),
    ("Airflow", (*SPEC, "project_id"), "p", "Write project under spec."),
    ("KFP", (*SPEC, "strategy"), "SPOT", "Write scheduling_strategy under run"),
    ("SageMaker", (*VERTEX, "ResourceConfig"), {}, "Vertex AI sizes a machine by its type."),
    ("SageMaker", ("resource_args", "sagemaker"), {"RoleArn": "a"}, "Write the queue's configuration as"),
    ("docker run", ("resource_args", "local-container"), {"gpus": "all"}, "Write the queue's configuration as"),
    ("Airflow", (*RUN, "retries"), 3, "Write restart_job_on_worker_restart or disable_retries under run."),
    ("Airflow", (*RUN, "wait"), True, "A launch never waits for its job."),
    ("Airflow", (*RUN, "enable_dashboard_access"), True, "The SDK's CustomJob has no such argument."),
    ("a job that exists", (*SPEC, "createTime"), "2026", "Vertex AI writes this field itself."),
    ("KFP", (*RUN, "experiment_name"), "e", "Write experiment under run"),
    ("KFP", (*SPEC, "web_access"), True, "Write enable_web_access under run."),
    ("an endpoint", (*POOL, "autoscaling_spec"), {}, "Write replica_count in a pool."),
    ("an endpoint", (*SPEC, "reservation"), "r", "Write reservation_affinity under machine_spec of a pool."),
    # typing errors
    ("a letter", (*CONTAINER, "env"), [{"name": "A", "vaule": "1"}], "Did you mean value?"),
    ("a letter", ("overides",), {"args": []}, "Did you mean overrides?"),
    ("a letter", ("overrides", "arg"), ["a"], "Did you mean args?"),
    ("no underscore", ("overrides", "entrypoint"), ["a"], "Did you mean entry_point?"),
    ("too short", ("docker", "image"), "i", "Did you mean docker_image?"),
    ("a space", (*VERTEX, " spec"), {}, "Did you mean spec?"),
    ("no text", (*VERTEX, ""), {}, "Known: builder, run, spec."),
    ("null", (*VERTEX, "shedule"), None, "Known: builder, run, spec."),
    ("the builder's", (*VERTEX, "builder"), {"type": "docker"}, "Known: accelerator, base_image."),
    ("nobody's", ("banana",), 1, "Known: author, builder, docker,"),
]


@pytest.mark.parametrize(("source", "path", "value", "fix"), MISPLACED, ids=[str(path_of(row[1])) for row in MISPLACED])
def test_a_key_that_is_not_known_is_refused(source: str, path: Path, value: Any, fix: str) -> None:
    """With its whole path, and what to write instead."""
    base = put(run_spec(), ("overrides",), {}) if path[0] == "overrides" else run_spec()
    reason = reason_of(put(base, path, value))
    assert source
    assert fix in reason
    *place, name = path
    key = str(name)
    shown = key if re.fullmatch(r"[\w-]+", key) else repr(key)
    assert reason.startswith((f"{path_of((*place, shown))}: ", f"{path_of(path)}.", f"{path_of(path)}[0]."))


# the source; the path; the value; what to write
FORMS: list[tuple[str, Path, Any, str]] = [
    ("a shell's line", (*CONTAINER, "command"), "python train.py", 'Write ["python", "train.py"].'),
    ("a shell's line", (*CONTAINER, "command"), "sh -c 'echo a b'", 'Write ["sh", "-c", "echo a b"].'),
    ("a shell's line", (*CONTAINER, "args"), "--epochs 3", 'Write ["--epochs", "3"].'),
    ("a secret", (*CONTAINER, "args"), "--token s3cret-9", 'Write ["--token", "[redacted]"].'),
    ("an open quote", (*CONTAINER, "args"), "--name 'a", 'Write ["--name", "\'a"].'),
    ("a sweep's", (*CONTAINER, "args"), {"epochs": 3, "fast": True}, 'Write ["--epochs=3", "--fast=true"].'),
    ("an item's", ("overrides",), {"args": "--lr 1"}, 'Write ["--lr", "1"].'),
    (
        "compose",
        (*CONTAINER, "env"),
        {"A": "1", "API_KEY": "s3cret-9"},
        'Write [{name: A, value: "1"}, …].',
    ),
    ("compose", (*CONTAINER, "env"), ["A=1"], 'Write {name: A, value: "1"}.'),
    ("gcloud", (*CONTAINER, "env"), "A=1,B=2", 'Write [{name: A, value: "1"}, {name: B, value: "2"}].'),
    ("gcloud", (*SPEC, "labels"), "team=nlp", 'Write {team: "nlp"}.'),
    ("gcloud", (*SPEC, "worker_pool_specs"), ["machine-type=n1,replica-count=1"], "Write a pool as {machine_spec:"),
    ("one pool", (*SPEC, "worker_pool_specs"), {"machine_spec": {}}, "Write worker_pool_specs as a list"),
    ("one too many", SPEC, [{"staging_bucket": "gs://b"}], "Write the object without its list."),
    ("too short", MACHINE, "n1-standard-4", "Write an object with accelerator_count"),
    ("a list's", (*POOL, "nfs_mounts"), {"server": "s"}, "Write a list of objects: [{…}]."),
    ("not a text", (*VERTEX, "builder"), {"accelerator": {"base_image": 5}}, "base_image: should be a text, but is a"),
    (
        "two meanings",
        (*CONTAINER, "env"),
        [{"name": "A", "value": 1}, {"name": "A", "value": 2}],
        "Remove one of them.",
    ),
]


@pytest.mark.parametrize(("source", "path", "value", "fix"), FORMS)
def test_a_wrong_form_is_refused_with_the_right_one(source: str, path: Path, value: Any, fix: str) -> None:
    """At its path; a secret is not in the suggestion."""
    reason = reason_of(put(run_spec(), path, value))
    assert source
    assert reason.startswith(path_of(path))
    assert fix in reason
    assert "s3cret" not in reason


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (3, "3"), (0.5, "0.5"), ("On", "On")])
def test_a_flag_or_a_number_becomes_a_text_as_json_writes_it(value: Any, text: str) -> None:
    """One rule for variables, arguments and labels."""
    given = put(run_spec(), (*CONTAINER, "env"), [{"name": "A", "value": value}])
    given = put(given, (*CONTAINER, "args"), [value])
    call = launched(given)
    assert environment(call)["A"] == text
    assert call.constructor["worker_pool_specs"][0]["container_spec"]["args"] == [text]
    if "." not in text and text.islower():
        assert launched(put(run_spec(), (*SPEC, "labels"), {"a": value})).constructor["labels"]["a"] == text


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (float("nan"), "overrides.run_config.lr: is NaN"),
        (float("inf"), "overrides.run_config.lr: is Infinity"),
        (float("-inf"), "overrides.run_config.lr: is -Infinity"),
        (10**4300, "overrides.run_config.lr: is an integer of more than 4,300 digits"),
    ],
    ids=["NaN", "Infinity", "-Infinity", "integer"],
)
def test_a_number_that_json_does_not_have_is_refused_by_its_path(value: Any, problem: str) -> None:
    """The real `wandb launch` enqueues them (wandb PR 7860); NaN never becomes null."""
    assert reason_of(run_spec(overrides={"run_config": {"lr": value}})).startswith(problem)


def nested(levels: int) -> Any:
    """Return a value that nests so deep."""
    return {"a": nested(levels - 1)} if levels else 1


@pytest.mark.parametrize("levels", [61, 90])
def test_a_value_that_nests_too_deep_is_refused_by_its_path(levels: int) -> None:
    """The path is cut in the middle."""
    reason = reason_of(run_spec(overrides={"run_config": nested(levels)}))
    assert reason.startswith("overrides.run_config.a.a.a")
    assert reason.endswith("a.a.a: is nested more than 60 levels deep. Write it with fewer levels.")


def test_a_deep_value_reaches_the_run() -> None:
    """Real configurations have about ten levels."""
    call = launched(run_spec(overrides={"run_config": nested(50)}))
    assert json.loads(environment(call)["WANDB_CONFIG"]) == nested(50)


def test_a_large_number_reaches_the_run_unchanged() -> None:
    """As the agent writes it."""
    call = launched(run_spec(overrides={"run_config": {"seed": 2**80}}))
    assert json.loads(environment(call)["WANDB_CONFIG"]) == {"seed": 2**80}


IGNORED: list[tuple[Path, Any, str]] = [
    (("builder",), {"type": "docker"}, "builder was ignored"),
    (("registry",), {"url": "u"}, "registry was ignored"),
    (("build",), {"type": "docker"}, "build was ignored"),  # wandb 0.13's builder
    (("cuda",), True, "cuda was ignored"),  # wandb 0.13's Job.call
    (("cuda_version",), "11.0", "cuda_version was ignored"),
    (("git",), {"version": "abc", "repo": None}, "git was ignored"),
    (("docker", "user_id"), 1000, "docker.user_id was ignored"),
    (("overrides",), {"dockerfile": "D"}, "overrides.dockerfile was ignored"),
    (("image_uri",), "other:1", "image_uri was ignored"),
    (
        ("resource_args", "vertex"),
        run_spec()["resource_args"]["gcp-vertex"] | {"run": {"timeout": 9}},
        "gcp-vertex was",
    ),
    ((*CONTAINER, "env"), [{"name": "WANDB_PROJECT", "value": "mine"}], "the variable WANDB_PROJECT is W&B's"),
    ((*RUN, "sync"), True, "sync was ignored"),
    ((*SPEC, "service_account"), "trainer@p.iam.gserviceaccount.com", "not under spec; it was used anyway"),
]


@pytest.mark.parametrize(("path", "value", "warning"), IGNORED)
def test_a_known_field_without_effect_gives_a_warning(path: Path, value: Any, warning: str) -> None:
    """The agent reads some of these, and ignores the others."""
    (text,) = launched(put(run_spec(), path, value)).warnings
    assert warning in text


def test_two_persistent_resources_are_refused() -> None:
    """The installed SDK uses that of `run` without a word; one resource in both places is sent."""
    name = "persistent_resource_id"
    both = put(put(run_spec(), (*SPEC, name), "mine"), (*RUN, name), "mine")
    assert launched(both).submit[name] == "mine"
    reason = reason_of(put(both, (*SPEC, name), "other"))
    assert f"run.{name}: is 'mine', but spec.{name} is 'other'. Leave one of them out." in reason


def test_no_sync_is_no_warning() -> None:
    """It is what a launch does."""
    assert launched(put(run_spec(), (*RUN, "sync"), False)).warnings == ()


def test_the_account_under_run_wins() -> None:
    """The agent reads it only there; the warning tells which of the two was used."""
    spec = put(run_spec(), (*RUN, "service_account"), "mine@p.iam.gserviceaccount.com")
    call = launched(put(spec, (*SPEC, "service_account"), "other@p.iam.gserviceaccount.com"))
    assert call.submit["service_account"] == "mine@p.iam.gserviceaccount.com"
    assert call.warnings == ("service_account belongs under run, not under spec; it was ignored",)


@pytest.mark.parametrize("path", [("builder",), ("registry",), ("git",), ("resource_args", "kubernetes")])
@pytest.mark.parametrize("value", [None, {}])
def test_an_empty_field_without_effect_gives_none(path: Path, value: Any) -> None:
    """The real `wandb launch` writes `git: {}` into each item."""
    assert launched(put(run_spec(), path, value)).warnings == ()


def test_an_empty_version_gives_none() -> None:
    """The web page writes the whole object."""
    assert launched(run_spec(git={"repo": "", "version": None})).warnings == ()


def test_the_fields_of_the_real_client_and_of_wandbs_server_pass() -> None:
    """All options of `wandb launch`, and the field that W&B's server adds (zfhxi/test_wandb_launch_job)."""
    api: Any = SimpleNamespace(default_entity="team")
    built = construct_launch_spec(
        None, None, api, "blue", "cats", "team", "us-docker.pkg.dev/p/r/train:1", "gcp-vertex", ["python", "t.py"],
        None, run_spec()["resource_args"], {"overrides": {"args": ["--lr", "1"], "run_config": {"lr": 1}}}, "r1", None,
        "ann", "sw1",
    )  # fmt: skip
    call = launched({**built, "_wandb_job_collection_id": "QXJ0", "_resume_count": 1, "template_variables": {"a": 1}})
    assert call.warnings == ()
    assert environment(call)["WANDB_SWEEP_ID"] == "sw1"


@pytest.mark.parametrize("place", CLIENTS_PLACES, ids=path_of)
@pytest.mark.parametrize("name", ["cuda", "project_queue", "additional_services", "field_of_next_year"])
@pytest.mark.parametrize("value", [None, {}, [], "", False], ids=repr)
def test_an_empty_field_of_another_client_passes(place: Path, name: str, value: Any) -> None:
    """Nothing is lost: wandb 0.13 sends `cuda: false` at each `Job.call`."""
    assert launched(put(run_spec(), (*place, name), value)).warnings == ()


OF_THE_CLIENT = {
    **dict.fromkeys(("queue", "queue_name", "queue_entity", "project_queue", "run_queue_project"), "gpus"),
    "priority": 1,
}


@pytest.mark.parametrize(("name", "value"), OF_THE_CLIENT.items())
def test_what_the_client_has_used_passes_in_an_item_only(name: str, value: Any) -> None:
    """The scheduler of `wandb launch-sweep` copies the whole `launch` section into each run's item."""
    assert launched(run_spec(**{name: value})).warnings == ()
    where = scene()
    assert where.deliver(decode(request(run_spec=run_spec(**{name: value})))) == "launch.rejected"
    (launch,) = where.ledger.open.values()
    assert launch.reason.startswith(f"{name}: is not known here")
    assert "Choose the queue with" in launch.reason or "`wandb launch --priority`" in launch.reason


def test_an_empty_object_for_a_list_passes() -> None:
    """The client of wandb 0.14 makes `args: {}` of an empty list."""
    assert launched(run_spec(overrides={"args": {}})) == launched(run_spec(overrides={"args": []}))


@pytest.mark.parametrize(
    "builder", [{"accelerator": {"base_image": "tf:gpu"}}, {"cuda": {"base_image": "tf:gpu"}}, {"base_image": "tf:gpu"}]
)
def test_each_place_of_the_base_image_is_known(builder: dict[str, Any]) -> None:
    """W&B documents the first (wandb PR 5737); the agent still reads the second."""
    where, path = scene(), "team/cats/train:v1"
    where.jobs.jobs[path] = JobSource(path, Kind.ARTIFACT, ("python", "train.py"), code="team/cats/code:v0")
    ticket = where.open(**put(run_spec(docker=None, job=path), (*VERTEX, "builder"), builder))
    assert where.deliver(ticket) == "launch.submitted"
    (call,) = where.vertex.calls
    assert call.constructor["worker_pool_specs"][0]["container_spec"]["image_uri"] == "tf:gpu"


def whole() -> dict[str, Any]:
    """Return a run spec with an object at each level."""
    spec = run_spec(git={}, overrides={"args": [], "run_config": {}})
    spec = put(spec, (*CONTAINER, "env"), [{"name": "A", "value": "1"}])
    spec = put(spec, (*POOL, "disk_spec"), {"boot_disk_size_gb": 100})
    spec = put(spec, (*POOL, "nfs_mounts"), [{"server": "10.0.0.1", "path": "/a", "mount_point": "a"}])
    spec = put(spec, (*MACHINE, "reservation_affinity"), {"reservation_affinity_type": "ANY_RESERVATION"})
    spec = put(spec, (*VERTEX, "builder"), {"accelerator": {"base_image": "tf:gpu"}, "cuda": {}})
    peering = {"domain": "a.", "target_project": "p", "target_network": "n"}
    psc = {"network_attachment": "n", "dns_peering_configs": [peering]}
    changed: dict[str, Any] = put(spec, (*RUN, "psc_interface_config"), psc)
    return changed


def levels(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield the path of each object in which a key has a meaning."""
    if isinstance(value, dict):
        yield path
        for key, one in value.items():
            if key != "run_config":
                yield from levels(one, (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from levels(one, (*path, number))


PLACES = sorted(levels(whole()), key=str)
FOREIGN = st.sampled_from(
    ["strategy", "workerPoolSpecs", "machine-type", "valueFrom", "resources", "runs", "Spec", "entity ", "name_", "x.y"]
)
NAMES = FOREIGN | st.text(max_size=30).map(lambda name: f"{name}?")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(PLACES),
    NAMES.filter(lambda name: name[0] != "_"),
    st.none() | st.booleans() | st.text(max_size=3) | st.just({}) | st.just([{}]),
)
def test_an_unknown_key_at_any_level_of_an_item_is_refused(place: Path, name: str, value: Any) -> None:
    """By submit and by plan, with its path; the whole run spec itself is launched."""
    reason = reason_of(put(whole(), (*place, name), value))
    if place in CLIENTS_PLACES and value in (None, False, "", {}):
        assert reason == "" or "half of a surrogate pair" in reason
        return
    assert "is not known here" in reason or "half of a surrogate pair" in reason
    assert reason.startswith(path_of(place))


def test_the_whole_run_spec_is_launched() -> None:
    """Otherwise the property above shows nothing."""
    assert reason_of(whole()) == ""


def request(**changes: Any) -> bytes:
    """Return the bytes of a request of another system."""
    fields = {"version": 1, "kind": "request", "source": "ci", "idempotency_key": "1", "run_spec": whole()}
    return json.dumps({**fields, **changes}).encode()


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(PLACES), FOREIGN | st.just("_wandb_x"))
def test_an_unknown_key_at_any_level_of_a_request_is_refused(place: Path, name: str) -> None:
    """W&B's server does not write requests, so a key with an underscore is none of its own."""
    where = scene()
    message = decode(request(run_spec=put(whole(), (*place, name), 1)))
    assert isinstance(message, Request)
    assert where.deliver(message) == "launch.rejected"
    (launch,) = where.ledger.open.values()
    assert launch.reason.startswith(path_of(place))
    assert "is not known here" in launch.reason


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"idempotencyKey": "1"}, "request.idempotencyKey: is not known here. Did you mean idempotency_key?"),
        ({"resource_args": {}}, "request.resource_args: is not known here. resource_args belongs under run_spec."),
        ({"qeue": {}}, "request.qeue: is not known here. Did you mean queue?"),
        ({"priority": 1}, "request.priority: is not known here. Known: version, kind, source"),
        (
            {"queue": {"entity": "e", "name": "n", "Name": "m"}},
            "request.queue.Name: is not known here. Did you mean na",
        ),
    ],
)
def test_an_unknown_field_of_a_request_is_refused(changes: dict[str, Any], problem: str) -> None:
    """It becomes a dead letter, from which a newer version can replay it."""
    with pytest.raises(NotAMessage, match=re.escape(problem)):
        decode(request(**changes))


@pytest.mark.parametrize("name", ["builder", "resource_arg", "overrides"])
def test_a_key_beside_a_queues_resource_args_is_refused(name: str) -> None:
    """A request that names the queue would lose it."""
    where = scene()
    where.queues.configs = {
        QUEUE: QueueConfig("q1", "", "gcp-vertex", {"resource_args": run_spec()["resource_args"], name: {"a": 1}})
    }
    spec = {name: value for name, value in run_spec().items() if name not in ("resource", "resource_args")}
    message = decode(request(run_spec=spec, queue={"entity": QUEUE.entity, "name": QUEUE.name}))
    assert where.deliver(message) == "launch.rejected"
    (launch,) = where.ledger.open.values()
    assert launch.reason.startswith(f"queue.{name}: is not known here.")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"source"', '"source": "x", "source"', "source"),
        ('"replica_count"', '"replica_count": 2, "replica_count"', f"run_spec.{path_of(POOL)}.replica_count"),
    ],
)
def test_a_key_that_appears_twice_in_a_request_is_refused(old: str, new: str, place: str) -> None:
    """A parser of JSON keeps only the last value."""
    twice = request().decode().replace(old, new, 1).encode()
    with pytest.raises(NotAMessage, match=re.escape(f"{place}: appears twice in its object.")):
        decode(twice)
