"""Remove secrets from whatever leaves this process: one function, `redacted`, for all exits.

It removes two kinds: secrets that this process knows, in whatever form they are printed, and texts
with the form of a secret. It knows the operator's secrets (`remember`), and those of the run spec
at hand (`hiding`, `hide`): one author's variable never changes a text about another launch.

Redact before a text is encoded, escaped or shortened: half a key would stay.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, overload
from urllib.parse import quote, quote_plus

from shared.core.secret_names import KEYS, is_secret, is_surely_secret, secrets_in
from shared.core.secret_shapes import REDACTED, without_shapes

__all__ = ["KEYS", "REDACTED", "hide", "hiding", "is_secret", "redacted", "remember", "secrets_in"]

SHORTEST = 6  # characters of a secret; a KEY_VERSION of `1` must not be removed everywhere
LONGEST = 100_000  # characters of a text; a longer one is cut in the middle
_MARGIN = 5_000  # characters at such a cut, which may be a part of a secret
_REMEMBERED = 50  # a replaced key is no less secret: something that began with it may still end
_PIECE = 12  # consecutive characters of a random secret that are removed
_PERCENT = re.compile("%[0-9A-F]{2}")
_RANDOM = re.compile(r"(?=[^0-9]*[0-9])[A-Za-z0-9_+=.~-]{20,}")

_operators: dict[str, None] = {}
_at_hand: ContextVar[frozenset[str] | None] = ContextVar("secrets at hand", default=None)


def remember(secrets: Iterable[str]) -> None:
    """Remove these secrets of the operator from all texts of this process."""
    _operators.update(dict.fromkeys(secret for secret in secrets if secret))
    for oldest in list(_operators)[:-_REMEMBERED]:
        del _operators[oldest]


@contextmanager
def hiding(secrets: Iterable[str] = ()) -> Iterator[None]:
    """Remove these secrets, and those of `hide`, from the texts of this block."""
    token = _at_hand.set(_hidden().union(secrets))
    try:
        yield
    finally:
        _at_hand.reset(token)


def hide(secrets: Iterable[str]) -> None:
    """Remove these secrets too, until the block of `hiding` ends; outside of one, do nothing."""
    if _at_hand.get() is not None:
        _at_hand.set(_hidden().union(secrets))


def _hidden() -> frozenset[str]:
    return _at_hand.get() or frozenset()


@overload
def redacted(value: str, secrets: Iterable[str] = ()) -> str: ...


@overload
def redacted(value: Any, secrets: Iterable[str] = ()) -> Any: ...


def redacted(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Return a text, or a structure of JSON, without secrets; other objects become texts."""
    known = {*_operators, *_hidden(), *secrets}
    ordered = sorted((each for each in known if len(each) >= SHORTEST), key=len, reverse=True)
    try:
        return _redacted(value, ordered)
    except RecursionError:
        return REDACTED


def _redacted(value: Any, known: list[str]) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        variable = is_secret(value.get("name"))
        return {
            _redacted(key, known): REDACTED
            if _is_hidden(key, one, variable=variable)
            else _redacted(one, known)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(one, known) for one in value]
    return _text(str(value), known)


def _is_hidden(key: object, value: object, *, variable: bool) -> bool:
    if not value or isinstance(value, bool):
        return False
    if key in KEYS or (variable and key == "value"):
        return True
    if not is_secret(key) or key == "key":
        return False
    if isinstance(value, str):
        return not value.startswith("projects/")  # the resource name of a secret, for example
    # others are counts, and names
    return isinstance(value, int | float | list | tuple) and is_surely_secret(str(key))


def _text(text: str, known: list[str]) -> str:
    if len(text) > LONGEST:
        half = LONGEST // 2
        head, tail = _text(text[:half], known), _text(text[-half:], known)
        return f"{head[:-_MARGIN]} … {tail[_MARGIN:]}"
    for secret in known:
        text = _without(text, secret)
    return without_shapes(text)


def _without(text: str, secret: str) -> str:
    """Remove a known secret: as it is, encoded, broken over lines, and in pieces."""
    forms, broken, pieces = _forms(secret)
    for form in forms:
        text = text.replace(form, REDACTED)
    if broken:
        text = broken.sub(REDACTED, text)
    return _without_pieces(text, pieces) if pieces else text


@lru_cache(maxsize=256)
def _forms(secret: str) -> tuple[tuple[str, ...], re.Pattern[str] | None, frozenset[str]]:
    """Return a secret's encodings, the pattern of a broken one, and its pieces."""
    data = secret.encode("utf-8", "replace")
    escaped = json.dumps(secret)[1:-1]
    forms = {
        secret,
        escaped,
        json.dumps(escaped)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        html.escape(secret),
        quote(data),
        quote(data, safe=""),
        quote_plus(data),
        data.hex(),
    }
    for before in range(3):  # its place within what was encoded, such as `api:SECRET`
        encoded = base64.b64encode(bytes(before) + data)
        inner = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6].decode()
        forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    forms |= {_PERCENT.sub(lambda found: found[0].lower(), form) for form in forms}
    kept = sorted((each for each in forms if len(each) >= SHORTEST), key=len, reverse=True)
    characters = re.sub(r"[\s\"'\\]", "", secret)
    between = r"(?>(?:\\[nrt]|[\s\"'\\]){0,40}+)"
    broken = between.join(map(re.escape, characters)) if SHORTEST <= len(characters) <= 200 else ""
    pieces: frozenset[str] = frozenset()
    if _RANDOM.fullmatch(secret):
        last = len(secret) - _PIECE
        pieces = frozenset(secret[begin : begin + _PIECE] for begin in range(last + 1))
    return tuple(kept), re.compile(broken) if broken else None, pieces


def _without_pieces(text: str, pieces: frozenset[str]) -> str:
    """Remove runs of a secret's characters; somebody else may have cut it."""
    kept: list[str] = []
    after = 0  # the end of the run that was removed last
    for place in range(len(text) - _PIECE + 1):
        if text[place : place + _PIECE] in pieces:
            if place > after or not kept:
                kept += [text[after:place], REDACTED]
            after = place + _PIECE
    return "".join([*kept, text[after:]])
