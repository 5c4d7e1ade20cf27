"""A launch's entry as the metadata of its object, which a listing shows without a read.

GCS refuses metadata of more than 8,192 bytes. An entry that needs more as texts, such as one with
long names in another script, is packed into one text. If that is too long too, the entry stays in
the record alone, and the metadata says so.
"""

import base64
import json
import re
import zlib
from dataclasses import fields
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import TypeAdapter, ValidationError

from shared.core.launch import Entry
from shared.core.lazy import Lazy
from shared.core.record import NEEDS
from shared.core.shorten import shown

MOST = 8_192  # bytes of keys and values that GCS accepts
ROOM = 7_900  # of them; the rest is for the writer's token
ESCAPED = "json:"  # prefix of a text that is written as a JSON string
IN_RECORD = {"entry": "in the record"}
PACKED = "packed"  # the entry as JSON, compressed, in base64; an older version reads the record
UNPACKED_BYTES = 100_000
NESTED = {"run", "wish"}  # objects, written as JSON

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ENTRY = Lazy(lambda: TypeAdapter(Entry))


def metadata_of(entry: Entry, needs: int = 0) -> dict[str, str]:
    """Write an entry as metadata: texts, without empty fields, objects as JSON.

    `needs` is the version that may write the record; 0 if any version may.
    """
    also = {NEEDS: str(needs)} if needs else {}
    values: dict[str, Any] = _ENTRY.get().dump_python(entry, mode="json", exclude_defaults=True)
    metadata = {
        name: _plain(value) if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }
    forms = (metadata, {**IN_RECORD, PACKED: _packed(values)})
    return {**next((form for form in forms if weight(form) <= ROOM), IN_RECORD), **also}


def _packed(values: dict[str, Any]) -> str:
    """Pack values into a text of safe characters, a third longer than their bytes at most."""
    content = zlib.compress(json.dumps(values, ensure_ascii=False).encode(), 9)
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _unpacked(text: str) -> dict[str, Any]:
    try:
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        values = json.loads(zlib.decompressobj().decompress(content, UNPACKED_BYTES))
    except (ValueError, zlib.error, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ValueError(f"{PACKED}: cannot be unpacked")
    return values


def _plain(text: str) -> str:
    """Escape control characters, which headers cannot carry."""
    if _CONTROL.search(text) or text.startswith(ESCAPED):
        return ESCAPED + json.dumps(text)
    return text


def weight(metadata: dict[str, str]) -> int:
    """Return the size of metadata in bytes, escaped as JSON or as a URL: the larger one."""
    return max(len(json.dumps(metadata)), len(urlencode(metadata, quote_via=quote)))


def held_by_record(metadata: dict[str, str]) -> bool:
    """Tell whether only the record has the entry."""
    return metadata.items() >= IN_RECORD.items() and PACKED not in metadata


def entry_of(metadata: dict[str, str]) -> Entry:
    """Read an entry from metadata.

    Raises:
        ValueError: naming what this version cannot read.
    """
    try:
        packed = metadata.get(PACKED)
        entry = _ENTRY.get().validate_python(_unpacked(packed) if packed else _texts(metadata))
    except ValidationError as exc:
        raise ValueError(problem_of(exc)) from None
    check(entry)
    return entry


def _texts(metadata: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: json.loads(text.removeprefix(ESCAPED)) if text.startswith(ESCAPED) else text
        for name, text in metadata.items()
    }
    return values | {name: _loaded(name, values[name]) for name in NESTED & values.keys()}


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
