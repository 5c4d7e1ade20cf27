"""One grammar for the names of images, in each place that reads one: that of github.com/distribution/reference."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.config.building import Building
from shared.config.launch_config import read_launch_config
from shared.config.policy import AdmissionPolicy
from shared.config.settings import SubmitSettings, load
from shared.core.errors import Reject, SettingsError
from shared.core.jobsource import JobSource, Kind, read_job
from shared.runspec.render import render
from shared.runspec.scheduler import SchedulerDefaults, schedule_as_job
from shared.runspec.source import resolve
from tests.fakes import FakeJobs, FakeQueueConfigs
from tests.unit.specs import NAMES, SITE, draft_of, put, run_spec

VERTEX = ("resource_args", "gcp-vertex")
POOL = (*VERTEX, "spec", "worker_pool_specs", 0, "container_spec", "image_uri")
JOB = "team/cats/train:v1"
CODE = {"artifact": "wandb-artifact://_id/abc", "entrypoint": ["python", "train.py"]}
DIGEST = "sha256:" + "0a" * 32


def rendered(spec: dict[str, Any], job: JobSource | None = None, base_image: str = "") -> list[str]:
    """Return the images of the pools."""
    draft, found = resolve(draft_of(spec), FakeJobs({JOB: job} if job else {}))
    call = render(draft, replace(SITE, base_image=base_image), NAMES, found)
    return [pool["container_spec"]["image_uri"] for pool in call.constructor["worker_pool_specs"]]


def job_of(kind: str, **source: Any) -> JobSource:
    """Read the wandb-job.json of a job."""
    return read_job(JOB, json.dumps({"source_type": kind, "source": source}).encode())


def of_queue(builder: dict[str, Any]) -> list[str]:
    """Return the image in which a job's code runs."""
    job = JobSource(JOB, Kind.ARTIFACT, ("python", "x.py"), code="team/cats/code:v0")
    return rendered(put(run_spec(docker=None, job=JOB), (*VERTEX, "builder"), builder), job)


def scheduled(image: Any) -> list[str]:
    """Return the image of a sweep's scheduler."""
    overrides = {"entry_point": ["wandb", "scheduler", "sw1"], "args": []}
    spec = run_spec(uri="placeholder-uri-scheduler", run_id="sw1", docker={}, overrides=overrides)
    draft = schedule_as_job(draft_of(spec), FakeQueueConfigs(), SchedulerDefaults(image))
    return rendered(draft.launch.run_spec)


def written(folder: Path, **sections: Any) -> Any:
    """Read a launch-config with these sections."""
    path = folder / "launch-config.yaml"
    path.write_text(json.dumps(sections), encoding="utf-8")
    return read_launch_config(path)


# In an item, a queue or a job: the path at which its author reads the refusal.
OF_AUTHORS: dict[str, tuple[str, Callable[[Any], list[str]]]] = {
    "an item's image": ("docker.docker_image", lambda image: rendered(run_spec(docker={"docker_image": image}))),
    "an item's image_uri": ("docker.docker_image", lambda image: rendered(run_spec(docker=None, image_uri=image))),
    "a pool's image": (".image_uri", lambda image: rendered(put(run_spec(), POOL, image))),
    "an image job": ("job", lambda image: rendered(run_spec(docker=None, job=JOB), job_of("image", image=image))),
    "a code job": (
        "job",
        lambda image: rendered(run_spec(docker=None, job=JOB), job_of("artifact", **CODE, base_image=image)),
    ),
    "a queue's base image": (".builder.base_image", lambda image: of_queue({"base_image": image})),
    "a queue's GPU image": (".accelerator.base_image", lambda image: of_queue({"accelerator": {"base_image": image}})),
    "a queue's CUDA image": (".cuda.base_image", lambda image: of_queue({"cuda": {"base_image": image}})),
    "a queue's base image that this item does not use": (
        ".builder.base_image",
        lambda image: rendered(put(run_spec(), (*VERTEX, "builder"), {"base_image": image})),
    ),
    "a scheduler's image": ("docker.docker_image", scheduled),
}
NOT_IMAGES = [
    *("ubuntu:22.04 as base", "x # comment", "x\n", "x\nRUN id", "not an image", " x", "x ", "scratch as x", "x\\y"),
    *("x@sha256:00", "x@sha256:" + "Z" * 64, "x@", "x@md5:" + "0" * 32, f"x@{DIGEST}@{DIGEST}", "x:1:2", "x:"),
    *("us-docker.pkg.dev/P/r/x:1", "Train", "team/Train:1", "x:" + "t" * 129, "a/" * 130 + "a", "0" * 64),
    *("host:port/x", "host:/x", "https://gcr.io/p/x", "docker://gcr.io/p/x", "--platform=linux x", "$FROM", "x;id"),
]
IMAGES = [
    *("ubuntu", "ubuntu:22.04", "python:3.12-slim", "team/train", "team/train:v1", "ghcr.io/team/train:sha-1"),
    *("us-docker.pkg.dev/p/r/x", "us-docker.pkg.dev/p/r/x:1", f"us-docker.pkg.dev/p/r/x@{DIGEST}"),
    *(f"us-docker.pkg.dev/p/r/x:1@{DIGEST}", "gcr.io/p.com/p/x", "registry.example.com:5000/x", "x:" + "t" * 128),
    *("8.8.8.8:5000/x", "x@sha512:" + "0" * 128),
]


@pytest.mark.parametrize("image", NOT_IMAGES)
@pytest.mark.parametrize("place", OF_AUTHORS)
def test_a_name_that_is_none_is_refused_in_each_place(place: str, image: str) -> None:
    """With the field, the name and the form."""
    field, read = OF_AUTHORS[place]
    with pytest.raises(Reject) as refused:
        read(image)
    assert refused.value.field.endswith(field)
    assert "Write REGISTRY/PATH:TAG or REGISTRY/PATH@sha256:DIGEST" in str(refused.value)


@pytest.mark.parametrize("place", OF_AUTHORS)
def test_a_name_is_taken_as_it_is_in_each_place(place: str) -> None:
    """What Docker reads arrives unchanged; a base image that is not used changes nothing."""
    _, read = OF_AUTHORS[place]
    unused = "does not use" in place
    own = run_spec()["docker"]["docker_image"]
    assert [read(image) for image in IMAGES] == [[own if unused else image] for image in IMAGES]


@pytest.mark.parametrize("value", [5, 3.12, True, ["python:3.12"], {"name": "python:3.12"}])
@pytest.mark.parametrize("place", [name for name in OF_AUTHORS if "scheduler" not in name])
def test_a_value_that_is_no_text_is_refused_in_each_place(place: str, value: Any) -> None:
    """No value is left out without a word."""
    with pytest.raises(Reject, match=r"text|without image"):
        OF_AUTHORS[place][1](value)


@pytest.mark.parametrize("value", [*NOT_IMAGES, 5, ["python:3.12"]])
def test_the_operators_images_follow_the_same_grammar(tmp_path: Path, value: Any) -> None:
    """In the launch-config: the scheduler's and those of the policy."""
    with pytest.raises(SettingsError, match="image"):
        written(tmp_path, scheduler={"image": value})
    with pytest.raises(ValueError, match=r"images\.0"):
        AdmissionPolicy.model_validate({"images": [value]})


SETTINGS = {
    "WANDB_API_KEY": "k" * 40,
    "LEDGER_BUCKET": "ledger",
    "GOOGLE_CLOUD_PROJECT": "p",
    "VERTEX_LOCATION": "us-central1",
}


def test_so_does_the_variable_of_the_scheduler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With its name in the error; a base image that is no image stops only the jobs that need it."""
    name = "LAUNCH_SCHEDULER_IMAGE"
    monkeypatch.chdir(tmp_path)
    for variable, value in SETTINGS.items():
        monkeypatch.setenv(variable, value)
    for image in NOT_IMAGES:
        monkeypatch.setenv(name, image)
        with pytest.raises(SettingsError, match=name):
            load(SubmitSettings)
    for image in IMAGES:
        monkeypatch.setenv(name, image)
        load(SubmitSettings)


@pytest.mark.parametrize("name", [*NOT_IMAGES, "us-docker.pkg.dev/p/r/x:1", f"us-docker.pkg.dev/p/r/x@{DIGEST}"])
def test_so_does_the_name_of_images_that_are_built(name: str) -> None:
    """The build adds the tag."""
    assert "write REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE" in Building.read("cloud-build", name).problem
    assert Building.read("cloud-build", "us-docker.pkg.dev/p/r/x").problem == ""
