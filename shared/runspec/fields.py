"""Read untrusted JSON field by field; a value of a wrong type is refused with its path.

A value may be a secret, so a refusal shows its type and never its text.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.core.errors import Reject
from shared.core.image import FORM, Image
from shared.core.shorten import quoted, shown
from shared.runspec.words import as_words, word

_SHOWN_PATH = 200  # characters
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


def is_empty(value: object) -> bool:
    """Tell whether a value says nothing: null, false, or an empty text, list or object."""
    return value is None or value is False or value in ("", [], {})


def wrong(path: str, wanted: str, value: object, fix: str = "") -> Reject:
    """Return the refusal of a value of a wrong type."""
    return Reject(path, f"should be {wanted}, but is {found(value)}", fix)


def mapping(value: object, path: str, fix: str = "") -> dict[str, Any]:
    """Return an object; null counts as empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        if not fix and isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
            fix = "Write the object without its list."
        raise wrong(path, "an object", value, fix)
    return value


def items(value: object, path: str, fix: str = "") -> list[Any]:
    """Return a list; null counts as empty, and {}, which older clients of W&B send for no args."""
    if value is None or value == {}:
        return []
    if not isinstance(value, list):
        fix = fix or ("Write a list of objects: [{…}]." if isinstance(value, dict) else "")
        raise wrong(path, "a list", value, fix)
    return value


def text(value: object, path: str, default: str | None = None) -> str:
    """Return a text; null counts as the default, if there is one."""
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        raise wrong(path, "a text", value, "Write it in quotes." if number else "")
    return value


def image(written: str, path: str) -> Image:
    """Return the parts of an image's name."""
    try:
        return Image.parse(written)
    except ValueError as exc:
        raise Reject(path, f"is {quoted(written, 200)}, which {exc}", FORM) from exc


def texts(value: object, path: str) -> list[str]:
    """Return a list of texts; a number or a flag becomes text, as JSON writes it."""
    listed = items(value, path, as_words(value))
    return [one_word(one, f"{path}[{number}]") for number, one in enumerate(listed)]


def one_word(value: object, path: str) -> str:
    """Return a text; a number or a flag becomes text, as JSON writes it."""
    written = word(value)
    if written is None:
        raise wrong(path, "a text", value)
    return written


def check_depth(value: object, path: str) -> None:
    """Refuse a value whose nesting would exhaust the stack."""
    level = list(_children(value, ""))
    for _ in range(MAX_DEPTH - 1):
        level = [child for place, parent in level for child in _children(parent, place)]
        if not level:
            return
    problem = f"is nested more than {MAX_DEPTH} levels deep"
    raise Reject(shown(level[0][0]) or path, problem, "Write it with fewer levels.")


def _children(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield the objects and lists in a value with their paths, of which the first names count."""
    if isinstance(value, Mapping):
        parts = ((str(name), one) for name, one in value.items())
    elif isinstance(value, list):
        parts = ((str(number), one) for number, one in enumerate(value))
    else:
        return
    for name, one in parts:
        if isinstance(one, Mapping | list):
            yield (f"{path}.{shown(name, 40)}" if path else shown(name, 40))[:_SHOWN_PATH], one
