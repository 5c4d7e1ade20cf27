"""Unknown keys of a small tree: the whole refusal of each kind of mistake."""

from typing import Any

import pytest

from shared.core.errors import Reject
from shared.core.shape import Shape
from shared.runspec.keys import check, check_keys, step
from shared.runspec.model import EXAMPLE
from tests.unit.specs import NAMES, draft_of, run_spec


def of(**fields: Shape) -> Shape:
    """Return an object with these fields."""
    return Shape("message", fields=fields)


ANY = Shape()
MOUNTS = Shape("message", repeated=True, fields={"server": ANY, "mount_point": ANY})
POOL = Shape("message", repeated=True, fields={"machine_type": ANY, "mounts": MOUNTS, "disable_cache": ANY})
VERTEX = of(
    spec=of(pools=POOL, labels=ANY, service_account=ANY, credentials=ANY, display_name=ANY),
    run=of(network=ANY, service_account=ANY, tensorboard_id=ANY),
)
TREE = of(name=ANY, docker=of(docker_image=ANY), resource_args=of(vertex=VERTEX, **{"gcp-vertex": VERTEX}))


def whole(vertex: dict[str, Any], resource: str = "gcp-vertex") -> dict[str, Any]:
    """Return a value with this part for Vertex AI."""
    return {"resource_args": {resource: vertex}}


def refusal(value: object, root: str = "") -> str:
    """Return the refusal of a value; empty without one."""
    try:
        check(value, TREE, root)
    except Reject as exc:
        return str(exc)
    return ""


AT = "resource_args.gcp-vertex"
TEXT = "is not known here; its value is a text."


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (whole({"spec": {"pools": [{"machine_type": "x", "mounts": [{"server": 1}]}], "labels": {"any": 1}}}), ""),
        ({"docker": "x", "resource_args": [1]}, ""),
        (whole({"spec": {"pools": {"odd": 1}}}), ""),
        ({"odd": "", "docker": {"odd": None}, "resource_args": {"odd": {}}}, ""),
        ("x", ""),
        # an object or a list shows no type, for it is no secret's
        ({"odd": {"a": 1}}, "odd: is not known here. Known: docker, name, resource_args."),
        ({"odd": [1]}, "odd: is not known here. Known: docker, name, resource_args."),
        ({"odd": 0}, "odd: is not known here; its value is a number. Known: docker, name, resource_args."),
        (whole({"odd": None}), f"{AT}.odd: is not known here; its value is null. Known: run, spec."),
        # another spelling of a key that belongs here, and a word of it
        ({"Name": "x"}, f"Name: {TEXT} Did you mean name?"),
        ({"docker": {"image": "x"}}, f"docker.image: {TEXT} Did you mean docker_image?"),
        (whole({"run": {"tensorboard": "x"}}), f"{AT}.run.tensorboard: {TEXT} Did you mean tensorboard_id?"),
        (
            whole({"spec": {"pools": [{}, {"cache": "x"}]}}),
            f"{AT}.spec.pools[1].cache: {TEXT} Known: disable_cache, machine_type, mounts.",
        ),
        # a key of another program
        (
            whole({"run": {"use_spot": "x"}}),
            f"{AT}.run.use_spot: {TEXT} Write scheduling_strategy under run, such as scheduling_strategy: SPOT.",
        ),
        # at another place, in another spelling
        (whole({"network": "x"}), f"{AT}.network: {TEXT} network belongs under run."),
        ({"network": "x"}, f"network: {TEXT} network belongs under resource_args.gcp-vertex.run."),
        (
            whole({"machineType": "x"}, "vertex"),
            f"resource_args.vertex.machineType: {TEXT} machineType belongs under "
            "spec.pools[] and is written machine_type.",
        ),
        (
            whole({"spec": {"mount_point": "x"}}),
            f"{AT}.spec.mount_point: {TEXT} mount_point belongs under spec.pools[].mounts[].",
        ),
        (
            whole({"service-account": "x"}),
            f"{AT}.service-account: {TEXT} service-account belongs under run and is written service_account.",
        ),
        (whole({"docker": "x"}), f"{AT}.docker: {TEXT} docker belongs at the top of the run spec."),
        ({"spec": "x"}, f"spec: {TEXT} spec belongs under resource_args.gcp-vertex."),
        (
            {"resource_args": {"docker_image": "x"}},
            f"resource_args.docker_image: {TEXT} docker_image belongs under docker.",
        ),
        # near a key here, or near one at another place
        (whole({"run": {"netwrk": "x"}}), f"{AT}.run.netwrk: {TEXT} Did you mean network?"),
        (whole({"netwrk": "x"}), f"{AT}.netwrk: {TEXT} Did you mean network? It belongs under run."),
        (whole({"disply_nam": "x"}), f"{AT}.disply_nam: {TEXT} Did you mean display_name? It belongs under spec."),
        (
            whole({"spec": {"credential": "x"}}),
            f"{AT}.spec.credential: {TEXT} Known: display_name, labels, pools, service_account.",
        ),
        # odd names
        (whole({"": "x"}), f"{AT}.'': {TEXT} Known: run, spec."),
        (whole({"a b": "x"}), f"{AT}.'a b': {TEXT} Known: run, spec."),
        (whole({5: "x"}), f"{AT}.'5': {TEXT} Known: run, spec."),  # type: ignore[dict-item]
        (whole({"q" * 200: "x"}), f"{AT}.{'q' * 40}…{'q' * 40}: {TEXT} Known: run, spec."),
    ],
    ids=lambda value: str(value)[:60],
)
def test_an_unknown_key_is_refused_with_its_place(value: object, why: str) -> None:
    """An empty one is nothing to lose where clients write fields."""
    assert refusal(value) == why


def test_the_path_begins_with_the_name_of_the_value() -> None:
    """As for the configuration of a queue."""
    assert refusal({"odd": 1}, "queue").startswith("queue.odd: is not known here;")
    assert (step("", "a-b"), step("a", "b c"), step("", "x" * 81)) == ("a-b", "a.'b c'", f"{'x' * 40}…{'x' * 40}")


@pytest.mark.parametrize("name", ["kubernetes", "local-container", "local-process", "sagemaker"])
@pytest.mark.parametrize("resource", ["", "r" * 41])
def test_the_configuration_of_another_queue_is_refused(name: str, resource: str) -> None:
    """With the type of the item's queue; an empty one is left by W&B."""
    spec = run_spec(resource=resource)
    spec["resource_args"][name] = {}
    check_keys(draft_of(spec), NAMES)
    spec["resource_args"][name] = {"a": 1}
    kind = f"; the item's resource is '{'r' * 20}…{'r' * 20}'" if resource else ""
    with pytest.raises(Reject) as refused:
        check_keys(draft_of(spec), NAMES)
    assert str(refused.value) == f"resource_args.{name}: configures a queue that is not for Vertex AI{kind}. {EXAMPLE}"


@pytest.mark.parametrize("key", ["_wandb_own", "queue", "priority", "run_queue_project"])
def test_an_item_has_fields_of_wandb_and_its_client(key: str) -> None:
    """At the top only."""
    check_keys(draft_of(run_spec(**{key: "x"})), NAMES)
    spec = run_spec()
    spec["resource_args"]["gcp-vertex"][key] = "x"
    with pytest.raises(Reject) as refused:
        check_keys(draft_of(spec), NAMES)
    assert refused.value.field == f"{AT}.{key}"
