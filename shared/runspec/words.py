"""Write a job's command, arguments, variables and labels as texts, and suggest the right form.

A suggestion shows no value that is a secret by its name or its form.
"""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from shared.core.redaction import is_secret, redacted
from shared.core.shorten import shown

_MOST = 12  # words or variables of a suggestion
_LONGEST = 100  # characters of each
_TEXT = 2_000  # characters of a command, more than its suggestion shows


def word(value: object) -> str | None:
    """Return a value as JSON writes it: `true`, 3, 1.5; a text stays; None for anything else."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int | float) else None


def as_words(value: object) -> str:
    """Return how to write a command or arguments; empty if no list can be guessed."""
    if isinstance(value, str):
        return f"Write {_list(_split(redacted(value)[:_TEXT]))}."
    if isinstance(value, Mapping):
        return f"Write {_list(islice(_flags(value), _MOST + 1))}."
    return ""


def as_variables(value: object) -> str:
    """Return how to write variables that are an object, a text or a list of texts."""
    pairs = list(islice(_pairs(value), _MOST + 1))
    # redaction would remove what follows the name of a secret
    variables = [_variable(name, one) for name, one in pairs if not is_secret(name)]
    if not variables:
        return "Write [{name: …, value: …}]."
    return f"Write {_joined(variables, all_of_them=len(variables) == len(pairs))}."


def as_variable(value: object) -> str:
    """Return how to write one variable that is a text."""
    for name, one in _pairs(value):
        if not is_secret(name):
            return f"Write {_variable(name, one)}."
    return "Write {name: …, value: …}."


def _variable(name: str, value: object) -> str:
    return f"{{name: {shown(name)}, value: {_quoted(value)}}}"


def as_object(value: object) -> str:
    """Return how to write labels that are a text or a list of texts."""
    pairs = [f"{shown(name)}: {_quoted(one)}" for name, one in islice(_pairs(value), _MOST)]
    return f"Write {{{', '.join(pairs)}}}." if pairs else ""


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote without its end
        return text.split()


def _flags(value: Mapping[str, object]) -> Iterator[str]:
    for name, one in value.items():
        given = "…" if is_secret(name) or isinstance(one, dict | list) else word(one)
        yield f"--{str(name).lstrip('-')}" + (f"={given}" if given is not None else "")


def _pairs(value: object) -> Iterator[tuple[str, object]]:
    """Yield names and values of an object, of `A=1,B=2` or of a list of such texts."""
    if isinstance(value, Mapping):
        yield from ((str(name), one) for name, one in value.items())
    elif isinstance(value, list):
        for one in value:
            yield from _pairs(one) if isinstance(one, str) else ()
    elif isinstance(value, str):
        for part in value.split(","):
            name, separator, one = part.partition("=")
            if separator:
                yield name.strip(), one


def _quoted(value: object) -> str:
    given = word(value)
    return "…" if given is None else json.dumps(shown(given, _LONGEST), ensure_ascii=False)


def _list(words: Iterable[str]) -> str:
    return _joined([_quoted(each) for each in words])


def _joined(parts: list[str], *, all_of_them: bool = True) -> str:
    more = [] if all_of_them and len(parts) <= _MOST else ["…"]
    return f"[{', '.join([*parts[:_MOST], *more])}]"
