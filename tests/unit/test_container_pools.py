"""Worker pools: what each container gets, in which order, and what is refused of it."""

from typing import Any

import pytest

from shared.core.errors import Reject
from shared.runspec.containers import replaced, worker_pools

IMAGE = "us-docker.pkg.dev/p/r/train:1"
AT = "spec.worker_pool_specs"
OURS = {"WANDB_NAME": "blue", "WANDB_API_KEY": "key", "WANDB_PROJECT": "cats"}


def pool(**container: Any) -> dict[str, Any]:
    """Return a pool whose container has these fields."""
    return {"machine_spec": {"machine_type": "n1-standard-4"}, "container_spec": {"image_uri": IMAGE, **container}}


def made(value: Any, **given: Any) -> list[dict[str, Any]]:
    """Return the pools of a launch."""
    whole: dict[str, Any] = {"entry_point": [], "args": [], "variables": OURS, "before": []}
    return worker_pools(value, AT, **{**whole, **given})


def refusal(value: Any, **given: Any) -> str:
    """Return the refusal of these pools."""
    with pytest.raises(Reject) as refused:
        made(value, **given)
    return str(refused.value)


def test_the_key_comes_last_and_the_users_variables_see_ours() -> None:
    """Vertex AI expands $(NAME) by earlier variables: none may contain the key."""
    env = [
        {"name": "WANDB_PROJECT", "value": "x"},
        {"name": "A", "value": "$(WANDB_API_KEY)"},
        {"name": "B", "value": 2},
    ]
    [read] = made([pool(env=env)])
    assert read["container_spec"]["env"] == [
        {"name": "WANDB_NAME", "value": "blue"},
        {"name": "WANDB_PROJECT", "value": "cats"},
        {"name": "A", "value": "$(WANDB_API_KEY)"},
        {"name": "B", "value": "2"},
        {"name": "WANDB_API_KEY", "value": "key"},
    ]


def test_the_users_own_key_is_replaced_by_ours_only_if_there_is_one() -> None:
    """Without one, the queue's own stays."""
    own = [pool(env=[{"name": "WANDB_API_KEY", "value": "own"}])]
    [ours], [theirs] = made(own), made(own, variables={"A": "1"})
    assert ours["container_spec"]["env"][-1] == {"name": "WANDB_API_KEY", "value": "key"}
    assert theirs["container_spec"]["env"] == [{"name": "A", "value": "1"}, {"name": "WANDB_API_KEY", "value": "own"}]


def test_a_pool_keeps_its_count_and_its_other_fields() -> None:
    """Only a missing count becomes one; the request's own pool is not changed."""
    asked = [
        pool(command=[1, True], args=["x"]),
        {**pool(), "replica_count": 0, "disk_spec": {}},
        {"replica_count": None},
    ]
    asked[2] |= pool()
    before = repr(asked)
    first, second, third = made(asked)
    assert (first["container_spec"]["command"], first["container_spec"]["args"]) == (["1", "true"], ["x"])
    assert (first["replica_count"], second["replica_count"], third["replica_count"]) == (1, 0, 1)
    assert second["disk_spec"] == {}
    assert repr(asked) == before


def test_the_bounds_are_vertex_ais() -> None:
    """Four pools, and a hundred variables with ours."""
    most = [{"name": f"V{number}", "value": ""} for number in range(97)]
    [first, *rest] = made([pool(env=most), {}, None, pool()])
    assert len(first["container_spec"]["env"]) == 100
    assert rest[:2] == [{}, {}]
    more = [*most, {"name": "MORE"}]
    assert refusal([pool(), pool(env=more)]) == (
        f"{AT}[1].container_spec.env: has 98 variables, 101 with those of W&B. "
        "Remove some: Vertex AI accepts 100 in a container."
    )
    assert refusal([pool()] * 5).startswith(f"{AT}: has 5 worker pools. Vertex AI has four roles.")


def test_what_precedes_a_command_precedes_each() -> None:
    """The entry point of the launch, or the container's own command."""
    before = ["python3", "-c", "read"]
    keyless = {"A": "1"}
    first, second = made([pool(command=["own"]), pool(command=["own"], args=["a"])], before=before, variables=keyless)
    assert [one["container_spec"]["command"] for one in (first, second)] == [[*before, "own"]] * 2
    [launched] = made([pool(command=["own"])], before=before, variables=keyless, entry_point=["x"], args=["b"])
    assert (launched["container_spec"]["command"], launched["container_spec"]["args"]) == ([*before, "x"], ["b"])
    assert refusal([pool(), pool()], before=before, variables=keyless).startswith(
        f"{AT}[0].container_spec.command: is mi"
    )
    assert refusal([pool(command=["x"])], before=before).startswith(f"{AT}[0].container_spec.env: has WANDB_API_KEY")


POOL_FIX = "Write a pool as {machine_spec: {…}, replica_count: 1, container_spec: {image_uri: ${image_uri}}}."
POOLS_FIX = f"Write worker_pool_specs as a list, one object for each pool. {POOL_FIX}"
NAMED = "Write a variable as {name: …, value: …}, the name with letters, digits and _."


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (
            "x",
            f"{AT}: should be a list, but is a text. {POOLS_FIX}",
        ),
        (
            pool(),
            f"{AT}: should be a list, but is an object. {POOLS_FIX}",
        ),
        (None, f"{AT}: is empty: Vertex AI needs at least one worker pool. {POOL_FIX}"),
        ([pool(), "x"], f"{AT}[1]: should be an object, but is a text. {POOL_FIX}"),
        ([pool(), {"container_spec": []}], f"{AT}[1].container_spec: should be an object, but is empty (a list)."),
        ([pool(), {"machine_spec": {}}], f"{AT}[1].container_spec: is missing. {POOL_FIX}"),
        ([{}], f"{AT}[0].container_spec: is missing. {POOL_FIX}"),
        (
            [pool(), {**pool(), "python_package_spec": {}}],
            f"{AT}[1].python_package_spec: cannot be launched: W&B Launch runs containers. Use container_spec.",
        ),
        (
            [pool(), {**pool(), "machine_spec": {"accelerator_type": "TPU_V6E"}}],
            f"{AT}[1].machine_spec.accelerator_type: is 'TPU_V6E', but this TPU is a machine type. Write machine_type: "
            "ct6e-standard-4t and tpu_topology, without an accelerator.",
        ),
        (
            [pool(image_uri=" ")],
            f"{AT}[0].container_spec.image_uri: is empty. Write ${{image_uri}} for the image of the launch.",
        ),
        (
            [pool(image_uri=5)],
            f"{AT}[0].container_spec.image_uri: should be a text, but is a number. Write it in quotes.",
        ),
        ([pool(command="a b")], f'{AT}[0].container_spec.command: should be a list, but is a text. Write ["a", "b"].'),
        ([pool(args=["a", []])], f"{AT}[0].container_spec.args[1]: should be a text, but is empty (a list)."),
        (
            [pool(env={"A": 1})],
            f'{AT}[0].container_spec.env: should be a list, but is an object. Write [{{name: A, value: "1"}}].',
        ),
        (
            [pool(env=[{"name": "A"}, "B=2"])],
            f'{AT}[0].container_spec.env[1]: should be an object, but is a text. Write {{name: B, value: "2"}}.',
        ),
        (
            [pool(env=[{"name": "A"}, {"value": 1}])],
            f"{AT}[0].container_spec.env[1].name: should be a text, but is null.",
        ),
        ([pool(env=[{"name": ""}])], f"{AT}[0].container_spec.env[0].name: is empty. {NAMED}"),
        (
            [pool(env=[{"name": "1A"}])],
            f"{AT}[0].container_spec.env[0].name: is '1A', which Vertex AI does not accept. {NAMED}",
        ),
        (
            [pool(env=[{"name": "a-b"}])],
            f"{AT}[0].container_spec.env[0].name: is 'a-b', which Vertex AI does not accept. {NAMED}",
        ),
        (
            [pool(env=[{"name": "A"}, {"name": "B", "value": {}}])],
            f"{AT}[0].container_spec.env[1].value: should be a text, but is empty (an object).",
        ),
        (
            [pool(env=[{"name": "A", "value": 1}, {"name": "A", "value": "2"}])],
            f"{AT}[0].container_spec.env[1].name: is 'A', which an earlier variable has with another value. "
            "Remove one of them.",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_refusal_names_the_pool_and_the_form(value: Any, wanted: str) -> None:
    """Each part by its path."""
    assert refusal(value) == wanted


def test_a_variable_may_be_written_twice_with_the_same_value() -> None:
    """It is sent once; a missing value is an empty one."""
    [read] = made(
        [pool(env=[{"name": "_a1", "value": ""}, {"name": "_a1"}, {"name": "Z", "value": None}])], variables={}
    )
    assert read["container_spec"]["env"] == [{"name": "_a1", "value": ""}, {"name": "Z", "value": ""}]


def test_each_replaced_variable_has_one_warning() -> None:
    """Of all pools, in order; the same value is no change, and a variable of the user's own stays."""
    first = pool(env=[{"name": "WANDB_PROJECT", "value": "x"}, {"name": "WANDB_NAME", "value": "blue"}, {"name": "A"}])
    second = pool(env=[{"name": "WANDB_PROJECT", "value": "y"}, {"name": "WANDB_API_KEY", "value": "z"}])
    assert replaced([first, {}, None, second], AT, OURS) == [
        "the variable WANDB_API_KEY is W&B's; its value was replaced",
        "the variable WANDB_PROJECT is W&B's; its value was replaced",
    ]
    assert replaced(None, AT, OURS) == []


@pytest.mark.parametrize(
    ("pools", "at"),
    [
        ("x", AT),
        ([{}, "x"], f"{AT}[1]"),
        ([{}, {"container_spec": "x"}], f"{AT}[1].container_spec"),
        ([{}, {"container_spec": {"env": "x"}}], f"{AT}[1].container_spec.env"),
        ([{}, {"container_spec": {"env": [{"name": "A"}, {"name": "-"}]}}], f"{AT}[1].container_spec.env[1].name"),
    ],
    ids=str,
)
def test_a_warning_is_not_guessed_from_a_wrong_pool(pools: Any, at: str) -> None:
    """It is refused by its path."""
    with pytest.raises(Reject) as refused:
        replaced(pools, AT, OURS)
    assert refused.value.field == at


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (
            f"r.azurecr.io/{'a' * 150}",
            f"is 'r.azurecr.io/{'a' * 150}', which is in a registry of Azure (ACR): Vertex AI cannot ",
        ),
        (f"{'a' * 150}/${{HOST}}", f"is '{'a' * 150}/${{HOST}}', in which ${{HOST}} is not a known macro."),
        (f"{'a' * 150}/B", f"is '{'a' * 150}/B', which "),
    ],
    ids=["registry", "macro", "form"],
)
def test_a_long_image_is_shown_whole(written: str, why: str) -> None:
    """Names of images are usually long."""
    assert refusal([pool(image_uri=written)]).startswith(f"{AT}[0].container_spec.image_uri: {why}")
