"""How rules of the policy read and compare values, and the paths at which they find them."""

from typing import Any

import pytest

from shared.config.policy import AdmissionPolicy
from shared.core.errors import Reject
from shared.core.launch import RunPath
from shared.core.ports import CustomJobCall
from shared.runspec import limits
from shared.runspec.policy import admit, example_image, example_run
from shared.runspec.walk import values

RUN = RunPath("team", "Cats", "r1")
POOL = "spec.worker_pool_specs[0]"


def read(reader: Any, value: object) -> object:
    """Return what a reader makes of a value, or its refusal."""
    try:
        return reader(value, "at")
    except Reject as exc:
        return str(exc)


@pytest.mark.parametrize(
    ("reader", "value", "wanted"),
    [
        (limits.optional, None, None),
        (limits.optional, "", None),
        (limits.optional, "x", "x"),
        (limits.optional, 5, "at: should be a text, but is a number. Write it in quotes."),
        (limits.required, None, ""),
        (limits.required, "x", "x"),
        (limits.accelerator, "ACCELERATOR_TYPE_UNSPECIFIED", None),
        (limits.accelerator, "", None),
        (limits.accelerator, "NVIDIA_L4", "NVIDIA_L4"),
        (limits.joined("a", "b"), {"a": "1", "b": "2", "c": "3"}, "1:2"),
        (limits.joined("a", "b"), {"b": "2"}, ":2"),
        (limits.joined("a", "b"), None, ":"),
        (limits.joined("a", "b"), {"b": 2}, "at.b: should be a text, but is a number. Write it in quotes."),
        (limits.joined("a"), "x", "at: should be an object, but is a text."),
        (limits.gigabytes, None, 100),
        (limits.gigabytes, 0, 100),
        (limits.gigabytes, "200", 200),
        (limits.gigabytes, "x", "at: should be a number, but is 'x'. Write a number."),
        (limits.flag, None, None),
        (limits.flag, False, False),
        (limits.flag, True, True),
        (limits.flag, 0, True),
        (limits.replicas, None, 1),
        (limits.replicas, "", 1),
        (limits.replicas, 0, 1),
        (limits.replicas, "3", 3),
        (limits.replicas, -1, "at: should be a whole number, but is a number."),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)[:40]),
)
def test_a_rule_reads_a_value(reader: Any, value: object, wanted: object) -> None:
    """A missing one means what Vertex AI makes of it."""
    made = read(reader, value)
    assert (made, type(made)) == (wanted, type(wanted))


@pytest.mark.parametrize(
    ("compare", "value", "limit", "allowed"),
    [
        (limits.is_listed, "a", ("b", "a"), True),
        (limits.is_listed, "a", ("ab",), False),
        (limits.begins_with, "gcr.io/p/train:1", ("x.io", "gcr.io/p"), True),
        (limits.begins_with, "gcr.io/project/train", ("gcr.io/p",), False),
        (limits.begins_with, "not an image", ("gcr.io",), False),
        (limits.matches, "TRAIN_LR", ("X", "TRAIN_*"), True),
        (limits.matches, "train_lr", ("TRAIN_*",), False),
        (limits.matches, "XTRAIN_LR", ("TRAIN_*",), False),
        (limits.is_inside, "gs://b", ("gs://b",), True),
        (limits.is_inside, "gs://b", ("gs://b/",), True),
        (limits.is_inside, "gs://b/a/x", ("gs://c", "gs://b/a//"), True),
        (limits.is_inside, "gs://b/ab", ("gs://b/a",), False),
        (limits.is_inside, "gs://bX", ("gs://b",), False),
        (limits.is_inside, "gs://b/a/../c", ("gs://b",), False),
        (limits.is_inside, "gs://b/..c", ("gs://b",), True),
        (limits.is_of_project, "an-id", (), True),
        (limits.is_of_project, "projects/p/global/networks/n", ("q", "p"), True),
        (limits.is_of_project, "p/us-central1-a/volume", ("p",), True),
        (limits.is_of_project, "projects/q/global/networks/n", ("p",), False),
        (limits.is_of_project, "projects/p/projects/q", ("p",), False),
        (limits.is_of_project, "projects/p/./x", ("p",), False),
        (limits.is_of_project, "projects/p/../q", ("p",), False),
        (limits.is_of_project, "projects/p/x y", ("p",), False),
        (limits.is_of_project, "projects/p/", ("p",), False),
        (limits.is_of_project, "https://x/projects/p/y", ("p", "https:"), False),
        (limits.is_at_most, 3, 3, True),
        (limits.is_at_most, 4, 3, False),
        (limits.may_be_on, True, False, False),
        (limits.may_be_on, False, False, True),
        (limits.may_be_on, True, True, True),
    ],
)
def test_a_value_is_within_its_limit(compare: Any, value: Any, limit: Any, allowed: bool) -> None:
    """At the bound, and just beyond it."""
    assert compare(value, limit) is allowed


DOCUMENT: dict[str, Any] = {
    "spec": {"worker_pool_specs": [{"env": [{"n": "a"}, {}]}, {}, {"x": 1}]},
    "mounts": [{}, {"n": 1}],
    "none": None,
}


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (
            "spec.worker_pool_specs[].env[].n",
            [("spec.worker_pool_specs[0].env[0].n", "a"), ("spec.worker_pool_specs[0].env[1].n", None)],
        ),
        ("spec.worker_pool_specs[].x", [("spec.worker_pool_specs[0].x", None), ("spec.worker_pool_specs[2].x", 1)]),
        (
            "spec.worker_pool_specs[]",
            [
                ("spec.worker_pool_specs[0]", {"env": [{"n": "a"}, {}]}),
                ("spec.worker_pool_specs[1]", {}),
                ("spec.worker_pool_specs[2]", {"x": 1}),
            ],
        ),
        ("mounts[].n", [("mounts[0].n", None), ("mounts[1].n", 1)]),
        ("none.x", [("none.x", None)]),
        ("missing[].x", []),
    ],
)
def test_values_are_found_with_their_paths(field: str, found: list[tuple[str, object]]) -> None:
    """An empty pool has none; an empty element of another list has."""
    assert list(values(DOCUMENT, field)) == found


def test_a_value_of_another_type_on_the_way_is_refused_by_its_path() -> None:
    """A list, an object and each part by its own."""
    for field, why in (("spec[].x", "spec: should be a list"), ("mounts.n", "mounts: should be an object")):
        with pytest.raises(Reject, match=f"^{why}"):
            list(values(DOCUMENT, field))


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({"max_replicas": 4}, ""),
        (
            {"max_replicas": 3},
            "spec.worker_pool_specs: asks for 4 replicas in all, which the rule policy.max_replicas does "
            "not allow. Allowed: at most 3. To change policy.max_replicas, ask the operator of this "
            "deployment.",
        ),
        (
            {"enable_web_access": False},
            "run.enable_web_access: is true, which the rule policy.enable_web_access does not "
            "allow. Allowed: false. To change policy.enable_web_access, ask the operator of "
            "this deployment.",
        ),
        (
            {"environment_variables": ("LR", "BATCH*")},
            f"{POOL}.container_spec.env[1].name: is 'SEED', which the rule "
            "policy.environment_variables does not allow. Allowed: names that match LR, BATCH*. To change "
            "policy.environment_variables, ask the operator of this deployment.",
        ),
        (
            {"environment_variables": ()},
            f"{POOL}.container_spec.env[1].name: is 'SEED', which the rule "
            "policy.environment_variables does not allow. Allowed: none. To change "
            "policy.environment_variables, ask the "
            "operator of this deployment.",
        ),
        ({"wandb_projects": ("team/cats",)}, ""),
        (
            {"wandb_projects": ("team/dogs",)},
            "project: is 'team/cats', which the rule policy.wandb_projects does not allow. "
            "Allowed: team/dogs. To change policy.wandb_projects, ask the operator of this deployment.",
        ),
        ({"wandb_entities": ("x",)}, "entity: is 'team', which"),
        ({"service_accounts": ("x",)}, f"run.service_account: is '{'a' * 150}', which"),
        ({"regions": ("europe-west4",)}, "spec.location: is 'us-central1', which"),
        ({"projects": ("q",)}, "spec.project: is 'p', which"),
        ({"machine_types": ("n1-standard-4",)}, "spec.worker_pool_specs[2].machine_spec.machine_type: is '', which"),
        ({"max_boot_disk_gb": 99}, f"{POOL}.disk_spec.boot_disk_size_gb: is 100, which"),
    ],
    ids=str,
)
def test_a_whole_launch_is_compared(policy: dict[str, Any], why: str) -> None:
    """Our own variables need no rule; a pool that is skipped asks for nothing."""
    env = [{"name": "WANDB_NAME", "value": "x"}, {"name": "SEED", "value": "1"}]
    first = {"machine_spec": {"machine_type": "n1-standard-4"}, "container_spec": {"env": env}, "replica_count": 1}
    call = CustomJobCall(
        "p",
        "us-central1",
        {"worker_pool_specs": [first, {}, {"replica_count": 3}]},
        {"enable_web_access": True, "service_account": "a" * 150},
        own_variables=frozenset({"WANDB_NAME"}),
    )
    refused = ""
    try:
        admit(call, RUN, AdmissionPolicy.model_construct(**policy))
    except Reject as exc:
        refused = str(exc)
    assert refused.startswith(why)
    assert bool(refused) == bool(why)


@pytest.mark.parametrize(
    ("images", "example"),
    [
        (None, "gcr.io/p/i"),
        (("x.io/a/", "y.io"), "x.io/a/i"),
        (("x.io/a:1",), "x.io/a:1"),
        (("x.io/a@sha256:" + "0" * 64,), "x.io/a@sha256:" + "0" * 64),
    ],
)
def test_an_allowed_image_stands_for_any(images: tuple[str, ...] | None, example: str) -> None:
    """In the first place that the policy allows."""
    assert example_image(AdmissionPolicy.model_construct(images=images), "gcr.io/p/i") == example


@pytest.mark.parametrize(
    ("policy", "run"),
    [
        ({}, ("me", "uncategorized")),
        ({"wandb_entities": ("a", "me")}, ("me", "uncategorized")),
        ({"wandb_entities": ("a", "b")}, ("a", "uncategorized")),
        ({"wandb_projects": ("x/p1", "me/p2", "me/p3")}, ("me", "p2")),
        ({"wandb_projects": ("x/p1", "y/p2")}, ("x", "p1")),
    ],
)
def test_an_allowed_run_stands_for_any(policy: dict[str, Any], run: tuple[str, str]) -> None:
    """Of the wanted entity, if the policy allows one."""
    made = example_run(AdmissionPolicy.model_construct(**policy), "me")
    assert (made["entity"], made["project"]) == run
