"""A launch's entry as the metadata of its object, which a listing shows without a read.

GCS refuses metadata of more than 8,192 bytes. An entry that could need more stays in the record
alone, and the metadata says so.
"""

import json
import re
from dataclasses import fields
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from shared.core.launch import Entry
from shared.core.record import NEEDS
from shared.core.shorten import shown

MOST = 8_192  # bytes of keys and values that GCS accepts
ROOM = 7_900  # of them; the rest is for the writer's token
ESCAPED = "json:"  # prefix of a text that is written as a JSON string
IN_RECORD = {"entry": "in the record"}
NESTED = {"run", "wish"}  # objects, written as JSON

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ENTRY = TypeAdapter(Entry)


def metadata_of(entry: Entry, needs: int = 0) -> dict[str, str]:
    """Write an entry as metadata: texts, without empty fields, objects as JSON.

    `needs` is the version that may write the record; 0 if any version may.
    """
    also = {NEEDS: str(needs)} if needs else {}
    values: dict[str, Any] = _ENTRY.dump_python(entry, mode="json", exclude_defaults=True)
    metadata = {
        name: _plain(value) if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }
    return {**(metadata if weight(metadata) <= ROOM else IN_RECORD), **also}


def _plain(text: str) -> str:
    """Escape control characters, which headers cannot carry."""
    if _CONTROL.search(text) or text.startswith(ESCAPED):
        return ESCAPED + json.dumps(text)
    return text


def weight(metadata: dict[str, str]) -> int:
    """Return the size of metadata in bytes, escaped as JSON or as a URL: the larger one."""
    return max(len(json.dumps(metadata)), len(urlencode(metadata)))


def held_by_record(metadata: dict[str, str]) -> bool:
    """Tell whether only the record has the entry."""
    return metadata.items() >= IN_RECORD.items()


def entry_of(metadata: dict[str, str]) -> Entry:
    """Read an entry from metadata.

    Raises:
        ValueError: naming what this version cannot read.
    """
    try:
        values: dict[str, Any] = {
            name: json.loads(text.removeprefix(ESCAPED)) if text.startswith(ESCAPED) else text
            for name, text in metadata.items()
        }
        values |= {name: _loaded(name, values[name]) for name in NESTED & values.keys()}
        entry = _ENTRY.validate_python(values)
    except ValidationError as exc:
        raise ValueError(problem_of(exc)) from None
    check(entry)
    return entry


def _loaded(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{name}: is nested too deep") from None


def check(entry: Entry) -> None:
    """Raise ValueError for values that later comparisons would fail on."""
    for field in fields(entry):
        value = getattr(entry, field.name)
        if isinstance(value, datetime):
            if value.tzinfo is None or not 1970 < value.year < 9000:
                moment = value.isoformat()
                raise ValueError(f"{field.name}: {moment} has no time zone, or is out of range")
        elif type(value) is int and not 0 <= value < 1 << 31:
            raise ValueError(f"{field.name}: is not a count")


def problem_of(exc: ValidationError) -> str:
    """Describe an error without the value: a run spec can contain a key."""
    errors = exc.errors(include_input=False, include_url=False, include_context=False)
    problems = []
    for error in errors[:5]:
        place = ".".join(map(str, error["loc"])) or "record"
        problems.append(f"{place}: {error['msg']}")
    return shown("; ".join(problems), 500)
