"""What leaves for the bucket, and what comes back, without a network: each call's requests, pages, checksums."""

import base64
import json
from datetime import timedelta
from email.utils import format_datetime

import google_crc32c
import pytest

from shared.adapters.gcs import Bucket, GcsLedger
from shared.core.errors import Retry
from tests.contract.launches import NOW, a_launch
from tests.contract.wires import Given, Sent, Wire, answer, connected, refusal

BASE = "https://storage.googleapis.com"
LOGS = f"{BASE}/storage/v1/b/logs"
PARENT = "projects/p1/locations/europe-west4"


def checksum(content: bytes) -> str:
    """Return a CRC32C as GCS writes it."""
    return base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()


def held(content: bytes, generation: int = 7, sums: str = "") -> Given:
    """Return an object's content, with this text about its checksums."""
    headers = {"X-Goog-Generation": str(generation)} if generation else {}
    return answer(content, headers={**headers, "X-Goog-Hash": sums} if sums else headers)


@pytest.mark.parametrize("name", ["open/k", "a b?c#é"])
def test_a_read_is_one_call_of_the_object_as_it_is(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A compressed answer would not have its checksum."""
    wire = connected(monkeypatch, Wire(held(b"x")))
    assert Bucket("logs").read(name) == (7, b"x")
    (sent,) = wire.sent
    quoted = {"open/k": "open%2Fk", "a b?c#é": "a%20b%3Fc%23%C3%A9"}[name]
    assert (sent.line, sent.query) == (f"GET {BASE}/download/storage/v1/b/logs/o/{quoted}", {"alt": "media"})
    assert sent.request.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("sums", "right"),
    [
        ("", True),
        ("md5=abc", True),
        (f"crc32c={checksum(b'x')}", True),
        (f"crc32c={checksum(b'x')}, md5=abc", True),
        (f"md5=abc, crc32c={checksum(b'x')}", True),
        (f"crc32c={checksum(b'y')}", False),
        (f"md5=abc, crc32c={checksum(b'y')}", False),
    ],
)
def test_content_has_its_checksum(monkeypatch: pytest.MonkeyPatch, sums: str, right: bool) -> None:
    """If the server sends one."""
    connected(monkeypatch, Wire(held(b"x", sums=sums)))
    if right:
        assert Bucket("logs").read("open/k") == (7, b"x")
        return
    with pytest.raises(Retry) as raised:
        Bucket("logs").read("open/k")
    assert str(raised.value) == "gs://logs: read open/k: the content does not have its checksum"


def test_a_server_that_tells_no_generation_is_asked_for_it_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content between two equal ones belongs to that generation; else it is read again, five times at most."""
    generations = iter(["1", "2", "2", "2"])

    def answering(sent: Sent) -> Given:
        return held(b"x", 0) if "alt" in sent.query else answer({"generation": next(generations, "9")})

    wire = connected(monkeypatch, Wire(answering))
    assert Bucket("logs").read("open/k") == (2, b"x")
    assert [each.query for each in wire.sent] == [{"alt": "media"}, {}, {"alt": "media"}, {}] * 2
    numbers = iter(range(100))
    wire = connected(
        monkeypatch,
        Wire(lambda sent: held(b"x", 0) if "alt" in sent.query else answer({"generation": str(next(numbers))})),
    )
    with pytest.raises(Retry, match=r"^gs://logs: read open/k: it was replaced 5 times during the read$"):
        Bucket("logs").read("open/k")
    assert len(wire.sent) == 20


def test_a_write_is_one_call_with_its_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata and content in one body, in parts that no content can end."""
    wire = connected(monkeypatch, Wire(answer({"generation": "8"})))
    assert Bucket("logs").write("open/k", b"\r\n--x\0", {"a": "b"}, 7) == 8
    (sent,) = wire.sent
    assert sent.line == f"POST {BASE}/upload/storage/v1/b/logs/o"
    assert sent.query == {"uploadType": "multipart", "ifGenerationMatch": "7"}
    kind, _, line = sent.request.headers["Content-Type"].partition("; boundary=")
    body = sent.request.body
    assert isinstance(body, bytes)
    before, first, second, end = body.split(f"--{line}".encode())
    assert (kind, before, end) == ("multipart/related", b"", b"--")
    assert first.startswith(b"\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n")
    assert second == b"\r\nContent-Type: application/json\r\n\r\n\r\n--x\0\r\n"
    described = json.loads(first.partition(b"\r\n\r\n")[2])
    assert len(described["metadata"].pop("writer")) == 32
    expected = {"name": "open/k", "metadata": {"a": "b"}, "contentType": "application/json"}
    assert described == {**expected, "crc32c": checksum(b"\r\n--x\0")}


def test_two_writes_have_two_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each recognises its own success only."""
    wire = connected(monkeypatch, Wire(answer({"generation": "8"})))
    for _ in range(2):
        Bucket("logs").write("open/k", b"", {}, 7)
    assert len({each.request.body for each in wire.sent}) == 2


@pytest.mark.parametrize(("generation", "query"), [(0, {}), (7, {"ifGenerationMatch": "7"})])
def test_a_delete_may_be_of_one_generation(
    monkeypatch: pytest.MonkeyPatch, generation: int, query: dict[str, str]
) -> None:
    """Else of any."""
    wire = connected(monkeypatch, Wire(answer(b"")))
    Bucket("logs").delete("open/k", generation)
    assert [(each.line, each.query) for each in wire.sent] == [(f"DELETE {LOGS}/o/open%2Fk", query)]


def test_the_pages_of_a_listing_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after an empty one; an object without metadata has none."""
    pages = [
        {"items": [{"name": "a", "metadata": {"m": "1"}}, {"name": "b"}], "nextPageToken": "2"},
        {"nextPageToken": "3"},
        {"items": [{"name": "c"}]},
    ]
    wire = connected(monkeypatch, Wire(*map(answer, pages)))
    found = Bucket("logs").list_metadata("open/", lambda *each: each)
    assert found == [("a", {"m": "1"}), ("b", {}), ("c", {})]
    query = {"prefix": "open/", "fields": "items(name,metadata),nextPageToken", "maxResults": "1000"}
    assert wire.lines == [f"GET {LOGS}/o"] * 3
    assert [each.query for each in wire.sent] == [query, {**query, "pageToken": "2"}, {**query, "pageToken": "3"}]
    wire = connected(monkeypatch, Wire(answer(pages[1])))
    with pytest.raises(Retry, match=r"^gs://logs: list open/: the next page is the same page again$"):
        Bucket("logs").list_metadata("open/", lambda *each: each)
    assert len(wire.sent) == 2


def test_the_time_is_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any answer; only without one is there a call for it."""
    date = {"Date": format_datetime(NOW, usegmt=True)}
    wire = connected(monkeypatch, Wire(answer({"generation": "1"}, headers=date)))
    bucket = Bucket("logs")
    for now in (bucket.now, GcsLedger(bucket).now):
        assert abs(now() - NOW) < timedelta(minutes=1)
    assert wire.lines == [f"GET {LOGS}/o/clock"]
    other = Bucket("logs")
    other.exists("open/k")
    assert abs(other.now() - NOW) < timedelta(minutes=1)
    assert wire.lines[1:] == [f"GET {LOGS}/o/open%2Fk"]


def test_a_closed_launch_of_another_record_is_no_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    """`is_closed` looks at its own name only."""
    wire = connected(monkeypatch, Wire(answer({"generation": "1"}), refusal(404, "No such object")))
    ledger, key = GcsLedger("logs"), a_launch().key
    assert [ledger.is_closed(key) for _ in range(2)] == [True, False]
    assert wire.lines == [f"GET {LOGS}/o/closed%2F{key}"] * 2
