"""Read untrusted JSON field by field; a value of a wrong type is refused with its path.

A value may be a secret, so a refusal shows its type and never its text.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.core.errors import Reject
from shared.core.image import FORM, Image
from shared.core.shorten import quoted

MAX_DEPTH = 60  # of nesting; a real configuration has about ten levels

_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


def found(value: object) -> str:
    """Return a JSON value's type for people, and whether it is empty."""
    if value is None:
        return "null"
    if value in ("", [], {}):
        return f"empty ({_NAMES[type(value)]})"
    return _NAMES.get(type(value), type(value).__name__)


def wrong(path: str, wanted: str, value: object, fix: str = "") -> Reject:
    """Return the refusal of a value of a wrong type."""
    return Reject(path, f"should be {wanted}, but is {found(value)}", fix)


def mapping(value: object, path: str) -> dict[str, Any]:
    """Return an object; null counts as empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(path, "an object", value)
    return value


def items(value: object, path: str) -> list[Any]:
    """Return a list; null counts as empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(path, "a list", value)
    return value


def text(value: object, path: str, default: str | None = None) -> str:
    """Return a text; null counts as the default, if there is one."""
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise wrong(path, "a text", value)
    return value


def image(written: str, path: str) -> Image:
    """Return the parts of an image's name."""
    try:
        return Image.parse(written)
    except ValueError as exc:
        raise Reject(path, f"is {quoted(written, 200)}, which {exc}", FORM) from exc


def texts(value: object, path: str) -> list[str]:
    """Return a list of texts; a number becomes text, as on a command line."""
    return [_word(one, f"{path}[{number}]") for number, one in enumerate(items(value, path))]


def check_depth(value: object, path: str) -> None:
    """Refuse a value whose nesting would exhaust the stack."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    problem = f"is nested more than {MAX_DEPTH} levels deep"
    raise Reject(path, problem, "Write it with fewer levels.")


def _children(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _word(value: object, path: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return text(value, path)
