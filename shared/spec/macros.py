"""Fill in the macros of a queue's configuration: `${image_uri}` and its kind, in any text, never in a key.

The agent also fills in every variable of its own environment, its API key included. Here only those count that the
operator lists (LAUNCH_MACROS).
"""

import re
from collections.abc import Mapping
from typing import Any

_MACRO = re.compile(r"\$\{(\w+)\}")


def substitute(value: Any, macros: Mapping[str, str | None]) -> Any:
    """Return the value with its macros filled in: an unknown one stays, one without a value becomes empty."""
    if isinstance(value, str):
        return _MACRO.sub(lambda match: macros.get(match[1], match[0]) or "", value)
    if isinstance(value, list):
        return [substitute(one, macros) for one in value]
    if isinstance(value, dict):
        return {key: substitute(one, macros) for key, one in value.items()}
    return value
