"""Fill in the macros of a queue's configuration, such as `${image_uri}`, in texts but not in keys.

The agent also fills in every variable of its own environment, including its API key. This project
fills in only those that the operator lists in LAUNCH_MACROS.

`${project_name:label}` is a form that the agent does not know: the value as a valid label.
"""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from shared.core.errors import Reject
from shared.core.redaction import is_secret
from shared.core.shorten import quoted, shown
from shared.runspec.expansion import check_filled
from shared.runspec.labels import label_value

MAX_FILLED = 1_000_000  # characters of all macros of a launch together
LABEL = "label"
OF_A_LAUNCH = ("project_name", "entity_name", "run_id", "run_name", "image_uri", "author")
# A form begins with a letter. What else follows a name is a shell's: ${A:-b}, ${A:0:3}, ${A%.*}.
_MACRO = re.compile(
    r"\$\{(?P<name>\w+)(?:(?P<mark>[ \t]*[:|.][ \t]*)(?P<form>[A-Za-z_][^{}$]*))?\}"
)


def substitute(value: Any, macros: Mapping[str, str | None], later: Collection[str] = ()) -> Any:
    """Return the value with its macros filled in; an unknown macro stays, a null one becomes empty.

    `later` are the names of known macros that stay for now.

    Raises:
        Reject: the filled-in texts are longer than a CustomJob can be, or refer to a secret; a
            macro has an unknown form, or an unknown macro has a form.
    """
    filled = 0

    def fill(match: re.Match[str]) -> str:
        nonlocal filled
        if match["form"]:
            _check_form(match, {*macros, *later})
        if match["name"] not in macros:
            return match[0]
        text = macros[match["name"]] or ""
        text = as_label(text) if match["form"] else text
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
    """Count each of these macros in the texts of a value, in any form."""
    found: Counter[str] = Counter()

    def count(text: str) -> str:
        names = (match["name"] for match in _MACRO.finditer(text))
        found.update(name for name in names if name in macros)
        return text

    _each_text(value, count)
    return found


def unknown_macro(text: str) -> str:
    """Return the first macro that is left in a filled-in text; empty if none is left."""
    left = _MACRO.search(text)
    return left[0] if left else ""


def as_label(text: str) -> str:
    """Return a text as a label's value: letters lose their accents; a dash replaces others."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return label_value("".join(one for one in plain if not unicodedata.combining(one)))


def _check_form(match: re.Match[str], known: Collection[str]) -> None:
    """Refuse a form other than `:label`, and `:label` after an unknown or a secret name."""
    name, form = match["name"], match["form"]
    written, right = shown(match[0]), f"${{{name}:{LABEL}}}"
    is_right = match["mark"] == ":" and form == LABEL
    if name not in known:
        if not is_right and not _like(form, (LABEL,)):
            return  # a shell's
        near = _like(name, known)
        fix = f"Did you mean ${{{near}:{LABEL}}}?" if near else f"Known: {_names(known)}."
        raise Reject(written, "is a form of a macro that is not known", fix)
    if is_secret(name):
        problem = "would write a secret in a form that nothing can find and redact"
        raise Reject(written, problem, f"Write ${{{name}}}, where a secret is allowed.")
    if not is_right:
        near = _like(form, (LABEL,))
        fix = f"Did you mean {right}?" if near else f"Write ${{{name}}} or {right}."
        raise Reject(written, f"is not a form of the macro {name}", fix)


def _like(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like this one, in any case; empty if none is."""
    found = difflib.get_close_matches(name.lower()[:80], sorted(known), n=1)
    return found[0] if found else ""


def _names(known: Collection[str]) -> str:
    return ", ".join(f"${{{name}:{LABEL}}}" for name in sorted(known) if not is_secret(name))


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each_text(one, change) for one in value]
    if isinstance(value, dict):
        return {key: _each_text(one, change) for key, one in value.items()}
    return value
