"""Whose a bucket is: compared by each function at its first use, by provision, and before an upload of sources."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud.storage import Client

from deploy.cloud.buckets import refusal
from deploy.cloud.deployment import Deployment
from shared.adapters.build.images import CloudBuildImages
from shared.adapters.gcs import Bucket, GcsAgentBook, GcsLedger
from shared.core.budget import Budget
from shared.core.building import ArtifactFile, Recipe
from shared.core.errors import Denied
from tests.cloud.acting import cloud_for
from tests.cloud.state import StoredObject
from tests.cloud.warm import warm_gcloud
from tests.cloud.world import Cloud
from tests.deployment.test_provision import DEPLOYMENT, deploy_submit, provision

ROOT = Path(__file__).parent.parent.parent
NUMBER = "123456789012"
LEDGER, SOURCES = "p1-launch-ledger", "p1-launch-sources"
POLL = "launch-poll@p1.iam.gserviceaccount.com"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Give a project with a ledger and a bucket for sources, in which this process is poll."""
    with cloud_for(POLL, tmp_path, monkeypatch) as made:
        for bucket in (LEDGER, SOURCES):
            Client(project="p1").create_bucket(bucket, location="us-central1")
        made.calls.clear()
        yield made


class NoFiles:
    """Artifacts without files."""

    def files_of(self, artifact: str) -> Iterator[ArtifactFile]:
        """Yield none."""
        yield from ()

    def content(self, file: ArtifactFile) -> Iterator[bytes]:
        """Yield nothing."""
        yield from ()


def bucket(cloud: Cloud, name: str) -> dict[str, Any]:
    """Return a bucket of the cloud."""
    return cloud.resources[f"storage.googleapis.com/projects/_/buckets/{name}"]


def test_a_strangers_bucket_is_neither_read_nor_written(cloud: Cloud) -> None:
    """However open it is; each use says so again, until it is ours."""
    bucket(cloud, LEDGER)["projectNumber"] = "999"
    cloud.state.objects[LEDGER, "open/a"] = StoredObject(b"{}", 1)
    ours = Bucket(LEDGER, project_number=NUMBER)
    for use in (GcsLedger(ours).list_open, lambda: GcsLedger(ours).read("a"), GcsAgentBook(ours, "launch").read):
        with pytest.raises(Denied, match=f"gs://{LEDGER} belongs to the project number 999, not to {NUMBER}"):
            use()
    assert not cloud.calls_to("storage", path_regex="/o(/|$)")
    bucket(cloud, LEDGER)["projectNumber"] = NUMBER
    assert ours.exists("open/a")


def test_a_bucket_that_may_not_be_read_counts_as_a_strangers(cloud: Cloud) -> None:
    """A stranger decides what we may read of theirs, so a refusal proves nothing; the fix is named."""
    cloud.enforce(lambda _, permission, __: permission != "storage.buckets.get")
    with pytest.raises(Denied, match=r"needs the permission storage\.buckets\.get on this bucket: run `vertex"):
        Bucket(LEDGER, project_number=NUMBER).exists("open/a")


def test_the_owner_is_read_once_in_a_process(cloud: Cloud) -> None:
    """For the ledger and the agent's note together; without a number, never."""
    ours = Bucket(LEDGER, project_number=NUMBER)
    for _ in range(2):
        GcsLedger(ours).list_open()
        GcsAgentBook(ours, "launch").read()
    Bucket(LEDGER).exists("x")
    assert len(cloud.calls_to("storage", "GET", f"/b/{LEDGER}$")) == 1


def test_no_context_goes_to_a_strangers_bucket(cloud: Cloud) -> None:
    """Submit starts no build either."""
    bucket(cloud, SOURCES)["projectNumber"] = "999"
    images = CloudBuildImages(DEPLOYMENT.parent, "images@p1", "launch", NoFiles(), project_number=NUMBER)
    recipe = Recipe("us-docker.pkg.dev/p1/jobs/code:1", f"gs://{SOURCES}/contexts", "team/cats/job:v1", text="FROM x")
    with pytest.raises(Denied, match=f"gs://{SOURCES} belongs to the project number 999"):
        images.ensure(recipe, Budget(60))
    assert not cloud.calls_to("storage", "POST")
    assert not cloud.calls_to("cloudbuild", "POST")


def test_a_build_refuses_the_ledger_of_a_stranger(cloud: Cloud) -> None:
    """Before it creates anything."""
    bucket(cloud, LEDGER)["projectNumber"] = "999"
    done = provision()
    assert done.exit_code == 1
    assert f"gs://{LEDGER} belongs to the project number 999, not to p1" in done.output
    assert not [call for call in cloud.calls if call.method != "GET" and "/token" not in call.path]


@pytest.mark.parametrize("moved", ["ledger", "trigger"])
def test_a_build_refuses_a_second_region(cloud: Cloud, moved: str) -> None:
    """If the ledger is elsewhere, or a submit elsewhere already listens to the topic."""
    if moved == "ledger":
        bucket(cloud, LEDGER)["location"] = "EUROPE-WEST4"
    else:
        assert provision().exit_code == 0
        deploy_submit(cloud)
        bucket(cloud, LEDGER)["location"] = "US"
        bucket(cloud, LEDGER)["locationType"] = "multi-region"  # says nothing about our region
        assert provision("--complete").exit_code == 0
    cloud.calls.clear()
    done = provision(*(["--region=europe-west4"] if moved == "trigger" else []))
    right, wrong = ("europe-west4", "us-central1") if moved == "ledger" else ("us-central1", "europe-west4")
    assert done.exit_code == 1
    assert f"the deployment launch of p1 is in {right}, not in {wrong}" in done.output
    assert f"Repeat with --region={right}." in done.output
    assert not [call for call in cloud.calls if call.method != "GET" and "/token" not in call.path]


def test_a_build_takes_no_topic_of_another_deployment(cloud: Cloud) -> None:
    """A label is not replaced by another deployment's."""
    topic = "projects/p1/topics/launch-requests"
    cloud.resources[f"pubsub.googleapis.com/{topic}"] = {"name": topic, "labels": {"vertex-launch": "research"}}
    done = provision()
    assert (done.exit_code, "belongs to the deployment research, not to launch" in done.output) == (1, True)


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed: it reads the bucket")
def test_sources_are_uploaded_to_a_bucket_of_the_project_only(cloud: Cloud) -> None:
    """`gcloud builds submit` itself uploads to any bucket of that name."""

    def check(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "deploy/cloud/check_sources.sh", *words],
            env={**os.environ, **cloud.environ("owner@example.com")}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    with warm_gcloud(cloud):
        assert check("p1").returncode == 0
        bucket(cloud, SOURCES)["projectNumber"] = "999"
        theirs, absent = check("p1"), check("p1", "research")
    assert (theirs.returncode, "belongs to the project number 999, not to p1" in theirs.stderr) == (1, True)
    assert (absent.returncode, "run bootstrap first" in absent.stderr) == (1, True)


@pytest.mark.parametrize(
    ("project", "name", "twin"),
    [
        ("my", "team-launch", "the deployment `launch` of a project `my-team`"),
        ("my-team", "launch", "the deployment `team-launch` of a project `my`"),
        ("example.com:p1", "launch", "the deployment `com-p1-launch` of a project `example`"),
    ],
)
def test_deployments_that_collide_are_named(project: str, name: str, twin: str) -> None:
    """Names of buckets join two names with a dash that both can contain."""
    text = refusal("b", "999", Deployment(project, "us-central1", name, number="1"))
    assert twin in text
    assert "choose another --name" in text


def test_a_name_without_a_dash_collides_with_none() -> None:
    """The refusal names no other deployment then."""
    assert "join" not in refusal("b", "999", Deployment("p1", "us-central1", number="1"))
