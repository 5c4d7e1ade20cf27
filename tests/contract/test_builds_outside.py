"""Cloud Build's quota and logs, as its stand-in shows them to Google's client and to a reader of Cloud Logging."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud.devtools.cloudbuild_v1 import Build, CloudBuildClient

from deploy.local.image_store import ImageStore
from deploy.local.servers.build.app import create_app
from deploy.local.servers.build.state import ENDED, BuildState
from deploy.local.servers.build.worker import DOCKER, Worker
from deploy.local.serving import serving
from tests.waiting import eventually

PARENT = "projects/p/locations/us-central1"
IMAGES = Path("deploy/local/images").resolve()
IMAGE = "us-central1-docker.pkg.dev/p/launch/jobs:1"
FAILS = "FROM local/python:3\nRUN python -m pip install --no-index no-such-package==9\n"


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildState:
    """Return a state whose builds take a Dockerfile that fails from a folder instead of a bucket."""

    def fetch(self: Worker, workspace: Path) -> None:
        (workspace / "Dockerfile").write_text(FAILS)

    monkeypatch.setattr(Worker, "_fetch", fetch)
    return BuildState(tmp_path / "builds", ImageStore(IMAGES, tmp_path / "built"), "http://127.0.0.1:9")


@pytest.fixture
def url(builds: BuildState) -> Iterator[str]:
    """Serve it."""
    with serving(create_app(builds)) as url:
        yield url
    builds.close()


def begun(url: str) -> Any:
    """Create a build with Google's client; return what it answers."""
    client = CloudBuildClient(
        transport="rest", client_options={"api_endpoint": url}, credentials=AnonymousCredentials()
    )
    steps = [{"name": DOCKER, "args": ["build", "--tag", IMAGE, "--file", "Dockerfile", "."]}]
    return client.create_build(request={"parent": PARENT, "build": {"steps": steps, "images": [IMAGE]}}).metadata.build


def status_of(builds: BuildState, name: str) -> str:
    """Return a build's status."""
    return str(Build.Status(builds.get(name).message.status).name)


def test_a_failed_builds_log_ends_with_pips_own_words(builds: BuildState, url: str) -> None:
    """By the call with which a log is read: entries of the resource `build`, newest first."""
    build = begun(url)
    eventually(lambda: builds.get(build.name).message.status in ENDED, "the build is over")
    assert status_of(builds, build.name) == "FAILURE"
    wanted = f'resource.type="build" AND resource.labels.build_id="{build.id}" AND timestamp>="2000-01-01T00:00:00Z"'
    asked = {"resourceNames": ["projects/p"], "filter": wanted, "orderBy": "timestamp desc", "pageSize": 5}
    entries = requests.post(f"{url}/v2/entries:list", json=asked, timeout=20).json()["entries"]
    last = [entry["textPayload"] for entry in entries]
    assert last[0].startswith("ERROR: The command")
    assert any("No matching distribution found for no-such-package==9" in line for line in last)
    other = asked | {"filter": wanted.replace(build.id, "another")}
    assert requests.post(f"{url}/v2/entries:list", json=other, timeout=20).json() == {}


def test_a_build_is_queued_until_there_is_quota(builds: BuildState, url: str) -> None:
    """One that is cancelled meanwhile never works."""
    builds.at_once = 0
    first, second = begun(url), begun(url)
    builds.cancel(second.name)
    eventually(lambda: status_of(builds, second.name) == "CANCELLED", "the second is cancelled")
    assert status_of(builds, first.name) == "QUEUED"
    builds.at_once = 1
    eventually(lambda: status_of(builds, first.name) == "FAILURE", "the first has its turn")
    third = begun(url)
    eventually(lambda: status_of(builds, third.name) == "FAILURE", "the quota was given back")
