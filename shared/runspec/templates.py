"""Template variables of a W&B queue: `{{name}}` in its configuration, filled in as W&B does when an item is pushed."""

import math
import re
from collections.abc import Mapping
from typing import Any

from shared.core.errors import Reject
from shared.runspec.fields import found, mapping
from shared.runspec.shapes import nearest

PATH = "template_variables"
_TEMPLATE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_DIGITS = 300  # of a number; a float has no more
_TOO_LARGE = 10**_DIGITS
_WHOLE = re.compile(r"\s*[+-]?\d{1,300}\s*", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?(\d{1,300}\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_SHOWN = 80  # characters of a value that a refusal quotes


def filled(value: Any, variables: Mapping[str, Any]) -> Any:
    """Replace every `{{name}}`; a text that is nothing else takes the variable's own type, an unknown one stays."""
    if isinstance(value, Mapping):
        return {key: filled(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, variables) for inner in value]
    if not isinstance(value, str):
        return value
    if (whole := _TEMPLATE.fullmatch(value)) and whole[1] in variables:
        return variables[whole[1]]
    return _TEMPLATE.sub(lambda match: str(variables.get(match[1], match[0])), value)


def template_values(schemas: Mapping[str, Mapping[str, Any]], given: object) -> dict[str, Any]:
    """Return the value of each of a queue's template variables: the one that is given, else its schema's default.

    Of a schema count `type`, `enum`, `minimum` and `maximum`: what W&B's page offers.

    Raises:
        Reject: a variable that the queue does not have, one without a value, or a value that its schema does not allow.
    """
    values = mapping(given, PATH)
    for name in values:
        if name not in schemas:
            near = nearest(str(name), schemas)
            known = f"It has: {', '.join(sorted(schemas)) or 'none'}."
            fix = f"Did you mean {near}? {known}" if near else known
            raise Reject(
                f"{PATH}.{str(name)[:_SHOWN]}", "is no template variable of the queue", fix
            )
    return {name: _value(name, schema, values) for name, schema in schemas.items()}


def _value(name: str, schema: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    path = f"{PATH}.{name}"
    if values.get(name) is None:
        if "default" not in schema:
            raise Reject(
                path,
                "is missing, and the queue has no default for it",
                f"Give it: {_wanted(schema)}.",
            )
        return schema["default"]
    value = _typed(values[name], schema.get("type"))
    if value is None or not _fits(value, schema):
        said = _quoted(values[name])
        raise Reject(
            path, f"is {said}, which the queue does not allow", f"Give it: {_wanted(schema)}."
        )
    return value


def _quoted(value: object) -> str:
    """Return a value for a refusal; Python prints no integer of more than some thousand digits."""
    if isinstance(value, int) and abs(value) >= _TOO_LARGE:
        return f"a number of more than {_DIGITS} digits"
    return repr(value)[:_SHOWN] if isinstance(value, str | int | float) else found(value)


def _typed(value: Any, kind: object) -> Any:
    """Return a value as its type has it, a number also out of a text, as on W&B's command line; None where it is none.

    Without a type, or with one that is not known, the value is as it is.
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
    """Compare as JSON does: 1 and 1.0 are the same, 1 and true are not."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _wanted(schema: Mapping[str, Any]) -> str:
    """Say what a schema allows."""
    said = [str(schema.get("type") or "a value")]
    if isinstance(schema.get("enum"), list):
        said.append(f"one of {', '.join(map(repr, schema['enum']))[:500]}")
    bounds = (("minimum", "at least"), ("maximum", "at most"))
    said += [f"{word} {schema[bound]}" for bound, word in bounds if schema.get(bound) is not None]
    return ", ".join(said)
