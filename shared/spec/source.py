"""What a launch runs: an image, one that is built of the code of a W&B job, or that code in a base image."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shared.core.building import Recipe
from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind, inside
from shared.core.launch import Launch
from shared.core.ports import JobArtifacts
from shared.spec.environment import docker_image
from shared.spec.fields import found, mapping, text
from shared.spec.recipe import python_of_the_image, recipe_of

FETCH = (
    Path(__file__).with_name("in_container.py").read_text(encoding="utf-8")
)  # a part of this program, as its code is


@dataclass(frozen=True, slots=True)
class Source:
    """What a launch runs. `command` replaces the containers' own, where it is not empty."""

    image: str  # what ${image_uri} stands for
    docker: str = ""  # what W&B is told: empty where the image is only what the code runs in
    command: list[str] = field(default_factory=list)
    recipe: Recipe | None = None  # where the image has to be built


def resolved(launch: Launch, jobs: JobArtifacts) -> tuple[Launch, JobSource | None]:
    """Ask W&B for the job of a launch, and pin its version: another attempt runs the same code, wherever `latest` is.

    Raises:
        Reject, Retry, Denied: as JobArtifacts does.
    """
    path = job_path(launch.run_spec)
    if not path:
        return launch, None
    job = jobs.resolve(path)
    return replace(launch, run_spec={**launch.run_spec, "job": job.path}), job


def job_path(run_spec: Mapping[str, Any]) -> str:
    """Return the job to be run, as entity/project/name:alias; empty where an image is named, which wins over a job."""
    job = text(run_spec.get("job"), "job", "").strip()
    if not job or docker_image(run_spec):
        return ""
    beginning = [text(run_spec.get(name), name, "").strip() for name in ("entity", "project")]
    parts = job.split("/")
    parts = [*beginning[: max(3 - len(parts), 0)], *parts]  # a job of the run's own project may be named without it
    if len(parts) != 3 or not all(parts):
        raise Reject("job", f"is {job[:200]!r}", "A job is named entity/project/name:alias.")
    return "/".join(parts)


def source_of(
    run_spec: Mapping[str, Any],
    job: JobSource | None,
    entry_point: list[str],
    base_images: Mapping[str, str],
    destination: str = "",
) -> Source:
    """Return what to run.

    `base_images` are the images for code, under the name of where each was found; `destination` is what an image of the
    code is called, without its tag, where one is built.

    Raises:
        Reject: there is nothing to run, or nothing to run it in.
    """
    image = docker_image(run_spec)
    if image:
        return Source(image, image, entry_point)
    if job is None:
        return _none(run_spec)
    command = entry_point or list(job.entry_point)
    if job.kind is Kind.IMAGE:
        return Source(job.image, job.image, command)
    overrides = mapping(run_spec.get("overrides"), "overrides")
    if not destination:
        return _code(job, command, overrides, _base_image(job, base_images))
    own = overrides.get("dockerfile") or job.dockerfile
    recipe = recipe_of(job, overrides, "" if own else _base_image(job, base_images), destination)
    command = command if own else python_of_the_image(command)
    return Source(recipe.image, recipe.image, command, recipe)


def _none(run_spec: Mapping[str, Any]) -> Source:
    for other in ("uri", "git"):
        if run_spec.get(other):
            fix = "Enqueue a docker image (`wandb launch --docker-image …`) or a job (`wandb launch --job …`)."
            raise Reject(other, "is a kind of source that is not supported", fix)
    raise Reject("docker.docker_image", "is missing", "A launch needs an image, or a job, to run.")


def _base_image(job: JobSource, base_images: Mapping[str, str]) -> str:
    image = job.base_image or next(filter(None, base_images.values()), "")
    if not image:
        named = " or ".join(base_images)
        fix = f"Set {named} to an image with the Python that it needs, such as python:3.12."
        raise Reject("job", f"{job.path} is code, and no base image is set to run it in", fix)
    return image


def _code(job: JobSource, command: list[str], overrides: Mapping[str, Any], image: str) -> Source:
    for name in ("dockerfile", "build_context"):
        if getattr(job, name):
            fix = "Set LAUNCH_BUILDER, build the image yourself (`wandb job create image`), or leave that out."
            raise Reject("job", f"{job.path} wants an image built from its {name}, and no image is built here", fix)
    if dockerfile := overrides.get("dockerfile"):
        fix = "Leave it out, or set LAUNCH_BUILDER."
        raise Reject("overrides.dockerfile", f"is {found(dockerfile)}, and no image is built here", fix)
    what: dict[str, Any] = {"job": job.path}
    what |= {"code": job.code} if job.kind is Kind.ARTIFACT else {"remote": job.remote, "commit": job.commit}
    if working_dir := text(overrides.get("working_dir"), "overrides.working_dir", ""):
        what["working_dir"] = _inside(working_dir)
    # the job's own base image has what the code needs, as W&B's agent has it
    what["install"] = not job.base_image
    return Source(image, command=["python3", "-c", FETCH, json.dumps(what), *command])


def _inside(folder: str) -> str:
    path = inside(folder)
    if path is None:
        raise Reject("overrides.working_dir", f"is {folder[:200]!r}", "Give a folder of the code, without `..`.")
    return path
