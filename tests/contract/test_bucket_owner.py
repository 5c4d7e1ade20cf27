"""Whose a bucket is: a project's functions neither read nor write one that another project owns, or may own."""

from typing import Any

import pytest

from shared.adapters.gcs import Bucket
from shared.core.errors import Denied, LaunchError, Retry
from tests.contract.test_call_limits import RECIPE, STORE, google, submit
from tests.contract.wires import Given, Sent, Wire, answer, connected, refusal
from tests.fakes.clock import PLENTY

OWNERS: list[tuple[Any, type[LaunchError], str]] = [
    ("78", Denied, "gs://contexts belongs to the project number 78, not to 77: this function neither reads"),
    ("", Retry, "gs://contexts: the answer does not say whose it is"),
    (
        refusal(403),
        Denied,
        "gs://contexts: read whose it is: no. The function's account needs the permission storage.buckets.get on this",
    ),
]


@pytest.mark.parametrize(("owner", "error", "words"), OWNERS, ids=["another", "unknown", "hidden"])
def test_nothing_is_uploaded_into_a_bucket_of_another_project(
    monkeypatch: pytest.MonkeyPatch, owner: Any, error: type[LaunchError], words: str
) -> None:
    """A bucket that may belong to another project is not used; the next call asks again."""

    def answering(sent: Sent) -> Given:
        if sent.line == f"GET {STORE}" and not isinstance(owner, str):
            return refusal(403)
        return google(sent, owner)

    wire = connected(monkeypatch, Wire(answering))
    for calls in (1, 2):
        with pytest.raises(error) as raised:
            submit().ensure(RECIPE, PLENTY)
        assert type(raised.value) is error
        assert str(raised.value).startswith(words)
        assert wire.lines.count(f"GET {STORE}") == calls
    assert not [line for line in wire.lines if line.startswith(("POST", "PUT"))]


@pytest.mark.parametrize(("owner", "error", "words"), OWNERS, ids=["another", "unknown", "hidden"])
def test_no_record_is_read_from_a_bucket_of_another_project(
    monkeypatch: pytest.MonkeyPatch, owner: Any, error: type[LaunchError], words: str
) -> None:
    """It is not written; each call asks again."""
    wire = connected(
        monkeypatch, Wire(answer({"projectNumber": owner} if owner else {}) if isinstance(owner, str) else owner)
    )
    bucket = Bucket("contexts", project_number="77")
    for call in (lambda: bucket.read("open/k"), lambda: bucket.write("open/k", b"", {}, 0)):
        with pytest.raises(error) as raised:
            call()
        assert type(raised.value) is error
        assert words in str(raised.value)
    assert wire.lines == [f"GET {STORE}"] * 2
    assert wire.sent[0].query == {"fields": "projectNumber"}


def test_a_bucket_of_our_own_is_asked_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those calls that find out whose it is, a failed one is repeated; without a number there is none."""
    object_ = f"GET {STORE}/o/open%2Fk"
    wire = connected(monkeypatch, Wire(answer({"projectNumber": 77}), answer({"generation": "1"})))
    bucket = Bucket("contexts", project_number="77")
    assert [bucket.exists("open/k") for _ in range(2)] == [True, True]
    assert wire.lines == [f"GET {STORE}", object_, object_]
    wire.sent.clear()
    Bucket("contexts").exists("open/k")
    assert wire.lines == [object_]


@pytest.mark.parametrize("status", [401, 404, 503])
def test_only_a_403_says_that_an_owner_is_hidden(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """Any other error of that call is its own."""
    connected(monkeypatch, Wire(refusal(status, "The specified bucket does not exist.")))
    with pytest.raises(LaunchError) as raised:
        Bucket("contexts", patience=0, project_number="77").exists("open/k")
    assert "storage.buckets.get" not in str(raised.value)


@pytest.mark.parametrize("words", ["The specified bucket does not exist.", "Not Found", ""])
def test_a_bucket_without_an_owner_does_not_exist(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """With any words: an absent bucket is no absent object."""
    connected(monkeypatch, Wire(refusal(404, words)))
    bucket = Bucket("contexts", project_number="77")
    for call in (lambda: bucket.exists("open/k"), lambda: bucket.read("open/k"), lambda: bucket.delete("open/k", 1)):
        with pytest.raises(Denied, match="gs://contexts: the bucket does not exist"):
            call()


def test_the_note_of_an_agent_named_after_a_bucket_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """GCS names the absent object in its answer."""
    connected(monkeypatch, Wire(refusal(404, "No such object: contexts/agents/my-bucket.json")))
    assert Bucket("contexts").read("agents/my-bucket.json") is None
