"""Read untrusted JSON field by field: what is not of the wanted type is refused with its path.

What was found is shown only where it cannot be a secret: `found` tells a value's type, never a text of its own.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.core.errors import Reject

MAX_DEPTH = 60  # of nesting; the deepest configuration that means anything has about ten levels

_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


def found(value: object) -> str:
    """Name a JSON value's type, and its value where that is empty."""
    if value is None:
        return "null"
    if value in ("", [], {}):
        return f"empty ({_NAMES[type(value)]})"
    return _NAMES.get(type(value), type(value).__name__)


def wrong(path: str, wanted: str, value: object, fix: str = "") -> Reject:
    """Return the refusal of a value that is not what it should be."""
    return Reject(path, f"should be {wanted}, but is {found(value)}", fix)


def mapping(value: object, path: str) -> dict[str, Any]:
    """Return an object; null stands for an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(path, "an object", value)
    return value


def items(value: object, path: str) -> list[Any]:
    """Return a list; null stands for an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(path, "a list", value)
    return value


def text(value: object, path: str, default: str | None = None) -> str:
    """Return a text; null or nothing stands for the default, where there is one."""
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise wrong(path, "a text", value)
    return value


def texts(value: object, path: str) -> list[str]:
    """Return a list of texts; a number in it is taken for its text, as a command line would."""
    return [_word(one, f"{path}[{number}]") for number, one in enumerate(items(value, path))]


def check_depth(value: object, path: str) -> None:
    """Refuse what is nested so deeply that reading it would exhaust the stack."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise Reject(
        path, f"is nested more than {MAX_DEPTH} levels deep", "Nothing that is meant needs that."
    )


def _children(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _word(value: object, path: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return text(value, path)
