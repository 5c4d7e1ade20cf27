"""Template variables of a W&B queue: `{{name}}` in its configuration, filled in as W&B does."""

import math
import re
from collections.abc import Mapping
from typing import Any

from shared.core.errors import Reject
from shared.core.shorten import quoted, shown
from shared.core.spelling import nearest
from shared.runspec.expansion import check_filled
from shared.runspec.fields import found, mapping
from shared.runspec.macros import MAX_FILLED
from shared.runspec.words import word

PATH = "template_variables"
_TEMPLATE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_KINDS = {
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "boolean": "true or false",
}
_DIGITS = 300  # of a number; no float has more
_TOO_LARGE = 10**_DIGITS
_WHOLE = re.compile(r"\s*[+-]?\d{1,300}\s*", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?(\d{1,300}\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def filled(value: Any, variables: Mapping[str, Any]) -> Any:
    """Replace every known `{{name}}`; a text that is only a variable gets the variable's type.

    Raises:
        Reject: the filled-in values are longer than a CustomJob can be, or refer to a secret.
    """
    texts = {name: word(each) or str(each) for name, each in variables.items()}
    total = 0

    def count(name: str) -> None:
        nonlocal total
        total += len(texts[name])
        if total > MAX_FILLED:
            problem = f"makes this launch longer than {MAX_FILLED:,} characters"
            raise Reject(f"{PATH}.{name}", problem, "Shorten its value.")

    def fill(match: re.Match[str]) -> str:
        if match[1] not in variables:
            return match[0]
        count(match[1])
        return texts[match[1]]

    def inside(one: Any) -> Any:
        if isinstance(one, Mapping):
            return {key: inside(inner) for key, inner in one.items()}
        if isinstance(one, list):
            return [inside(inner) for inner in one]
        if not isinstance(one, str):
            return one
        if (whole := _TEMPLATE.fullmatch(one)) and whole[1] in variables:
            count(whole[1])
            check_filled(f"{PATH}.{whole[1]}", "", texts[whole[1]])
            return variables[whole[1]]
        changed = _TEMPLATE.sub(fill, one)
        check_filled(PATH, one, changed)
        return changed

    return inside(value)


def template_values(schemas: Mapping[str, Mapping[str, Any]], given: object) -> dict[str, Any]:
    """Return the value of each template variable of a queue: the given one, or the default.

    The check uses a schema's `type`, `enum`, `minimum` and `maximum`: those that W&B's page offers.

    Raises:
        Reject: an unknown variable, a missing value, or a value that its schema does not allow.
    """
    values = mapping(given, PATH)
    for name in values:
        if name not in schemas:
            near = nearest(str(name), schemas)
            known = f"Known: {', '.join(sorted(schemas)) or 'none'}."
            fix = f"Did you mean {near}? {known}" if near else known
            path = f"{PATH}.{shown(str(name))}"
            raise Reject(path, "is not a template variable of the queue", fix)
    return {name: _value(name, schema, values) for name, schema in schemas.items()}


def _value(name: str, schema: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    path = f"{PATH}.{name}"
    if values.get(name) is None:
        if "default" not in schema:
            problem = "is missing, and the queue has no default for it"
            raise Reject(path, problem, f"Write {_allowed(schema)}.")
        return schema["default"]
    value = _typed(values[name], schema.get("type"))
    if value is None or not _fits(value, schema):
        problem = f"is {_shown(values[name])}, which the queue does not allow"
        raise Reject(path, problem, f"Write {_allowed(schema)}.")
    return value


def _shown(value: object) -> str:
    """Return a value for a refusal; Python cannot print integers with thousands of digits."""
    if isinstance(value, int) and abs(value) >= _TOO_LARGE:
        return f"a number of more than {_DIGITS} digits"
    if isinstance(value, str):
        return quoted(value)
    return shown(repr(value)) if isinstance(value, int | float) else found(value)


def _typed(value: Any, kind: object) -> Any:
    """Return a value in the schema's type; None if it has another type.

    As on W&B's command line, a text may contain a number. Without a known type it stays unchanged.
    """
    match kind:
        case "integer":
            if isinstance(value, str) and not _WHOLE.fullmatch(value):
                return None
            number = _number(value)
            return int(number) if number is not None and number == int(number) else None
        case "number":
            return _number(value)
        case "string":
            return value if isinstance(value, str) else None
        case "boolean":
            return value if isinstance(value, bool) else None
    return value


def _number(value: Any) -> int | float | None:
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            return None
        value = int(value) if _WHOLE.fullmatch(value) else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    is_finite = math.isfinite(value) if isinstance(value, float) else abs(value) < _TOO_LARGE
    return value if is_finite else None


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    listed = schema.get("enum")
    if isinstance(listed, list) and not any(_same(value, one) for one in listed):
        return False
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    low, high = (_number(schema.get(bound)) for bound in ("minimum", "maximum"))
    return (low is None or value >= low) and (high is None or value <= high)


def _same(one: object, other: object) -> bool:
    """Compare as JSON does: 1 equals 1.0 but not true."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _allowed(schema: Mapping[str, Any]) -> str:
    """Return the values that a schema allows, for people."""
    parts = [_KINDS.get(str(schema.get("type")), "a value")]
    if isinstance(schema.get("enum"), list):
        parts.append(f"one of {shown(', '.join(map(repr, schema['enum'])), 500)}")
    bounds = (("minimum", "at least"), ("maximum", "at most"))
    parts += [f"{word} {schema[bound]}" for bound, word in bounds if schema.get(bound) is not None]
    return ", ".join(parts)
