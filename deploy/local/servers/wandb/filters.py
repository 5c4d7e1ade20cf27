"""W&B's run filters: the part of MongoDB's query language that its clients use."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from deploy.local.servers.wandb.errors import Refused

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, wanted: bool(value == wanted),
    "$ne": lambda value, wanted: bool(value != wanted),
    "$in": lambda value, wanted: value in wanted,
    "$nin": lambda value, wanted: value not in wanted,
    "$gt": lambda value, wanted: value is not None and bool(value > wanted),
    "$gte": lambda value, wanted: value is not None and bool(value >= wanted),
    "$lt": lambda value, wanted: value is not None and bool(value < wanted),
    "$lte": lambda value, wanted: value is not None and bool(value <= wanted),
    "$exists": lambda value, wanted: (value is not None) == bool(wanted),
    "$regex": lambda value, wanted: isinstance(value, str) and re.search(wanted, value) is not None,
}


def matches(filters: Mapping[str, Any], value_of: Callable[[str], Any]) -> bool:
    """Return whether filters match; `value_of` returns the value of a dotted name, or None.

    Raises:
        Refused: the filters have an unknown operator.
    """
    return all(_holds(key, wanted, value_of) for key, wanted in filters.items())


def _holds(key: str, wanted: Any, value_of: Callable[[str], Any]) -> bool:
    match key:
        case "$and":
            return all(matches(each, value_of) for each in wanted)
        case "$or":
            return any(matches(each, value_of) for each in wanted)
        case "$nor":
            return not any(matches(each, value_of) for each in wanted)
    if not (isinstance(wanted, Mapping) and any(name.startswith("$") for name in wanted)):
        wanted = {"$eq": wanted}
    if unknown := wanted.keys() - COMPARISONS.keys():
        raise Refused(f"unknown operators in filters: {', '.join(sorted(unknown))}")
    value = value_of(key)
    return all(COMPARISONS[operator](value, operand) for operator, operand in wanted.items())
