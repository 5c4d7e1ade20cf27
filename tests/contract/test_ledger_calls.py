"""The ledger's own calls, without a network: closes after conflicts, what listings read, what is logged."""

import json
from dataclasses import replace
from typing import Any

import pytest

from shared.adapters.gcs import GcsLedger
from shared.adapters.gcs.index import IN_RECORD, metadata_of
from shared.adapters.gcs.ledger import content_of
from shared.core.errors import Conflict, NewerRecord, Retry, UnreadableRecord
from shared.core.ports import OpenLaunches
from shared.core.redaction import hiding, redacted
from tests.contract.launches import a_launch, ended
from tests.contract.test_gcs_requests import held
from tests.contract.wires import Given, Sent, Wire, answer, connected, refusal

LAUNCH = a_launch()
CLOSED = ended(LAUNCH)
KEY = LAUNCH.key
NAME = "https://storage.googleapis.com/storage/v1/b/logs/o"


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, Any]]:
    """Return the lines of the log; no answer here has a Date."""
    found = [(line.levelname, line.message, vars(line)["fields"]) for line in caplog.records]
    assert found[0] == ("WARNING", "ledger.no_server_time", {"date": None})
    return found[1:]


def steps(wire: Wire) -> list[str]:
    """Return the methods, and the folder that each names."""
    folders = ["open" if "open" in each.line else "closed" if "closed" in each.line else "" for each in wire.sent]
    return [f"{each.request.method} {folder}".strip() for each, folder in zip(wire.sent, folders, strict=True)]


THERE, WRITTEN, GONE = answer({"generation": "3"}), answer({"generation": "8"}), refusal(404, "No such object")
BEFORE = ("INFO", "ledger.closed_before", {"launch_key": KEY})
CHANGED = ("INFO", "ledger.changed_while_closing", {"launch_key": KEY})


@pytest.mark.parametrize(
    ("answers", "sent", "logged"),
    [
        ([WRITTEN, answer(b"")], ["POST", "DELETE open"], []),
        ([WRITTEN, GONE], ["POST", "DELETE open"], []),
        (
            [refusal(412), THERE, THERE, answer(b"")],
            ["POST", "GET closed", "GET closed", "DELETE open"],
            [BEFORE],
        ),
        ([WRITTEN, refusal(412)], ["POST", "DELETE open"], [CHANGED]),
        (
            [refusal(412), THERE, THERE, refusal(412)],
            ["POST", "GET closed", "GET closed", "DELETE open"],
            [BEFORE, CHANGED],
        ),
    ],
    ids=["closed", "gone", "closed before", "changed", "both"],
)
def test_a_close_goes_on_after_a_conflict(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answers: list[Given],
    sent: list[str],
    logged: Any,
) -> None:
    """The closed record exists before the open one is deleted, and only the generation that was read is."""
    caplog.set_level("INFO")
    wire = connected(monkeypatch, Wire(*answers))
    ledger = GcsLedger("logs")
    ledger.close(replace(CLOSED, generation=7))
    assert (steps(wire), lines(caplog)) == (sent, logged)
    assert wire.sent[0].query["ifGenerationMatch"] == "0"
    assert wire.sent[-1].query == {"ifGenerationMatch": "7"}


def test_a_close_that_met_another_write_deletes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no closed record: the open one stays."""
    wire = connected(monkeypatch, Wire(refusal(412), GONE, GONE))
    with pytest.raises(Conflict):
        GcsLedger("logs").close(CLOSED)
    assert steps(wire) == ["POST", "GET closed", "GET closed"]


@pytest.mark.parametrize("folder", ["open", "closed"])
def test_a_listing_reads_only_what_it_has_to(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, folder: str
) -> None:
    """An entry that fits nowhere else, from its record; one that is gone by then is no entry."""
    items = [
        {"name": f"{folder}/{KEY}", "metadata": metadata_of(LAUNCH.entry)},
        {"name": f"{folder}/large", "metadata": IN_RECORD},
        {"name": f"{folder}/gone", "metadata": IN_RECORD},
        {"name": f"{folder}/other", "metadata": metadata_of(LAUNCH.entry)},
        {"name": f"{folder}/newer", "metadata": metadata_of(LAUNCH.entry, 99)},
        {"name": f"{folder}/empty"},
    ]
    large = json.loads(content_of(LAUNCH)[1])
    large["entry"]["key"] = "large"

    def answering(sent: Sent) -> Given:
        if "prefix" in sent.query:
            return answer({"items": items})
        return held(json.dumps(large).encode()) if "large" in sent.line else GONE

    wire = connected(monkeypatch, Wire(answering))
    ledger = GcsLedger("logs")
    found: OpenLaunches = {"open": ledger.list_open, "closed": ledger.list_closed}[folder]()
    assert [entry.key for entry in found.entries] == [KEY, "large"]
    missing = "; ".join(f"{name}: Field required" for name in ("key", "state", "opened_at", "run"))
    assert found.unreadable == {
        "other": "key: it is the record of another launch",
        "newer": f"{folder}/newer: needs version 99 of the records; this is 2",
        "empty": missing,
    }
    fields = [{"object": f"{folder}/{key}", "problem": problem} for key, problem in found.unreadable.items()]
    assert lines(caplog) == [("ERROR", "ledger.unreadable_entry", each) for each in fields]
    assert wire.sent[0].query["prefix"] == f"{folder}/"
    assert len(wire.sent) == 3


RAW = json.loads(content_of(LAUNCH)[1])
RECORDS: list[tuple[Any, type[Exception], str]] = [
    ({**RAW, "needs": 3}, NewerRecord, "open/{}: needs version 3 of the records; this is 2"),
    ({**RAW, "needs": "x"}, UnreadableRecord, "open/{}: this version cannot read the record: needs: is not a number"),
    (
        {**RAW, "entry": {**RAW["entry"], "key": "other"}},
        UnreadableRecord,
        "open/{}: this version cannot read the record: key: it is the record of another launch",
    ),
    (
        {**RAW, "entry": {**RAW["entry"], "attempt": -1}},
        UnreadableRecord,
        "open/{}: this version cannot read the record: attempt: is not a count",
    ),
    ([], UnreadableRecord, "open/{}: this version cannot read the record: record: Input should be a dictionary"),
]


@pytest.mark.parametrize(("raw", "kind", "words"), RECORDS, ids=range(len(RECORDS)))
def test_a_record_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, raw: Any, kind: type[Exception], words: str
) -> None:
    """With what is wrong; it stays open."""
    connected(monkeypatch, Wire(held(json.dumps(raw).encode())))
    with pytest.raises(Retry) as raised:
        GcsLedger("logs").read(KEY)
    assert type(raised.value) is kind
    assert str(raised.value).startswith(words.format(KEY))


def test_what_a_record_keeps_secret_is_in_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the read on. The generation is that of the object."""
    raw = {**RAW, "needs": 2, "run_spec": {"_wandb_api_key": "planted-key-" * 4}}
    wire = connected(monkeypatch, Wire(held(json.dumps(raw).encode())))
    with hiding():
        launch = GcsLedger("logs").read(KEY)
        assert launch
        assert (launch.entry, launch.generation) == (LAUNCH.entry, 7)
        assert redacted(f"{'planted-key-' * 4} is wrong") == "[redacted] is wrong"
    assert wire.lines == [f"GET {NAME.replace('/storage/v1', '/download/storage/v1')}/open%2F{KEY}"]


def test_a_write_has_its_entry_as_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is returned has the new generation; a withdrawal is of any."""
    wire = connected(monkeypatch, Wire(WRITTEN, answer(b"")))
    ledger = GcsLedger("logs")
    written = ledger.write(LAUNCH)
    assert (written, written.generation) == (LAUNCH, 8)
    body = wire.sent[0].request.body
    assert isinstance(body, bytes)
    described = json.loads(body.split(b"\r\n\r\n")[1].partition(b"\r\n--")[0])
    assert metadata_of(LAUNCH.entry).items() <= described["metadata"].items()
    assert (described["name"], wire.sent[0].query["ifGenerationMatch"]) == (f"open/{KEY}", "0")
    ledger.withdraw(KEY)
    assert wire.sent[1].query == {}
