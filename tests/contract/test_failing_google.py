"""Cloud Build, Artifact Registry, Cloud Logging, Pub/Sub × each way to fail: what a call raises, and what it sent."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import google_crc32c
import pytest
from google.cloud.devtools.cloudbuild_v1 import Build as Message

from shared.adapters.build.builds import CloudBuilds
from shared.adapters.build.images import CloudBuildImages
from shared.adapters.build.registry import Registry
from shared.adapters.logging import CloudLoggingJobLogs
from shared.adapters.pubsub import PubsubPublisher
from shared.core.budget import Budget
from shared.core.errors import Denied, LaunchError, Retry
from tests.contract.broken import BRIEF, SHAPES, answer, bound, broken
from tests.contract.test_cloud_build import ACCOUNT, IMAGE, JOB, PARENT, FewFiles, Place
from tests.contract.test_publisher import KEYS, TOPIC
from tests.fakes.clock import PLENTY

SECONDS = 1.0  # for a call after others that are answered, and for calls that repeat themselves
MEANING: Mapping[str, type[LaunchError]] = dict.fromkeys(SHAPES, Retry) | {"refused": Denied}
SERVED = [shape for shape in SHAPES if shape != "nobody there"]
BUILD = f"{PARENT}/builds/1"
RECIPE = Place(None, "", "contexts", None).recipe()  # type: ignore[arg-type]
NOTHING = answer(200, {})


def images(url: str, seconds: float = SECONDS) -> CloudBuildImages:
    """Return submit's adapter, for code with one file."""
    files = FewFiles({JOB.code: {"x.py": b"print('it ran')"}})
    return CloudBuildImages(PARENT, ACCOUNT, "launch", files, url, timeout=seconds)


def uploaded(request: bytes) -> bytes:
    """Return GCS's answer to the last part of an upload."""
    checksum = google_crc32c.value(request.partition(b"\r\n\r\n")[2]).to_bytes(4, "big")
    body = {"name": "x", "bucket": "contexts", "generation": "3", "crc32c": base64.b64encode(checksum).decode()}
    return answer(200, body)


CALLS: dict[str, Callable[[str, float], object]] = {
    "get a build": lambda *at: CloudBuilds(*at).get_build(BUILD),
    "see an image": lambda *at: Registry(*at).by_digest(IMAGE),
    "list builds": lambda *at: images(*at).ensure(RECIPE, PLENTY),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_fails_as_its_port_says(call: str, shape: str) -> None:
    """Within its bound; no build begins while it is unknown whether there is one."""
    with broken(shape) as server:
        with pytest.raises(LaunchError) as failed:
            CALLS[call](server.url, bound(shape))
        assert type(failed.value) is MEANING[shape], failed.value
        assert not server.read_to_its_end
        assert server.count(b"POST") == 0


@pytest.mark.parametrize("shape", SERVED)
@pytest.mark.parametrize("step", [b"/tags/", b"uploadType=resumable", b"upload_id=", b"POST /v1/"])
def test_a_build_whose_second_step_fails_is_begun_later(
    monkeypatch: pytest.MonkeyPatch, step: bytes, shape: str
) -> None:
    """Its image's look-up, the two steps of an upload, the create: each is sent by the next call again.

    The create carries the image's tag, by which the next call finds a build that began in spite of a missing answer.
    """
    seconds = bound(shape, SECONDS) if step == b"POST /v1/" else SECONDS  # the others repeat themselves
    with broken(shape, step, NOTHING) as server:
        right = {"Location": f"{server.url}/upload/storage/v1/b/contexts/o?upload_id=1"}
        server.respond(b"uploadType=resumable", answer(200, {}, right))
        server.respond(b"upload_id=", uploaded)
        server.respond(b"/tags/", answer(404, {"error": {"code": 404, "message": "no tag"}}))
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        with pytest.raises(LaunchError) as failed:
            images(server.url, seconds).ensure(RECIPE, Budget(seconds))
        assert type(failed.value) is MEANING[shape], failed.value
        assert not server.read_to_its_end
        creates = [each for each in server.asked if each.startswith(b"POST /v1/")]
        assert len(creates) == (1 if step == b"POST /v1/" else 0)
        assert all(f"image-{RECIPE.tag}".encode() in each for each in creates)


@pytest.mark.parametrize("shape", SERVED)
def test_a_failed_build_whose_image_cannot_be_seen(shape: str) -> None:
    """It has failed, if this account may not look; without an answer, nothing is known."""
    build = {"name": BUILD, "status": int(Message.Status.FAILURE), "images": [IMAGE]}
    with broken(shape, b"/tags/", answer(200, build)) as server:
        builds = CloudBuilds(server.url, bound(shape, SECONDS))
        if shape == "refused":
            assert builds.get_build(BUILD).failed
        else:
            with pytest.raises(Retry):
                builds.get_build(BUILD)
        assert not server.read_to_its_end


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["job", "build"])
def test_a_log_that_cannot_be_read_gives_no_excerpt(shape: str, kind: str) -> None:
    """Within its bound, and it is asked for once."""
    with broken(shape) as server:
        logs, since = CloudLoggingJobLogs(server.url, bound(shape)), datetime.now(UTC)
        tail = logs.tail if kind == "job" else logs.tail_of_build
        assert [tail(f"{PARENT}/{kind}s/1", since) for _ in range(2)] == ["", ""]
        assert not server.read_to_its_end
        assert len(server.asked) <= 1


@pytest.mark.parametrize("shape", ["no answer", "cut off", "dripping", "nobody there"])
def test_tickets_that_are_not_answered_are_published_later(monkeypatch: pytest.MonkeyPatch, shape: str) -> None:
    """Over gRPC. Refusals and unavailable topics: `test_publisher.py`."""
    with broken(shape) as server:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.url.removeprefix("http://"))
        with pytest.raises(Retry):
            PubsubPublisher(TOPIC, timeout=BRIEF).publish(KEYS[:3])
        assert not server.read_to_its_end
