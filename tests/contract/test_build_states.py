"""Builds and images as status sees them, without a network: what each answer of Google means."""

from typing import Any

import pytest
import requests

from shared.adapters.build.builds import CloudBuilds
from shared.adapters.build.registry import Registry
from shared.core.building import GONE, Build
from shared.core.errors import Denied, LaunchError, Retry
from tests.contract.test_build_wire import BY_DIGEST, VERSION, build
from tests.contract.test_call_limits import BUILDS, NAME, TAG
from tests.contract.test_production_clients import IMAGE, PARENT
from tests.contract.wires import Given, Wire, answer, connected, refusal

SEE = "tags.get on projects/p1/locations/us/repositories/repo"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer(VERSION), BY_DIGEST),
        (refusal(404), ""),
        (refusal(401), f"{SEE}: 401. The function's account needs the permission artifactregistry.tags.get"),
        (refusal(403), f"{SEE}: 403. The function's account needs the permission artifactregistry.tags.get"),
        (refusal(429), f"Artifact Registry answers 429 for {IMAGE}"),
        (refusal(500), f"Artifact Registry answers 500 for {IMAGE}"),
        (answer(VERSION, 201), f"Artifact Registry answers 201 for {IMAGE}"),
        (answer({"version": f"{VERSION['version']}0"}), f"Artifact Registry's answer for {IMAGE} has no digest"),
        (answer({}), f"Artifact Registry's answer for {IMAGE} has no digest"),
        (answer(b"<html>"), f"Artifact Registry's answer for {IMAGE} has no digest"),
        (answer(b"[" * 100_000), f"Artifact Registry's answer for {IMAGE} has no digest"),
        (requests.ConnectionError("reset"), f"{SEE}: reset"),
    ],
    ids=str,
)
def test_an_image_has_a_digest_or_none(monkeypatch: pytest.MonkeyPatch, given: Given, expected: str) -> None:
    """Anything else is an error, never a text of an unknown form."""
    wire = connected(monkeypatch, Wire(given))
    if expected in (BY_DIGEST, ""):
        assert Registry().by_digest(IMAGE) == expected
    else:
        with pytest.raises(LaunchError) as raised:
            Registry().by_digest(IMAGE)
        assert str(raised.value) == expected
        assert isinstance(raised.value, Denied) is ("needs" in expected)
    assert wire.lines[0] == f"GET {TAG}"


def test_the_name_of_an_image_may_have_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are one part of the address."""
    wire = connected(monkeypatch, Wire(refusal(404)))
    assert Registry("http://here.test/").by_digest("us-docker.pkg.dev/p1/repo/a/b:tag") == ""
    repository = "projects/p1/locations/us/repositories/repo"
    assert wire.lines == [f"GET http://here.test/v1/{repository}/packages/a%2Fb/tags/tag"]
    assert "Authorization" not in wire.sent[0].request.headers


READ: list[tuple[dict[str, Any], Build]] = [
    (build(), Build(f"{PARENT}/builds/1", "SUCCESS")),
    (build(status="WORKING", logUrl="https://log"), Build(f"{PARENT}/builds/1", "WORKING", "", "https://log")),
    (build(statusDetail="a", failureInfo={"detail": "b"}), Build(f"{PARENT}/builds/1", "SUCCESS", "b a")),
    (build(statusDetail="a", failureInfo={"detail": "a"}), Build(f"{PARENT}/builds/1", "SUCCESS", "a")),
    (build(statusDetail="a"), Build(f"{PARENT}/builds/1", "SUCCESS", "a")),
    (build(status=77), Build(f"{PARENT}/builds/1", "77")),
]


@pytest.mark.parametrize(("raw", "expected"), READ, ids=range(len(READ)))
def test_a_build_is_read(monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any], expected: Build) -> None:
    """With the details for people, each once. Only of a failed one is the image looked for."""
    wire = connected(monkeypatch, Wire(answer(raw)))
    assert CloudBuilds().get_build(raw["name"]) == expected
    assert wire.lines == [f"GET {BUILDS}/1"]


@pytest.mark.parametrize(
    ("tags", "has_image", "calls"),
    [
        ([answer(VERSION)], True, 2),
        ([refusal(404), answer(VERSION)], True, 3),
        ([refusal(404)], False, 3),
        ([refusal(403)], False, 3),
    ],
    ids=["the first", "the second", "none", "hidden"],
)
def test_another_build_may_have_pushed_the_image_of_a_failed_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tags: list[Given], has_image: bool, calls: int
) -> None:
    """An account that may not look takes the build's own word."""
    images = [IMAGE, f"{IMAGE}-2"]
    wire = connected(monkeypatch, Wire(answer(build(status="FAILURE", images=images)), *tags))
    found = CloudBuilds().get_build(f"{PARENT}/builds/1")
    assert (found.has_image, found.failed, len(wire.sent)) == (has_image, not has_image, calls)
    problem = f"{SEE}: 403. The function's account needs the permission artifactregistry.tags.get"
    warned = [{"image": image, "problem": problem} for image in images] if "403" in str(tags[0]) else []
    assert [vars(line)["fields"] for line in caplog.records] == warned


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (403, Denied, "builds.get on {}: no. The function's account needs the permission cloudbuild.builds.get"),
        (400, Denied, "builds.get on {}: no. The function's account needs the permission cloudbuild.builds.get"),
        (503, Retry, "builds.get on {}: no"),
    ],
)
def test_a_build_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[LaunchError], words: str
) -> None:
    """One that Cloud Build does not know is gone, which is no error."""
    connected(monkeypatch, Wire(refusal(status)))
    with pytest.raises(kind) as raised:
        CloudBuilds().get_build(NAME)
    assert str(raised.value) == words.format(NAME)
    connected(monkeypatch, Wire(refusal(404)))
    assert CloudBuilds().get_build(NAME) == Build(NAME, GONE)
