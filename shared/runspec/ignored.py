"""Warn about the fields of a run spec that have no effect on its launch."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.core.jobsource import JobSource, Kind
from shared.runspec.model import RESOURCES, RunSpec

# fields that W&B's agent reads, or has read
OF_THE_AGENT = {
    "build": "the operator's launch-config says how images are built",
    "builder": "the operator's launch-config says how images are built",
    "cuda": "the image decides whether it has CUDA",
    "cuda_version": "the image decides whether it has CUDA",
    "python_version": "a code job runs in its base image",
    "registry": "the operator's launch-config says where built images are stored",
}


def ignored(raw: Mapping[str, Any], spec: RunSpec, job: JobSource | None) -> list[str]:
    """Return a warning for each field that is known and not empty, but has no effect."""
    return [f"{name} was ignored: {why}" for name, why in _ignored(raw, spec, job)]


def _ignored(
    raw: Mapping[str, Any], spec: RunSpec, job: JobSource | None
) -> Iterator[tuple[str, str]]:
    yield from ((name, why) for name, why in OF_THE_AGENT.items() if raw.get(name))
    if (raw.get("docker") or {}).get("user_id"):
        yield "docker.user_id", "the image decides its user"
    for name in ("git", "uri"):
        value = raw.get(name)
        says = any(value.values()) if isinstance(value, dict) else value
        if says and not spec.is_scheduler:
            yield name, "the image or the job decides which code runs"
    if raw.get("image_uri") and spec.image != raw["image_uri"]:
        yield "image_uri", "docker.docker_image is not empty"
    if spec.image or (job and job.kind is Kind.IMAGE):
        for name in ("dockerfile", "working_dir"):
            if getattr(spec.overrides, name):
                yield f"overrides.{name}", "the launch uses an image that exists"
    first, second = ((raw.get("resource_args") or {}).get(name) for name in RESOURCES)
    if first and second and first != second:  # W&B adds the queue's configuration to an item's
        yield f"resource_args.{RESOURCES[1]}", f"resource_args.{RESOURCES[0]} is not empty"
