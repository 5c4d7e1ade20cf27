"""W&B's changes to a pushed run spec: it fills in the queue's default resource config."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from deploy.local.servers.wandb.errors import Refused
from shared.runspec.words import word

TYPES: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "number": int | float,
    "integer": int | float,
}
TEMPLATE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def merged(base: Any, over: Any) -> Any:
    """Merge `over` into `base`: objects key by key; other values are replaced."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    return base if over is None else over


def filled(value: Any, variables: Mapping[str, Any]) -> Any:
    """Replace every `{{name}}`; a string of only `{{name}}` takes the variable's type."""
    if isinstance(value, Mapping):
        return {key: filled(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, variables) for inner in value]
    if not isinstance(value, str):
        return value
    if (whole := TEMPLATE.fullmatch(value)) and whole[1] in variables:
        return variables[whole[1]]
    texts = {name: word(each) or str(each) for name, each in variables.items()}
    return TEMPLATE.sub(lambda match: texts.get(match[1], match[0]), value)


def template_values(
    schemas: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the value of every template variable: the given one, or its schema's default.

    Raises:
        Refused: a variable is unknown or has no value, or its schema forbids the value.
    """
    if unknown := sorted(given.keys() - schemas.keys()):
        raise Refused(f"template variables {', '.join(unknown)} are not defined by this queue")
    values = {
        name: schema["default"] for name, schema in schemas.items() if "default" in schema
    } | dict(given)
    for name, value in given.items():
        _check(name, value, schemas[name])
    if missing := sorted(schemas.keys() - values.keys()):
        raise Refused(f"template variables {', '.join(missing)} have no value and no default")
    return values


def _check(name: str, value: Any, schema: Mapping[str, Any]) -> None:
    """Refuse a value by the keywords of W&B's page: type, enum, minimum and maximum."""
    kind = schema.get("type")
    types = TYPES.get(kind, object) if isinstance(kind, str) else object
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = number and math.isfinite(value) and value == int(value)
    fits = whole if kind == "integer" else isinstance(value, types) and (number or kind != "number")
    if not fits:
        raise Refused(f"template variable {name}: {value!r} is not of type {kind!r}")
    if "enum" in schema and value not in schema["enum"]:
        raise Refused(f"template variable {name}: {value!r} is not one of {schema['enum']}")
    if number and value < schema.get("minimum", value):
        raise Refused(
            f"template variable {name}: {value!r} is less than the minimum of {schema['minimum']}"
        )
    if number and value > schema.get("maximum", value):
        most = schema["maximum"]
        raise Refused(f"template variable {name}: {value!r} is greater than the maximum of {most}")


def variable_schemas(declared: Any) -> dict[str, dict[str, Any]]:
    """Parse a queue's template variables, `{name: schema}` or `{name: {"schema": schema}}`.

    Any level may be a JSON string.
    """
    schemas = {}
    for name, value in (_loaded(declared) or {}).items():
        schema = _loaded(value)
        schemas[name] = (
            _loaded(schema["schema"])
            if isinstance(schema, Mapping) and "schema" in schema
            else schema
        )
    return schemas


def _loaded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
