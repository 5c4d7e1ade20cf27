"""The admission policy: each rule allows its values, refuses others by name, and an absent rule allows all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.config.policy import AdmissionPolicy
from shared.core.errors import Reject
from shared.core.launch import RunPath
from shared.core.ports import CustomJobCall
from shared.runspec.policy import admit, example_image, example_run

DIGEST = "sha256:" + "0" * 64
RUN = RunPath("team", "cats", "r")
IMAGE = "us-docker.pkg.dev/p/team/train:1"


def pool(
    machine: Any = "n1-standard-4", accelerator: Any = None, image: Any = IMAGE, env: Any = (), **more: Any
) -> dict[str, Any]:
    """Return a worker pool as it is rendered."""
    machine_spec = {"machine_type": machine, "accelerator_type": accelerator}
    container = {"image_uri": image, "env": [{"name": name, "value": "x"} for name in env]}
    given = {name: value for name, value in machine_spec.items() if value is not None}
    return {"machine_spec": given, "container_spec": container, **more}


def call(*pools: Any, project: str = "p", location: str = "us-central1", **submit: Any) -> CustomJobCall:
    """Return a rendered call with these pools."""
    constructor = {"worker_pool_specs": list(pools or [pool()]), **submit.pop("spec", {})}
    return CustomJobCall(project, location, constructor, submit, own_variables=frozenset({"WANDB_ENTITY"}))


ALLOWED: list[tuple[dict[str, Any], CustomJobCall]] = [
    ({}, call(pool("a3-megagpu-8g", "NVIDIA_H100_MEGA_80GB", "evil/x", replica_count=999), service_account="a@b")),
    ({"service_accounts": ["a@b.c"]}, call(service_account="a@b.c")),
    ({"service_accounts": ["a@b.c"]}, call()),
    ({"service_accounts": []}, call()),
    ({"service_accounts": []}, call(service_account="")),
    ({"images": ["us-docker.pkg.dev/p"]}, call()),
    ({"images": ["us-docker.pkg.dev/p/team/"]}, call()),
    ({"images": ["us-docker.pkg.dev/p/team/train"]}, call()),
    ({"images": ["us-docker.pkg.dev/p/team/train:1"]}, call()),
    ({"images": ["gcr.io/x", "us-docker.pkg.dev/p/team"]}, call(pool(), pool(image=f"gcr.io/x@{DIGEST}"))),
    ({"images": ["docker.io/library"]}, call(pool(image="python:3.11"))),
    ({"images": ["docker.io/team"]}, call(pool(image="team/train"))),
    ({"images": ["localhost:5000"]}, call(pool(image="localhost:5000/x"))),
    ({"machine_types": ["n1-standard-4"]}, call(pool(), pool())),
    ({"machine_types": ["n1-standard-4"]}, call(pool(), {}, pool())),
    ({"accelerator_types": ["NVIDIA_L4"]}, call(pool(accelerator="NVIDIA_L4"), pool())),
    ({"accelerator_types": []}, call(pool(accelerator="ACCELERATOR_TYPE_UNSPECIFIED"), pool(accelerator=""))),
    ({"max_replicas": 3}, call(pool(replica_count=1), {}, pool(replica_count="2"))),
    ({"max_replicas": 1}, call(pool())),
    ({"max_replicas": 1}, call(pool(replica_count=None))),
    ({"images": ["gcr.io/p/x:1"]}, call(pool(image="gcr.io/p/x:1"))),
    ({"images": [f"gcr.io/p/x@{DIGEST}"]}, call(pool(image=f"gcr.io/p/x:1@{DIGEST}"))),
    ({"tpu_topologies": []}, call(pool(), {}, None)),
    ({"max_boot_disk_gb": 100}, call(pool(), pool(disk_spec={"boot_disk_size_gb": 0}))),
    ({"boot_disk_types": []}, call(pool(disk_spec={"boot_disk_size_gb": 200}))),
    ({"nfs_mounts": ["10.0.0.2:/a"]}, call(pool(nfs_mounts=[{"server": "10.0.0.2", "path": "/a"}]))),
    ({"environment_variables": ["TRAIN_*", "N?"]}, call(pool(env=["TRAIN_LR", "TRAIN_", "NX", "WANDB_ENTITY"]))),
    ({"environment_variables": []}, call(pool(env=["WANDB_ENTITY"]))),
    (
        {"buckets": ["gs://aa/b/", "gs://cc"]},
        call(spec={"staging_bucket": "gs://cc", "base_output_dir": "gs://aa/b/x"}),
    ),
    ({"enable_web_access": False}, call(enable_web_access=False)),
    ({"enable_web_access": True}, call(enable_web_access=True)),
    ({"projects": ["p", "1"]}, call(network="projects/1/global/networks/n", spec={"persistent_resource_id": "pr"})),
    ({"projects": ["p"]}, call(pool(lustre_mounts=[{"volume_handle": "p/us-central1-a/i"}]))),
    ({"projects": ["p"]}, call(experiment="cats", psc_interface_config={"network_attachment": "na"})),
    ({"wandb_entities": ["team"], "wandb_projects": ["team/Cats"]}, call()),
    ({"projects": ["p"], "regions": ["us-central1"]}, call()),
    ({"projects": ["example.com:p"]}, call(project="example.com:p")),
]


@pytest.mark.parametrize(("policy", "asked"), ALLOWED, ids=range(len(ALLOWED)))
def test_an_allowed_launch_is_unchanged(policy: dict[str, Any], asked: CustomJobCall) -> None:
    """A rule lists it, or there is no rule."""
    admit(asked, RUN, AdmissionPolicy(**policy))


IMAGES = {"images": ["us-docker.pkg.dev/p/team", "gcr.io/x/"]}
POOL_1 = "spec.worker_pool_specs[1]"
REFUSED: list[tuple[dict[str, Any], CustomJobCall, str, str, str]] = [
    ({"service_accounts": ["a@b.c", "d@e.f"]}, call(service_account="x@b.c"), "run.service_account",
     "is 'x@b.c'", "a@b.c, d@e.f"),
    ({"service_accounts": []}, call(service_account="x@b.c"), "run.service_account", "is 'x@b.c'", "none"),
    (IMAGES, call(pool(), pool(image="evil/x:1")), f"{POOL_1}.container_spec.image_uri", "is 'evil/x:1'",
     "us-docker.pkg.dev/p/team, gcr.io/x/"),
    (IMAGES, call(pool(), pool(image="us-docker.pkg.dev/p/team-b/train")), f"{POOL_1}.container_spec.image_uri",
     "team-b", "begin with"),
    (IMAGES, call(pool(), pool(image="gcr.io/xy")), f"{POOL_1}.container_spec.image_uri", "gcr.io/xy", "begin with"),
    (IMAGES, call(pool(), pool(image="gcr.io/x/../y/z")), f"{POOL_1}.container_spec.image_uri", "/../", "begin with"),
    (IMAGES, call(pool(), pool(image="")), f"{POOL_1}.container_spec.image_uri", "is ''", "begin with"),
    ({"machine_types": ["n1-standard-4"]}, call(pool(), pool("a2-highgpu-8g")),
     f"{POOL_1}.machine_spec.machine_type", "is 'a2-highgpu-8g'", "n1-standard-4"),
    ({"accelerator_types": ["NVIDIA_L4"]}, call(pool(), pool(accelerator="NVIDIA_A100_80GB")),
     f"{POOL_1}.machine_spec.accelerator_type", "is 'NVIDIA_A100_80GB'", "NVIDIA_L4"),
    ({"accelerator_types": []}, call(pool(), pool(accelerator="NVIDIA_L4")),
     f"{POOL_1}.machine_spec.accelerator_type", "is 'NVIDIA_L4'", "none"),
    ({"max_replicas": 3}, call(pool(), {}, pool(replica_count="3")), "spec.worker_pool_specs",
     "asks for 4 replicas in all", "at most 3"),
    ({"projects": ["p", "q"]}, call(project="other"), "spec.project", "is 'other'", "p, q"),
    ({"projects": ["p"]}, call(network="projects/q/global/networks/n"), "run.network", "projects/q/", "of p"),
    ({"machine_types": ["n1-standard-4"]}, call(pool(), pool(None)), f"{POOL_1}.machine_spec.machine_type",
     "is ''", "n1"),
    ({"tpu_topologies": []}, call(pool(), {"machine_spec": {"tpu_topology": "2x2"}}),
     f"{POOL_1}.machine_spec.tpu_topology", "is '2x2'", "none"),
    ({"max_replicas": 2}, call(pool(replica_count=0), pool(replica_count=2)), "spec.worker_pool_specs",
     "asks for 3 replicas in all", "at most 2"),
    ({"max_boot_disk_gb": 100}, call(pool(), pool(disk_spec={"boot_disk_size_gb": "101"})),
     f"{POOL_1}.disk_spec.boot_disk_size_gb", "is 101", "at most 100"),
    ({"nfs_mounts": []}, call(pool(), pool(nfs_mounts=[{"server": "s", "path": "/p"}])), f"{POOL_1}.nfs_mounts[0]",
     "is 's:/p'", "none"),
    ({"environment_variables": ["TRAIN_*"]}, call(pool(), pool(env=["TRAIN_X", "LD_PRELOAD"])),
     f"{POOL_1}.container_spec.env[1].name", "is 'LD_PRELOAD'", "names that match TRAIN_*"),
    ({"buckets": ["gs://aa"]}, call(spec={"staging_bucket": "gs://aa-b"}), "spec.staging_bucket",
     "is 'gs://aa-b'", "gs://aa"),
    ({"enable_web_access": False}, call(enable_web_access=True), "run.enable_web_access", "is true", "false"),
    ({"wandb_entities": ["other"]}, call(), "entity", "is 'team'", "other"),
    ({"wandb_projects": ["team/dogs"]}, call(), "project", "is 'team/cats'", "team/dogs"),
    ({"regions": ["us-central1"]}, call(location="europe-west4"), "spec.location", "is 'europe-west4'", "us-central1"),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "asked", "field", "value", "allows"), REFUSED, ids=range(len(REFUSED)))
def test_a_refusal_names_the_rule_the_field_the_value_and_what_is_allowed(
    policy: dict[str, Any], asked: CustomJobCall, field: str, value: str, allows: str
) -> None:
    """The author can fix the item without asking anybody."""
    with pytest.raises(Reject) as refused:
        admit(asked, RUN, AdmissionPolicy(**policy))
    assert refused.value.field == field
    message = str(refused.value)
    assert value in message
    assert f"which the rule policy.{next(iter(policy))} does not allow" in message
    assert allows in message.partition("Allowed: ")[2]


@pytest.mark.parametrize(
    ("policy", "asked", "field"),
    [
        ({"max_replicas": 9}, call(pool(replica_count="many")), "spec.worker_pool_specs[0].replica_count"),
        ({"max_replicas": 9}, call(pool(replica_count=-8)), "spec.worker_pool_specs[0].replica_count"),
        ({"max_replicas": 9}, call(pool(replica_count=True)), "spec.worker_pool_specs[0].replica_count"),
        ({"machine_types": ["x"]}, call(pool(["x"])), "spec.worker_pool_specs[0].machine_spec.machine_type"),
        ({"accelerator_types": []}, call(pool(accelerator=8)), "spec.worker_pool_specs[0].machine_spec.accelerator_t"),
    ],
)
def test_a_value_of_another_type_is_refused(policy: dict[str, Any], asked: CustomJobCall, field: str) -> None:
    """A limit is never passed by a value of another type."""
    with pytest.raises(Reject) as refused:
        admit(asked, RUN, AdmissionPolicy(**policy))
    assert refused.value.field.startswith(field)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        *(({name: None}, "Input should be the allowed values") for name in AdmissionPolicy.model_fields),
        *(
            ({name: []}, "at least 1")
            for name in (
                "images",
                "machine_types",
                "projects",
                "regions",
                "buckets",
                "wandb_entities",
                "wandb_projects",
            )
        ),
        ({"images": ["python"]}, "write the registry first"),
        ({"images": ["team/train"]}, "write the registry first"),
        ({"images": "gcr.io/p"}, "valid tuple"),
        ({"service_accounts": ["trainer"]}, "match pattern"),
        ({"machine_types": [""]}, "match pattern"),
        ({"max_replicas": 0}, "greater than or equal to 1"),
        ({"max_boot_disk_gb": 99}, "greater than or equal to 100"),
        ({"buckets": ["team"]}, "match pattern"),
        ({"nfs_mounts": ["10.0.0.2"]}, "match pattern"),
        ({"nfs_mounts": ["10.0.0.2:/a:/b"]}, "match pattern"),
        ({"lustre_mounts": ["10.0.0.2:scratch"]}, "match pattern"),
        ({"environment_variables": ["A=B"]}, "match pattern"),
        ({"wandb_projects": ["cats"]}, "match pattern"),
        ({"images": ["gcr.io/P"]}, "not the name of an image"),
        ({"projects": [123]}, "valid string"),
        ({"replicas": 1}, "Extra inputs"),
    ],
)
def test_a_limit_that_limits_nothing_or_all_is_no_setting(written: dict[str, Any], message: str) -> None:
    """A slip in a limit must not go unseen: a key without a value, an empty list, a misspelt name."""
    with pytest.raises(ValidationError, match=message):
        AdmissionPolicy(**written)


@pytest.mark.parametrize("prefix", [None, "gcr.io/p", "gcr.io/p/", "gcr.io/p/train", "gcr.io/p/train:1"])
def test_the_image_that_stands_for_any_is_allowed(prefix: str | None) -> None:
    """A queue's configuration is checked before it has an item."""
    policy = AdmissionPolicy(images=(prefix,)) if prefix else AdmissionPolicy()
    admit(call(pool(image=example_image(policy, "region-docker.pkg.dev/project/image:tag"))), RUN, policy)


@pytest.mark.parametrize(
    ("policy", "entity", "project"),
    [
        ({}, "team", "uncategorized"),
        ({"wandb_entities": ["other", "team"]}, "team", "uncategorized"),
        ({"wandb_entities": ["other"]}, "other", "uncategorized"),
        ({"wandb_projects": ["other/dogs", "team/cats"]}, "team", "cats"),
        ({"wandb_projects": ["other/dogs"]}, "other", "dogs"),
    ],
)
def test_the_run_that_stands_for_any_is_allowed(policy: dict[str, Any], entity: str, project: str) -> None:
    """If possible it is the queue's entity."""
    assert example_run(AdmissionPolicy(**policy), "team") == {"entity": entity, "project": project}


@given(
    st.lists(st.sampled_from([{}, pool(), pool("m2", "T4", "x"), pool(replica_count=4)]), min_size=1, max_size=4),
    st.sampled_from(["p", "q"]),
    st.sampled_from([{}, {"service_account": "a@b"}]),
)
def test_one_rule_more_never_allows_more(pools: list[Any], project: str, submit: dict[str, str]) -> None:
    """Whatever a policy of all rules lets through, each rule by itself lets through, and the other way round."""
    rules: dict[str, Any] = {
        "service_accounts": (),
        "images": ("us-docker.pkg.dev/p",),
        "machine_types": ("n1-standard-4",),
        "accelerator_types": (),
        "max_replicas": 6,
        "projects": ("p",),
    }
    asked = call(*pools, project=project, **submit)
    each = [passes(asked, AdmissionPolicy(**{name: value})) for name, value in rules.items()]
    assert passes(asked, AdmissionPolicy(**rules)) == all(each)


def passes(asked: CustomJobCall, policy: AdmissionPolicy) -> bool:
    """Tell whether a policy allows a call."""
    try:
        admit(asked, RUN, policy)
    except Reject:
        return False
    return True
