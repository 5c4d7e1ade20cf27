"""Images: Google's own client against the stand-in, which builds; jobs are made by the real `wandb job create`."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core import exceptions as google_errors
from google.auth.credentials import AnonymousCredentials
from google.cloud.devtools.cloudbuild_v1 import CloudBuildClient

from deploy.local.image_store import ImageStore, Start
from deploy.local.servers.build.app import create_app
from deploy.local.servers.build.state import BuildState
from deploy.local.servers.vertex.errors import ApiError
from deploy.local.servers.vertex.messages import parse_custom_job
from deploy.local.servers.vertex.runner import Runner
from deploy.local.servers.vertex.state import VertexState
from deploy.local.serving import serving
from shared.adapters.build import context as contexts
from shared.adapters.build.builds import CloudBuilds
from shared.adapters.build.images import CloudBuildImages
from shared.adapters.wandb import Graphql, WandbFiles, WandbJobs
from shared.core.budget import Budget
from shared.core.building import GONE, ArtifactFile, Build, Ensured, GitCredential, Recipe
from shared.core.errors import Capacity, Denied, OutOfTime, Reject, Retry
from shared.core.jobsource import JobSource, Kind
from shared.runspec.model import Overrides
from shared.runspec.recipe import placed, recipe_of
from tests.contract.gcs import fresh_bucket, gcs_server
from tests.contract.test_vertex_server import pool
from tests.contract.test_wandb_jobs import code, created
from tests.contract.test_wandb_server import KEY, client_env, clock, state, url
from tests.fakes.clock import PLENTY
from tests.security.git_hosts import commit, git_hosts
from tests.waiting import eventually

__all__ = ["client_env", "clock", "code", "state", "url"]  # fixtures

PARENT = "projects/p/locations/us-central1"
DESTINATION = "us-central1-docker.pkg.dev/p/launch/jobs"
ACCOUNT = "launch-images@p.iam.gserviceaccount.com"
LOCAL = Path("deploy/local/images").resolve()
IMAGE = f"{DESTINATION}:tag"
DIGEST = re.compile(re.escape(DESTINATION) + "@sha256:[0-9a-f]{64}")
JOB = JobSource("team/vision/train:v0", Kind.ARTIFACT, ("python", "x.py"), code="team/vision/code:v0", digest="d")


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve GCS."""
    with gcs_server(tmp_path_factory.mktemp("gcs")) as url:
        yield url


@dataclass
class FewFiles:
    """Implements ArtifactFiles: what each artifact holds."""

    artifacts: dict[str, dict[str, bytes]]
    lies: int = 0  # by how much each size is wrong

    def files_of(self, artifact: str) -> Iterator[ArtifactFile]:
        """Yield what is there."""
        for name, content in self.artifacts.get(artifact, {}).items():
            yield ArtifactFile(name, len(content) + self.lies, f"{artifact}/{name}")

    def content(self, file: ArtifactFile) -> Iterator[bytes]:
        """Yield it in pieces."""
        held = self.artifacts[file.address.removesuffix(f"/{file.name}")][file.name]
        yield from (held[at : at + 7] for at in range(0, len(held), 7))


class SlowFiles(FewFiles):
    """Lists them only after a while."""

    def files_of(self, artifact: str) -> Iterator[ArtifactFile]:
        """Wait, and yield."""
        time.sleep(5)
        yield from super().files_of(artifact)


class FreezingFiles(FewFiles):
    """Freezes the process for an hour behind the last piece of a file."""

    now = 0.0

    def content(self, file: ArtifactFile) -> Iterator[bytes]:
        """Yield it in pieces, and freeze."""
        yield from super().content(file)
        self.now += 3600


@dataclass
class Place:
    """Cloud Build, and a bucket for its contexts."""

    builds: BuildState
    url: str
    bucket: str
    files: Any
    credentials: list[GitCredential] = field(default_factory=list)

    def images(self) -> CloudBuildImages:
        """Return ours, connected to it."""
        given = (PARENT, ACCOUNT, "vertex-launch", self.files, self.url)
        return CloudBuildImages(*given, git_credentials=self.credentials)

    def recipe(self, job: JobSource = JOB, base: str = "local/python:3", **overrides: str) -> Recipe:
        """Return what the image of a job is built of."""
        recipe = placed(recipe_of(job, Overrides.parse(overrides), base, DESTINATION), f"gs://{self.bucket}")
        assert recipe
        return recipe

    def built(self, recipe: Recipe) -> Build:
        """Build an image and return what became of the build."""
        name = self.images().ensure(recipe, PLENTY).build
        eventually(lambda: CloudBuilds(self.url).get_build(name).over, "the build ends")
        return CloudBuilds(self.url).get_build(name)


@contextmanager
def placing(gcs: str, builds: BuildState, files: Any) -> Iterator[Place]:
    """Serve builds."""
    with serving(create_app(builds)) as url:
        builds.log_url = url
        try:
            yield Place(builds, url, fresh_bucket(gcs), files)
        finally:
            builds.close()


@pytest.fixture
def waiting(gcs: str, tmp_path: Path) -> Iterator[Place]:
    """Serve builds that a test ends, of code with one file."""
    with placing(gcs, BuildState(tmp_path), FewFiles({JOB.code: {"x.py": b"print('it ran')"}})) as place:
        yield place


@pytest.fixture
def building(gcs: str, tmp_path: Path, url: str) -> Iterator[Place]:
    """Serve builds that are worked on, of the code of W&B's artifacts."""
    store = ImageStore(LOCAL, tmp_path / "built")
    with placing(gcs, BuildState(tmp_path / "builds", store, gcs), WandbFiles(Graphql(url, KEY))) as place:
        yield place


def ran(place: Place, recipe: Recipe, tmp_path: Path, *command: str) -> str:
    """Run a command in a built image, as a job does; returns its output."""
    runner = Runner(LOCAL, tmp_path / "jobs", pending_seconds=0.02, built=tmp_path / "built")
    vertex = VertexState(runner.start)
    try:
        spec = {"workerPoolSpecs": [pool(list(command), recipe.image)]}
        job = vertex.create(PARENT, parse_custom_job({"displayName": "job", "jobSpec": spec}))
        eventually(lambda: job.end_time, "the job ends")
        output = Path(job.log).read_text()
        assert job.state == "JOB_STATE_SUCCEEDED", output + job.error
        return output
    finally:
        runner.close()


def wheel(folder: Path) -> str:
    """Make a package that can be installed without a network; returns its file's name."""
    name = "tiny_part-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("tiny_part.py", "SAID = 'installed'\n")
        archive.writestr("tiny_part-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-part\nVersion: 1.0\n")
        archive.writestr(
            "tiny_part-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_part-1.0.dist-info/RECORD", "")
    return name


@pytest.mark.slow
def test_the_code_of_an_artifact_is_built_and_runs(
    building: Place, url: str, client_env: dict[str, str], code: Path, tmp_path: Path
) -> None:
    """With what it needs installed; the image is then there, and nothing is built again."""
    (code / "requirements.txt").write_text(f"wandb\n./{wheel(code)}\n")
    created(client_env, tmp_path, "code", str(code), "--entry-point", "python train.py")
    recipe = building.recipe(WandbJobs(Graphql(url, KEY)).resolve("team/vision/train:latest"))
    build = building.built(recipe)
    assert build.status == "SUCCESS", requests.get(build.log_url, timeout=5).text
    output = ran(building, recipe, tmp_path, "python3", "-c", "import tiny_part, train; print(tiny_part.SAID)")
    assert output.splitlines() == ["it ran []", "installed"]
    assert DIGEST.fullmatch(building.images().ensure(recipe, PLENTY).image)
    assert building.builds.requests["create"] == 1


@pytest.mark.slow
def test_the_code_of_a_repository_is_built_and_runs(
    building: Place, url: str, client_env: dict[str, str], tmp_path: Path, code: Path, state: Any
) -> None:
    """At the job's commit, with its uncommitted changes; git logs in with the operator's secret."""
    (code / "requirements.txt").write_text("")
    commit(code, {})
    with git_hosts(tmp_path / "hosts", "git.example.test") as hosts:
        remote = hosts.repository("git.example.test", "code.git", code)
        login = client_env | hosts.env | {"no_proxy": "127.0.0.1"}
        created(login, tmp_path, "git", remote, "--entry-point", "python train.py")
        patch = "--- a/sub/part.py\n+++ b/sub/part.py\n@@ -1 +1 @@\n-SAID = 'it ran'\n+SAID = 'patched'\n"
        (artifact,) = (one for one in state.artifacts.by_id.values() if one.collection.type_name == "job")
        artifact.files["diff.patch"] = patch.encode()
        recipe = building.recipe(WandbJobs(Graphql(url, KEY)).resolve("team/vision/train:latest"))
        hosts.logins["git.example.test"] = "me:s3cret"
        building.builds.env = hosts.env
        building.credentials = [GitCredential("git.example.test", "projects/p/secrets/git/versions/latest")]
        assert building.built(recipe).status == "FAILURE"  # no secret
        building.builds.secrets[building.credentials[0].secret] = "me:s3cret"
        build = building.built(recipe)
        log = requests.get(build.log_url, timeout=5).text
        assert build.status == "SUCCESS", log
    assert "s3cret" not in log
    assert ran(building, recipe, tmp_path, "python3", "train.py").splitlines()[-1] == "patched []"


@pytest.mark.parametrize("override", [False, True])
@pytest.mark.slow
def test_a_dockerfile_of_its_own_is_followed(
    building: Place, url: str, client_env: dict[str, str], code: Path, tmp_path: Path, override: bool
) -> None:
    """The job's, within its build context; or the one that the launch names instead."""
    lines = [
        "FROM local/python:3",
        "ENV SAID=ours",
        "WORKDIR /app",
        "COPY part.py .",
        "RUN echo it was $SAID > said.txt",
    ]
    (code / "sub" / "Own").write_text("\n".join(lines))
    (code / "sub" / "Other").write_text("\n".join(lines).replace("ours", "theirs"))
    options = ["--dockerfile", "Own", "--build-context", "sub"]
    created(client_env, tmp_path, "code", str(code), "--entry-point", "python part.py", *options)
    job = WandbJobs(Graphql(url, KEY)).resolve("team/vision/train:latest")
    recipe = building.recipe(job, dockerfile="Other") if override else building.recipe(job)
    build = building.built(recipe)
    assert build.status == "SUCCESS", requests.get(build.log_url, timeout=5).text
    output = ran(building, recipe, tmp_path, "cat", "said.txt", "part.py")
    assert output.splitlines() == [f"it was {'theirs' if override else 'ours'}", "SAID = 'it ran'"]


def test_a_build_that_fails_says_why_in_its_log(building: Place, state: Any, tmp_path: Path) -> None:
    """The reason says where that log is."""
    building.files = FewFiles({JOB.code: {"x.py": b"", "requirements.txt": b"./nowhere.whl\n"}})
    build = building.built(building.recipe())
    assert (build.status, build.failed) == ("FAILURE", True)
    assert "returned a non-zero code: 1" in build.detail
    assert "nowhere.whl" in requests.get(build.log_url, timeout=5).text


def test_the_build_sent_has_its_own_account_and_log(waiting: Place) -> None:
    """Its context holds the code and our Dockerfile; nothing in it is taken for one of Cloud Build's variables."""
    recipe = waiting.recipe(working_dir="sub")
    name = waiting.images().ensure(recipe, PLENTY).build
    [build] = waiting.builds.builds()
    assert (build.name, list(build.images), build.timeout.seconds) == (name, [recipe.image], 3600)
    assert build.service_account == f"projects/p/serviceAccounts/{ACCOUNT}"
    assert list(build.tags) == ["vertex-launch", "vertex-launch", f"image-{recipe.tag}"]
    source = build.source.storage_source
    assert source.generation
    assert source.object_.startswith(f"launch-builds/{recipe.tag}-")
    held = waiting.images()._storage.get().bucket(source.bucket).blob(source.object_).download_as_bytes()  # noqa: SLF001
    with tarfile.open(fileobj=BytesIO(held)) as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    ours = {"Dockerfile.wandb": recipe.text.encode(), "install.py": recipe.installer.encode()}
    assert files == ours | {"code/x.py": b"print('it ran')"}


def test_a_repository_is_fetched_by_the_builds_own_steps(waiting: Place) -> None:
    """Whatever its URL has in it; no author chooses a step's environment."""
    job = JobSource("t/v/j:v0", Kind.REPO, ("python", "x.py"), remote="https://g.test/$a.git", commit="c0ffee")
    recipe = placed(recipe_of(job, Overrides(), "python:3.12", DESTINATION), f"gs://{waiting.bucket}")
    assert recipe
    waiting.images().ensure(recipe, PLENTY)
    [build] = waiting.builds.builds()
    fetch, check, docker, left_out = build.steps
    assert list(fetch.args)[-3:] == ["bash", "https://g.test/$$a.git", "c0ffee"]
    assert list(check.args)[-4:] == ["bash", "code", "", "code"]
    assert list(docker.args)[-3:] == ["--file", "context/Dockerfile.wandb", "context/."]
    assert list(left_out.args)[-3:] == ["bash", recipe.image, "/job/left-out.txt"]
    assert [[*step.env, *step.secret_env] for step in build.steps] == [[], [], ["DOCKER_BUILDKIT=1"], []]


def test_a_build_under_way_is_waited_for(waiting: Place) -> None:
    """By its tag, from whichever launch; a later one of the same content finds the image."""
    recipe = waiting.recipe()
    name = waiting.images().ensure(recipe, PLENTY).build
    assert waiting.images().ensure(recipe, PLENTY) == Ensured(build=name)
    waiting.builds.end(name, "WORKING")
    assert waiting.images().ensure(recipe, PLENTY) == Ensured(build=name)
    waiting.builds.end(name, "SUCCESS")
    assert DIGEST.fullmatch(waiting.images().ensure(recipe, PLENTY).image)
    assert waiting.builds.requests["create"] == 1


@pytest.mark.parametrize(
    ("outputs", "warnings", "context"),
    [
        ([], (), ""),
        ([b"", b"Dockerfile.wandb in code\n", b"", b""], (), ""),
        ([b"", b"Dockerfile.wandb in code/src\n", b"", b""], (), "src"),
        ([b"Unchanged: x.bin.\n", b"", b"", b"Not installed: six."], ("Unchanged: x.bin.", "Not installed: six."), ""),
        ([b"\xff"], ("\ufffd",), ""),
    ],
)
def test_the_steps_of_a_build_say_what_its_image_lacks(
    waiting: Place, outputs: list[bytes], warnings: tuple[str, ...], context: str
) -> None:
    """Also to later launches, as long as Cloud Build has the build."""
    recipe = waiting.recipe()
    name = waiting.images().ensure(recipe, PLENTY).build
    waiting.builds.get(name).message.results.build_step_outputs.extend(outputs)
    waiting.builds.end(name, "SUCCESS")
    for _ in range(2):
        found = waiting.images().ensure(recipe, PLENTY)
        assert (found.warnings, found.context) == (warnings, context)


@pytest.mark.parametrize("status", ["FAILURE", "CANCELLED", "TIMEOUT", "EXPIRED", "INTERNAL_ERROR"])
def test_after_a_build_that_failed_there_is_another(waiting: Place, status: str) -> None:
    """For the launches that come then."""
    recipe = waiting.recipe()
    first = waiting.images().ensure(recipe, PLENTY).build
    waiting.builds.end(first, status, "it broke.")
    seen = CloudBuilds(waiting.url).get_build(first)
    assert (seen.status, seen.over, seen.failed, seen.detail) == (status, True, True, "it broke.")
    second = waiting.images().ensure(recipe, PLENTY).build
    assert second not in ("", first)


def test_an_image_that_was_deleted_is_built_again(waiting: Place) -> None:
    """Though its build is known; but not while it was pushed just now, or a mistake would build without end."""
    recipe = waiting.recipe()
    name = waiting.images().ensure(recipe, PLENTY).build
    waiting.builds.end(name, "SUCCESS")
    waiting.builds.images.clear()
    with pytest.raises(Retry, match="which Artifact Registry does not show"):
        waiting.images().ensure(recipe, PLENTY)
    waiting.builds.get(name).message.finish_time.seconds -= 3601
    assert waiting.images().ensure(recipe, PLENTY).build not in ("", name)


def test_a_create_without_an_answer_is_found_by_its_tag(waiting: Place) -> None:
    """It is not sent again."""
    recipe = waiting.recipe()
    waiting.builds.faults["create"] = [(ApiError(503, "UNAVAILABLE", "try later"), True)]
    with pytest.raises(Retry, match="try later"):
        waiting.images().ensure(recipe, PLENTY)
    [begun] = waiting.builds.builds()
    assert waiting.images().ensure(recipe, PLENTY) == Ensured(build=begun.name)
    assert waiting.builds.requests["create"] == 1


@pytest.mark.parametrize("call", ["list", "tag", "create"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ApiError(403, "PERMISSION_DENIED", "no permission"), Denied),
        (ApiError(500, "INTERNAL", "broke"), Retry),
        (ApiError(429, "RESOURCE_EXHAUSTED", "quota of builds"), Capacity),
        (ApiError(400, "FAILED_PRECONDITION", "no such account"), Denied),
    ],
)
def test_an_error_of_google_names_the_fix(waiting: Place, call: str, answer: ApiError, kind: type[Exception]) -> None:
    """In Google's words, and no build was begun; Artifact Registry knows no quota of ours."""
    if call == "tag" and answer.http_status in (400, 429):
        kind = Retry
    waiting.builds.faults[call] = [(answer, False)]
    with pytest.raises(kind):
        waiting.images().ensure(waiting.recipe(), PLENTY)
    assert not waiting.builds.builds()


@pytest.mark.parametrize(
    ("call", "begun"), [("GET [^ ]*/builds$", 0), ("GET [^ ]*/tags/", 0), ("POST [^ ]*/builds$", 1)]
)
def test_an_answer_that_never_ends_is_given_up(gcs: str, tmp_path: Path, call: str, begun: int) -> None:
    """A byte now and then keeps a socket's own timeout from ending it; a build that was begun is found later."""
    builds = BuildState(tmp_path)
    with serving(trickling(create_app(builds), call)) as url:
        place = Place(builds, url, fresh_bucket(gcs), FewFiles({JOB.code: {"x.py": b""}}))
        images = CloudBuildImages(PARENT, ACCOUNT, "vertex-launch", place.files, url, timeout=0.5)
        with pytest.raises(Retry, match="no answer within"):
            images.ensure(place.recipe(), PLENTY)
        assert len(builds.builds()) == begun


def test_a_build_whose_state_trickles_in_is_given_up(tmp_path: Path) -> None:
    """Status asks again at its next tick."""
    with serving(trickling(create_app(BuildState(tmp_path)), "GET ")) as url, pytest.raises(Retry, match="no answer"):
        CloudBuilds(url, timeout=0.5).get_build(f"{PARENT}/builds/b")


def test_code_that_arrives_too_slowly_is_given_up(waiting: Place) -> None:
    """The upload ends with the budget, even in the middle of a piece."""
    waiting.files = SlowFiles({JOB.code: {"x.py": b""}})
    began = time.monotonic()
    with pytest.raises(Retry, match="no answer within"):
        waiting.images().ensure(waiting.recipe(), Budget(1))
    assert time.monotonic() - began < 4


def test_a_process_that_freezes_after_the_upload_begins_no_build(waiting: Place) -> None:
    """Another invocation may have begun it meanwhile; the context stays behind, and its bucket's rule deletes it."""
    files = waiting.files = FreezingFiles({JOB.code: {"x.py": b"print('it ran')"}})
    with pytest.raises(OutOfTime, match="the beginning of a build"):
        waiting.images().ensure(waiting.recipe(), Budget(100, lambda: files.now))
    assert waiting.builds.builds() == []


def trickling(app: Any, call: str) -> Any:
    """Return an application that does what a call asks for, and answers those that match a byte at a time."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not re.match(call, f"{scope['method']} {scope['path']}"):
            await app(scope, receive, send)
            return

        async def drop(_: Any) -> None:
            pass

        await app(scope, receive, drop)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        for _ in range(60):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.05)

    return serve


def test_a_build_that_is_gone_or_cannot_be_asked_for(waiting: Place) -> None:
    """The one is over, the other is asked for again."""
    name = waiting.images().ensure(waiting.recipe(), PLENTY).build
    assert CloudBuilds(waiting.url).get_build(name) == Build(
        name, "QUEUED", log_url=f"{waiting.url}/standin/builds/{name.rpartition('/')[2]}/log"
    )
    waiting.builds.faults["get"] = [(ApiError(403, "PERMISSION_DENIED", "no"), False)]
    with pytest.raises(Denied, match=r"builds\.get"):
        CloudBuilds(waiting.url).get_build(name)
    waiting.builds.forget(name)
    assert CloudBuilds(waiting.url).get_build(name) == Build(name, GONE)


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [("LARGEST", 20, "has more than 0 MB"), ("MOST", 1, "has more than 1 files")],
)
def test_code_that_is_too_large_is_refused(
    waiting: Place, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, message: str
) -> None:
    """Before any of it is fetched."""
    monkeypatch.setattr(contexts, limit, value)
    waiting.files = FewFiles({JOB.code: {"a.py": b"x" * 20, "b.py": b"x"}})
    waiting.files.content = None
    with pytest.raises(Reject, match=message):
        waiting.images().ensure(waiting.recipe(), PLENTY)
    assert not waiting.builds.builds()


@pytest.mark.parametrize("lies", [-1, 1])
def test_a_file_that_is_not_as_long_as_wandb_says_is_fetched_again(waiting: Place, lies: int) -> None:
    """A later attempt does; half a context is never built."""
    waiting.files.lies = lies
    with pytest.raises(Retry, match="than its size in W&B"):
        waiting.images().ensure(waiting.recipe(), PLENTY)
    assert not waiting.builds.builds()
    assert not list(waiting.images()._storage.get().list_blobs(waiting.bucket))  # noqa: SLF001


@pytest.mark.parametrize(
    ("files", "message"),
    [({"x.py": b""}, "has no sub/Own"), ({"../x.py": b"", "sub/Own": b""}, "outside of itself")],
)
def test_code_that_cannot_be_built_is_refused(waiting: Place, files: dict[str, bytes], message: str) -> None:
    """With what is wrong."""
    waiting.files = FewFiles({JOB.code: files})
    with pytest.raises(Reject, match=message):
        waiting.images().ensure(waiting.recipe(replace(JOB, dockerfile="Own", build_context="sub")), PLENTY)


def test_a_bucket_that_is_not_there_is_an_operators_affair(waiting: Place) -> None:
    """As it is with a permission."""
    with pytest.raises(Denied):
        waiting.images().ensure(replace(waiting.recipe(), store="gs://not-there/x"), PLENTY)


def client(place: Place) -> CloudBuildClient:
    """Return Google's own client."""
    return CloudBuildClient(
        transport="rest", client_options={"api_endpoint": place.url}, credentials=AnonymousCredentials()
    )


GOOD: dict[str, Any] = {"steps": [{"name": "gcr.io/cloud-builders/docker", "args": ["build", "."]}], "tags": ["a", "b"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": []}, "must have 1 to 300 steps"),
        ({"steps": [{"args": ["x"]}]}, "must specify name"),
        ({"steps": [{"name": "x", "args": ["$HOME"]}]}, "not a valid built-in"),
        ({"steps": [{"name": "x", "env": ["X"]}]}, "must be KEY=VALUE"),
        ({"tags": ["a b"]}, "invalid tag"),
        ({"images": ["Upper/x"]}, "invalid image name"),
        ({"timeout": {"seconds": 90_000}}, "must not exceed 24h"),
        ({"source": {"storage_source": {"bucket": "b", "object_": "x.tar"}}}, "archive"),
        ({"service_account": "projects/p/serviceAccounts/a@b"}, "CLOUD_LOGGING_ONLY"),
        ({"service_account": "a@b", "options": {"logging": "NONE"}}, "invalid service account"),
    ],
)
def test_the_stand_in_refuses_what_cloud_build_refuses(waiting: Place, changes: dict[str, Any], message: str) -> None:
    """With a 400."""
    with pytest.raises(google_errors.BadRequest, match=message):
        client(waiting).create_build(request={"parent": PARENT, "build": GOOD | changes})


def test_builds_are_listed_and_cancelled_as_googles_client_does(waiting: Place) -> None:
    """By region, newest first, page by page; with the filters that it documents."""
    cloud = client(waiting)
    made = [
        cloud.create_build(request={"parent": PARENT, "build": GOOD | {"tags": [tag]}}).metadata.build
        for tag in ("a", "b", "a")
    ]
    found = cloud.list_builds(request={"parent": PARENT, "filter": 'tags="a"', "page_size": 1})
    assert [one.id for one in found] == [made[2].id, made[0].id]
    assert not list(cloud.list_builds(request={"parent": "projects/p/locations/europe-west4"}))
    assert cloud.cancel_build(request={"name": made[0].name}).status.name == "CANCELLED"
    with pytest.raises(google_errors.BadRequest):
        cloud.cancel_build(request={"name": made[0].name})
    both = cloud.list_builds(request={"parent": PARENT, "filter": 'tags="a" AND status="CANCELLED"'})
    assert [one.id for one in both] == [made[0].id]
    with pytest.raises(google_errors.BadRequest, match="invalid filter"):
        list(cloud.list_builds(request={"parent": PARENT, "filter": "tags ~ a"}))
    with pytest.raises(google_errors.NotFound):
        cloud.get_build(request={"name": f"{PARENT}/builds/none"})


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
@pytest.mark.slow
def test_gcloud_lists_describes_and_cancels(waiting: Place, tmp_path: Path) -> None:
    """As it is, led to the stand-in by its own variable."""
    name = waiting.images().ensure(waiting.recipe(), PLENTY).build
    led = {"CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD": f"{waiting.url}/", "CLOUDSDK_CORE_PROJECT": "p"}
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true", **led}

    def gcloud(*arguments: str) -> Any:
        command = ["gcloud", "builds", *arguments, "--region=us-central1", "--format=json"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert [build["name"] for build in gcloud("list", f"--filter=tags=image-{waiting.recipe().tag}")] == [name]
    assert gcloud("list", "--filter=tags=other") == []
    gcloud("cancel", name.rpartition("/")[2])
    assert gcloud("describe", name.rpartition("/")[2])["status"] == "CANCELLED"


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        ("", "the Dockerfile is empty"),
        ("COPY a b", "no build stage in current context"),
        ("FROM nobody/knows:1", "Failed to pull image nobody/knows:1"),
        ("FROM local/python:3 AS one", "cannot be followed on this machine"),
        ("FROM local/python:3\nUSER me", "USER cannot be followed"),
        ("FROM local/python:3\nCOPY nothing /", "file does not exist in the build context"),
        ("FROM local/python:3\nCOPY --from=x a b", "cannot be followed"),
        ("FROM local/python:3\nCOPY ../x /", "outside of the build context"),
        ("FROM local/python:3\nWORKDIR ../..", "without `..`"),
        ("FROM local/python:3\nRUN exit 3", "returned a non-zero code: 3"),
        ("FROM local/python:3\nENTRYPOINT [1]", "is not a list of strings"),
    ],
)
def test_an_instruction_that_a_laptop_cannot_run_fails_the_build(
    building: Place, dockerfile: str, message: str
) -> None:
    """Rather than that it is left out."""
    building.files = FewFiles({JOB.code: {"D": dockerfile.encode(), "x.py": b""}})
    build = building.built(building.recipe(replace(JOB, dockerfile="D", digest=dockerfile)))
    assert build.status == "FAILURE"
    assert message in build.detail


def test_an_image_starts_as_its_dockerfile_says(building: Place, tmp_path: Path) -> None:
    """Its last ENTRYPOINT, or CMD; over what it was built on."""
    start = '# a comment\nFROM local/python:3\nENV A=1\nENV B=$A-2 \\\n  C=3\nCOPY ["x.py", "/app/"]\n'
    lines = start + 'WORKDIR /app\nENTRYPOINT ["cat"]\nLABEL x=y'
    building.files = FewFiles({JOB.code: {"D": lines.encode(), "x.py": b""}})
    recipe = building.recipe(replace(JOB, dockerfile="D"))
    assert building.built(recipe).status == "SUCCESS"
    image = ImageStore(LOCAL, tmp_path / "built").find(recipe.image)
    assert Start.of(image) == Start(["cat"], "app", {"A": "1", "B": "1-2", "C": "3"})
    assert (image / "app" / "x.py").is_file()


def test_a_build_is_cancelled_where_it_is(building: Place) -> None:
    """Its processes are ended."""
    building.files = FewFiles({JOB.code: {"D": b"FROM local/python:3\nRUN sleep 600", "x.py": b""}})
    name = building.images().ensure(building.recipe(replace(JOB, dockerfile="D")), PLENTY).build
    eventually(
        lambda: "RUN sleep" in requests.get(CloudBuilds(building.url).get_build(name).log_url, timeout=5).text,
        "it runs",
    )
    client(building).cancel_build(request={"name": name})
    assert (
        eventually(lambda: (b := CloudBuilds(building.url).get_build(name)).over and b, "it ends").status == "CANCELLED"
    )
