"""Images by digest, contexts that nobody can replace, and artifacts whose files are hostile."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from deploy.local.servers.vertex.errors import ApiError
from deploy.local.serving import serving
from shared.adapters.build import context as contexts
from shared.adapters.build.builds import CloudBuilds
from shared.adapters.build.images import steps
from shared.adapters.build.registry import Registry
from shared.core.building import ArtifactFile, Ensured, GitCredential
from shared.core.errors import Reject, Retry
from shared.core.ports import CustomJobCall
from tests.contract.test_cloud_build import DESTINATION, DIGEST, JOB, FewFiles, Place, building, gcs, waiting
from tests.contract.test_wandb_server import clock, state, url
from tests.fakes.clock import PLENTY
from tests.waiting import eventually

__all__ = ["building", "clock", "gcs", "state", "url", "waiting"]  # fixtures

HEX = "0123456789abcdef" * 4
PACKAGE = "projects/p/locations/us-central1/repositories/launch/packages/jobs"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps({"version": None}).encode(),
        json.dumps({"version": "latest"}).encode(),
        json.dumps({"version": f"{PACKAGE}/versions/latest"}).encode(),
        json.dumps({"version": f"{PACKAGE}/versions/sha256:{HEX[:-1]}"}).encode(),
        json.dumps({"version": f"{PACKAGE}/versions/sha256:{HEX}0"}).encode(),
        json.dumps({"version": f"{PACKAGE}/versions/sha256:{HEX}\n"}).encode(),
        json.dumps({"version": f"{PACKAGE}/versions/sha256:{HEX.upper()}"}).encode(),
        json.dumps({"version": f"{PACKAGE}/versions/sha512:{HEX}"}).encode(),
        json.dumps({"version": [f"{PACKAGE}/versions/sha256:{HEX}"]}).encode(),
        json.dumps({"version": f"{PACKAGE}/versions/sha256:{HEX}@evil"}).encode(),
    ],
)
def test_an_answer_without_a_digest_launches_nothing(body: bytes) -> None:
    """The registry is asked again later; no unchecked text becomes the name of an image."""

    async def answer(_: Any) -> Response:
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", answer)])
    with serving(app) as url, pytest.raises(Retry, match="has no digest"):
        Registry(url).by_digest(f"{DESTINATION}:tag")


def test_a_job_runs_its_image_by_digest_wherever_it_is_named(waiting: Place) -> None:
    """A tag that moves later changes no launch; other images and longer texts stay as they are."""
    recipe = waiting.recipe()
    waiting.builds.end(waiting.images().ensure(recipe, PLENTY).build, "SUCCESS")
    image = waiting.images().ensure(recipe, PLENTY).image
    assert DIGEST.fullmatch(image)
    container = {"image_uri": recipe.image, "args": [recipe.image, f"--image={recipe.image}"]}
    env = [{"name": "WANDB_DOCKER", "value": recipe.image}]
    pools = [{"container_spec": container | {"env": env}}, {"container_spec": {"image_uri": "other:1"}}]
    call = CustomJobCall("p", "r", {"worker_pool_specs": pools}, {}, recipe=recipe).running(Ensured(image))
    first, second = (pool["container_spec"] for pool in call.constructor["worker_pool_specs"])
    assert (first["image_uri"], first["env"][0]["value"], second["image_uri"]) == (image, image, "other:1")
    assert first["args"] == [image, f"--image={recipe.image}"]


class Together(FewFiles):
    """Lists the code once two launches ask for it: both have found no build by then."""

    both = threading.Barrier(2)

    def files_of(self, artifact: str) -> Iterator[ArtifactFile]:
        """Wait for the other, and yield."""
        if artifact == JOB.code:
            self.both.wait(30)
        yield from super().files_of(artifact)


def test_two_builds_of_the_same_content_both_end_in_its_image(building: Place) -> None:
    """The second push is refused, as the tag is immutable; a look at the registry comes before the failure counts."""
    building.files = Together({JOB.code: {"x.py": b"", "D": b"FROM local/python:3"}})
    recipe = building.recipe(replace(JOB, dockerfile="D"))
    begun: list[str] = []
    asks = [threading.Thread(target=lambda: begun.append(building.images().ensure(recipe, PLENTY).build)) for _ in "12"]
    for ask in asks:
        ask.start()
    for ask in asks:
        ask.join(60)
    assert len(set(begun)) == 2
    builds = CloudBuilds(building.url)
    eventually(lambda: all(builds.get_build(name).over for name in begun), "both end")
    ended = [builds.get_build(name) for name in begun]
    assert sorted(build.status for build in ended) == ["FAILURE", "SUCCESS"]
    [refused] = (build for build in ended if build.status == "FAILURE")
    assert "immutability" in refused.detail
    assert (refused.has_image, refused.failed) == (True, False)
    assert DIGEST.fullmatch(building.images().ensure(recipe, PLENTY).image)


def test_a_failed_build_without_an_image_stays_a_failure(waiting: Place) -> None:
    """Even if the registry refuses to say; if it does not answer, status asks again."""
    name = waiting.images().ensure(waiting.recipe(), PLENTY).build
    waiting.builds.end(name, "FAILURE", "no")
    assert CloudBuilds(waiting.url).get_build(name).failed
    for code, status in ((403, "PERMISSION_DENIED"), (401, "UNAUTHENTICATED")):
        waiting.builds.faults["tag"] = [(ApiError(code, status, "no"), False)]
        assert CloudBuilds(waiting.url).get_build(name).failed
    waiting.builds.faults["tag"] = [(ApiError(503, "UNAVAILABLE", "later"), False)]
    with pytest.raises(Retry):
        CloudBuilds(waiting.url).get_build(name)


class Overwriting(requests.Session):
    """Another writer of the bucket replaces each object as soon as it is there; `made` are the generations of ours."""

    is_mtls = False  # Google's client reads it

    def __init__(self, gcs: str) -> None:
        super().__init__()
        self.gcs = gcs
        self.made: list[int] = []

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request of ours, and then one of theirs."""
        response = super().request(method, url, *args, **kwargs)
        if method == "PUT" and response.status_code == 200:
            ours = response.json()
            self.made.append(int(ours["generation"]))
            where = {"uploadType": "media", "name": ours["name"]}
            there = f"{self.gcs}/upload/storage/v1/b/{ours['bucket']}/o"
            requests.post(there, params=where, data=b"evil", timeout=10).raise_for_status()
        return response


def test_a_context_is_the_generation_that_its_upload_returned(waiting: Place, gcs: str) -> None:
    """A writer of the bucket who is faster than our next call changes nothing."""
    session = Overwriting(gcs)
    client = storage.Client("p", AnonymousCredentials(), _http=session, client_options={"api_endpoint": gcs})
    source = contexts.upload(waiting.recipe(), waiting.files, client, PLENTY)
    assert [source["generation"]] == session.made


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["/etc/passwd"], "outside of itself"),
        (["../x"], "outside of itself"),
        (["a/../../x"], "outside of itself"),
        (["a\nb"], "outside of itself"),
        (["a\x00b"], "outside of itself"),
        (["a\\..\\..\\x"], "not a plain path"),
        (["a//b"], "not a plain path"),
        (["./x"], "not a plain path"),
        (["a/./b"], "not a plain path"),
        (["a/"], "not a plain path"),
        (["."], "not a plain path"),
        ([""], "not a plain path"),
        (["a\ud800"], "not a plain path"),
        (["x" * 256], "too long"),
        (["ä" * 128], "too long"),
        (["x/" * 2000 + "x"], "too long"),
        (["a", "a/b"], "also a folder"),
        (["a/b/c", "a/b"], "also a folder"),
        (["a", "a"], "twice"),
    ],
)
def test_an_artifact_with_files_that_no_folder_can_have_is_refused(
    waiting: Place, names: list[str], problem: str
) -> None:
    """The author reads which file; nothing is uploaded, and no build begins."""
    waiting.files = Listed(names)
    with pytest.raises(Reject, match=problem):
        waiting.images().ensure(waiting.recipe(), PLENTY)
    assert not waiting.builds.builds()


class Listed(FewFiles):
    """An artifact whose names may repeat."""

    def __init__(self, names: list[str]) -> None:
        super().__init__({})
        self.names = names

    def files_of(self, artifact: str) -> Iterator[ArtifactFile]:
        """Yield empty files of the code."""
        yield from (ArtifactFile(name, 0, name) for name in self.names if artifact == JOB.code)


def test_files_named_like_ours_do_not_replace_them(building: Place) -> None:
    """The code has a folder of its own: its Dockerfile is not ours, nor are its requirements the job's."""
    names = ("Dockerfile", ".dockerignore", "Dockerfile.dockerignore", "requirements.frozen.txt", "code/Dockerfile")
    building.files = FewFiles({JOB.code: dict.fromkeys(names, b"FROM nobody/knows")})
    assert building.built(building.recipe()).status == "SUCCESS"


def test_the_files_of_a_job_are_bounded_as_its_code_is(waiting: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any of it is fetched."""
    monkeypatch.setattr(contexts, "LARGEST", 10)
    waiting.files = FewFiles({JOB.code: {"x.py": b""}, JOB.path: {"requirements.frozen.txt": b"x" * 11}})
    with pytest.raises(Reject, match="too much for an image"):
        waiting.images().ensure(waiting.recipe(replace(JOB, files={"requirements.frozen.txt": "f"})), PLENTY)


def test_only_the_step_that_fetches_a_repository_has_the_secrets(waiting: Place) -> None:
    """A build of an artifact has none, and Cloud Build accepts what is sent."""
    credentials = (GitCredential("git.test", "projects/p/secrets/a/versions/1"),)
    assert "available_secrets" not in steps(waiting.recipe(), credentials)
    waiting.credentials = list(credentials)
    waiting.images().ensure(replace(waiting.recipe(), code="", remote="https://git.test/x", commit="c"), PLENTY)
    [build] = waiting.builds.builds()
    assert [list(step.secret_env) for step in build.steps] == [["GIT_LOGIN_1"], [], [], []]
    [secret] = build.available_secrets.secret_manager
    assert (secret.version_name, secret.env) == (credentials[0].secret, "GIT_LOGIN_1")
