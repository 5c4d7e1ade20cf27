"""A builder that cannot build stops no function and no launch but those that it should build for."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.cloud.deployment import Deployment
from shared.config import unknown
from shared.config.launch_config import LaunchConfig
from shared.config.settings import KINDS, SubmitSettings, load
from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind
from shared.runspec.model import RunSpec
from shared.runspec.source import Builder, source_of
from tests.unit.specs import SITE, draft_of, rendered, run_spec
from tests.unit.test_settings import ENOUGH

PARTS = {"type": "gcr", "repository": "r", "image-name": "i", "region": "us-central1", "project": "p2"}
GOOD = "us-central1-docker.pkg.dev/p2/r/i"
KANIKO = {"type": "kaniko", "build-context-store": "gs://own/contexts"}
CODE = JobSource("team/cats/code:v1", Kind.ARTIFACT, code="team/cats/source:v1", entry_point=("python", "train.py"))


@pytest.fixture
def enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Set what is required, in a folder of its own; return the launch-config's path."""
    monkeypatch.chdir(tmp_path)
    for name, value in ENOUGH.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "launch-config.yaml"


def read(path: Path, config: Any) -> SubmitSettings:
    """Return submit's settings beside this launch-config; the other functions start too."""
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    for kind in KINDS:
        load(kind)
    return load(SubmitSettings)


@pytest.mark.parametrize(
    ("config", "destination"),
    [
        ({"builder": KANIKO, "registry": PARTS}, GOOD),
        ({"builder": KANIKO, "registry": {**PARTS, "type": None}}, GOOD),
        # older pages of W&B: the region and the project are the environment's
        (
            {
                "builder": {"type": "docker"},
                "registry": {"type": "gcr", "repository": "r", "image-name": "i"},
                "environment": {"type": "gcp", "region": "europe-west4", "project": "p3"},
            },
            "us-central1-docker.pkg.dev/p/r/i",  # the deployment's own settings win
        ),
        ({"builder": KANIKO, "registry": {**PARTS, "image-name": None, "image_name": "i"}}, GOOD),
        ({"builder": KANIKO, "registry": {"type": "gcr", "uri": f"https://{GOOD}/"}}, GOOD),
        ({"builder": {**KANIKO, "destination": f"HTTPS://{GOOD}"}, "registry": {"type": "ecr"}}, GOOD),
        # nothing that Vertex AI could pull was ever built
        ({"builder": KANIKO}, ""),
        ({"builder": KANIKO, "registry": {"type": "gcr"}}, ""),
        ({"builder": KANIKO, "registry": {"type": "local"}}, ""),
        ({"builder": {"type": "noop"}, "registry": {"type": "acr", "uri": "https://x.azurecr.io/y"}}, ""),
        ({"registry": PARTS}, ""),
        ({"builder": "noop", "registry": "anything"}, ""),
        ({"builder": {}}, ""),
        ({"builder": None, "registry": None, "environment": None}, ""),
    ],
)
def test_the_name_of_images_is_read_from_any_spelling(enough: Path, config: Any, destination: str) -> None:
    """Of the agent's old and new documentation; the table of permissions names the same repository."""
    settings = read(enough, config)
    assert (settings.building.destination, settings.building.problem) == (destination, "")
    images = Deployment("p", "us-central1", config=LaunchConfig.model_validate(config)).images
    assert bool(images) == bool(destination)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"builder": {"type": "kaniko", "destination": "gcr.io/P/I"}}, "'gcr.io/P/I': write REGION-docker.pkg.dev/"),
        ({"builder": {"type": "docker", "destination": "gcr.io/p/i:1"}}, "without a tag"),
        ({"builder": {"type": "docker", "destination": "123.dkr.ecr.us-east-1.amazonaws.com/r"}}, "write REGION-"),
        ({"builder": {"type": "docker", "destination": "me.azurecr.io/r"}}, "write REGION-docker.pkg.dev"),
        ({"builder": {"type": "docker", "destination": "Not An Image"}}, "'Not An Image': write REGION-docker"),
        ({"builder": {"type": "docker", "destination": "https://me:hunter2@x.test/i"}}, "is an address: write REGION-"),
        ({"builder": {"type": "docker", "destination": ["a"]}}, "write REGION-docker.pkg.dev"),
        ({"builder": {"type": "cloud-build"}}, "its images have no destination. Write builder.destination: REGION-"),
        ({"builder": {"type": "buildpack"}}, "builder.type is 'buildpack'. Write one of cloud-build, kaniko, docker"),
        ({"builder": {"type": "Kaniko"}}, "builder.type is 'Kaniko'. Did you mean kaniko?"),
        ({"builder": {"type": "cloudbuild"}}, "Did you mean cloud-build?"),
        ({"builder": {"type": ["kaniko"]}}, "builder.type is \"['kaniko']\""),
        ({"builder": ["kaniko"]}, "builder.type is \"['kaniko']\""),
        ({"builder": "buildpack"}, "builder.type is 'buildpack'"),
        (
            {"builder": KANIKO, "registry": {"type": "ecr", "repository": "r"}},
            "is 'ecr r': write REGION-docker.pkg.dev",
        ),
        ({"builder": KANIKO, "registry": {"type": "acr", "uri": "https://x.azurecr.io/y"}}, "'x.azurecr.io/y': write"),
        ({"builder": KANIKO, "registry": {"type": "hub", "uri": "docker.io/me/x"}}, "'docker.io/me/x': write REGION-"),
        (
            {"builder": KANIKO, "registry": {"type": "gcr", "repository": "r"}},
            "'us-central1-docker.pkg.dev/p/r': write",
        ),
        ({"builder": KANIKO, "registry": {"image-name": "i"}}, "'us-central1-docker.pkg.dev/p//i': write REGION-"),
        ({"builder": KANIKO, "registry": ["x"]}, "write REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE"),
        (
            {"builder": {"type": "kaniko", "destination": GOOD, "build-context-store": "s3://bucket/x"}},
            "builder.build-context-store is 's3://bucket/x'. Write gs://BUCKET/FOLDER, or leave it out",
        ),
        (
            {"builder": {"type": "kaniko", "destination": GOOD, "build-context-store": {"a": 1}}},
            "Write gs://BUCKET/FOLDER, or leave it out",
        ),
    ],
)
def test_a_builder_that_cannot_build_says_why(
    enough: Path, caplog: pytest.LogCaptureFixture, config: Any, problem: str
) -> None:
    """Every function starts, the log has the reason once, images go on, and a job of code reads it."""
    unknown.report_unusable.cache_clear()
    with caplog.at_level(logging.WARNING):
        building = read(enough, config).building
        load(SubmitSettings)
    assert problem in building.problem
    assert "hunter2" not in building.problem
    assert building.destination == ""
    assert [vars(one)["fields"]["problem"] for one in caplog.records if one.message == "settings.unusable"] == [
        building.problem
    ]
    assert Deployment("p", "us-central1", config=LaunchConfig.model_validate(config)).images == ""
    site = replace(SITE, base_image="python:3.12", builder_problem=building.problem)
    assert rendered(run_spec(), site).recipe is None
    builder = Builder(problem=building.problem)
    with pytest.raises(Reject) as refused:
        source_of(RunSpec.parse(run_spec(job=CODE.path, docker=None)), CODE, {"x": "python:3.12"}, builder)
    assert "needs an image built from its code" in str(refused.value)
    assert problem in str(refused.value)
    assert str(refused.value).endswith(
        "Ask its operator to change that, or enqueue an image (`wandb launch -d IMAGE`)."
    )


def test_a_job_with_its_own_base_image_needs_no_build() -> None:
    """As with the agent; unless it brings a Dockerfile."""
    spec, broken = RunSpec.parse(run_spec(job=CODE.path, docker=None)), Builder(problem="builder.type is 'x'")
    own = replace(CODE, base_image="python:3.12")
    assert source_of(spec, own, {}, broken).image == "python:3.12"
    with pytest.raises(Reject, match=r"builder.type is 'x'"):
        source_of(spec, replace(own, dockerfile="Dockerfile"), {}, broken)


@pytest.mark.parametrize("name", ["aws", "azure", "kubernetes", "local", "GCP", ["gcp"]])
def test_another_clouds_environment_stops_nothing(enough: Path, caplog: pytest.LogCaptureFixture, name: Any) -> None:
    """Its region and project are not Vertex AI's: the deployment's own count."""
    unknown.report_unusable.cache_clear()
    config = {"environment": {"type": name, "region": "us-east-1", "project": ["x"]}}
    with caplog.at_level(logging.WARNING):
        settings = read(enough, config)
    assert (settings.vertex_location, settings.google_cloud_project) == ("us-central1", "p")
    [problem] = LaunchConfig.model_validate(config).unusable()
    assert "environment.type is" in problem
    assert "Write type: gcp" in problem
    assert [vars(one)["fields"]["problem"] for one in caplog.records if one.message == "settings.unusable"] == [problem]


def test_the_variables_are_judged_alike(enough: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They win over the file, and a builder of theirs that cannot build stops nothing either."""
    monkeypatch.setenv("LAUNCH_BUILDER", "kaniko")
    monkeypatch.setenv("LAUNCH_BUILD_DESTINATION", "gcr.io/P/I")
    monkeypatch.setenv("LAUNCH_BASE_IMAGE", "Not An Image")
    assert "'gcr.io/P/I': write REGION" in read(enough, {"builder": {**KANIKO, "destination": GOOD}}).building.problem


def test_a_base_image_that_is_none_stops_only_code() -> None:
    """Whose author reads the name of the setting."""
    site = replace(SITE, base_image="Not An Image")
    assert rendered(run_spec(), site)
    with pytest.raises(Reject, match="has the base image 'Not An Image', which is not the name of an image"):
        source_of(draft_of(run_spec(job=CODE.path, docker=None)).spec, CODE, {"LAUNCH_BASE_IMAGE": "Not An Image"})
