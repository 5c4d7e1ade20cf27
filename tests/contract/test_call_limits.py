"""Each call of Google's services: its time limit, its connections, and that it is not repeated blindly."""

import base64
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import google.auth as google_auth
import google_crc32c
import pytest
from google.api_core import retry as google_retry
from google.cloud import aiplatform
from requests.adapters import HTTPAdapter

from shared.adapters.build.images import CloudBuildImages
from shared.adapters.gcs import Bucket
from shared.adapters.google import storage_client
from shared.adapters.logging import CloudLogging
from shared.adapters.vertex.jobs import VertexJobs
from shared.core.building import ArtifactFile, Recipe
from tests.contract.launches import NOW
from tests.contract.test_production_clients import CALLS, IMAGE, PARENT, try_
from tests.contract.wires import Given, Sent, Wire, answer, connected, refusal
from tests.fakes.clock import PLENTY

TIMEOUTS: dict[str, Any] = {
    "list jobs": 15.0,
    "get a job": 15.0,
    "cancel a job": 15.0,
    "create a job": (10.0, 60.0),
    "find a job": 30.0,
    "get a build": 30.0,
    "list builds": 30.0,
    "see an image": 30.0,
    "read a log": 5.0,
    "list the ledger": 10,
    "read the ledger": 10,
    "write the ledger": 10,
}


@pytest.fixture(autouse=True)
def _fresh_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo the configuration of Vertex AI's SDK, one for a process, that other tests have made."""
    monkeypatch.setattr(aiplatform.initializer, "global_config", aiplatform.initializer._Config())  # noqa: SLF001
    monkeypatch.setattr(aiplatform, "init", aiplatform.initializer.global_config.init)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_has_its_time_limit(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """None waits without a limit: requests and Google's clients would."""
    wire = connected(monkeypatch, Wire(answer()))
    try_(CALLS[name][0])
    assert wire.sent[0].timeout == pytest.approx(TIMEOUTS[name])


@pytest.mark.parametrize("name", [name for name in CALLS if "the ledger" not in name])
def test_a_call_is_not_repeated_by_its_client(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The next tick or delivery repeats it; a client's own repetitions would take the time of others."""
    wire = connected(monkeypatch, Wire(refusal(503)))
    try_(CALLS[name][0])
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    ("call", "scope"),
    [
        (CALLS["list jobs"][0], "cloud-platform"),
        (CALLS["read the ledger"][0], "cloud-platform"),
        (lambda: list(CloudLogging().lines("p1", f"{PARENT}/customJobs/7", NOW)), "logging.read"),
    ],
    ids=["jobs", "ledger", "log"],
)
def test_a_session_asks_for_its_scope(monkeypatch: pytest.MonkeyPatch, call: Callable[[], object], scope: str) -> None:
    """A user's own credentials, which have scopes, would be refused without it."""
    connected(monkeypatch, Wire(answer()))
    scopes: list[str] = []
    default = google_auth.default

    def asked(**named: Any) -> Any:
        scopes.extend(named["scopes"])
        return default()

    monkeypatch.setattr(google_auth, "default", asked)
    try_(call)
    assert scopes == [f"https://www.googleapis.com/auth/{scope}"]


def test_pages_of_a_whole_log_have_their_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command waits longer than status."""
    wire = connected(monkeypatch, Wire(answer()))
    since = datetime.fromisoformat("2026-01-01T02:00:00+02:00")
    assert list(CloudLogging().lines("p1", f"{PARENT}/customJobs/7", since)) == []
    (sent,) = wire.sent
    assert (sent.line, sent.timeout) == ("POST https://logging.googleapis.com/v2/entries:list", 60.0)
    asked = 'resource.type="ml_job" AND resource.labels.job_id="7" AND timestamp>="2026-01-01T00:00:00Z"'
    expected = {"filter": asked, "orderBy": "timestamp asc", "pageSize": 1000, "pageToken": ""}
    assert sent.body == {"resourceNames": ["projects/p1"], **expected}


@pytest.mark.parametrize(
    ("rest", "connections"),
    [(lambda: VertexJobs("a")._rest, 16), (lambda: Bucket("logs")._objects.rest, 32)],  # noqa: SLF001 - no public name
)
def test_all_threads_of_a_function_have_connections(
    monkeypatch: pytest.MonkeyPatch, rest: Callable[[], Any], connections: int
) -> None:
    """Ten by default: an eleventh thread's would be closed after each call."""
    connected(monkeypatch, Wire(answer()))
    adapter = rest().session.get().get_adapter("https://x")
    assert isinstance(adapter, HTTPAdapter)
    assert adapter._pool_maxsize == connections  # type: ignore[attr-defined]  # noqa: SLF001


class Files:
    """The artifacts of W&B: one file of code."""

    def files_of(self, artifact: str) -> Iterator[ArtifactFile]:
        """Yield the file."""
        yield ArtifactFile("x.py", 3, "/x")

    def content(self, file: ArtifactFile) -> Iterator[bytes]:
        """Yield its content."""
        yield b"abc"


RECIPE = Recipe(IMAGE, "gs://contexts/builds", "e/p/j:v1", code="e/p/c:v1", text="FROM x\n")
BUILDS = f"https://cloudbuild.googleapis.com/v1/{PARENT}/builds"
TAG = "https://artifactregistry.googleapis.com/v1/projects/p1/locations/us/repositories/repo/packages/image/tags/tag"
STORE = "https://storage.googleapis.com/storage/v1/b/contexts"
UPLOAD = "https://storage.googleapis.com/upload/storage/v1/b/contexts/o"
NAME = f"{PARENT}/builds/7"


def google(sent: Sent, owner: Any = "77") -> Given:
    """Answer as Google does, to a build of an image that does not exist yet."""
    if sent.line == f"GET {TAG}":
        return refusal(404)
    if sent.line == f"GET {STORE}":
        return answer({"projectNumber": owner, "name": "contexts"} if owner else {"name": "contexts"})
    if sent.query.get("uploadType") == "resumable":
        return answer(headers={"Location": f"{UPLOAD}?upload_id=1"})
    if "upload_id" in sent.query:
        content = sent.request.body
        assert isinstance(content, bytes)
        checksum = google_crc32c.value(content).to_bytes(4, "big")
        return answer(
            {"name": "x", "bucket": "contexts", "generation": "3", "crc32c": base64.b64encode(checksum).decode()}
        )
    if sent.line == f"POST {BUILDS}":
        metadata = {"@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"}
        return answer({"name": "operations/1", "metadata": {**metadata, "build": {"name": NAME}}})
    return answer()


def submit(number: str = "77") -> CloudBuildImages:
    """Return submit's adapter, which owns its bucket if the project has this number."""
    return CloudBuildImages(PARENT, "builder@p1", "agent", Files(), project_number=number)


def test_a_build_begins_with_six_calls_each_with_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose bucket it is, is asked once; without a number, never."""
    wire = connected(monkeypatch, Wire(google))
    adapter = submit()
    assert adapter.ensure(RECIPE, PLENTY).build == NAME
    upload = [(f"POST {UPLOAD}", 60), (f"PUT {UPLOAD}", 60)]
    begun = [(f"GET {BUILDS}", 30.0), (f"GET {TAG}", 30.0)]
    expected = [*begun, (f"GET {STORE}", 10), *upload, (f"POST {BUILDS}", 30.0)]
    assert [(each.line, each.timeout) for each in wire.sent] == expected
    adapter.ensure(RECIPE, PLENTY)
    assert len(wire.sent) == len(expected) + 5
    wire.sent.clear()
    submit("").ensure(RECIPE, PLENTY)
    assert f"GET {STORE}" not in wire.lines


@pytest.mark.parametrize("fails", [f"GET {STORE}", f"POST {UPLOAD}", f"PUT {UPLOAD}"], ids=["owner", "begin", "end"])
def test_a_call_of_cloud_storage_is_repeated(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    """It is harmless: each context has a name of its own, and its write a precondition."""
    failed: list[str] = []

    def answering(sent: Sent) -> Given:
        if sent.line == fails and not failed:
            failed.append(fails)
            return refusal(503)
        return google(sent)

    monkeypatch.setattr(google_retry.retry_unary.time, "sleep", lambda _: None)
    wire = connected(monkeypatch, Wire(answering))
    assert submit().ensure(RECIPE, PLENTY).build == NAME
    assert wire.lines.count(f"POST {BUILDS}") == len(failed) == 1


def test_the_client_of_cloud_storage_asks_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would read the bucket's own record for traces, and follow redirections."""
    monkeypatch.delenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", raising=False)
    connected(monkeypatch, Wire(answer()))
    client = storage_client()
    assert client._http.max_redirects == 0  # noqa: SLF001 - it has no public name
    assert os.environ["DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"] == "true"
