"""Fill in the macros of a queue's configuration, such as `${image_uri}`, in texts but not in keys.

The agent also fills in every variable of its own environment, including its API key. This project
fills in only those that the operator lists in LAUNCH_MACROS.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

from shared.core.errors import Reject
from shared.core.shorten import quoted
from shared.runspec.expansion import check_filled

MAX_FILLED = 1_000_000  # characters of all macros of a launch together
_MACRO = re.compile(r"\$\{(\w+)\}")


def substitute(value: Any, macros: Mapping[str, str | None]) -> Any:
    """Return the value with its macros filled in; an unknown macro stays, a null one becomes empty.

    Raises:
        Reject: the filled-in texts are longer than a CustomJob can be, or refer to a secret.
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

    def change(text: str) -> str:
        changed = _MACRO.sub(fill, text)
        if changed != text:
            check_filled(f"the value of a macro in {quoted(text)}", text, changed)
        return changed

    return _each_text(value, change)


def uses(value: Any, macros: Collection[str]) -> Counter[str]:
    """Count each of these macros in the texts of a value."""
    found: Counter[str] = Counter()

    def count(text: str) -> str:
        found.update(name for name in _MACRO.findall(text) if name in macros)
        return text

    _each_text(value, count)
    return found


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each_text(one, change) for one in value]
    if isinstance(value, dict):
        return {key: _each_text(one, change) for key, one in value.items()}
    return value
