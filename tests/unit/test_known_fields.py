"""The run spec, field by field: what is known, how it is read, and how a wrong one is named."""

from dataclasses import replace
from typing import Any

import pytest

from shared.core.errors import Reject
from shared.core.launch import RunPath
from shared.runspec.keys import check_keys
from shared.runspec.labels import all_labels
from shared.runspec.macros import as_label, substitute, unknown_macro, uses
from shared.runspec.model import Draft, Overrides, RunSpec, VertexConfig
from tests.unit.specs import NAMES, draft_of, environment, launch_of, put, rendered, run_spec

VERTEX = ("resource_args", "gcp-vertex")
TOP = (
    *("entity", "project", "run_id", "name", "author", "sweep_id", "job", "uri", "image_uri", "resource"),
    *("template_variables", "_wandb_api_key", "_resume_count", "build", "builder", "cuda", "cuda_version"),
    *("python_version", "registry"),
)
KNOWN: list[tuple[tuple[Any, ...], tuple[str, ...]]] = [
    ((), (*TOP, "docker", "git", "overrides", "resource_args")),
    (("docker",), ("docker_image", "user_id")),
    (("git",), ("repo", "version")),
    (("overrides",), ("args", "entry_point", "run_config", "files", "artifacts", "dockerfile", "working_dir")),
    (("resource_args",), ("vertex", "gcp-vertex")),
    (VERTEX, ("spec", "run", "builder")),
    ((*VERTEX, "builder"), ("base_image", "accelerator", "cuda")),
    ((*VERTEX, "builder", "accelerator"), ("base_image",)),
    ((*VERTEX, "builder", "cuda"), ("base_image",)),
    ((*VERTEX, "spec"), (*NAMES.constructor, "service_account")),
    ((*VERTEX, "run"), (*NAMES.run, *NAMES.submit)),
]


@pytest.mark.parametrize(("place", "names"), KNOWN, ids=[".".join(map(str, place)) or "top" for place, _ in KNOWN])
def test_each_known_field_of_a_request_passes(place: tuple[Any, ...], names: tuple[str, ...]) -> None:
    """A text passes wherever its field is known; an unknown field is refused by its path."""
    launch = launch_of(run_spec())
    request = replace(launch, entry=replace(launch.entry, item_id=""))
    assert request.entry.of_request
    for name in (*names, "qqqq"):
        spec = put({}, (*place, name), "x")
        refused = ""
        try:
            check_keys(Draft(replace(request, run_spec=spec), RunSpec("team", "cats")), NAMES)
        except Reject as exc:
            refused = exc.field
        assert refused == (".".join([*place, name]) if name == "qqqq" else "")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"sweep_id": 5}, "sweep_id: should be a text, but is a number. Write it in quotes."),
        ({"template_variables": []}, "template_variables: should be an object, but is empty (a list)."),
        ({"_wandb_api_key": 5}, "_wandb_api_key: should be a text, but is a number. Write it in quotes."),
        ({"image_uri": 5}, "image_uri: should be a text, but is a number. Write it in quotes."),
        (
            {"docker": {"docker_image": 5}},
            "docker.docker_image: should be a text, but is a number. Write it in quotes.",
        ),
        ({"overrides": {"entry_point": "a"}}, 'overrides.entry_point: should be a list, but is a text. Write ["a"].'),
        ({"overrides": {"args": 5}}, "overrides.args: should be a list, but is a number."),
        ({"overrides": {"files": "x"}}, "overrides.files: should be an object, but is a text."),
        ({"overrides": {"artifacts": "x"}}, "overrides.artifacts: should be an object, but is a text."),
        (
            {"overrides": {"dockerfile": 5}},
            "overrides.dockerfile: should be a text, but is a number. Write it in quotes.",
        ),
        (
            {"overrides": {"working_dir": 5}},
            "overrides.working_dir: should be a text, but is a number. Write it in quotes.",
        ),
        ({"resource_args": {"vertex": {"run": "x"}}}, "resource_args.vertex.run: should be an object, but is a text."),
        ({"resource_args": {"vertex": "x"}}, "resource_args.vertex: should be an object, but is a text."),
    ],
    ids=str,
)
def test_a_field_of_another_type_is_refused(raw: dict[str, Any], why: str) -> None:
    """By its path."""
    with pytest.raises(Reject) as refused:
        RunSpec.parse(raw)
    assert str(refused.value) == why


def test_a_run_spec_has_all_its_fields() -> None:
    """Each in its own place."""
    overrides = {"entry_point": ["a"], "args": ["b"], "run_config": {"c": 1}, "files": {"d": 1}, "artifacts": {"e": 1},
                 "dockerfile": "f", "working_dir": "g"}  # fmt: skip
    raw = {
        **{name: name.upper() for name in ("entity", "project", "run_id", "name", "author", "job", "uri", "sweep_id")},
        "image_uri": "i:1",
        "git": {"repo": "r"},
        "resource": "r" * 300,
        "resource_args": {"vertex": {"spec": {"h": 1}, "run": {"i": 1}, "builder": {"base_image": "j"}}},
        "overrides": overrides,
        "template_variables": {"k": 1},
        "_wandb_api_key": "l",
    }
    assert RunSpec.parse(raw) == RunSpec(
        *("ENTITY", "PROJECT", "RUN_ID", "NAME", "AUTHOR", "SWEEP_ID", "JOB", "i:1", "URI"),
        git=True,
        resource="r" * 256,
        config=VertexConfig("resource_args.vertex", {"h": 1}, {"i": 1}, "j"),
        overrides=Overrides(["a"], ["b"], {"c": 1}, {"d": 1}, {"e": 1}, "f", "g"),
        template_variables={"k": 1},
        own_key="l",
    )
    assert RunSpec.parse({}) == RunSpec("", "")
    assert RunSpec.parse({"resource_args": {"vertex": {}, "gcp-vertex": None}}).config is None
    empty = {"sweep_id": False, "git": None, "resource": 0, "docker": {"docker_image": ""}, "image_uri": "i"}
    assert RunSpec.parse(empty) == RunSpec("", "", image="i")
    assert RunSpec.parse({"docker": {"docker_image": "d"}, "image_uri": "i"}).image == "d"


@pytest.mark.parametrize("name", ["entity", "project", "run_id"])
def test_a_name_has_at_most_256_bytes(name: str) -> None:
    """In UTF-8; a run id may be missing."""
    spec = RunSpec("team", "cats")
    spec.check_run()
    replace(spec, **{name: "é" * 128}).check_run()  # type: ignore[arg-type]
    with pytest.raises(Reject) as refused:
        replace(spec, **{name: "é" * 128 + "e"}).check_run()  # type: ignore[arg-type]
    assert str(refused.value) == f"{name}: has more than 256 bytes in UTF-8. W&B's own names are shorter."


def test_the_six_macros_of_a_launch_and_those_of_the_deployment() -> None:
    """The deployment's win; a missing value is empty."""
    spec = run_spec(run_id="r1", name="blue", author=None)
    names = ("project_name", "entity_name", "run_id", "run_name", "image_uri", "author", "TEAM_BUCKET")
    args = [f"${{{name}}}" for name in names]
    path = (*VERTEX, "spec", "worker_pool_specs", 0, "container_spec", "args")
    call = rendered(put(spec, path, args))
    image = "us-docker.pkg.dev/p/r/train:1"
    filled = call.constructor["worker_pool_specs"][0]["container_spec"]["args"]
    assert filled == ["cats", "team", "r1", "blue", image, "", "gs://team"]
    assert environment(call)["WANDB_PROJECT"] == "cats"
    assert draft_of(spec).launch.entry.run == RunPath("team", "cats", "r1")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${A:label} ${later:label} ${later}", ""),
        ("${later:lable}", "${later:lable}: is not a form of the macro later. Did you mean ${later:label}?"),
        ("${zzz:label}", "${zzz:label}: is a form of a macro that is not known. Known: ${A:label}, ${later:label}."),
        ("${latr:label}", "${latr:label}: is a form of a macro that is not known. Did you mean ${later:label}?"),
        ("${A.label}", "${A.label}: is not a form of the macro A. Did you mean ${A:label}?"),
        ("${A:upper}", "${A:upper}: is not a form of the macro A. Write ${A} or ${A:label}."),
        (
            "${API_KEY:label}",
            "${API_KEY:label}: would write a secret in a form that nothing can find and redact. "
            "Write ${API_KEY}, where a secret is allowed.",
        ),
        (
            "$(${B})",
            "the value of a macro in '$(${B})': contains $(API_KEY), which Vertex AI can replace by the secret. "
            "Use another value.",
        ),
    ],
)
def test_macros_that_are_filled_in_later_are_known_too(text: str, why: str) -> None:
    """They stay for now."""
    macros = {"A": "a b", "API_KEY": "x", "B": "API_KEY"} if "B" in text or "KEY" in text else {"A": "a b"}
    refused = ""
    try:
        assert substitute({"${A}": [text, 5]}, macros, ["later"]) == {"${A}": ["a-b ${later:label} ${later}", 5]}
    except Reject as exc:
        refused = str(exc)
    assert refused == why


def test_macros_are_counted_and_found() -> None:
    """In texts at any depth, not in keys; a form of a label is short."""
    assert uses({"${A}": ["${A} ${A:label} ${B}", {"x": "${A}"}, 5]}, ["A"]) == {"A": 3}
    assert (unknown_macro("a ${B} ${C:label}"), unknown_macro("$A ${}")) == ("${B}", "")
    assert as_label("Äé Straße") == "ae-strasse"


def test_labels_of_another_type_are_refused_with_the_right_form() -> None:
    """Long names and values are shown in part."""
    launch = launch_of(run_spec())
    for wanted, why in (
        ("team=a", 'at: should be an object, but is a text. Write {team: "a"}.'),
        ({"a" * 81: []}, f"at.{'a' * 40}…{'a' * 40}: should be a text, but is empty (a list)."),
    ):
        with pytest.raises(Reject) as refused:
            all_labels(wanted, "at", launch, "agent")
        assert str(refused.value) == why
