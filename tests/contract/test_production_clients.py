"""Each client of Google's services as in the cloud, without an endpoint of ours: address, credentials, options."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import google.auth
import pytest
import requests
from google.auth.credentials import Credentials, Scoped
from google.cloud import aiplatform
from requests.adapters import HTTPAdapter

from shared.adapters.build.builds import CloudBuilds
from shared.adapters.build.images import CloudBuildImages
from shared.adapters.build.registry import Registry
from shared.adapters.gcs.bucket import Bucket
from shared.adapters.logging import CloudLoggingJobLogs
from shared.adapters.pubsub import _connect as publisher
from shared.adapters.vertex.jobs import VertexJobs
from shared.adapters.vertex.submit import VertexCompute
from shared.core.building import Recipe
from shared.core.errors import LaunchError
from shared.core.ports import CustomJobCall
from tests.fakes.clock import PLENTY

PARENT = "projects/p1/locations/europe-west4"
IMAGE = "us-docker.pkg.dev/p1/repo/image:tag"
POOL = {"machine_spec": {"machine_type": "n1-standard-4"}, "container_spec": {"image_uri": "x"}, "replica_count": 1}
CALL = CustomJobCall(
    "p1", "europe-west4", {"display_name": "x", "worker_pool_specs": [POOL], "staging_bucket": "gs://b"}, {}
)


class Account(Credentials, Scoped):  # type: ignore[misc]
    """The credentials of a function's account."""

    def __init__(self) -> None:
        super().__init__()
        self.token = "token-of-the-account"

    def refresh(self, _: object) -> None:
        """Stay valid."""

    @property
    def requires_scopes(self) -> bool:
        """Return False, as on Cloud Run."""
        return False

    def with_scopes(self, *_: object, **__: object) -> "Account":
        """Return these."""
        return self

    has_scopes = expired = False
    valid = True


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[requests.PreparedRequest]:
    """Return the requests that would leave this machine; each is answered with an empty object."""
    requests_: list[requests.PreparedRequest] = []
    really = HTTPAdapter.send

    def send(adapter: HTTPAdapter, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        if _of_another_test(request):
            return really(adapter, request, **more)
        requests_.append(request)
        response = requests.Response()
        response.status_code, response.url, response.request = 200, str(request.url), request
        response.headers["Content-Type"] = "application/json"
        vars(response).update(_content=b"{}", _content_consumed=True)  # requests has no public way
        return response

    for name in ("STORAGE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p1")
    monkeypatch.setattr(google.auth, "default", lambda *_, **__: (Account(), "p1"))
    monkeypatch.setattr(HTTPAdapter, "send", send)
    # the SDK has one configuration in a process, which other tests have changed
    monkeypatch.setattr(aiplatform.initializer, "global_config", aiplatform.initializer._Config())  # noqa: SLF001
    monkeypatch.setattr(aiplatform, "init", aiplatform.initializer.global_config.init)
    return requests_


def _of_another_test(request: requests.PreparedRequest) -> bool:
    """Tell whether a call comes from a thread that an earlier test has left behind: to a stand-in on loopback."""
    return "//127.0.0.1" in str(request.url)


def try_(call: Callable[[], object]) -> None:
    """Make a call whose empty answer may mean nothing."""
    with suppress(LaunchError, KeyError, AttributeError, TypeError):
        call()


CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "list jobs": (
        lambda: list(VertexJobs("a").list_jobs(PARENT)),
        f"https://europe-west4-aiplatform.googleapis.com/v1/{PARENT}/customJobs",
    ),
    "get a job": (
        lambda: VertexJobs("a").get_job(f"{PARENT}/customJobs/1"),
        f"https://europe-west4-aiplatform.googleapis.com/v1/{PARENT}/customJobs/1",
    ),
    "cancel a job": (
        lambda: VertexJobs("a").cancel_job(f"{PARENT}/customJobs/1"),
        f"https://europe-west4-aiplatform.googleapis.com/v1/{PARENT}/customJobs/1:cancel",
    ),
    "create a job": (
        lambda: VertexCompute("p9", "us-central1").create(CALL, PLENTY),
        f"https://europe-west4-aiplatform.googleapis.com/v1/{PARENT}/customJobs",
    ),
    "find a job": (
        lambda: VertexCompute("p9", "us-central1").find(PARENT, {"launch_key": "k"}),
        f"https://europe-west4-aiplatform.googleapis.com/v1/{PARENT}/customJobs",
    ),
    "get a build": (
        lambda: CloudBuilds().get_build(f"{PARENT}/builds/1"),
        f"https://cloudbuild.googleapis.com/v1/{PARENT}/builds/1",
    ),
    "list builds": (
        lambda: CloudBuildImages(PARENT, "a@b", "agent", None).ensure(  # type: ignore[arg-type]
            Recipe(IMAGE, "gs://b/f", "e/p/j:v1"), PLENTY
        ),
        f"https://cloudbuild.googleapis.com/v1/{PARENT}/builds",
    ),
    "see an image": (
        lambda: Registry().by_digest(IMAGE),
        "https://artifactregistry.googleapis.com/v1/projects/p1/locations/us/repositories/repo/packages/image/tags/tag",
    ),
    "read a log": (
        lambda: CloudLoggingJobLogs().tail(f"{PARENT}/customJobs/1", datetime(2026, 1, 1, tzinfo=UTC)),
        "https://logging.googleapis.com/v2/entries:list",
    ),
    "list the ledger": (
        lambda: Bucket("b").list_metadata("open/", lambda *each: each),
        "https://storage.googleapis.com/storage/v1/b/b/o",
    ),
    "read the ledger": (
        lambda: Bucket("b").exists("open/k"),
        "https://storage.googleapis.com/storage/v1/b/b/o/open%2Fk",
    ),
    "write the ledger": (
        lambda: Bucket("b").write("open/k", b"{}", {}, 0),
        "https://storage.googleapis.com/upload/storage/v1/b/b/o",
    ),
}


@pytest.mark.parametrize(("call", "address"), CALLS.values(), ids=CALLS)
def test_a_call_goes_to_google_as_the_functions_account(
    sent: list[requests.PreparedRequest], call: Callable[[], object], address: str
) -> None:
    """To the region's own host where there is one; an endpoint of a laptop would hide a mistake."""
    try_(call)
    first = sent[0]
    assert str(first.url).partition("?")[0] == address
    assert first.headers["Authorization"] == "Bearer token-of-the-account"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("call", "address"), CALLS.values(), ids=CALLS)
def test_a_call_goes_to_nobody_else(
    sent: list[requests.PreparedRequest],
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[], object],
    address: str,
    code: int,
) -> None:
    """A redirection is an error: its target would read the keys in a job or a record, and answer in Google's name."""
    before = HTTPAdapter.send

    def send(adapter: HTTPAdapter, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        if _of_another_test(request):
            return before(adapter, request, **more)
        sent.append(request)
        response = requests.Response()
        response.status_code, response.url, response.request = code, str(request.url), request
        response.headers.update({"Content-Type": "application/json", "Location": "https://evil.test/stolen"})
        response._content = b"{}"  # noqa: SLF001 - requests has no public way
        return response

    monkeypatch.setattr(HTTPAdapter, "send", send)
    try_(call)
    assert {str(request.url).partition("?")[0] for request in sent} == {address}


@pytest.mark.parametrize(
    ("call", "scope"), [("see an image", "auth/cloud-platform"), ("read a log", "auth/logging.read")]
)
def test_a_call_without_a_client_asks_for_its_scope(
    sent: list[requests.PreparedRequest], monkeypatch: pytest.MonkeyPatch, call: str, scope: str
) -> None:
    """A user's own credentials, which have scopes, would be refused without it."""
    scopes: list[str] = []

    def default(*_: object, **named: Any) -> tuple[Account, str]:
        scopes.extend(named["scopes"])
        return Account(), "p1"

    monkeypatch.setattr(google.auth, "default", default)
    try_(CALLS[call][0])
    assert scopes == [f"https://www.googleapis.com/{scope}"]


def test_a_listing_asks_for_the_next_page(sent: list[requests.PreparedRequest]) -> None:
    """Of the ledger: without `nextPageToken` in its fields, launches after the first 1,000 would vanish."""
    Bucket("b").list_metadata("open/", lambda *each: each)
    query = parse_qs(urlsplit(str(sent[0].url)).query)
    assert (query["fields"], query["prefix"]) == (["items(name,metadata),nextPageToken"], ["open/"])


def test_a_listing_of_jobs_asks_for_ours_only(sent: list[requests.PreparedRequest]) -> None:
    """By label, with Vertex AI's largest page."""
    list(VertexJobs("launch").list_jobs(PARENT))
    query = parse_qs(urlsplit(str(sent[0].url)).query)
    assert query["pageSize"] == ["100"]
    assert query["filter"][0].startswith('labels.launch_agent="launch" AND state!=')


def test_a_write_has_its_precondition_and_token(sent: list[requests.PreparedRequest]) -> None:
    """A compare-and-swap without a generation would replace another function's record."""
    try_(lambda: Bucket("b").write("open/k", b"{}", {"a": "b"}, 7))
    query = parse_qs(urlsplit(str(sent[0].url)).query)
    body = sent[0].body
    assert isinstance(body, bytes)
    assert query["ifGenerationMatch"] == ["7"]
    assert b'"metadata": {"a": "b", "writer": "' in body


def test_a_create_is_sent_once_with_its_labels(sent: list[requests.PreparedRequest]) -> None:
    """The labels find it again after a lost answer."""
    call = CustomJobCall("p1", "europe-west4", {**CALL.constructor, "labels": {"launch_key": "k1"}}, {})
    try_(lambda: VertexCompute("p9", "us-central1").create(call, PLENTY))
    creates = [each for each in sent if each.method == "POST"]
    assert len(creates) == 1
    body = creates[0].body
    assert body
    assert json.loads(body)["labels"] == {"launch_key": "k1"}


def test_the_topic_is_googles(sent: list[requests.PreparedRequest]) -> None:
    """Over gRPC, with credentials."""
    assert sent == []
    client = publisher()
    assert client.transport._host == "pubsub.googleapis.com:443"  # noqa: SLF001 - it has no public name
    client.stop()
