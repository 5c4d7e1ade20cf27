"""What a launch runs: an image, or the code of a W&B job in a base image."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind
from shared.core.launch import Launch
from shared.core.ports import JobArtifacts
from shared.spec.environment import docker_image
from shared.spec.fields import found, mapping, text

FETCH = (
    Path(__file__).with_name("in_container.py").read_text(encoding="utf-8")
)  # a part of this program, as its code is


@dataclass(frozen=True, slots=True)
class Source:
    """What a launch runs. `command` replaces the containers' own, where it is not empty."""

    image: str  # what ${image_uri} stands for
    docker: str = ""  # what W&B is told: empty where the image is only what the code runs in
    command: list[str] = field(default_factory=list)


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
    run_spec: Mapping[str, Any], job: JobSource | None, entry_point: list[str], base_images: Mapping[str, str]
) -> Source:
    """Return what to run. `base_images` are the images for code, under the name of where each was found.

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
    return _code(run_spec, job, command, base_images)


def _none(run_spec: Mapping[str, Any]) -> Source:
    for other in ("uri", "git"):
        if run_spec.get(other):
            fix = "Enqueue a docker image (`wandb launch --docker-image …`) or a job (`wandb launch --job …`)."
            raise Reject(other, "is a kind of source that is not supported", fix)
    raise Reject("docker.docker_image", "is missing", "A launch needs an image, or a job, to run.")


def _code(run_spec: Mapping[str, Any], job: JobSource, command: list[str], base_images: Mapping[str, str]) -> Source:
    image = job.base_image or next(filter(None, base_images.values()), "")
    if not image:
        named = " or ".join(base_images)
        fix = f"Set {named} to an image with the Python that it needs, such as python:3.12."
        raise Reject("job", f"{job.path} is code, and no base image is set to run it in", fix)
    overrides = mapping(run_spec.get("overrides"), "overrides")
    if dockerfile := overrides.get("dockerfile"):
        raise Reject("overrides.dockerfile", f"is {found(dockerfile)}, and no image is built here", "Leave it out.")
    what: dict[str, Any] = {"job": job.path}
    what |= {"code": job.code} if job.kind is Kind.ARTIFACT else {"remote": job.remote, "commit": job.commit}
    if working_dir := text(overrides.get("working_dir"), "overrides.working_dir", ""):
        what["working_dir"] = _inside(working_dir)
    # the job's own base image has what the code needs, as W&B's agent has it
    what["install"] = not job.base_image
    return Source(image, command=["python3", "-c", FETCH, json.dumps(what), *command])


def _inside(folder: str) -> str:
    path = PurePosixPath(folder)
    if path.is_absolute() or ".." in path.parts:
        raise Reject("overrides.working_dir", f"is {folder[:200]!r}", "Give a folder of the code, without `..`.")
    return str(path)
