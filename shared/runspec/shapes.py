"""What the SDK takes, as plain data, and how what YAML can write becomes that.

The adapter reads the shapes from the installed SDK's own types, so a newer SDK needs no change here. The result is
plain data still: the name of an enum's member, an object for a message. A macro can only be a text, and so can a value
in quotes: a number or a flag is taken out of it.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from shared.core.errors import Reject
from shared.core.shape import Shape
from shared.runspec.fields import found, items, mapping, text, wrong

_FLAGS = {"true": True, "false": False}
_SHOWN = 80  # characters of a value that an error quotes


def fit(value: object, path: str, shape: Shape) -> Any:
    """Return a value as the SDK takes it, and None for nothing. Raises Reject, naming the field and what fits."""
    if value is None:
        return None
    if shape.repeated:
        return [
            _one(part, f"{path}[{number}]", shape) for number, part in enumerate(items(value, path))
        ]
    return _one(value, path, shape)


def fit_all(given: Mapping[str, Any], path: str, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Return arguments as the SDK takes them, without those that are null or empty of meaning. Raises Reject."""
    fitted = {
        name: fit(value, f"{path}.{name}", shapes.get(name, Shape()))
        for name, value in given.items()
    }
    return {name: value for name, value in fitted.items() if value is not None}


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that was likely meant, empty where none is near; all of them are short."""
    return next(iter(difflib.get_close_matches(name[:_SHOWN], list(known), n=1)), "")


def _one(value: object, path: str, shape: Shape) -> Any:
    match shape.kind:
        case "text":
            return text(value, path)
        case "flag":
            return _flag(value, path)
        case "whole":
            return whole(value, path)
        case "number":
            return decimal(value, path)
        case "choice":
            return _choice(value, path, shape.choices)
        case "message":
            return _message(value, path, shape.fields)
        case "any":
            return value


def whole(value: object, path: str) -> int:
    """Return a whole number, also out of a text."""
    read = decimal(value, path)
    if read != int(read):
        raise Reject(path, f"is {read}", "Write a whole number.")
    return int(read)


def decimal(value: object, path: str) -> float | int:
    """Return a number, also out of a text."""
    if isinstance(value, str):
        try:
            value = int(value) if value.strip().removeprefix("-").isdecimal() else float(value)
        except ValueError as exc:
            raise Reject(path, f"should be a number, but is {value!r:.80}") from exc
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value != value
        or abs(value) > 1e15
    ):
        raise wrong(path, "a number", value)
    return value


def _flag(value: object, path: str) -> bool:
    if isinstance(value, bool):
        return value
    said = str(value).strip().lower() if isinstance(value, str) else ""
    if said not in _FLAGS:
        raise wrong(path, "true or false", value)
    return _FLAGS[said]


def _choice(value: object, path: str, choices: Mapping[str, int]) -> str | None:
    """Return an enum's member by its name, in any case, or by its number; an empty text stands for nothing."""
    if isinstance(value, int) and not isinstance(value, bool):
        name = next((name for name, number in choices.items() if number == value), str(value))
    elif isinstance(value, str):
        name = value.strip().upper().replace("-", "_").replace(" ", "_").rpartition(".")[2]
    else:
        raise wrong(path, "one of the names below", value, _valid(choices))
    if not name:
        return None
    if name not in choices:
        near = nearest(name, choices)
        meant = f"Did you mean {near}? " if near else ""
        raise Reject(
            path,
            f"is {str(value)[:_SHOWN]!r}, which Vertex AI does not know",
            meant + _valid(choices),
        )
    return name


def _valid(choices: Mapping[str, int]) -> str:
    return f"Valid are: {', '.join(name for name, number in choices.items() if number)}."


def _message(value: object, path: str, fields: Mapping[str, Shape]) -> dict[str, Any]:
    if value is None:  # in a list
        raise wrong(path, "an object", value)
    given = mapping(value, path)
    for name in given:
        if name not in fields:
            near = nearest(str(name), fields)
            fix = f"Did you mean {near}?" if near else f"Known are: {', '.join(sorted(fields))}."
            raise Reject(
                f"{path}.{str(name)[:_SHOWN]}",
                f"is no field that Vertex AI knows, and is {found(given[name])}",
                fix,
            )
    return fit_all(given, path, fields)
