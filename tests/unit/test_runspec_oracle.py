"""The installed wandb as the judge: its LaunchProject's environment and macros, and ours."""

import json
import re
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from wandb.sdk.launch._project_spec import LaunchProject
from wandb.sdk.launch.utils import MAX_ENV_LENGTHS, recursive_macro_sub

from shared.core.errors import Reject
from shared.core.launch import State
from shared.runspec.environment import launch_variables
from shared.runspec.macros import substitute
from shared.runspec.model import RunSpec
from tests.unit.specs import SITE, launch_of, rendered, run_spec

DELIBERATE = {  # what we do otherwise, and why: see shared/runspec/environment.py
    "WANDB_RESUME": "Vertex AI itself restarts workers with the same run id, so a second init must always be let in",
    "JSON": "written without $, which Vertex AI may expand, and without apostrophes",
    "WANDB_PROJECT": "as written for a sweep: its scheduler looks the project up by that name; theirs is in lower case",
    "WANDB_RUN_ID": "derived from the launch where the spec leaves it open; theirs is drawn at random",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TEXT = st.text(min_size=1, max_size=20)
OBJECT = st.dictionaries(st.text(max_size=8), JSON, max_size=4)


def theirs(spec: dict[str, Any]) -> dict[str, str]:
    """Return what the installed wandb would put into the container's environment."""
    launch = launch_of(spec)
    api: Any = SimpleNamespace(settings={"base_url": SITE.base_url}, api_key=SITE.api_key)
    project = LaunchProject.from_spec(spec, api)
    project.queue_name, project.queue_entity = launch.entry.queue_name, launch.entry.queue_entity
    project.run_queue_item_id = launch.entry.item_id
    return project.get_env_vars_dict(api, MAX_ENV_LENGTHS["VertexRunner"])


def ours(spec: dict[str, Any]) -> dict[str, str]:
    """Return what we put there."""
    asked = RunSpec.parse(spec)
    return launch_variables(asked, launch_of(spec).entry, SITE.base_url, SITE.api_key, asked.image)


def assert_equal_but_for_the_deliberate(spec: dict[str, Any]) -> None:
    """Compare, and check what is left out of the comparison for itself."""
    mine, oracle = ours(spec), theirs(spec)
    assert mine.pop("WANDB_RESUME") == "allow"
    assert oracle.pop("WANDB_RESUME", "allow") == "allow"
    run_id = mine.pop("WANDB_RUN_ID")
    assert run_id == (spec.get("run_id") or launch_of(spec).key[1:13])
    assert oracle.pop("WANDB_RUN_ID") == run_id or not spec.get("run_id")
    if spec.get("sweep_id"):
        assert (mine.pop("WANDB_PROJECT"), oracle.pop("WANDB_PROJECT")) == (spec["project"], spec["project"].lower())
    assert as_values(mine) == as_values(oracle)


def as_values(variables: dict[str, str]) -> dict[str, Any]:
    """Join and parse the variables that contain JSON: ours write `$` and `'` as escapes."""
    values: dict[str, Any] = dict(variables)
    for name in ("WANDB_CONFIG", "WANDB_LAUNCH_FILE_OVERRIDES", "WANDB_ARTIFACTS"):
        parts = [part for part in variables if re.fullmatch(rf"{name}(_\d+)?", part)]
        assert parts in ([name], [f"{name}_{number}" for number in range(len(parts))])
        values[name] = json.loads("".join(values.pop(part) for part in parts))
    return values


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "blue", "author": "ann", "run_id": "r1"},
        {"author": "ann", "_wandb_api_key": "own" * 20},
        {"sweep_id": "sw1", "run_id": "r1"},
        {"_resume_count": 2, "run_id": "r1"},
        {
            "overrides": {
                "run_config": {"lr": 0.1, "é": "ü"},
                "files": {"a.yaml": {"x": 1}},
                "artifacts": {"d": "e/p/a:v1"},
            }
        },
        {"overrides": {"run_config": {"big": "x" * 100_000}, "files": {"big": "ü" * 40_000}}},
        {"docker": None, "image_uri": "img:2"},
        {"job": "team/cats/job:v1", "overrides": {"artifacts": {"data": "team/cats/d:v2"}}},
    ],
)
def test_the_environment_is_wandbs_own(changes: dict[str, Any]) -> None:
    """On a table of specs, but for what differs deliberately."""
    spec = {name: value for name, value in run_spec(**changes).items() if value is not None}
    assert_equal_but_for_the_deliberate(spec)


@given(
    st.fixed_dictionaries(
        {"entity": TEXT, "project": TEXT},
        optional={
            "name": TEXT,
            "author": TEXT,
            "run_id": TEXT,
            "sweep_id": TEXT,
            "_wandb_api_key": TEXT,
            "_resume_count": st.integers(0, 6),
            "docker": st.fixed_dictionaries({"docker_image": TEXT}),
            "overrides": st.fixed_dictionaries(
                {}, optional={"run_config": OBJECT, "files": OBJECT, "artifacts": OBJECT}
            ),
        },
    )
)
@settings(max_examples=150, deadline=None)
def test_the_environment_is_wandbs_own_for_generated_specs(spec: dict[str, Any]) -> None:
    """Whatever text is in them, if the ledger can keep it."""
    assume(launch_of(spec).entry.state is not State.ENDED)
    assert_equal_but_for_the_deliberate({**spec, "resource": "gcp-vertex"})


@given(JSON, st.dictionaries(st.sampled_from(["run_id", "image_uri", "A", "author"]), TEXT))
@settings(max_examples=150, deadline=None)
def test_macros_are_substituted_as_wandb_does(value: Any, macros: dict[str, str]) -> None:
    """For any text and any value; a macro without a value is left to the test below."""
    decorated = [value, "${run_id}/${unknown}", {"k${A}": "${A}${author}"}, "$${image_uri}}"]
    assert substitute(decorated, macros) == recursive_macro_sub(decorated, dict(macros))


def test_a_macro_without_a_value_becomes_empty() -> None:
    """Deliberately: wandb writes the word None, which Vertex AI refuses in a label."""
    assert recursive_macro_sub("a-${author}", {"author": None}) == "a-None"
    assert substitute("a-${author}", {"author": None}) == "a-"


@given(
    st.dictionaries(st.sampled_from([*run_spec(), "overrides", "name", "run_id", "job", "author"]), JSON), JSON, JSON
)
@settings(max_examples=300, deadline=None)
@pytest.mark.slow
def test_any_json_is_rendered_or_refused(parts: dict[str, Any], spec: Any, run: Any) -> None:
    """Never another exception, and what is rendered can be sent."""
    for candidate in (parts, {**run_spec(), **parts}, run_spec({"spec": spec, "run": run}), run_spec({"vertex": spec})):
        with suppress(Reject):
            json.dumps(dict(rendered(candidate).constructor))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_good_spec_with_one_bad_part_is_rendered_or_refused(data: st.DataObject) -> None:
    """One value anywhere in it replaced by any JSON."""
    spec = run_spec(
        overrides={"args": ["a"], "entry_point": ["b"], "run_config": {"c": 1}, "files": {}, "artifacts": {}}, name="n"
    )
    paths = list(_paths(spec))
    path = data.draw(st.sampled_from(paths))
    changed = _replaced(spec, path, data.draw(JSON))
    with suppress(Reject):
        json.dumps(dict(rendered(changed).constructor))


def _paths(value: Any, prefix: tuple[Any, ...] = ()) -> Any:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*prefix, key)
        yield from _paths(child, (*prefix, key))


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    head, *rest = path
    if isinstance(value, dict):
        return {k: _replaced(v, tuple(rest), new) if k == head else v for k, v in value.items()}
    return [_replaced(v, tuple(rest), new) if n == head else v for n, v in enumerate(value)]
