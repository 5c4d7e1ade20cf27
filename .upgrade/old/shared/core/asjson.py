"""Read parts of decoded JSON whose shape nobody promises: a wrong type counts as empty."""

from collections.abc import Mapping
from typing import Any


def as_mapping(value: object) -> Mapping[str, Any]:
    """Return an object; empty for any other type."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return a list; empty for any other type."""
    return value if isinstance(value, list) else []
