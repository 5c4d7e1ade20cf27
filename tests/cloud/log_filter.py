"""The part of Cloud Logging's query language and extractors that our metrics use.

A filter outside of this part is refused, as Google refuses one that it cannot parse.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.cloud.calls import Json, Refusal

Holds = Callable[[Json], bool]
TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|(=~|!~|!=|>=|<=|[=<>():])|([\w./*-]+))')
SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
FIELD = re.compile(r"(resource\.type|resource\.labels\.\w+|severity|jsonPayload\.[\w.]+)")
EXTRACTOR = re.compile(r"EXTRACT\(([\w.]+)\)")


def parsed(text: str) -> Holds:
    """Return the filter as a predicate on entries; raises Refusal."""
    return _Parser(text).whole()


def extracted(extractor: str, entry: Json) -> Any:
    """Return the value that an extractor finds in an entry, or None."""
    found = EXTRACTOR.fullmatch(extractor)
    if found is None or not FIELD.fullmatch(found[1]):
        raise Refusal(400, f"Invalid extractor: {extractor}")
    return field(entry, found[1])


def field(entry: Json, path: str) -> Any:
    """Return a field of an entry, or None."""
    value: Any = entry
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


@dataclass
class _Parser:
    """A parser by descent: NOT binds closest, then OR, then AND, as Google documents."""

    text: str

    def __post_init__(self) -> None:
        self._tokens: list[str] = []
        position = 0
        while position < len(self.text.rstrip()):
            found = TOKEN.match(self.text, position)
            if found is None:
                raise self._refusal()
            self._tokens.append(found[0].strip())
            position = found.end()

    def whole(self) -> Holds:
        """Return the predicate of the whole text."""
        holds = self._all()
        if self._tokens:
            raise self._refusal()
        return holds

    def _all(self) -> Holds:
        parts = [self._any()]
        while self._tokens and self._tokens[0] != ")":
            if self._tokens[0] == "AND":
                self._next()
            parts.append(self._any())
        return lambda entry: all(part(entry) for part in parts)

    def _any(self) -> Holds:
        parts = [self._one()]
        while self._tokens[:1] == ["OR"]:
            self._next()
            parts.append(self._one())
        return lambda entry: any(part(entry) for part in parts)

    def _one(self) -> Holds:
        if self._tokens[:1] == ["NOT"]:
            self._next()
            inner = self._one()
            return lambda entry: not inner(entry)
        if self._tokens[:1] == ["("]:
            self._next()
            inner = self._all()
            self._next(")")
            return inner
        path, operator, value = self._next(), self._next(), self._next()
        if not FIELD.fullmatch(path):
            raise self._refusal()
        return _comparison(path, operator, value)

    def _next(self, wanted: str = "") -> str:
        if not self._tokens or (wanted and self._tokens[0] != wanted):
            raise self._refusal()
        return self._tokens.pop(0)

    def _refusal(self) -> Refusal:
        return Refusal(400, f"Unparseable filter: {self.text}")


def _comparison(path: str, operator: str, word: str) -> Holds:
    text = re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word
    if operator not in ("=", "!=", ">", "<", ">=", "<=", "=~"):
        raise Refusal(400, f"Unknown operator: {operator}")

    def holds(entry: Json) -> bool:
        value = field(entry, path)
        if value is None:  # a comparison of a missing field fails
            return False
        if operator == "=~":
            return re.search(text, str(value)) is not None
        left, right = _comparable(path, value, text)
        compared: dict[str, bool] = {
            "=": left == right,
            "!=": left != right,
            ">": left > right,
            "<": left < right,
            ">=": left >= right,
            "<=": left <= right,
        }
        return compared[operator]

    return holds


def _comparable(path: str, value: Any, text: str) -> tuple[Any, Any]:
    if path == "severity":
        return SEVERITIES.index(value), SEVERITIES.index(text)
    if isinstance(value, bool):
        return str(value).lower(), text
    if isinstance(value, int | float):
        return value, float(text)
    return str(value), text
