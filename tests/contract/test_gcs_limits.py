"""The limits in front of fake-gcs-server, and the ledger under them: nothing is lost or doubled."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from deploy.local.servers.gcs.limits import METADATA_BYTES, metadata_bytes
from shared.adapters.gcs import GcsLedger
from shared.core.errors import Conflict
from shared.core.launch import Launch, State
from tests.contract.gcs import fresh_bucket, limited_gcs
from tests.contract.launches import a_launch, ended

AHEAD = timedelta(minutes=3)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve GCS with its limits and a clock that is three minutes ahead."""
    with limited_gcs(tmp_path_factory.mktemp("gcs"), f"--clock-shift={AHEAD.total_seconds()}") as url:
        yield url


def upload(server: str, bucket: str, name: str, metadata: dict[str, str], **query: Any) -> requests.Response:
    """Write an object as Google's client does, once."""
    body = {"name": name, "metadata": metadata}
    parts = [json.dumps(body), "content"]
    data = "".join(f"--cut\r\nContent-Type: application/json\r\n\r\n{part}\r\n" for part in parts) + "--cut--"
    return requests.post(
        f"{server}/upload/storage/v1/b/{bucket}/o",
        params={"uploadType": "multipart", **query},
        data=data,
        headers={"Content-Type": "multipart/related; boundary=cut"},
        timeout=5,
    )


def test_metadata_is_counted_in_bytes(server: str) -> None:
    """8,192 of keys and values, in the least favourable way; the answer names the size."""
    bucket = fresh_bucket(server)
    assert upload(server, bucket, "fits", {"key": "x" * (METADATA_BYTES - 3)}).ok
    answer = upload(server, bucket, "not", {"key": "🐈" * (METADATA_BYTES // 8)})
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, "metadataTooLarge")
    assert metadata_bytes({"a": "🐈"}) == 1 + 12


def test_a_second_write_within_a_second_is_refused(server: str) -> None:
    """Of the same object, also its deletion; another object is written meanwhile, and a second later all is well."""
    bucket = fresh_bucket(server)
    there = f"{server}/storage/v1/b/{bucket}/o/one%2Fobject"
    assert upload(server, bucket, "one/object", {}).ok
    again, deleted = upload(server, bucket, "one/object", {}), requests.delete(there, timeout=5)
    assert (again.status_code, deleted.status_code) == (429, 429)
    assert "exceeded the rate limit for object mutation operations" in again.json()["error"]["message"]
    assert upload(server, bucket, "another", {}).ok
    time.sleep(1.05)
    assert upload(server, bucket, "one/object", {}).ok
    assert requests.get(f"{server}/standin/gcs", timeout=5).json()["refused"]["rateLimitExceeded"] >= 2


def test_a_busy_object_is_tried_again_soon(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long pauses lose their turn to each other writer, until the client's patience ends."""
    bucket = fresh_bucket(server)
    launch = GcsLedger(bucket).write(a_launch())
    pauses: list[float] = []
    monkeypatch.setattr("random.uniform", lambda _, longest: longest)
    others = {each.ident for each in threading.enumerate()} - {threading.get_ident()}  # they may sleep too

    def sleep(seconds: float) -> None:
        if threading.get_ident() not in others:
            pauses.append(seconds)

    own = SimpleNamespace(sleep=sleep, monotonic=time.monotonic)
    monkeypatch.setattr("shared.adapters.gcs.bucket.time", own)
    GcsLedger(bucket).write(launch.move(State.SUBMITTING, attempt=1))
    assert len(pauses) > 2
    assert max(pauses) <= 2


def test_preconditions_of_deletes_hold(server: str) -> None:
    """As in GCS: 412, and the object is still there."""
    bucket = fresh_bucket(server)
    there = f"{server}/storage/v1/b/{bucket}/o/it"
    generation = upload(server, bucket, "it", {}).json()["generation"]
    time.sleep(1.05)
    assert requests.delete(there, params={"ifGenerationMatch": "5"}, timeout=5).status_code == 412
    assert requests.get(there, timeout=5).ok
    assert requests.delete(there, params={"ifGenerationMatch": generation}, timeout=5).ok
    assert requests.get(there, timeout=5).status_code == 404


def test_a_launch_goes_through_all_its_writes_at_once(server: str) -> None:
    """Opened, claimed, recorded, ended and closed without a pause: Google's client waits where it has to."""
    ledger = GcsLedger(fresh_bucket(server))

    def live(number: int) -> Launch:
        claimed = ledger.write(ledger.write(a_launch(f"item-{number}")).move(State.SUBMITTING, attempt=1))
        recorded = ledger.write(claimed.move(State.SUBMITTED, job_name="j"))
        assert ledger.read(recorded.key) == recorded
        last = ledger.write(ended(recorded))
        ledger.close(last)
        return last

    with ThreadPoolExecutor(8) as pool:
        lived = list(pool.map(live, range(8)))
    assert not ledger.list_open().entries
    closed = [ledger.read_closed(launch.key) for launch in lived]
    assert [one and one.entry for one in closed] == [launch.entry for launch in lived]


def test_one_of_many_claims_under_the_limit(server: str) -> None:
    """A 429 that is repeated ends in a conflict, not in a second claim."""
    bucket = fresh_bucket(server)
    opened = GcsLedger(bucket).write(a_launch())

    def claim(number: int) -> bool:
        try:
            GcsLedger(bucket).write(opened.move(State.SUBMITTING, attempt=1, parent=str(number)))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 1


def test_all_go_by_the_buckets_clock(server: str) -> None:
    """Two that have just begun, and one after its first call: within two seconds, three minutes from here."""
    bucket = fresh_bucket(server)
    ledgers = [GcsLedger(bucket) for _ in range(3)]
    ledgers[2].write(a_launch())
    times = [ledger.now() for ledger in ledgers]
    assert max(times) - min(times) < timedelta(seconds=2)
    assert abs(times[0] - datetime.now(UTC) - AHEAD) < timedelta(seconds=2)
