"""A launch's entry as metadata, and its record as JSON: what is written, how it is packed, and what is refused."""

import base64
import json
import re
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.adapters.gcs.index import (
    IN_RECORD,
    ROOM,
    check,
    entry_of,
    held_by_record,
    metadata_of,
    problem_of,
    weight,
)
from shared.adapters.gcs.ledger import INDENTED, content_of
from shared.core.entry import Entry, RunPath, Wish
from shared.core.launch import Launch, State
from tests.contract.launches import a_launch

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENTRY = Entry("k1", State.QUEUED, NOW, RunPath("e", "p", "r"))
PLAIN = {
    "key": "k1",
    "state": "QUEUED",
    "opened_at": "2026-01-01T00:00:00Z",
    "run": '{"entity": "e", "project": "p", "run_id": "r"}',
}


@pytest.mark.parametrize(
    ("changes", "written"),
    [
        ({}, {}),
        ({"attempt": 2, "climbs": True}, {"attempt": "2", "climbs": "true"}),
        ({"name": "blau 🐈"}, {"name": "blau 🐈"}),
        ({"name": "a\nb"}, {"name": 'json:"a\\nb"'}),
        ({"name": "\x7f"}, {"name": 'json:"\\u007f"'}),
        ({"name": "\x9f"}, {"name": 'json:"\\u009f"'}),
        ({"name": "json:x"}, {"name": 'json:"json:x"'}),
        ({"name": "a json:x"}, {"name": "a json:x"}),
        (
            {"wish": Wish("cancel", "ada", NOW)},
            {"wish": '{"kind": "cancel", "by": "ada", "at": "2026-01-01T00:00:00Z"}'},
        ),
    ],
    ids=str,
)
def test_an_entry_is_written_as_texts(changes: dict[str, Any], written: dict[str, str]) -> None:
    """Without empty fields; headers cannot carry control characters."""
    entry = replace(ENTRY, **changes)
    assert metadata_of(entry) == PLAIN | written
    assert metadata_of(entry, needs=2) == PLAIN | written | {"needs": "2"}
    assert entry_of(metadata_of(entry)) == entry
    assert not held_by_record(metadata_of(entry))


def test_a_long_entry_is_packed_and_a_longer_one_is_in_the_record_alone() -> None:
    """Exactly where the texts no longer fit; the version that it needs is beside it in each form."""
    room = ROOM - weight(metadata_of(replace(ENTRY, item_id="x"))) + 1
    assert ROOM == 7_900
    fits, packed = (replace(ENTRY, item_id="x" * length) for length in (room, room + 1))
    assert weight(metadata_of(fits)) == ROOM
    assert metadata_of(fits) == PLAIN | {"item_id": "x" * room}
    written = metadata_of(packed, needs=2)
    assert written.keys() == {"entry", "packed", "needs"}
    assert (written["entry"], written["needs"], "=" in written["packed"]) == ("in the record", "2", False)
    assert entry_of(written) == packed
    assert not held_by_record(written)
    noise = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(8_000))
    large = replace(ENTRY, item_id=noise)
    assert metadata_of(large) == IN_RECORD == {"entry": "in the record"}
    assert metadata_of(large, needs=2) == {"entry": "in the record", "needs": "2"}
    assert held_by_record(metadata_of(large, needs=2))
    assert not held_by_record({"entry": "x"})
    assert not held_by_record({})


@pytest.mark.parametrize(
    ("metadata", "bytes_"), [({}, 2), ({"a": "b"}, 10), ({"é": "日"}, 20), ({"a": "%&"}, 11), ({"a": "日" * 9}, 83)]
)
def test_metadata_weighs_what_it_has_when_escaped(metadata: dict[str, str], bytes_: int) -> None:
    """As JSON or as a URL, whichever is more."""
    assert weight(metadata) == bytes_


def packed(values: object) -> str:
    """Pack a value as an older or newer version might."""
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(values).encode())).decode().rstrip("=")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"packed": packed([1])}, "packed: cannot be unpacked"),
        ({"packed": packed({"key": "x" * 200_000})}, "packed: cannot be unpacked"),
        ({"packed": packed({"key": "k"})}, "state: Field required; opened_at: Field required; run: Field required"),
        (PLAIN | {"run": "[" * 100_000}, "run: is nested too deep"),
        (PLAIN | {"attempt": "-1"}, "attempt: is not a count"),
        (PLAIN | {"attempt": str(1 << 31)}, "attempt: is not a count"),
        (PLAIN | {"run": '{"entity": "e", "project": "p"}'}, "run.run_id: Field required"),
        ({}, "key: Field required; state: Field required; opened_at: Field required; run: Field required"),
        (PLAIN | {"opened_at": "1970-12-31T00:00:00Z"}, "opened_at: 1970-12-31T00:00:00+00:00 has no time zone, or"),
        (PLAIN | {"retry_at": "9000-01-01T00:00:00Z"}, "retry_at: 9000-01-01T00:00:00+00:00 has no time zone, or"),
        (PLAIN | {"retry_at": "2026-01-01T00:00:00"}, "retry_at: 2026-01-01T00:00:00 has no time zone, or is out"),
    ],
    ids=range(11),
)
def test_metadata_that_cannot_be_read_name_the_field(metadata: dict[str, str], words: str) -> None:
    """An operator finds the object; its value may be a secret."""
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        entry_of(metadata)


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": 0},
        {"attempt": (1 << 31) - 1},
        {"opened_at": datetime(1971, 1, 1, tzinfo=UTC)},
        {"retry_at": datetime(8999, 12, 31, tzinfo=UTC)},
        {"climbs": True},
    ],
    ids=str,
)
def test_the_last_values_that_can_be_compared(changes: dict[str, Any]) -> None:
    """One more is refused, above."""
    entry = replace(ENTRY, **changes)
    check(entry)
    assert entry_of(metadata_of(entry)) == entry


def test_a_problem_names_five_fields_at_most() -> None:
    """On one line of a bounded length, without their values."""
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(dict[str, int]).validate_python({f"field{number}": "s3cret" for number in range(9)})
    parts = problem_of(raised.value).split("; ")
    assert [part.partition(":")[0] for part in parts] == [f"field{number}" for number in range(5)]
    assert "s3cret" not in problem_of(raised.value)
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(int).validate_python("s3cret")
    assert problem_of(raised.value).startswith("record: Input should be a valid integer")
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(dict[str, int]).validate_python({"x" * 2000: "s3cret"})
    assert len(problem_of(raised.value)) <= 501


# --- records


def test_a_record_is_indented_json_without_its_generation() -> None:
    """The version that it needs comes first; a person reads it."""
    launch = replace(a_launch(), generation=7)
    written, content = content_of(launch)
    assert written is launch
    assert content.startswith(b'{\n  "')
    read = json.loads(content)
    assert "generation" not in read
    assert "needs" not in read
    assert read["run_spec"]["name"] == "blau 🐈"
    needed = json.loads(content_of(launch, 2)[1])
    assert next(iter(needed.items())) == ("needs", 2)
    assert needed == {"needs": 2, **read}


def test_a_large_record_has_no_spaces() -> None:
    """They could multiply it. Of 100,000 bytes it still has them."""
    launch = a_launch()
    short = len(content_of(replace(launch, run_spec={"a": "x" * INDENTED}))[1].replace(b"\n", b""))
    assert short > INDENTED == 100_000
    compact = content_of(replace(launch, run_spec={"a": "x" * INDENTED}))[1]
    assert b"\n" not in compact
    room = INDENTED - (len(compact) - INDENTED)
    assert b"\n" in content_of(replace(launch, run_spec={"a": "x" * room}))[1]
    assert b"\n" not in content_of(replace(launch, run_spec={"a": "x" * (room + 1)}))[1]


def test_lone_surrogates_are_replaced_in_what_is_returned_too() -> None:
    """So that what the caller goes on with is what the ledger has."""
    launch = replace(a_launch(), run_spec={"name": "half \ud800", "n": 1, "at": 1.5})
    written, content = content_of(launch, 2)
    assert written.run_spec == {"name": "half ?", "n": 1, "at": 1.5}
    read = json.loads(content)
    assert (read["run_spec"], read["needs"]) == (written.run_spec, 2)
    assert isinstance(written, Launch)
    assert written.entry == launch.entry
    assert written.entry.opened_at - NOW == timedelta(0)
