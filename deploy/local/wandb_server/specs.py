"""What W&B does to a run spec when it is pushed: fill in its queue's default resource config."""

import json
import re
from collections.abc import Mapping
from typing import Any

from deploy.local.wandb_server.errors import Refused

TEMPLATE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def merged(base: Any, over: Any) -> Any:
    """Lay `over` on `base`: objects are merged key by key, anything else is replaced."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    return base if over is None else over


def filled(value: Any, variables: Mapping[str, Any]) -> Any:
    """Replace every `{{name}}`; a string that is nothing else takes the variable's own type."""
    if isinstance(value, Mapping):
        return {key: filled(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, variables) for inner in value]
    if not isinstance(value, str):
        return value
    if (whole := TEMPLATE.fullmatch(value)) and whole[1] in variables:
        return variables[whole[1]]
    return TEMPLATE.sub(lambda match: str(variables.get(match[1], match[0])), value)


def template_values(schemas: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every template variable: the given one, else its schema's default.

    Raises:
        Refused: a variable that the queue does not have, or one without a value.
    """
    if unknown := sorted(given.keys() - schemas.keys()):
        raise Refused(f"template variables {', '.join(unknown)} are not defined by this queue")
    values = {name: schema["default"] for name, schema in schemas.items() if "default" in schema} | dict(given)
    if missing := sorted(schemas.keys() - values.keys()):
        raise Refused(f"template variables {', '.join(missing)} have no value and no default")
    return values


def variable_schemas(declared: Any) -> dict[str, dict[str, Any]]:
    """Read a queue's template variables: `{name: schema}` or `{name: {"schema": schema}}`; any of it may be JSON."""
    schemas = {}
    for name, value in (_loaded(declared) or {}).items():
        schema = _loaded(value)
        schemas[name] = _loaded(schema["schema"]) if isinstance(schema, Mapping) and "schema" in schema else schema
    return schemas


def _loaded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
