"""Secure mode, and fields without an effect: each by its path."""

from typing import Any

import pytest

from shared.core.jobsource import JobSource, Kind
from shared.runspec.ignored import OF_THE_AGENT, ignored
from shared.runspec.model import Overrides, RunSpec
from shared.runspec.secure_mode import check_containers, check_overrides
from tests.unit.specs import refusal

REFUSED = "is refused: this deployment is in secure mode."
OR_A_JOB = "Leave it out, or launch a W&B job with an entry point."


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        (Overrides(entry_point=["sh"]), "entry_point"),
        (Overrides(dockerfile="D"), "dockerfile"),
        (Overrides(working_dir="d"), "working_dir"),
        (Overrides(args=["x"], run_config={"a": 1}), ""),
    ],
)
def test_an_override_that_chooses_the_program_is_refused(overrides: Overrides, field: str) -> None:
    """Arguments and the run's configuration do not choose it."""
    why = f"overrides.{field}: {REFUSED} Leave it out." if field else ""
    assert refusal(check_overrides, overrides) == why


@pytest.mark.parametrize(
    ("container", "args", "entry_point", "why"),
    [
        ({"command": ["sh"]}, [], ["x"], f"at[2].container_spec.command: {REFUSED} Leave it out."),
        ({"command": ["sh"]}, [], [], f"at[2].container_spec.command: {REFUSED} Leave it out."),
        ({"args": ["x"]}, [], [], f"at[2].container_spec.args: {REFUSED} {OR_A_JOB}"),
        ({"args": ["x"]}, [], ["x"], ""),
        ({"args": [], "command": []}, [], [], ""),
        ({}, ["x"], [], f"overrides.args: {REFUSED} {OR_A_JOB}"),
        ({}, ["x"], ["x"], ""),
        ("sh", [], [], "at[2].container_spec: should be an object, but is a text."),
    ],
)
def test_a_container_chooses_no_program(container: Any, args: list[str], entry_point: list[str], why: str) -> None:
    """In any pool; arguments need an entry point that is known."""
    pools = [{}, None, {"container_spec": container}]
    assert refusal(check_containers, pools, "at", Overrides(args=args), entry_point) == why


def test_pools_of_another_type_are_refused_by_their_path() -> None:
    """As without secure mode."""
    assert refusal(check_containers, ["sh"], "at", Overrides(), []) == "at[0]: should be an object, but is a text."
    assert refusal(check_containers, "sh", "at", Overrides(), []) == "at: should be a list, but is a text."


OTHER_CODE = "was ignored: the image or the job decides which code runs"
AN_IMAGE = "was ignored: the launch uses an image that exists"
IMAGE_JOB = JobSource("a/b/c:v1", Kind.IMAGE, ("x",), image="i")
CODE_JOB = JobSource("a/b/c:v1", Kind.ARTIFACT, ("x",), code="a/b/d:v1")
CONFIG = {"spec": {"a": 1}}


@pytest.mark.parametrize(
    ("raw", "job", "warnings"),
    [
        ({}, None, []),
        (
            dict.fromkeys(OF_THE_AGENT, "x"),
            None,
            [f"{name} was ignored: {why}" for name, why in OF_THE_AGENT.items()],
        ),
        (dict.fromkeys(OF_THE_AGENT, ""), None, []),
        ({"docker": {"user_id": 5}}, None, ["docker.user_id was ignored: the image decides its user"]),
        ({"docker": None}, None, []),
        ({"git": {"repo": "r"}, "uri": "u"}, None, [f"git {OTHER_CODE}", f"uri {OTHER_CODE}"]),
        ({"git": {"repo": "", "version": None}, "uri": ""}, None, []),
        ({"git": "r"}, None, [f"git {OTHER_CODE}"]),
        ({"git": {"repo": "r"}, "uri": "placeholder-uri-scheduler"}, None, []),
        ({"image_uri": "a"}, None, []),
        ({"image_uri": "a", "docker": {"docker_image": "a"}}, None, []),
        (
            {"image_uri": "a", "docker": {"docker_image": "b"}},
            None,
            ["image_uri was ignored: docker.docker_image is not empty"],
        ),
        (
            {"image_uri": "a", "overrides": {"dockerfile": "D", "working_dir": "d"}},
            None,
            [f"overrides.dockerfile {AN_IMAGE}", f"overrides.working_dir {AN_IMAGE}"],
        ),
        ({"overrides": {"working_dir": "d"}}, IMAGE_JOB, [f"overrides.working_dir {AN_IMAGE}"]),
        ({"overrides": {"working_dir": "d"}}, CODE_JOB, []),
        ({"overrides": {"working_dir": "d"}}, None, []),
        (
            {"resource_args": {"vertex": CONFIG, "gcp-vertex": {"spec": {"b": 1}}}},
            None,
            ["resource_args.gcp-vertex was ignored: resource_args.vertex is not empty"],
        ),
        ({"resource_args": {"vertex": CONFIG, "gcp-vertex": CONFIG}}, None, []),
        ({"resource_args": {"vertex": CONFIG}}, None, []),
        ({"resource_args": {"gcp-vertex": CONFIG}}, None, []),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_field_without_an_effect_is_a_warning(
    raw: dict[str, Any], job: JobSource | None, warnings: list[str]
) -> None:
    """If it says something: clients write empty fields."""
    assert ignored(raw, RunSpec.parse(raw), job) == warnings
