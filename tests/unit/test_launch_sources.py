"""Images and commands of launches: each source by itself, and each refusal."""

from dataclasses import replace
from typing import Any

import pytest

from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind
from shared.runspec.model import Overrides, RunSpec, VertexConfig
from shared.runspec.source import Builder, Source, job_path, source_of
from tests.unit.specs import refusal

PATH = "team/cats/train:v1"
IMAGE = JobSource(PATH, Kind.IMAGE, ("python", "train.py"), image="img:1")
CODE = JobSource(PATH, Kind.ARTIFACT, ("python", "train.py"), code="team/cats/code:v3")
LONG = "x" * 150  # a value that is shown whole where values are usually long
BASES = {"the queue's": "", "LAUNCH_BASE_IMAGE": "python:3.12"}
BUILDS = Builder("us-docker.pkg.dev/p/r/jobs")


def spec(**changes: Any) -> RunSpec:
    """Return a run spec."""
    return RunSpec("team", "Cats", **changes)


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        (spec(job="a/b/c:v1"), "a/b/c:v1"),
        (spec(job=" b/c:v1 "), "team/b/c:v1"),
        (spec(job="c:v1"), "team/Cats/c:v1"),
        (spec(job="c:v1", image="i"), ""),
        (spec(job=" "), ""),
        (spec(job="a/b/c/d"), "job: is 'a/b/c/d'. Write entity/project/name:alias."),
        (spec(job="/b/c"), "job: is '/b/c'. Write entity/project/name:alias."),
        (spec(job=f"a/b/c/{LONG}"), f"job: is 'a/b/c/{LONG}'. Write entity/project/name:alias."),
        (replace(spec(job="c"), entity=" "), "job: is 'c'. Write entity/project/name:alias."),
    ],
    ids=lambda value: str(value)[:50],
)
def test_the_run_gives_what_a_job_leaves_out(asked: RunSpec, path: str) -> None:
    """Its entity, or both; an image wins."""
    try:
        assert job_path(asked) == path
    except Reject as refused:
        assert str(refused) == path  # noqa: PT017 - one table


@pytest.mark.parametrize(
    ("asked", "job", "bases", "builder", "source"),
    [
        (spec(image="i:1"), None, {}, Builder(), Source("i:1", "i:1")),
        (spec(image="i:1", overrides=Overrides(entry_point=["x"])), CODE, {}, Builder(), Source("i:1", "i:1", ["x"])),
        (spec(), IMAGE, {}, Builder(), Source("img:1", "img:1", ["python", "train.py"])),
        (spec(overrides=Overrides(entry_point=["x"])), IMAGE, {}, Builder(), Source("img:1", "img:1", ["x"])),
    ],
)
def test_an_image_runs_its_own_or_the_launchs_command(
    asked: RunSpec, job: JobSource | None, bases: dict[str, str], builder: Builder, source: Source
) -> None:
    """The run gets the name of the image."""
    assert source_of(asked, job, bases, builder) == source


NO_BUILD = "and this deployment builds no images."


@pytest.mark.parametrize(
    ("asked", "job", "bases", "builder", "why"),
    [
        (spec(), None, {}, Builder(), "docker.docker_image: is missing. Write an image here, or a job in job."),
        (
            spec(uri="u"),
            None,
            {},
            Builder(),
            "uri: is a source that this deployment does not support. Enqueue a docker "
            "image (`wandb launch --docker-image …`) or a job (`wandb launch --job …`).",
        ),
        (spec(git=True), None, {}, Builder(), "git: is a source that this deployment does not support."),
        (spec(image=f"{LONG}/X"), None, {}, Builder(), f"docker.docker_image: is '{LONG}/X', which "),
        (spec(), replace(IMAGE, image=f"{LONG}/X"), {}, Builder(), f"job: {PATH} has the image '{LONG}/X', which "),
        (spec(), CODE, {}, Builder(), f"job: {PATH} is code, and no base image is set for it."),
        (
            spec(),
            CODE,
            dict.fromkeys(BASES, ""),
            Builder(),
            f"job: {PATH} is code, and no base image is set for it. "
            "Set the queue's or LAUNCH_BASE_IMAGE to an image with the Python that the code needs, such "
            "as python:3.12.",
        ),
        (spec(), CODE, {"b": f"{LONG}/X"}, Builder(), f"job: {PATH} has the base image '{LONG}/X', which "),
        (
            spec(),
            replace(CODE, dockerfile="D"),
            BASES,
            Builder(),
            f"job: {PATH} needs an image built from its dockerfile, "
            f"{NO_BUILD} Set LAUNCH_BUILDER, or build the image yourself (`wandb job create image`), or create the job "
            "without dockerfile.",
        ),
        (
            spec(),
            replace(CODE, build_context="c"),
            BASES,
            Builder(),
            f"job: {PATH} needs an image built from its build_context, {NO_BUILD}",
        ),
        (
            spec(overrides=Overrides(dockerfile=LONG)),
            CODE,
            BASES,
            Builder(),
            f"overrides.dockerfile: is '{LONG}', {NO_BUILD} Leave it out, or set LAUNCH_BUILDER.",
        ),
        (
            spec(overrides=Overrides(working_dir=f"../{LONG}")),
            CODE,
            BASES,
            Builder(),
            f"overrides.working_dir: is '../{LONG}'. Write a folder of the code, without `..`.",
        ),
        (
            spec(overrides=Overrides(working_dir=f"../{LONG}")),
            CODE,
            BASES,
            BUILDS,
            f"overrides.working_dir: is '../{LONG}'. Write a path within the code, without `..`.",
        ),
        (
            spec(overrides=Overrides(entry_point=["python", f"C:\\{LONG}.py"])),
            CODE,
            BASES,
            Builder(),
            f"overrides.entry_point: starts 'C:\\\\{LONG}.py', a path of another machine. Write a path "
            f"within the code.",
        ),
        (
            spec(),
            replace(CODE, entry_point=("python", "/a\\b.py")),
            BASES,
            Builder(),
            "job: starts '/a\\\\b.py', a path",
        ),
        (
            spec(),
            CODE,
            BASES,
            Builder(problem="it is off"),
            f"job: {PATH} needs an image built from its code, and this "
            "deployment cannot build: it is off. Ask its operator to change that, or enqueue an image "
            "(`wandb launch -d "
            "IMAGE`).",
        ),
        (
            spec(),
            replace(CODE, base_image="own:1", build_context="c"),
            BASES,
            Builder(problem="it is off"),
            f"job: {PATH} needs an image built from its code, and this deployment cannot build: it is off.",
        ),
        (
            spec(),
            replace(CODE, base_image="own:1", dockerfile="D"),
            BASES,
            Builder(problem="it is off"),
            f"job: {PATH} needs an image built from its code, and this deployment cannot build: it is off.",
        ),
        (
            spec(overrides=Overrides(dockerfile="D")),
            replace(CODE, base_image="own:1"),
            BASES,
            Builder(problem="it is off"),
            f"job: {PATH} needs an image built from its code, and this deployment cannot build: it is off.",
        ),
        (spec(), replace(CODE, base_image="own:1"), BASES, Builder(problem="it is off"), ""),
        (spec(), replace(CODE, base_image="own:1"), {}, BUILDS, ""),
        (spec(), replace(CODE, dockerfile="D"), {}, BUILDS, ""),
        (spec(overrides=Overrides(dockerfile="D")), CODE, {}, BUILDS, ""),
        (spec(), CODE, {}, BUILDS, f"job: {PATH} is code, and no base image is set for it."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_launch_without_an_image_is_refused(
    asked: RunSpec, job: JobSource | None, bases: dict[str, str], builder: Builder, why: str
) -> None:
    """Each reason with its field; a job with a base image of its own needs no build."""
    shown = refusal(source_of, asked, job, bases, builder)
    assert shown.startswith(why)
    assert bool(shown) == bool(why)


@pytest.mark.parametrize(
    ("builder", "why"),
    [
        ({"base_image": 5}, "q.vertex.builder.base_image: should be a text, but is a number. Write it in quotes."),
        ({"accelerator": []}, "q.vertex.builder.accelerator: should be an object, but is empty (a list)."),
        (
            {"base_image": "own:1", "cuda": {"base_image": f"{LONG}/X"}},
            f"q.vertex.builder.cuda.base_image: is '{LONG}/X'",
        ),
    ],
)
def test_each_base_image_is_read(builder: dict[str, Any], why: str) -> None:
    """Also one that does not count."""
    given = {"gcp-vertex": {"spec": {}}, "vertex": {"builder": builder}}
    assert refusal(VertexConfig.parse, given, "q").startswith(why)
