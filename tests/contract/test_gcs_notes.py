"""Poll's note and the pace of creates in the bucket, without a network: which generation each write replaces."""

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.gcs import Bucket, GcsAgentBook, GcsPaceBook
from shared.core.errors import Conflict, NewerRecord
from shared.core.ports import AgentNote, LearnedPace
from tests.contract.launches import NOW
from tests.contract.test_gcs_requests import held
from tests.contract.wires import Sent, Wire, answer, connected, refusal

PARENT = "projects/p1/locations/europe-west4"
OBJECTS = "https://storage.googleapis.com/download/storage/v1/b/logs/o"


def stored(sent: Sent) -> Any:
    """Return the JSON of the content that a write sends."""
    body = sent.request.body
    assert isinstance(body, bytes)
    return json.loads(body.split(b"\r\n\r\n")[2].partition(b"\r\n--")[0])


def test_a_lease_is_taken_and_given_back_by_its_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first note replaces nothing; the end of a lease keeps the note."""
    until = NOW + timedelta(minutes=1)
    written = answer({"generation": "8"})
    wire = connected(monkeypatch, Wire(refusal(404, "No such object"), written, written))
    book = GcsAgentBook("logs", "launch")
    note = book.take("me", NOW, until)
    assert note
    assert note == AgentNote("me", lease_until=until)
    assert note.generation == 8
    book.give_back(note)
    read, take, back = wire.sent
    assert read.line == f"GET {OBJECTS}/agents%2Flaunch.json"
    assert (take.query["ifGenerationMatch"], back.query["ifGenerationMatch"]) == ("0", "8")
    assert (stored(take)["holder"], stored(take)["lease_until"]) == ("me", "2026-01-01T00:01:00Z")
    assert (stored(back)["holder"], stored(back)["lease_until"]) == ("me", None)
    assert "generation" not in stored(take)


def test_who_loses_the_race_for_a_lease_has_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not end the lease; a plain write raises Conflict."""
    note = AgentNote("me", generation=7)
    connected(monkeypatch, Wire(lambda sent: held(b'{"holder": "x"}') if "alt" in sent.query else refusal(412)))
    book = GcsAgentBook(Bucket("logs"), "launch")
    assert book.read() == AgentNote("x")
    assert book.take("me", NOW, NOW + timedelta(minutes=1)) is None
    assert caplog.records == [each for each in caplog.records if each.message == "ledger.no_server_time"]
    book.give_back(note)
    assert vars(caplog.records[-1])["fields"] == {"holder": "me"}
    with pytest.raises(Conflict):
        book.write(note)


TIME = '"2026-01-01T00:00:00"'
NOTES: list[tuple[bytes, str]] = [
    *((f'{{"holder": "x", "{name}": {TIME}}}'.encode(), f"{name} has no time zone") for name in
      ("lease_until", "polled_at", "warm_until", "window_until", "woken_at")),
    (b'{"holder": "x", "needs": "two"}', "needs: is not a number"),
    (b"{", "EOF while parsing"),
    (b"[1]", "'loc': ('holder',)"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "problem"), NOTES, ids=range(len(NOTES)))
def test_an_unreadable_note_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, content: bytes, problem: str
) -> None:
    """By its generation; an operator reads why. A newer poll's note is left alone."""
    connected(monkeypatch, Wire(held(content)))
    note = GcsAgentBook("logs", "launch").read()
    assert note
    assert (note, note.generation) == (AgentNote(""), 7)
    fields = vars(caplog.records[-1])["fields"]
    assert (fields["object"], problem in fields["problem"]) == ("agents/launch.json", True)
    connected(monkeypatch, Wire(held(b'{"holder": "x", "needs": 99}')))
    with pytest.raises(NewerRecord, match=r"agents/launch\.json"):
        GcsAgentBook("logs", "launch").read()


def test_a_pace_is_written_over_the_one_that_was_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Unless another submit replaces it now."""
    caplog.set_level("INFO")
    wire = connected(
        monkeypatch, Wire(held(b"{}"), answer({"generation": "8"}), held(b"{}"), refusal(412), refusal(404))
    )
    book = GcsPaceBook(Bucket("logs"))
    book.learn(PARENT, LearnedPace(5, NOW, NOW))
    read, write = wire.sent
    assert read.line.endswith("/o/pace%2Fp1.europe-west4")
    assert (write.query["ifGenerationMatch"], stored(write)["limit"]) == ("7", 5)
    book.learn(PARENT, LearnedPace(5, NOW, NOW))
    assert [vars(line)["fields"] for line in caplog.records if line.message == "pace.learned_elsewhere"] == [
        {"object": "pace/p1.europe-west4"}
    ]


ZONED = {"limit": 1, "learned_at": "2026-01-01T00:00:00Z", "not_before": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("changes", "known"),
    [({}, True), ({"limit": 0}, False), ({"learned_at": "2026-01-01"}, False), ({"not_before": "2026-01-01"}, False)],
)
def test_a_pace_needs_a_limit_and_times(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], known: bool) -> None:
    """In a time zone, to be compared with ours."""
    connected(monkeypatch, Wire(held(json.dumps(ZONED | changes).encode())))
    assert GcsPaceBook(Bucket("logs")).pace_of(PARENT) == (LearnedPace(1, NOW, NOW) if known else None)
