"""What a launch runs: an image, one that is built of the code of a W&B job, or that code in a base image."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.core.building import Recipe
from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind, inside
from shared.core.ports import JobArtifacts
from shared.runspec.model import Draft, Overrides, RunSpec
from shared.runspec.recipe import python_of_the_image, recipe_of

FETCH = (Path(__file__).parent / "container" / "fetch_code.py").read_text(
    encoding="utf-8"
)  # a part of this program, as its code is


@dataclass(frozen=True, slots=True)
class Source:
    """What a launch runs. `command` replaces the containers' own, where it is not empty."""

    image: str  # what ${image_uri} stands for
    docker: str = ""  # what W&B is told: empty where the image is only what the code runs in
    command: list[str] = field(default_factory=list)
    recipe: Recipe | None = None  # where the image has to be built


def resolve(draft: Draft, jobs: JobArtifacts) -> tuple[Draft, JobSource | None]:
    """Ask W&B for the job of a launch, and pin its version: another attempt runs the same code, wherever `latest` is.

    Raises:
        Reject, Retry, Denied: as JobArtifacts does.
    """
    path = job_path(draft.spec)
    if not path:
        return draft, None
    job = jobs.resolve(path)
    return draft.changed(job=job.path), job


def job_path(spec: RunSpec) -> str:
    """Return the job to be run, as entity/project/name:alias; empty where an image is named, which wins over a job."""
    job = spec.job.strip()
    if not job or spec.image:
        return ""
    beginning = [spec.entity.strip(), spec.project.strip()]
    parts = job.split("/")
    parts = [
        *beginning[: max(3 - len(parts), 0)],
        *parts,
    ]  # a job of the run's own project may be named without it
    if len(parts) != 3 or not all(parts):
        raise Reject("job", f"is {job[:200]!r}", "A job is named entity/project/name:alias.")
    return "/".join(parts)


def source_of(
    spec: RunSpec,
    job: JobSource | None,
    base_images: Mapping[str, str],
    destination: str = "",
) -> Source:
    """Return what to run.

    `base_images` are the images for code, under the name of where each was found; `destination` is what an image of the
    code is called, without its tag, where one is built.

    Raises:
        Reject: there is nothing to run, or nothing to run it in.
    """
    overrides = spec.overrides
    if spec.image:
        return Source(spec.image, spec.image, overrides.entry_point)
    if job is None:
        raise _nothing(spec)
    command = overrides.entry_point or list(job.entry_point)
    if job.kind is Kind.IMAGE:
        return Source(job.image, job.image, command)
    if not destination:
        return _code(job, command, overrides, _base_image(job, base_images))
    own = overrides.dockerfile or job.dockerfile
    recipe = recipe_of(job, overrides, "" if own else _base_image(job, base_images), destination)
    command = command if own else python_of_the_image(command)
    return Source(recipe.image, recipe.image, command, recipe)


def _nothing(spec: RunSpec) -> Reject:
    """Return the refusal of a launch that names nothing to run."""
    for other in ("uri", "git"):
        if getattr(spec, other):
            fix = "Enqueue a docker image (`wandb launch --docker-image …`) or a job (`wandb launch --job …`)."
            return Reject(other, "is a kind of source that is not supported", fix)
    return Reject("docker.docker_image", "is missing", "A launch needs an image, or a job, to run.")


def _base_image(job: JobSource, base_images: Mapping[str, str]) -> str:
    image = job.base_image or next(filter(None, base_images.values()), "")
    if not image:
        named = " or ".join(base_images)
        fix = f"Set {named} to an image with the Python that it needs, such as python:3.12."
        raise Reject("job", f"{job.path} is code, and no base image is set to run it in", fix)
    return image


def _code(job: JobSource, command: list[str], overrides: Overrides, image: str) -> Source:
    for name in ("dockerfile", "build_context"):
        if getattr(job, name):
            fix = "Set LAUNCH_BUILDER, build the image yourself (`wandb job create image`), or leave that out."
            raise Reject(
                "job",
                f"{job.path} wants an image built from its {name}, and no image is built here",
                fix,
            )
    if overrides.dockerfile:
        fix = "Leave it out, or set LAUNCH_BUILDER."
        raise Reject(
            "overrides.dockerfile",
            f"is {overrides.dockerfile[:200]!r}, and no image is built here",
            fix,
        )
    what: dict[str, Any] = {"job": job.path}
    what |= (
        {"code": job.code}
        if job.kind is Kind.ARTIFACT
        else {"remote": job.remote, "commit": job.commit}
    )
    if overrides.working_dir:
        what["working_dir"] = _inside(overrides.working_dir)
    # the job's own base image has what the code needs, as W&B's agent has it
    what["install"] = not job.base_image
    return Source(image, command=["python3", "-c", FETCH, json.dumps(what), *command])


def _inside(folder: str) -> str:
    path = inside(folder)
    if path is None:
        raise Reject(
            "overrides.working_dir",
            f"is {folder[:200]!r}",
            "Give a folder of the code, without `..`.",
        )
    return path
