"""What leaves for Cloud Build from submit, and what comes back, without a network: requests, limits, errors."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.adapters.build.builders import DOCKER
from shared.core.building import Ensured
from shared.core.errors import Capacity, Denied, LaunchError, Retry
from shared.core.shortage import Shortage
from tests.contract.test_call_limits import BUILDS, NAME, RECIPE, TAG, google, submit
from tests.contract.test_production_clients import IMAGE, PARENT
from tests.contract.wires import Given, Sent, Wire, answer, connected, refusal
from tests.fakes.clock import PLENTY

DIGEST = f"sha256:{'0a' * 32}"
VERSION = {"version": f"projects/p1/locations/us/repositories/repo/packages/image/versions/{DIGEST}"}
BY_DIGEST = f"us-docker.pkg.dev/p1/repo/image@{DIGEST}"


def build(number: int = 1, status: Any = "SUCCESS", **changes: Any) -> dict[str, Any]:
    """Return a build as REST writes it."""
    return {"name": f"{PARENT}/builds/{number}", "status": status, "images": [IMAGE], **changes}


def served(monkeypatch: pytest.MonkeyPatch, *builds: Any, tag: Given | None = None) -> Wire:
    """Serve these builds, and an image; a new build of it can begin."""

    def answering(sent: Sent) -> Given:
        if sent.line == f"GET {BUILDS}":
            return answer({"builds": list(builds), "nextPageToken": "two" if len(builds) > 19 else ""})
        if sent.line == f"GET {TAG}" and tag:
            return tag
        return google(sent)

    return connected(monkeypatch, Wire(answering))


def ago(**since: float) -> str:
    """Return a time as REST writes it."""
    return (datetime.now(UTC) - timedelta(**since)).isoformat().replace("+00:00", "Z")


def test_the_newest_builds_of_the_image_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty of them, by the image's tag, before the registry is asked: one may end in between."""
    failed = [build(number, "FAILURE") for number in range(25)]
    wire = served(monkeypatch, *failed, tag=answer(VERSION))
    assert submit().ensure(RECIPE, PLENTY) == Ensured(image=BY_DIGEST)
    assert wire.lines == [f"GET {BUILDS}", f"GET {TAG}"]
    query = {"filter": 'tags="image-tag"', "pageSize": "20"}
    assert query.items() <= wire.sent[0].query.items()
    hidden = served(monkeypatch, *failed[:20], build(20, "WORKING"), tag=answer(VERSION))
    assert submit().ensure(RECIPE, PLENTY).build == ""
    assert len(hidden.sent) == 2


@pytest.mark.parametrize("status", ["PENDING", "QUEUED", "WORKING", "STATUS_UNKNOWN", 77])
def test_a_build_under_way_is_waited_for(monkeypatch: pytest.MonkeyPatch, status: Any) -> None:
    """The registry is not asked; a status that nobody knows counts as under way."""
    wire = served(monkeypatch, build(1, "FAILURE"), build(2, status), tag=answer(VERSION))
    assert submit().ensure(RECIPE, PLENTY) == Ensured(build=f"{PARENT}/builds/2")
    assert wire.lines == [f"GET {BUILDS}"]


@pytest.mark.parametrize(
    ("builds", "begins"),
    [
        (list, True),
        (lambda: [build(status="FAILURE", finishTime=ago(minutes=1))], True),
        (lambda: [build(finishTime=ago(minutes=50))], False),
        (lambda: [build(finishTime=ago(minutes=61))], True),
        (lambda: [build()], True),
        (lambda: [build(status="FAILURE"), build(2, finishTime=ago(minutes=50))], False),
    ],
    ids=range(6),
)
def test_an_image_that_was_just_pushed_will_be_visible(
    monkeypatch: pytest.MonkeyPatch, builds: Callable[[], list[Any]], begins: bool
) -> None:
    """Within an hour; later, it was deleted, and is built again."""
    given = builds()
    wire = served(monkeypatch, *given)
    if begins:
        assert submit().ensure(RECIPE, PLENTY) == Ensured(build=NAME)
        return
    with pytest.raises(Retry) as raised:
        submit().ensure(RECIPE, PLENTY)
    words = f"{given[-1]['name']} has pushed {IMAGE}, which Artifact Registry does not show"
    assert str(raised.value) == words
    assert wire.lines == [f"GET {BUILDS}", f"GET {TAG}"]


def test_a_build_is_of_the_deployments_own_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the generation that the upload returned, for an hour at most, and under the image's tag."""
    wire = served(monkeypatch)
    submit().ensure(RECIPE, PLENTY)
    body = wire.sent[-1].body
    source = body.pop("source")["storageSource"]
    assert body.pop("steps")[-1]["name"] == DOCKER
    assert body == {
        "images": [IMAGE],
        "tags": ["vertex-launch", "agent", "image-tag"],
        "timeout": "3600s",
        "serviceAccount": "projects/p1/serviceAccounts/builder@p1",
        "options": {"logging": 5},  # CLOUD_LOGGING_ONLY
    }
    assert (source["bucket"], source["generation"]) == ("contexts", "3")
    assert source.get("object", source.get("object_")).startswith("builds/tag-")


LIST, UP, MAKE = f"GET {BUILDS}", "POST https://storage.googleapis.com/upload/storage/v1/b/contexts/o", f"POST {BUILDS}"
CALL = f"building {IMAGE} in {PARENT}"
NEEDS = {
    LIST: "the permission cloudbuild.builds.list",
    UP: "the role Storage Object User on gs://contexts/builds",
    MAKE: "the permissions cloudbuild.builds.create and iam.serviceAccounts.actAs on builder@p1",
}


@pytest.mark.parametrize("fails", NEEDS, ids=["list", "upload", "create"])
@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, Denied, "{call}: no. The function's account needs {needs}"),
        (403, Denied, "{call}: no. The function's account needs {needs}"),
        (404, Denied, "{call}: no. The function's account needs {needs}"),
        (409, Retry, "{call}: no"),
        (499, Denied, "{call}: no. The function's account needs {needs}"),
        (501, Retry, "{call}: no"),
    ],
)
def test_a_refusal_names_the_permission(
    monkeypatch: pytest.MonkeyPatch, fails: str, status: int, kind: type[LaunchError], words: str
) -> None:
    """Of the step that it refuses."""

    def answering(sent: Sent) -> Given:
        return refusal(status) if sent.line == fails else google(sent)

    connected(monkeypatch, Wire(answering))
    with pytest.raises(kind) as raised:
        submit().ensure(RECIPE, PLENTY)
    assert type(raised.value) is kind
    found = str(raised.value)
    assert found == words.format(call=CALL, needs=NEEDS[fails]) or (fails == UP and "Request failed" in found)


@pytest.mark.parametrize("fails", [LIST, MAKE], ids=["list", "create"])
def test_a_quota_of_cloud_build_is_waited_for(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    """It is none of Vertex AI's machines."""

    def answering(sent: Sent) -> Given:
        return refusal(429) if sent.line == fails else google(sent)

    connected(monkeypatch, Wire(answering))
    with pytest.raises(Capacity, match=r"^Cloud Build: no$") as raised:
        submit().ensure(RECIPE, PLENTY)
    assert raised.value.shortage is Shortage.RATE
