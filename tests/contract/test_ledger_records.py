"""Records that an older version wrote, and those that this version cannot read: they are open, and named."""

import json
from collections.abc import Iterator

import pytest
import requests

from shared.adapters.gcs import Bucket, GcsLedger, GcsPaceBook
from shared.adapters.gcs.index import IN_RECORD, metadata_of
from shared.core.errors import Retry
from shared.core.ports import LearnedPace
from tests.contract.gcs import fresh_bucket, limited_gcs, put
from tests.contract.launches import NOW, a_launch


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve GCS, with preconditions of deletes that hold."""
    with limited_gcs(tmp_path_factory.mktemp("gcs"), "--write-seconds=0") as url:
        yield url


OLD = {  # as it was written before there were bounds
    "key": "kaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "state": "QUEUED",
    "opened_at": "2026-01-01T00:00:00Z",
    "run": '{"entity": "team", "project": "k\\u00e4tzchen", "run_id": "r"}',
    "notice": "ä" * 1000,
    "attempt": "2",
    "noticed": "true",
}


def test_a_record_of_an_older_version_is_read(server: str) -> None:
    """With fewer fields, a run in escapes and a notice that is too long today."""
    bucket, key = fresh_bucket(server), OLD["key"]
    entry = {**OLD, "run": json.loads(OLD["run"]), "attempt": 2, "noticed": True}
    put(
        server, bucket, f"open/{key}", {**OLD, "writer": "token"}, json.dumps({"entry": entry, "run_spec": {}}).encode()
    )
    ledger = GcsLedger(bucket)
    [listed] = ledger.list_open().entries
    assert (listed.run.project, listed.attempt, listed.noticed) == ("kätzchen", 2, True)
    read = ledger.read(key)
    assert read
    assert read.entry == listed


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"state": "PAUSED"}, "state: Input should be 'QUEUED'"),
        ({"opened_at": ""}, "opened_at: Input should be a valid datetime"),
        ({"opened_at": "2026-01-01T00:00:00"}, "opened_at: 2026-01-01T00:00:00 has no time zone"),
        ({"retry_at": "9999-12-31T23:59:59Z"}, "is out of range"),
        ({"stuck_since": "2026-01-01T00:00:00"}, "stuck_since: 2026-01-01T00:00:00 has no time zone"),
        ({"attempt": "-1"}, "attempt: is not a count"),
        ({"attempt": "9" * 5000, "notice": ""}, "attempt: "),
        ({"run": "["}, "Expecting value"),
        ({"run": "[" * 1000 + "]" * 1000, "notice": ""}, "run: "),  # Python 3.13 reads it: not a name
        ({"run": "5"}, "run: "),
        ({"key": "kbbbbbbbbbbbbbbbbbbbbbbbbbb"}, "key: it is the record of another launch"),
        ({"outcome": "MAYBE"}, "outcome: "),
    ],
)
def test_a_record_that_cannot_be_read_is_open_and_named(
    server: str, caplog: pytest.LogCaptureFixture, changes: dict[str, str], problem: str
) -> None:
    """The listing has its key and the fault; its neighbours are listed, and a reader tries again later."""
    bucket, key = fresh_bucket(server), OLD["key"]
    ledger = GcsLedger(bucket)
    good = ledger.write(a_launch())
    metadata = OLD | changes
    content = json.dumps({"entry": {**metadata, "run": metadata["run"]}, "run_spec": {"_wandb_api_key": "s3cret"}})
    for folder in ("open", "closed"):
        put(server, bucket, f"{folder}/{key}", metadata, content.encode())
    listed = ledger.list_open()
    assert list(listed.entries) == [good.entry]
    assert list(listed.unreadable) == [key]
    assert problem in listed.unreadable[key]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["ledger.unreadable_entry"]
    for read, name in ((ledger.read, f"open/{key}"), (ledger.read_closed, f"closed/{key}")):
        with pytest.raises(Retry, match=f"{name}: this version cannot read the record: ") as raised:
            read(key)
        assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"garbage", b"{}", b"[]", b"\xff", b"[" * 10_000, b'{"entry": {}}'])
def test_an_object_without_metadata_is_open_and_named(server: str, content: bytes) -> None:
    """A foreign object under open/, an empty one, a truncated one."""
    bucket = fresh_bucket(server)
    ledger = GcsLedger(bucket)
    put(server, bucket, "open/notes/todo.txt", {}, content)
    assert list(ledger.list_open().unreadable) == ["notes/todo.txt"]
    assert "key: Field required" in ledger.list_open().unreadable["notes/todo.txt"]
    with pytest.raises(Retry, match=r"open/notes/todo\.txt: this version cannot read the record"):
        ledger.read("notes/todo.txt")


def test_a_record_whose_metadata_was_stripped_is_open_and_named(server: str) -> None:
    """A listing cannot tell what it is; who reads it can, and writes its metadata anew."""
    bucket = fresh_bucket(server)
    ledger = GcsLedger(bucket)
    written = ledger.write(a_launch())
    stripped = dict.fromkeys(metadata_of(written.entry))
    there = f"{server}/storage/v1/b/{bucket}/o/open%2F{written.key}"
    requests.patch(there, json={"metadata": stripped}, timeout=5).raise_for_status()
    assert list(ledger.list_open().unreadable) == [written.key]
    read = ledger.read(written.key)
    assert read == written
    ledger.write(read)
    assert list(ledger.list_open().entries) == [written.entry]


def test_a_long_entry_whose_record_cannot_be_read_is_named(server: str) -> None:
    """Fields that do not fit into the metadata are read from the record."""
    bucket = fresh_bucket(server)
    ledger = GcsLedger(bucket)
    put(server, bucket, f"open/{OLD['key']}", IN_RECORD, b"garbage")
    assert "this version cannot read the record" in ledger.list_open().unreadable[OLD["key"]]


PACE = "pace/p.us-central1"


def test_a_pace_is_kept_and_replaced(server: str) -> None:
    """By project and region; without one there is none."""
    bucket, parent = fresh_bucket(server), "projects/p/locations/us-central1"
    book = GcsPaceBook(Bucket(bucket))
    assert book.pace_of(parent) is None
    for limit in (60, 30):
        pace = LearnedPace(limit, NOW, NOW)
        book.learn(parent, pace)
        assert book.pace_of(parent) == pace
    assert book.pace_of("projects/p/locations/europe-west4") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"limit": 0, "learned_at": "2026-01-01T00:00:00Z", "not_before": "2026-01-01T00:00:00Z"}',
        b'{"limit": 60, "learned_at": "2026-01-01T00:00:00", "not_before": "2026-01-01T00:00:00Z"}',
        b'{"limit": 60}',
    ],
)
def test_a_pace_that_makes_no_sense_is_none(server: str, content: bytes) -> None:
    """The next refusal replaces it."""
    bucket, parent = fresh_bucket(server), "projects/p/locations/us-central1"
    put(server, bucket, PACE, {}, content)
    book = GcsPaceBook(Bucket(bucket))
    assert book.pace_of(parent) is None
    book.learn(parent, LearnedPace(60, NOW, NOW))
    assert book.pace_of(parent) == LearnedPace(60, NOW, NOW)
