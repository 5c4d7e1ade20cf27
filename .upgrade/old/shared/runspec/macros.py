"""Fill in the macros of a queue's configuration, such as `${image_uri}`, in texts but not in keys.

The agent also fills in every variable of its own environment, including its API key. This project
fills in only those that the operator lists in LAUNCH_MACROS.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from shared.core.errors import Reject

MAX_FILLED = 1_000_000  # characters of all macros of a launch together
_MACRO = re.compile(r"\$\{(\w+)\}")


def substitute(value: Any, macros: Mapping[str, str | None]) -> Any:
    """Return the value with its macros filled in; an unknown macro stays, a null one becomes empty.

    Raises:
        Reject: the filled-in texts are longer than a CustomJob can be.
    """
    filled = 0

    def fill(match: re.Match[str]) -> str:
        nonlocal filled
        if match[1] not in macros:
            return match[0]
        text = macros[match[1]] or ""
        filled += len(text)
        if filled > MAX_FILLED:
            problem = f"makes this launch longer than {MAX_FILLED:,} characters"
            raise Reject(match[0], problem, "Shorten its value, or use it in fewer places.")
        return text

    return _each_text(value, lambda text: _MACRO.sub(fill, text))


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each_text(one, change) for one in value]
    if isinstance(value, dict):
        return {key: _each_text(one, change) for key, one in value.items()}
    return value
