"""Resolve the image of a launch: its own, one built from a job's code, or a base image for it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.core.building import GitCredential, Recipe
from shared.core.errors import Reject
from shared.core.image import FORM, Image
from shared.core.jobsource import JobSource, Kind, inside
from shared.core.ports import JobArtifacts
from shared.core.shorten import quoted
from shared.runspec.entry_point import started
from shared.runspec.expansion import inert_json
from shared.runspec.fields import image
from shared.runspec.model import Draft, Overrides, RunSpec
from shared.runspec.programs import FETCH
from shared.runspec.recipe import recipe_of

_NO_BUILDER = "this deployment builds no images"


@dataclass(frozen=True, slots=True)
class Builder:
    """The deployment's builder of images."""

    destination: str = ""  # name of a built image without its tag; empty: no build
    problem: str = ""  # why it cannot build; empty if it can, or if there is none
    credentials: Collection[GitCredential] = ()  # of the builds


@dataclass(frozen=True, slots=True)
class Source:
    """The image of a launch. A `command` that is not empty replaces the containers' own."""

    image: str  # the value of ${image_uri}
    docker: str = ""  # WANDB_DOCKER; empty for a base image
    command: list[str] = field(default_factory=list)
    recipe: Recipe | None = None  # of an image that must be built


NO_BUILDER = Builder()


def resolve(draft: Draft, jobs: JobArtifacts) -> tuple[Draft, JobSource | None]:
    """Return a launch's W&B job, pinned to its version: every attempt runs the same code.

    Raises:
        Reject, Retry, Denied: see JobArtifacts.
    """
    path = job_path(draft.spec)
    if not path:
        return draft, None
    job = jobs.resolve(path)
    return draft.changed(job=job.path), job


def job_path(spec: RunSpec) -> str:
    """Return the job as entity/project/name:alias; empty if the spec names an image, which wins."""
    job = spec.job.strip()
    if not job or spec.image:
        return ""
    parts = job.split("/")
    missing = max(3 - len(parts), 0)  # the run's own entity and project are the default
    parts = [*[spec.entity.strip(), spec.project.strip()][:missing], *parts]
    if len(parts) != 3 or not all(parts):
        raise Reject("job", f"is {quoted(job, 200)}", "Write entity/project/name:alias.")
    return "/".join(parts)


def source_of(
    spec: RunSpec,
    job: JobSource | None,
    base_images: Mapping[str, str],
    builder: Builder = NO_BUILDER,
) -> Source:
    """Return the image and the command of a launch.

    `base_images` are the candidates for code, by the names of their settings; the first that is
    set counts. As with the agent, a job with a base image of its own needs no build.

    Raises:
        Reject: the launch names no image or job, its code has no base image, or the builder cannot
            build.
    """
    overrides = spec.overrides
    if spec.image:
        image(spec.image, "docker.docker_image")
        return Source(spec.image, spec.image, overrides.entry_point)
    if job is None:
        raise _nothing(spec)
    command = overrides.entry_point or list(job.entry_point)
    if job.kind is Kind.IMAGE:
        _check_image(job, "image", job.image)
        return Source(job.image, job.image, command)
    own = overrides.dockerfile or job.dockerfile
    field = "overrides.entry_point" if overrides.entry_point else "job"
    command = started(command, field, own_image=bool(own))
    if builder.problem and (own or job.build_context or not job.base_image):
        problem = f"{job.path} needs an image built from its code, and this deployment cannot build"
        fix = "Ask its operator to change that, or enqueue an image (`wandb launch -d IMAGE`)."
        raise Reject("job", f"{problem}: {builder.problem}", fix)
    if not builder.destination:
        return _code(job, command, overrides, _base_image(job, base_images))
    base = "" if own else _base_image(job, base_images)
    recipe = recipe_of(job, overrides, base, builder.destination, builder.credentials)
    return Source(recipe.image, recipe.image, command, recipe)


def _nothing(spec: RunSpec) -> Reject:
    """Return the refusal of a launch without an image or a job."""
    for other in ("uri", "git"):
        if getattr(spec, other):
            fix = (
                "Enqueue a docker image (`wandb launch --docker-image …`) "
                "or a job (`wandb launch --job …`)."
            )
            return Reject(other, "is a source that this deployment does not support", fix)
    return Reject("docker.docker_image", "is missing", "Write an image here, or a job in job.")


def _base_image(job: JobSource, base_images: Mapping[str, str]) -> str:
    found = job.base_image or next(filter(None, base_images.values()), "")
    if not found:
        named = " or ".join(base_images)
        fix = f"Set {named} to an image with the Python that the code needs, such as python:3.12."
        raise Reject("job", f"{job.path} is code, and no base image is set for it", fix)
    _check_image(job, "base image", found)
    return found


def _check_image(job: JobSource, kind: str, written: str) -> None:
    try:
        Image.parse(written)
    except ValueError as exc:
        problem = f"{job.path} has the {kind} {quoted(written, 200)}, which {exc}"
        raise Reject("job", problem, FORM) from exc


def _code(job: JobSource, command: list[str], overrides: Overrides, image: str) -> Source:
    for name in ("dockerfile", "build_context"):
        if getattr(job, name):
            problem = f"{job.path} needs an image built from its {name}, and {_NO_BUILDER}"
            fix = (
                "Set LAUNCH_BUILDER, or build the image yourself (`wandb job create image`), "
                f"or create the job without {name}."
            )
            raise Reject("job", problem, fix)
    if overrides.dockerfile:
        problem = f"is {quoted(overrides.dockerfile, 200)}, and {_NO_BUILDER}"
        raise Reject("overrides.dockerfile", problem, "Leave it out, or set LAUNCH_BUILDER.")
    settings: dict[str, Any] = {"job": job.path}
    if job.kind is Kind.ARTIFACT:
        settings["code"] = job.code
    else:
        settings |= {"remote": job.remote, "commit": job.commit}
    if overrides.working_dir:
        settings["working_dir"] = _inside(overrides.working_dir)
    # as in W&B's agent, a job's own base image contains all that the code needs
    settings["install"] = not job.base_image
    return Source(image, command=["python3", "-c", FETCH, inert_json(settings), *command])


def _inside(folder: str) -> str:
    path = inside(folder)
    if path is None:
        fix = "Write a folder of the code, without `..`."
        raise Reject("overrides.working_dir", f"is {quoted(folder, 200)}", fix)
    return path
