"""The run spec as a model: what is read, what is refused, and by which name."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import Reject
from shared.runspec.model import Draft, Overrides, RunSpec, VertexConfig
from tests.unit.specs import draft_of, put, rendered, run_spec

VERTEX = ("resource_args", "gcp-vertex")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
FIELDS = (
    "entity", "project", "run_id", "name", "author", "sweep_id", "job", "docker", "image_uri", "uri", "git", "resource",
    "resource_args", "overrides", "template_variables", "_wandb_api_key",
)  # fmt: skip


def test_a_run_spec_is_read_once_into_typed_fields() -> None:
    """Every field that an item of W&B's has; parsing ignores another, which shared.runspec.keys refuses."""
    raw = run_spec(
        run_id="r1", name="blue", author="ann", sweep_id="sw", job="a/b/c:v0", _wandb_api_key="own",
        overrides={"args": ["--lr", 1], "run_config": {"lr": 0.1}}, something_new={"x": 1},
    )  # fmt: skip
    spec = RunSpec.parse(raw)
    assert (spec.entity, spec.project, spec.run_id) == ("team", "Cats", "r1")
    assert (spec.name, spec.author, spec.sweep_id, spec.job, spec.own_key) == ("blue", "ann", "sw", "a/b/c:v0", "own")
    assert spec.image == "us-docker.pkg.dev/p/r/train:1"
    assert spec.overrides == Overrides(args=["--lr", "1"], run_config={"lr": 0.1})
    assert spec.config
    assert spec.config.path == "resource_args.gcp-vertex"
    assert spec.config.spec["staging_bucket"] == "gs://staging"
    assert "own" not in repr(spec)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (run_spec(entity=1), "entity: should be a text, but is a number"),
        (run_spec(overrides=[]), "overrides: should be an object, but is empty (a list)"),
        (run_spec(overrides={"args": "--lr 1"}), "overrides.args: should be a list, but is a text"),
        (run_spec(overrides={"run_config": [1]}), "overrides.run_config: should be an object, but is a list"),
        (run_spec(docker="img"), "docker: should be an object, but is a text"),
        (run_spec(resource_args=["x"]), "resource_args: should be an object, but is a list"),
        (put(run_spec(), (*VERTEX, "spec"), ["x"]), "resource_args.gcp-vertex.spec: should be an object"),
        (put(run_spec(), (*VERTEX, "builder"), "docker"), "resource_args.gcp-vertex.builder: should be an object"),
    ],
)
def test_a_wrong_type_is_refused_by_its_path(raw: dict[str, Any], message: str) -> None:
    """With what was found there, and never its text."""
    with pytest.raises(Reject) as refusal:
        RunSpec.parse(raw)
    assert str(refusal.value).startswith(message)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)))
@settings(max_examples=300, deadline=None)
@pytest.mark.slow
def test_any_json_is_read_or_refused(raw: dict[str, Any]) -> None:
    """Never another error, and the raw run spec is not changed."""
    try:
        RunSpec.parse(raw)
    except Reject as refusal:
        assert refusal.field.partition(".")[0].partition("[")[0] in {*FIELDS, "run_spec"}  # noqa: PT017 - either is right


def test_a_change_keeps_the_raw_run_spec_and_its_parsed_form_together() -> None:
    """The next attempt parses the text that the ledger keeps."""
    draft = draft_of(run_spec(job="a/b/c:latest", template_variables={"x": 1}))
    changed = draft.changed(without="template_variables", job="a/b/c:v3")
    assert (changed.spec.job, changed.launch.run_spec["job"]) == ("a/b/c:v3", "a/b/c:v3")
    assert "template_variables" not in changed.launch.run_spec
    assert Draft.of(changed.launch) == changed
    assert draft.launch.run_spec["job"] == "a/b/c:latest"


@pytest.mark.parametrize(
    ("key", "fix"),
    [
        ("runs", "Did you mean run?"),
        ("Spec", "Did you mean spec?"),
        ("specs", "Did you mean spec?"),
        ("staging_bucket", "staging_bucket belongs under spec."),
        ("workerPoolSpecs", "workerPoolSpecs belongs under spec and is written worker_pool_specs."),
        ("worker-pool-specs", "worker-pool-specs belongs under spec and is written worker_pool_specs."),
        ("service_account", "service_account belongs under run."),
        ("worker_pool_spec", "Did you mean worker_pool_specs? It belongs under spec."),
        ("job_spec", "Did you mean spec?"),
        ("notes", "Known: builder, run, spec."),
    ],
)
def test_a_key_beside_spec_and_run_is_refused_with_its_place(key: str, fix: str) -> None:
    """The agent drops it without a word: a misspelt `runs` costs a day on the wrong machine."""
    with pytest.raises(Reject) as refusal:
        rendered(put(run_spec(), (*VERTEX, key), {"timeout": 60}))
    assert str(refusal.value).startswith(f"resource_args.gcp-vertex.{key}: is not known here.")
    assert fix in str(refusal.value)


@pytest.mark.parametrize(
    ("builder", "image"),
    [
        ({"base_image": "python:3.12"}, "python:3.12"),
        ({"accelerator": {"base_image": "tensorflow/tensorflow:latest-gpu"}}, "tensorflow/tensorflow:latest-gpu"),
        ({"accelerator": {"base_image": ""}, "cuda": {"base_image": "cuda:12"}}, "cuda:12"),
        ({"base_image": "own:1", "accelerator": {"base_image": "other:1"}}, "own:1"),
        ({}, ""),
    ],
)
def test_the_base_image_stands_in_either_place(builder: dict[str, Any], image: str) -> None:
    """`accelerator.base_image` is where W&B documented it for the agent's builder (wandb PR 5737)."""
    config = VertexConfig.parse({"gcp-vertex": {"spec": {"a": 1}, "builder": builder}})
    assert config
    assert config.base_image == image
