"""Check that every reader of JSON can read a value, so that the ledger can keep it unchanged."""

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

from shared.core.errors import Reject
from shared.core.shorten import shown

T = TypeVar("T")
Name = str | int  # of a member of an object, or of an element of a list

MAX_DEPTH = 100  # of nesting; readers of JSON fail at about twice that
MAX_DIGITS = 4300  # of an integer; Python and pydantic read no longer ones
_TOO_LARGE = 10**MAX_DIGITS
_SHOWN_PATH = 300  # characters


def storable(value: T, path: str = "") -> T:
    """Return the value.

    Raises:
        Reject: naming the path of the first part that some reader cannot read, without its value.
    """
    names: list[Name] = []  # the path of the current value
    levels: list[Iterator[tuple[Name, object]]] = [iter([(path, value)])]
    while levels:  # not recursive: the value may be nested deeper than Python's own stack
        for name, child in levels[-1]:
            names.append(name)
            _check_leaf(name, names)
            if isinstance(child, dict | list):
                if len(levels) > MAX_DEPTH:
                    problem = f"is nested more than {MAX_DEPTH} levels deep"
                    raise Reject(_path(names), problem, "Write it with fewer levels.")
                levels.append(iter(child.items() if isinstance(child, dict) else enumerate(child)))
                break
            _check_leaf(child, names)
            names.pop()
        else:
            levels.pop()
            del names[-1:]
    return value


def printable(text: str) -> str:
    """Return a text in which an escape sequence replaces each half of a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode()


def _check_leaf(value: object, names: Sequence[Name]) -> None:
    match value:
        case str():
            _check_text(value, names)
        case float() if not math.isfinite(value):
            name = "NaN"
            if not math.isnan(value):
                name = "Infinity" if value > 0 else "-Infinity"
            problem = f"is {name}, which JSON does not have"
            raise Reject(_path(names), problem, "Write a number or null.")
        case int() if abs(value) >= _TOO_LARGE:
            problem = f"is an integer of more than {MAX_DIGITS:,} digits"
            raise Reject(_path(names), problem, "Write it as text.")
        case None | bool() | int() | float():
            pass
        case _:
            problem = f"is of type {type(value).__name__}, which JSON does not have"
            raise Reject(_path(names), problem)


def _check_text(value: str, names: Sequence[Name]) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        half = f"\\u{ord(value[exc.start]):04x}"
        problem = f"contains half of a surrogate pair ({half}), which UTF-8 does not have"
        fix = "Write the whole character, or remove it."
        raise Reject(_path(names), problem, fix) from None


def _path(names: Sequence[Name]) -> str:
    """Return a path for people: `overrides.args[3]`."""
    root, *rest = names
    parts = [
        f"[{name}]" if isinstance(name, int) else f".{shown(printable(name))}" for name in rest
    ]
    path = f"{root}{''.join(parts)}".removeprefix(".")
    return shown(path, _SHOWN_PATH) or "run_spec"
