"""Records of newer versions: fields that this version does not know are kept, and `needs` keeps it away."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from shared.adapters.gcs import GcsLedger
from shared.adapters.gcs.agents import GcsAgentBook
from shared.core.errors import NewerRecord
from shared.core.launch import Backoff, Launch, Outcome, State
from shared.core.placement import Placement
from shared.core.record import READS
from shared.core.shortage import Shortage
from tests.contract.gcs import fresh_bucket, limited_gcs, put
from tests.contract.launches import NOW, a_launch, ended

NEW = {"new_text": "ä", "new_list": [1, {"deep": None}], "new_count": 3, "unknown": {"name": "is no exception"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve GCS, with preconditions of deletes that hold."""
    with limited_gcs(tmp_path_factory.mktemp("gcs"), "--write-seconds=0") as url:
        yield url


def stored(server: str, bucket: str, name: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the metadata and the content of an object."""
    address = f"{server}/storage/v1/b/{bucket}/o/{name.replace('/', '%2F')}"
    metadata: dict[str, str] = requests.get(address, timeout=5).json()["metadata"]
    return metadata, requests.get(f"{address}?alt=media", timeout=5).json()


def from_the_future(server: str, bucket: str, launch: Launch) -> None:
    """Write a launch, with a new field at each level of the record and of the index."""
    written = GcsLedger(bucket).write(launch)
    metadata, record = stored(server, bucket, f"open/{written.key}")
    for part in (record, record["entry"], record["entry"]["run"], record["climb"], *record["history"]):
        part.update(NEW)
    of_index = {name: value if isinstance(value, str) else json.dumps(value) for name, value in NEW.items()}
    run = json.dumps({**json.loads(metadata["run"]), **NEW})
    put(server, bucket, f"open/{written.key}", {**metadata, **of_index, "run": run}, json.dumps(record).encode())


def running(launch: Launch) -> Launch:
    """Return a launch that has a job."""
    claimed = launch.move(State.SUBMITTING, attempt=1, lease_until=NOW)
    return claimed.move(State.SUBMITTED, job_name="projects/p/locations/l/customJobs/1").note(NOW, "created")


STEPS: dict[str, Callable[[Launch], Launch]] = {
    "claim": lambda launch: launch.move(State.SUBMITTING, attempt=1, lease_until=NOW),
    "create": running,
    "tell": lambda launch: launch.tell("something"),
    "note": lambda launch: launch.note(NOW, "a line"),
    "again": lambda launch: running(launch).again(NOW, timedelta(1), "line", "why"),
    "short": lambda launch: running(launch).wait_for_capacity(NOW, Shortage.STOCKOUT, "why", Backoff()),
    "resume": lambda launch: running(launch).resume(NOW, 5),
    "end": lambda launch: launch.end(Outcome.FAILED, "because", NOW),
    "place": lambda launch: replace(launch, climb=replace(launch.climb, place="r SPOT", next_place="r2 SPOT")),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_each_write_keeps_what_it_does_not_know(server: str, step: Callable[[Launch], Launch]) -> None:
    """At every level of the record, and in the index that the listing shows."""
    bucket = fresh_bucket(server)
    ledger = GcsLedger(bucket)
    from_the_future(server, bucket, a_launch().note(NOW, "earlier"))
    [listed] = ledger.list_open().entries
    read = ledger.read(listed.key)
    assert read
    assert read.entry == listed, "status acts on a listed launch only if its record is equal"
    ledger.write(step(read))
    metadata, record = stored(server, bucket, f"open/{listed.key}")
    for part in (record, record["entry"], record["entry"]["run"], record["climb"], record["history"][0]):
        assert part.items() >= NEW.items()
    assert json.loads(metadata["new_list"]) == NEW["new_list"]
    assert json.loads(metadata["run"]).items() >= NEW.items()


def test_a_close_keeps_what_it_does_not_know(server: str) -> None:
    """For 30 days, readers of closed records find it."""
    bucket = fresh_bucket(server)
    ledger = GcsLedger(bucket)
    from_the_future(server, bucket, a_launch())
    read = ledger.read(a_launch().key)
    assert read
    ledger.close(ended(read))
    _, record = stored(server, bucket, f"closed/{read.key}")
    assert record.items() >= NEW.items()
    assert record["entry"].items() >= NEW.items()


def test_the_agents_note_keeps_what_it_does_not_know(server: str) -> None:
    """Through the lease that each poll takes and gives back."""
    bucket = fresh_bucket(server)
    book = GcsAgentBook(bucket, "launch")
    put(server, bucket, "agents/launch.json", {}, json.dumps({"holder": "a", "agent_id": "agent-1", **NEW}).encode())
    note = book.take("b", NOW, NOW + timedelta(1))
    assert note
    book.give_back(note)
    address = f"{server}/storage/v1/b/{bucket}/o/agents%2Flaunch.json?alt=media"
    assert requests.get(address, timeout=5).json().items() >= {"agent_id": "agent-1", "holder": "b", **NEW}.items()


def needing(server: str, bucket: str, version: object) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Write a launch of a newer version, with a state that this version does not know; return it as stored."""
    written = GcsLedger(bucket).write(a_launch())
    name = f"open/{written.key}"
    metadata, record = stored(server, bucket, name)
    record["needs"], record["entry"]["state"] = version, "DREAMING"
    put(server, bucket, name, {**metadata, "needs": str(version), "state": "DREAMING"}, json.dumps(record).encode())
    return written.key, *stored(server, bucket, name)


def test_a_record_that_needs_a_newer_version_is_open_and_named(server: str) -> None:
    """It keeps its slot, and the response says what it needs, however much else changed in it."""
    bucket = fresh_bucket(server)
    ledger = GcsLedger(bucket)
    key, *before = needing(server, bucket, READS + 1)
    listed = ledger.list_open()
    assert list(listed.entries) == []
    assert f"needs version {READS + 1}" in listed.unreadable[key]
    with pytest.raises(NewerRecord, match=rf"open/{key}: needs version {READS + 1}"):
        ledger.read(key)
    assert [*stored(server, bucket, f"open/{key}")] == before


@pytest.mark.parametrize("version", ["soon", -1, 1.5, None])
def test_a_record_with_an_unreadable_need_is_open_and_named(server: str, version: object) -> None:
    """Nobody knows whether this version may write it."""
    bucket = fresh_bucket(server)
    key, *_ = needing(server, bucket, version)
    assert "needs: is not a number" in GcsLedger(bucket).list_open().unreadable[key]


def test_a_poll_leaves_a_newer_polls_note_alone(server: str) -> None:
    """It takes no lease."""
    bucket = fresh_bucket(server)
    put(server, bucket, "agents/launch.json", {}, json.dumps({"needs": READS + 1, "holder": ["a"]}).encode())
    with pytest.raises(NewerRecord, match=r"agents/launch\.json: needs version"):
        GcsAgentBook(bucket, "launch").take("b", NOW, NOW + timedelta(1))


SPECIAL = {
    "a build": {"build": "projects/p/locations/l/builds/1"},
    "a scheduler": {"scheduler": True},
    "a resumed run": {"resumes": 1},
    "a ladder": {"climbs": True},
}


@pytest.mark.parametrize("changes", SPECIAL.values(), ids=SPECIAL)
def test_a_record_says_what_it_needs_only_while_it_does(server: str, changes: dict[str, Any]) -> None:
    """A version before builds, schedulers, resumes and ladders would launch such a record again and again."""
    bucket = fresh_bucket(server)
    ledger = GcsLedger(bucket)
    plain = a_launch()
    special = ledger.write(replace(plain, entry=replace(plain.entry, **changes)))
    metadata, record = stored(server, bucket, f"open/{plain.key}")
    assert (metadata["needs"], record["needs"]) == ("1", 1)
    ledger.write(replace(special, entry=plain.entry))
    metadata, record = stored(server, bucket, f"open/{plain.key}")
    assert "needs" not in metadata | record
    ledger.close(ended(special))
    metadata, record = stored(server, bucket, f"closed/{plain.key}")
    assert "needs" not in metadata | record, "any version may compare a repeated request with it"


@pytest.mark.parametrize(
    "climb", [Placement("r ON", place="r2 SPOT"), Placement(tried=("r",)), Placement(barred=("r",))]
)
def test_a_launch_that_moved_on_its_ladder_needs_this_version(climb: Placement) -> None:
    """An older version would try its own place only."""
    assert replace(a_launch(), climb=climb).needs == 1
    assert a_launch().needs == 0
