"""Convert YAML values to the types of the SDK's arguments.

The adapter reads the types from the installed SDK, so a newer SDK needs no change here. The result
is plain data: the name of an enum's member, an object for a message. A macro is always a text, so a
text can also stand for a number or a flag.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from shared.core.errors import Reject
from shared.core.shape import Shape
from shared.core.shorten import quoted
from shared.core.spelling import nearest
from shared.runspec.fields import items, mapping, text, wrong

_FLAGS = {"true": True, "false": False}
_LARGEST = 1e15  # a float beyond it does not hold every whole number


def fit(value: object, path: str, shape: Shape) -> Any:
    """Return a value as the SDK accepts it; None stays None. Raises Reject."""
    if value is None:
        return None
    if shape.repeated:
        return [
            _one(part, f"{path}[{number}]", shape) for number, part in enumerate(items(value, path))
        ]
    return _one(value, path, shape)


def fit_all(given: Mapping[str, Any], path: str, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Return arguments as the SDK accepts them, without null ones. Raises Reject."""
    fitted = {
        name: fit(value, f"{path}.{name}", shapes.get(name, Shape()))
        for name, value in given.items()
    }
    return {name: value for name, value in fitted.items() if value is not None}


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
    """Return a whole number; a text may contain it."""
    read = decimal(value, path)
    if read != int(read):
        raise Reject(path, f"is {read}", "Write a whole number.")
    return int(read)


def decimal(value: object, path: str) -> float | int:
    """Return a number; a text may contain it."""
    if isinstance(value, str):
        try:
            value = int(value) if value.strip().removeprefix("-").isdecimal() else float(value)
        except ValueError as exc:
            problem = f"should be a number, but is {quoted(value)}"
            raise Reject(path, problem, "Write a number.") from exc
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(path, "a number", value)
    if math.isnan(value) or abs(value) > _LARGEST:
        raise Reject(path, "is not a number that Vertex AI can hold", "Write a smaller number.")
    return value


def _flag(value: object, path: str) -> bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or (word := value.strip().lower()) not in _FLAGS:
        raise wrong(path, "true or false", value)
    return _FLAGS[word]


def _choice(value: object, path: str, choices: Mapping[str, int]) -> str | None:
    """Return an enum's member by its name in any case, or by its number; None for an empty text."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        name = next((name for name, number in choices.items() if number == value), str(value))
    elif isinstance(value, str):
        name = value.strip().upper().replace("-", "_").replace(" ", "_").rpartition(".")[2]
    else:
        raise wrong(path, "one of the names below", value, _valid(choices))
    if not name:
        return None
    if name not in choices:
        near = " or ".join(_nearest(name, choices))
        meant = f"Did you mean {near}? " if near else ""
        problem = f"is {quoted(value)}, which Vertex AI does not know"
        raise Reject(path, problem, meant + _valid(choices))
    return name


def _nearest(name: str, choices: Mapping[str, int]) -> list[str]:
    """Return the choices that a name means: with its numbers, as another number is another GPU."""
    numbered = {word for word in name.split("_") if re.search(r"\d", word)}
    if numbered:
        shared = {choice: len(numbered & set(choice.split("_"))) for choice in choices}
        most = max(shared.values(), default=0)
        return [choice for choice, count in shared.items() if most and count == most]
    longer = [choice for choice in choices if f"_{name}_" in f"_{choice}_"]
    near = longer[0] if len(longer) == 1 else nearest(name, choices)
    return [near] if near else []


def _valid(choices: Mapping[str, int]) -> str:
    return f"Valid: {', '.join(name for name, number in choices.items() if number)}."


def _message(value: object, path: str, fields: Mapping[str, Shape]) -> dict[str, Any]:
    if value is None:  # in a list
        raise wrong(path, "an object", value)
    fix = "" if isinstance(value, list) else f"Write an object with {', '.join(sorted(fields))}."
    return fit_all(mapping(value, path, fix), path, fields)
