"""One suite for the ledger and the agent's book: the one in memory and the one in a GCS bucket."""

import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deploy.local.servers.gcs.limits import metadata_bytes
from shared.adapters.gcs import GcsAgentBook, GcsLedger
from shared.adapters.gcs.bucket import Bucket
from shared.adapters.gcs.index import MOST, entry_of, held_by_record, metadata_of
from shared.core.entry import BOUNDS
from shared.core.errors import Conflict
from shared.core.launch import Entry, Launch, Outcome, RunPath, State, Wish
from shared.core.ports import Ledger
from shared.core.shortage import Shortage
from tests.contract.gcs import fresh_bucket, limited_gcs
from tests.contract.launches import NOW, a_launch, ended
from tests.fakes import InMemoryAgentBook, InMemoryLedger


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve GCS, with preconditions of deletes that hold."""
    with limited_gcs(tmp_path_factory.mktemp("gcs"), "--write-seconds=0") as url:
        yield url


@pytest.fixture(params=["memory", "gcs"])
def ledger(request: pytest.FixtureRequest, server: str) -> Ledger:
    """Return each implementation, empty."""
    return InMemoryLedger() if request.param == "memory" else GcsLedger(fresh_bucket(server))


@pytest.fixture(params=["memory", "gcs"])
def book(request: pytest.FixtureRequest, server: str) -> Any:
    """Return each implementation, empty."""
    return InMemoryAgentBook() if request.param == "memory" else GcsAgentBook(fresh_bucket(server), "vertex-launch")


def test_a_record_is_read_and_listed_as_written(ledger: Ledger) -> None:
    """The whole record by its key, its entry in the listing."""
    written = ledger.write(a_launch())
    assert written.generation
    assert ledger.read(written.key) == written
    assert list(ledger.list_open().entries) == [written.entry]
    assert ledger.read("k" + "a" * 26) is None


def test_a_write_needs_the_generation_that_was_read(ledger: Ledger) -> None:
    """Opened once; changed only by who has seen the last change."""
    first = ledger.write(a_launch())
    with pytest.raises(Conflict):
        ledger.write(a_launch())
    second = ledger.write(first.move(State.SUBMITTING, attempt=1))
    with pytest.raises(Conflict):
        ledger.write(first.move(State.SUBMITTING, attempt=1))
    assert ledger.read(first.key) == second


def test_a_write_of_a_launch_that_is_gone_conflicts(ledger: Ledger) -> None:
    """It does not come back by itself."""
    written = ledger.write(a_launch())
    ledger.withdraw(written.key)
    with pytest.raises(Conflict):
        ledger.write(written.move(State.SUBMITTING))
    assert list(ledger.list_open().entries) == []


def test_a_close_moves_the_launch(ledger: Ledger) -> None:
    """It is not listed any more, and its key is known."""
    written = ledger.write(a_launch())
    assert not ledger.is_closed(written.key)
    ledger.close(ended(written))
    assert ledger.is_closed(written.key)
    assert ledger.read(written.key) is None
    assert list(ledger.list_open().entries) == []


def test_a_close_is_safe_to_repeat(ledger: Ledger) -> None:
    """Whole, and from each point at which it may have died."""
    written = ledger.write(a_launch())
    ledger.close(ended(written))
    ledger.close(ended(written))
    again = ledger.write(a_launch())
    ledger.close(ended(again))
    assert (ledger.is_closed(written.key), list(ledger.list_open().entries)) == (True, [])


def test_withdrawing_is_safe_to_repeat(ledger: Ledger) -> None:
    """A second withdrawal changes nothing."""
    written = ledger.write(a_launch())
    ledger.withdraw(written.key)
    ledger.withdraw(written.key)
    assert list(ledger.list_open().entries) == []


def test_a_close_leaves_what_somebody_wrote_meanwhile(ledger: Ledger) -> None:
    """The next tick sees it, and closes that."""
    first = ledger.write(a_launch())
    second = ledger.write(first.move(State.SUBMITTING, attempt=1))
    ledger.close(ended(first))
    assert ledger.is_closed(first.key)
    assert list(ledger.list_open().entries) == [second.entry]
    ledger.close(ended(second))
    assert list(ledger.list_open().entries) == []


def test_a_withdrawal_of_what_was_read_leaves_what_was_written_since(ledger: Ledger) -> None:
    """A claim between a listing and a withdrawal keeps the launch."""
    first = ledger.write(a_launch())
    second = ledger.write(first.move(State.SUBMITTING, attempt=1))
    with pytest.raises(Conflict):
        ledger.withdraw(first.key, first.generation)
    assert ledger.read(first.key) == second
    ledger.withdraw(first.key, second.generation)
    assert ledger.read(first.key) is None
    ledger.withdraw(first.key, second.generation)


def test_the_longest_names_are_written_listed_and_read(ledger: Ledger) -> None:
    """Five names of 256 four-byte characters, and everything else as long as it may be."""
    name, long = "🐈" * 256, "🐈" * 5000
    launch = a_launch()
    changes: Any = dict.fromkeys(("queue_entity", "queue_name", "item_id", "parent", "build", "job_name"), name)
    entry = replace(launch.entry, run=RunPath(name, name, name), notice=long, cancel_reason=long, **changes)
    written = ledger.write(replace(launch, entry=entry))
    assert list(ledger.list_open().entries) == [entry]
    assert ledger.read(launch.key) == written
    ledger.close(ended(written))
    closed = ledger.read_closed(launch.key)
    assert closed
    assert closed.entry.run == entry.run


def test_half_a_surrogate_pair_in_a_reason_is_no_obstacle(ledger: Ledger) -> None:
    """An answer of the outside can hold one in its JSON; no JSON of ours can."""
    launch = replace(a_launch().note(NOW, "W&B says \ud83d"), reason="because \ud83d")
    written = ledger.write(launch.tell("Waiting: \ud83d"))
    assert written.entry.notice == "Waiting: ?"
    assert list(ledger.list_open().entries) == [written.entry]
    assert ledger.read(launch.key) == written


def test_a_listing_shows_all_of_more_than_a_page(ledger: Ledger) -> None:
    """A page has a thousand."""
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda n: ledger.write(a_launch(f"item-{n}")), range(1010)))
    assert {entry.key for entry in ledger.list_open().entries} == {launch.key for launch in written}


TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.builds(
    lambda one, times: one * times, st.sampled_from(["x", '"', "\x01", "ä", "€", "🐈", "%"]), st.integers(200, 1024)
)
ENTRIES = st.builds(
    Entry,
    key=st.just("k" + "b" * 26),
    state=st.sampled_from(State),
    opened_at=TIMES,
    run=st.builds(RunPath, TEXT, TEXT, TEXT),
    **dict.fromkeys(
        ("queue_entity", "queue_name", "item_id", "parent", "build", "job_name", "cancel_reason", "notice"), TEXT
    ),
    **dict.fromkeys(("name", "author", "source", "machine", "retries", "reason"), TEXT),
    **{name: st.integers(0, 99) for name in ("events", "announced")},
    **{name: st.none() | TIMES for name in ("started_at", "ended_at")},
    wish=st.none() | st.builds(Wish, st.just("cancel"), TEXT, TIMES),
    **{name: st.integers(0, 99) for name in ("attempt", "failures", "waits", "resumes", "broken")},
    **{name: st.none() | TIMES for name in ("lease_until", "looked_at", "retry_at", "submitted_at", "stop_seen_at")},
    **{name: st.none() | TIMES for name in ("queued_since", "pending_since", "stuck_since", "ended_seen_at")},
    outcome=st.none() | st.sampled_from(Outcome),
    unanswered=st.booleans(),
    noticed=st.booleans(),
    report_owed=st.booleans(),
    scheduler=st.booleans(),
    climbs=st.booleans(),
    own_key=st.booleans(),
    short_of=st.none() | st.sampled_from(Shortage),
)


@given(entry=ENTRIES)
@settings(
    max_examples=100,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@pytest.mark.slow
def test_every_field_of_an_entry_survives_the_bucket(server: str, entry: Entry) -> None:
    """As metadata in the listing, and in the record."""
    ledger = GcsLedger(fresh_bucket(server))
    written = ledger.write(Launch(entry, {"any": entry.notice}))
    assert list(ledger.list_open().entries) == [entry]
    assert ledger.read(entry.key) == written
    assert metadata_bytes(metadata_of(entry)) <= MOST - 200, "with room for the token of who writes it"


ALPHABETS = {  # each too large for a compression to shorten a random text much
    "plain": [chr(number) for number in range(0x20, 0x7F)],
    "control": [chr(number) for number in (*range(0x20), *range(0x7F, 0xA0), *map(ord, '"%\\'))],
    "two bytes": [chr(number) for number in range(0x100, 0x7FF)],
    "three bytes": [chr(number) for number in range(0x4E00, 0x9FFF)],
    "four bytes": [chr(number) for number in range(0x1F300, 0x1F600)],
}


@pytest.mark.parametrize("alphabet", ALPHABETS.values(), ids=ALPHABETS)
def test_metadata_has_room_at_every_length(alphabet: list[str]) -> None:
    """Just below each border, too, there is room for the writer's token; an entry that fits stays in the metadata."""
    text = "".join(random.Random(1).choices(alphabet, k=9_000))  # noqa: S311 - any text
    entries = [replace(a_launch().entry, item_id=text[:length]) for length in range(0, 9_000, 13)]
    written = [metadata_of(entry) for entry in entries]
    assert max(map(metadata_bytes, written)) <= MOST - 200
    listed = [metadata for metadata in written if not held_by_record(metadata)]
    assert [entry_of(metadata) for metadata in listed] == entries[: len(listed)]
    assert 0 < len(listed) < len(written)


HOSTILE = "".join(random.Random(2).choices(ALPHABETS["four bytes"], k=300))  # noqa: S311 - any text
LONGEST = HOSTILE[:64]  # 256 bytes


def test_the_index_has_room_for_any_names() -> None:
    """With every field at its longest, in four-byte characters that no compression shortens."""
    numbers = dict.fromkeys(("attempt", "failures", "waits", "broken", "resumes", "events", "announced"), 1_000_000)
    moment = NOW.replace(microsecond=123_456)
    times = {field.name: moment for field in fields(Entry) if field.name.endswith(("_at", "_since", "_until"))}
    flags = dict.fromkeys(("climbs", "unanswered", "own_key", "scheduler", "noticed", "report_owed"), True)
    place = "projects/p23456789012345678901234567890/locations/northamerica-northeast1"
    shared: dict[str, Any] = {**dict.fromkeys(BOUNDS, HOSTILE), **numbers, **times, **flags}
    entry = Entry(
        "k" + "b" * 26,
        State.SUBMITTED,
        run=RunPath(LONGEST, LONGEST, LONGEST),
        queue_entity=LONGEST,
        queue_name=LONGEST,
        item_id="UnVuUXVldWVJdGVtOjEyMzQ1Njc4OTA=" * 2,
        parent=place,
        build=f"{place}/builds/12345678-1234-1234-1234-123456789012",
        job_name=f"{place}/customJobs/1234567890123456789",
        short_of=Shortage.STOCKOUT,
        outcome=Outcome.SUCCEEDED,
        retries="k" + "c" * 26,
        wish=Wish("cancel", "x" * 100 + "@example.com", moment),
        **shared,
    )
    metadata = metadata_of(entry, needs=2)
    assert not held_by_record(metadata)
    assert metadata_bytes(metadata) <= MOST - 200
    assert entry_of(metadata) == entry
    assert {field.name for field in fields(entry) if not getattr(entry, field.name)} == {"unknown"}


@pytest.mark.parametrize("packed", ["!", "é", "eJw", "eJyLjgUAARUAuQ", "eJyrBgAAfAB8"])
def test_a_damaged_packed_entry_is_named(packed: str) -> None:
    """Such as one that somebody edited; its launch keeps its slot."""
    with pytest.raises(ValueError, match="packed: cannot be unpacked"):
        entry_of({"entry": "in the record", "packed": packed})


def test_the_generated_entries_have_every_field() -> None:
    """The property above leaves none out."""
    assert {field.name for field in fields(Entry)} - {"unknown"} == set(ENTRIES.wrapped_strategy.kwargs)  # type: ignore[attr-defined]


def test_one_poll_holds_the_agents_lease(book: Any) -> None:
    """Until it gives it back or its time is over; what it noted stays."""
    until = NOW + timedelta(seconds=75)
    note = book.take("a", NOW, until)
    assert note
    assert book.take("b", NOW, until) is None
    book.give_back(replace(note, agent_id="agent-1", queues=("q",)))
    again = book.take("b", NOW, until)
    assert again
    assert (again.agent_id, again.queues) == ("agent-1", ("q",))
    later = book.take("c", until, until + timedelta(1))
    assert later
    book.give_back(replace(again, agent_id="stale"))
    assert book.take("d", NOW, until) is None, "who lost the lease does not end another's"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        b'{"holder": 5}',
        b'{"holder": "a", "lease_until": "tomorrow"}',
        b'{"holder": "a", "lease_until": "2026-01-01T00:00:30"}',
        b'{"holder": "a", "lease_until": "9999-01-01T00:00:00Z", "agent_id": "old"}',
        b"[" * 100_000,
    ],
    ids=range(11),
)
def test_an_agents_note_that_cannot_be_read_is_like_none(server: str, content: bytes) -> None:
    """The next poll takes the lease and writes a note that can be read; nobody deletes an object by hand."""
    bucket = fresh_bucket(server)
    book = GcsAgentBook(bucket, "odd")
    Bucket(bucket).write("agents/odd.json", content, {}, 0)
    note = book.take("another than a", NOW, NOW + timedelta(seconds=75))
    assert note
    book.give_back(replace(note, agent_id="agent-1"))
    again = book.take("b", NOW, NOW + timedelta(seconds=75))
    assert again
    assert again.agent_id == "agent-1"


def test_a_note_of_older_code_is_read(server: str) -> None:
    """It lacks the W&B and the entity, so poll registers an agent anew; its lease holds."""
    bucket = fresh_bucket(server)
    old = b'{"holder":"x","agent_id":"agent-0","queues":["q"],"lease_until":"2026-01-01T00:01:00Z"}'
    Bucket(bucket).write("agents/old.json", old, {}, 0)
    book = GcsAgentBook(bucket, "old")
    assert book.take("a", NOW, NOW + timedelta(seconds=75)) is None
    note = book.take("a", NOW + timedelta(seconds=60), NOW + timedelta(seconds=135))
    assert note
    assert (note.agent_id, note.queues, note.base_url, note.entity) == ("agent-0", ("q",), "", "")


RACE = """
import sys, threading
from datetime import UTC, datetime, timedelta
from deploy.local.servers.gcs.limits import metadata_bytes
from deploy.local.servers.gcs.server import make_bucket
from shared.adapters.gcs import Bucket, GcsAgentBook, GcsLedger
from shared.adapters.gcs.index import IN_RECORD, MOST, metadata_of
from shared.core.entry import BOUNDS
from shared.core.errors import Conflict
from shared.core.launch import State
bucket, who, threads, keys = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
ledger, book = GcsLedger(bucket), GcsAgentBook(bucket, "race")
now = datetime(2026, 1, 1, tzinfo=UTC)
won, start = [], threading.Barrier(threads)
def claim(number):
    start.wait()
    if book.take(f"{who}-{number}", now, now + timedelta(hours=1)):
        won.append("lease")
    for key in keys:
        found = ledger.read(key)
        if found.entry.state is State.QUEUED:
            try:
                ledger.write(found.move(State.SUBMITTING, attempt=1))
                won.append(key)
            except Conflict:
                pass
workers = [threading.Thread(target=claim, args=(n,)) for n in range(threads)]
[w.start() for w in workers]
[w.join() for w in workers]
print(" ".join(won))
"""


@pytest.mark.slow
def test_exactly_one_of_many_threads_and_processes_claims(server: str) -> None:
    """Four processes of six threads after the same ten launches, and the agent's lease."""
    bucket = fresh_bucket(server)
    ledger = GcsLedger(bucket)
    keys = [ledger.write(a_launch(f"item-{n}")).key for n in range(10)]
    root = str(Path(__file__).parent.parent.parent)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, bucket, f"process-{n}", "6", *keys],
            cwd=root,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(4)
    ]
    won = [key for process in processes for key in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(won) == sorted([*keys, "lease"])
