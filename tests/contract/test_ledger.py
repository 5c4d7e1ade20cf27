"""One suite for the ledger and the agent's book: the one in memory and the one in a GCS bucket."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter

from shared.adapters.gcs import GcsAgentBook, GcsLedger
from shared.adapters.gcs.bucket import Bucket
from shared.core.errors import Conflict, Denied, LaunchError, Retry
from shared.core.launch import Entry, Launch, Outcome, RunPath, State
from shared.core.message import Queue
from shared.core.opening import from_item
from shared.core.ports import AgentBook, Ledger
from shared.core.shortage import Shortage
from tests.contract.gcs import fresh_bucket, gcs_server
from tests.fakes import InMemoryAgentBook, InMemoryLedger

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = Queue(entity="team", name="Vertex, spät")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve GCS."""
    with gcs_server(tmp_path_factory.mktemp("gcs")) as url:
        yield url


@pytest.fixture(params=["memory", "gcs"])
def ledger(request: pytest.FixtureRequest, server: str) -> Ledger:
    """Return each implementation, empty."""
    return InMemoryLedger() if request.param == "memory" else GcsLedger(fresh_bucket(server))


@pytest.fixture(params=["memory", "gcs"])
def book(request: pytest.FixtureRequest, server: str) -> AgentBook:
    """Return each implementation, empty."""
    return InMemoryAgentBook() if request.param == "memory" else GcsAgentBook(fresh_bucket(server), "vertex-launch")


def a_launch(item: str = "item") -> Launch:
    """Return a launch that was not written yet."""
    return from_item(item, QUEUE, {"entity": "team", "project": "Cats", "name": "blau 🐈"}, NOW)


def ended(launch: Launch) -> Launch:
    """Return it ended."""
    return launch.end(Outcome.FAILED, "because", NOW)


def test_what_was_written_is_read_and_listed(ledger: Ledger) -> None:
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
    """What is gone is gone."""
    written = ledger.write(a_launch())
    ledger.withdraw(written.key)
    ledger.withdraw(written.key)
    assert list(ledger.list_open().entries) == []


def test_a_listing_shows_all_of_more_than_a_page(ledger: Ledger) -> None:
    """A page has a thousand."""
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda n: ledger.write(a_launch(f"item-{n}")), range(1010)))
    assert {entry.key for entry in ledger.list_open().entries} == {launch.key for launch in written}


TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
ENTRIES = st.builds(
    Entry,
    key=st.just("k" + "b" * 26),
    state=st.sampled_from(State),
    opened_at=TIMES,
    run=st.builds(RunPath, TEXT, TEXT, TEXT),
    **dict.fromkeys(
        ("queue_entity", "queue_name", "item_id", "parent", "build", "job_name", "cancel_reason", "notice"), TEXT
    ),
    **{name: st.integers(0, 99) for name in ("attempt", "failures", "waits", "resumes")},
    **{name: st.none() | TIMES for name in ("lease_until", "retry_at", "submitted_at", "stop_seen_at")},
    outcome=st.none() | st.sampled_from(Outcome),
    noticed=st.booleans(),
    report_owed=st.booleans(),
    scheduler=st.booleans(),
    climbs=st.booleans(),
    short_of=st.none() | st.sampled_from(Shortage),
)


@given(entry=ENTRIES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_field_of_an_entry_survives_the_bucket(server: str, entry: Entry) -> None:
    """As metadata in the listing, and in the record."""
    ledger = GcsLedger(fresh_bucket(server))
    written = ledger.write(Launch(entry, {"any": entry.notice}))
    assert list(ledger.list_open().entries) == [entry]
    assert ledger.read(entry.key) == written


def test_the_generated_entries_have_every_field() -> None:
    """The property above leaves none out."""
    assert {field.name for field in fields(Entry)} == set(ENTRIES.wrapped_strategy.kwargs)  # type: ignore[attr-defined]


def test_an_entry_that_cannot_be_read_is_left_out_and_logged(server: str, caplog: pytest.LogCaptureFixture) -> None:
    """One bad object does not stop the others."""
    bucket = fresh_bucket(server)
    ledger = GcsLedger(bucket)
    good = ledger.write(a_launch())
    upload = f"{server}/upload/storage/v1/b/{bucket}/o?uploadType=media&name=open/garbage"
    requests.post(upload, data=b"garbage", timeout=5).raise_for_status()
    assert list(ledger.list_open().entries) == [good.entry]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["ledger.unreadable_entry"]


class Losing(HTTPAdapter):
    """Does what it is asked for, and then loses the first answers."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.lost = lost

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send, and perhaps lose the answer."""
        response = super().send(request, *args, **kwargs)
        if request.method == "POST" and self.lost:
            self.lost -= 1
            raise requests.ConnectionError("the answer was lost")
        return response


def test_a_write_whose_answer_was_lost_is_known_for_our_own(server: str) -> None:
    """Google's client repeats it and gets a 412: the echo of our own success, told by its writer's token."""
    ledger = GcsLedger(fresh_bucket(server))
    ledger._bucket.handle().client._http.mount("http://", Losing(1))  # noqa: SLF001 - the wire is what breaks
    written = ledger.write(a_launch())
    assert ledger.read(written.key) == written
    with pytest.raises(Conflict):
        ledger.write(a_launch())


@pytest.mark.parametrize(
    "call",
    [
        lambda ledger: ledger.write(a_launch()),
        lambda ledger: list(ledger.list_open().entries),
    ],
    ids=["write", "list"],
)
def test_a_missing_bucket_is_named(server: str, call: Callable[[Ledger], object]) -> None:
    """For who can make it."""
    with pytest.raises(Denied, match="no such bucket; LEDGER_BUCKET"):
        call(GcsLedger("not-there"))


def test_an_unreachable_server_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the client's own repetitions."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    with pytest.raises(Retry):
        GcsLedger("ledger", patience=0.1).read("k")


def test_one_poll_holds_the_agents_lease(book: AgentBook) -> None:
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
    note = book.take("a", NOW, NOW + timedelta(seconds=75))
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
from shared.adapters.gcs import GcsAgentBook, GcsLedger
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


def test_errors_are_of_our_own_kind(server: str) -> None:
    """Whatever the client raises."""
    with pytest.raises(LaunchError):
        GcsLedger("UPPER CASE/bad").write(a_launch())
