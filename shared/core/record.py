"""What all stored records share: an older version keeps what a newer version has written.

Two rules let versions work side by side. A record's fields that this version does not know are
carried through each write. A record that an older version would damage says which version it
`needs`; an older version leaves it alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from shared.core.errors import NewerRecord

READS = 2  # the highest `needs` that this version reads; docs/reference/formats.md lists them
NEEDS = "needs"  # beside the fields of a stored record
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stored object, or an object inside one. `unknown`: fields of a newer version, as JSON."""

    unknown: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, raw: object) -> object:
        """Collect the fields that this version does not know."""
        if not isinstance(raw, Mapping):
            return raw
        names = {each.name for each in fields(cls)} - {_UNKNOWN}
        known = {name: value for name, value in raw.items() if name in names}
        return {**known, _UNKNOWN: {name: raw[name] for name in raw if name not in names}}

    @model_serializer(mode="wrap")
    def _spread(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write them beside the known fields, as they were."""
        known: dict[str, Any] = dump(self)
        known.pop(_UNKNOWN, None)
        return {**self.unknown, **known}


def require_readable(raw: Mapping[str, Any], name: str) -> None:
    """Check that this version may claim and write a stored record.

    Raises:
        NewerRecord: it needs a newer version.
        ValueError: `needs` is not a number.
    """
    value = raw.get(NEEDS, 0)
    if not str(value).isdecimal():
        raise ValueError(f"{NEEDS}: is not a number")
    if int(value) > READS:
        raise NewerRecord(f"{name}: needs version {value} of the records; this is {READS}")
