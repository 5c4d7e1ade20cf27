"""Expand `$(NAME)` in a container's command, arguments and variables, as Kubernetes does.

Vertex AI documents it for variables, in Kubernetes' words; that it holds for command and arguments too is the worse
reading of its silence.
"""

import re
from collections.abc import Iterable, Mapping

_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[^()]*)\))")


def expanded(text: str, known: Mapping[str, str]) -> str:
    """Replace each `$(NAME)` that is known, and `$$` by `$`; whatever is not known stays as it is."""

    def value(found: re.Match[str]) -> str:
        return "$" if found["name"] is None else known.get(found["name"], found[0])

    return _REFERENCE.sub(value, text)


def expanded_variables(
    variables: Iterable[tuple[str, str]], known: Mapping[str, str]
) -> dict[str, str]:
    """Expand each variable by those before it and by those of the service."""
    values: dict[str, str] = {}
    for name, text in variables:
        values[name] = expanded(text, {**known, **values})
    return values
