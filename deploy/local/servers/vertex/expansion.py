"""Expand `$(NAME)` in a container's command, arguments and variables, as Kubernetes does.

Vertex AI documents the expansion of variables, in Kubernetes' words. For command and arguments its
documentation is silent; expanding them is the worse reading.
"""

import re
from collections.abc import Iterable, Mapping

_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[^()]*)\))")


def expanded(text: str, known: Mapping[str, str]) -> str:
    """Replace each known `$(NAME)`, and `$$` by `$`; unknown names stay unchanged."""

    def value(found: re.Match[str]) -> str:
        return "$" if found["name"] is None else known.get(found["name"], found[0])

    return _REFERENCE.sub(value, text)


def expanded_variables(
    variables: Iterable[tuple[str, str]], known: Mapping[str, str]
) -> dict[str, str]:
    """Expand each variable by the earlier ones and by those of the service."""
    values: dict[str, str] = {}
    for name, text in variables:
        values[name] = expanded(text, {**known, **values})
    return values
