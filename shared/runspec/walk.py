"""Walk to the values of a CustomJob by their path, such as spec.worker_pool_specs[].disk_spec."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.runspec.fields import items, mapping

_POOLS = "worker_pool_specs"


def values(document: Mapping[str, Any], field: str) -> Iterator[tuple[str, object]]:
    """Yield the values of a field with their paths; None if it is missing.

    `[]` stands for each element of a list. An empty pool has no values.
    """
    return _within(document, field.replace("[]", ".[]").split("."), "")


def _within(holder: object, steps: list[str], path: str) -> Iterator[tuple[str, object]]:
    if not steps:
        yield path, holder
        return
    step, *rest = steps
    if step == "[]":
        for number, one in enumerate(items(holder, path)):
            if one or not rest or not path.endswith(_POOLS):
                yield from _within(one, rest, f"{path}[{number}]")
    else:
        inner = mapping(holder, path).get(step)
        yield from _within(inner, rest, f"{path}.{step}".removeprefix("."))
