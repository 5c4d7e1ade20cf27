"""When a call of the ledger's bucket is repeated, after which pause, and for how long; and what each refusal means."""

from types import SimpleNamespace
from typing import Any

import pytest
import requests
from google.auth import exceptions as auth_errors
from requests import exceptions as wire_errors

from shared.adapters.gcs import Bucket, GcsLedger
from shared.adapters.gcs import bucket as module
from shared.core.errors import Conflict, Denied, LaunchError, Retry
from tests.contract.launches import a_launch, ended
from tests.contract.wires import Given, Wire, answer, connected, refusal

OBJECT = "https://storage.googleapis.com/storage/v1/b/logs/o/open%2Fk"
CONTENT = answer(b"x", headers={"X-Goog-Generation": "7"})


class Time:
    """A clock that only pauses move, each as long as it may be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.pauses = 0.0, list[tuple[float, float]]()
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep))
        monkeypatch.setattr(module, "random", SimpleNamespace(uniform=self.uniform))

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def uniform(self, shortest: float, longest: float) -> float:
        """Note the bounds of a pause."""
        self.pauses.append((shortest, longest))
        return longest


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Return the clock of the bucket's module."""
    return Time(monkeypatch)


@pytest.mark.parametrize(
    ("failures", "pauses"),
    [
        ([503], [(0, 0.5)]),
        ([503, 503, 500, 502, 504], [(0, 0.5), (0, 1.0), (0, 2.0), (0, 2), (0, 2)]),
        ([429], [(0.8, 1.0)]),  # an object takes one write a second
        ([503, 429, 503], [(0, 0.5), (0.8, 1.0), (0, 2.0)]),
    ],
    ids=str,
)
def test_pauses_grow_up_to_two_seconds(
    monkeypatch: pytest.MonkeyPatch, time: Time, failures: list[int], pauses: list[tuple[float, float]]
) -> None:
    """A busy object has its own pause, whatever failed before."""
    wire = connected(monkeypatch, Wire(*map(refusal, failures), CONTENT))
    assert Bucket("logs").read("open/k") == (7, b"x")
    assert time.pauses == pauses
    assert time.now == sum(longest for _, longest in pauses)
    assert len(wire.sent) == len(failures) + 1


@pytest.mark.parametrize(("patience", "calls"), [(20, 12), (3.5, 4), (3.4, 3), (0.5, 2), (0.4, 1)])
def test_no_call_is_repeated_after_the_patience(
    monkeypatch: pytest.MonkeyPatch, time: Time, patience: float, calls: int
) -> None:
    """A pause that would end later is not begun."""
    wire = connected(monkeypatch, Wire(refusal(503, "later")))
    with pytest.raises(Retry, match=r"^gs://logs: read open/k: later$"):
        Bucket("logs", patience).read("open/k")
    assert len(wire.sent) == calls
    assert time.now <= patience


PASSING: list[Given] = [
    *map(refusal, (408, 429, 500, 502, 503, 504)),
    requests.ConnectionError("reset"),
    requests.Timeout("slow"),
    requests.ConnectTimeout("slow"),
    wire_errors.ChunkedEncodingError("cut"),
    auth_errors.TransportError("no token"),
]
LASTING: list[tuple[Given, type[LaunchError], str]] = [
    (refusal(400), Retry, "gs://logs: delete open/k: no"),
    (refusal(401), Denied, "gs://logs: delete open/k: no. The function's account needs the role Storage Object User"),
    (refusal(403), Denied, "gs://logs: delete open/k: no. The function's account needs the role Storage Object User"),
    (
        refusal(404, "The specified bucket does not exist."),
        Denied,
        "gs://logs: the bucket does not exist; LEDGER_BUCKET",
    ),
    (refusal(412), Conflict, "delete open/k: another process wrote it"),
    (refusal(501), Retry, "gs://logs: delete open/k: no"),
    (
        answer(status=302, headers={"Location": "https://evil.test/"}),
        Retry,
        "gs://logs: delete open/k: Exceeded 0 redirects",
    ),
    (wire_errors.InvalidURL("odd"), Retry, "gs://logs: delete open/k: odd"),
    (auth_errors.RefreshError("revoked"), Denied, "no Google credentials: revoked"),
]


@pytest.mark.parametrize("failure", PASSING, ids=repr)
def test_a_failure_that_may_pass_is_repeated(monkeypatch: pytest.MonkeyPatch, time: Time, failure: Given) -> None:
    """The function sees the second answer only."""
    wire = connected(monkeypatch, Wire(failure, answer(b"")))
    Bucket("logs").delete("open/k")
    assert wire.lines == [f"DELETE {OBJECT}"] * 2


@pytest.mark.parametrize(("failure", "error", "words"), LASTING, ids=repr)
def test_any_other_failure_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, time: Time, failure: Given, error: type[LaunchError], words: str
) -> None:
    """The first answer has its meaning, and names the call."""
    wire = connected(monkeypatch, Wire(failure))
    with pytest.raises(LaunchError) as raised:
        Bucket("logs").delete("open/k")
    assert type(raised.value) is error
    assert str(raised.value).startswith(words)
    calls = 3 if getattr(failure, "status_code", 0) == 401 else 1  # google-auth gets a fresh token
    assert (len(wire.sent), time.now) == (calls, 0)


def test_a_missing_object_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a read, a delete and a look; a write that expects one has met a conflict."""
    connected(monkeypatch, Wire(refusal(404, "No such object: logs/open/k")))
    bucket = Bucket("logs")
    assert bucket.read("open/k") is None
    assert bucket.exists("open/k") is False
    bucket.delete("open/k", 7)
    with pytest.raises(Conflict, match=r"^write open/k: another process has deleted it$"):
        bucket.write("open/k", b"", {}, 7)
    for call in (lambda: bucket.write("open/k", b"", {}, 0), lambda: bucket.list_metadata("open/", lambda *_: 0)):
        with pytest.raises(Denied, match="the bucket does not exist"):
            call()


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ({"generation": "9", "metadata": "ours"}, 9),
        ({"generation": "9", "metadata": {"writer": "other"}}, None),
        ({"generation": "9", "metadata": {}}, None),
        ({"generation": "9"}, None),
        (None, None),
    ],
    ids=str,
)
def test_a_412_after_a_lost_answer_may_be_our_own_success(
    monkeypatch: pytest.MonkeyPatch, time: Time, there: dict[str, Any] | None, written: int | None
) -> None:
    """Only the writer's token tells."""

    def described(_: Any) -> Given:
        if there is None:
            return refusal(404, "No such object: logs/open/k")
        token = str(wire.sent[1].request.body).partition('"writer": "')[2].partition('"')[0]
        own = {"metadata": {"writer": token}} if there.get("metadata") == "ours" else {}
        return answer({**there, **own})

    wire = connected(monkeypatch, Wire(requests.ConnectionError("lost"), refusal(412), described))
    if written:
        assert Bucket("logs").write("open/k", b"{}", {}, 7) == written
    else:
        with pytest.raises(Conflict, match=r"^write open/k: another process wrote it$"):
            Bucket("logs").write("open/k", b"{}", {}, 7)
    upload = "POST https://storage.googleapis.com/upload/storage/v1/b/logs/o"
    assert wire.lines == [upload, upload, f"GET {OBJECT}"]
    assert [each.query for each in wire.sent[:2]] == [{"uploadType": "multipart", "ifGenerationMatch": "7"}] * 2


def test_a_record_that_is_too_large_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator reads which one, and why."""
    connected(monkeypatch, Wire(answer(b"x" * 8_000_001)))
    words = r"^open/k: this version cannot read the record: gs://logs: read open/k: it has more than 8,000,000 bytes$"
    with pytest.raises(Retry, match=words):
        GcsLedger("logs").read("k")
    with pytest.raises(Retry, match=r"^closed/k: this version"):
        GcsLedger("logs").read_closed("k")


def test_a_close_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes the closed record if there is none yet, then deletes this generation of the open one."""
    wire = connected(monkeypatch, Wire(answer({"generation": "1"}), answer(b"")))
    launch = ended(a_launch())
    GcsLedger("logs").close(launch)
    write, delete = wire.sent
    assert write.query == {"uploadType": "multipart", "ifGenerationMatch": "0"}
    assert delete.line == f"DELETE {OBJECT.replace('open%2Fk', f'open%2F{launch.key}')}"
