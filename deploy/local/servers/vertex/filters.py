"""Read the list filters of custom jobs: the part of AIP-160 that Vertex AI documents for them.

Fields: `display_name` (=, !=, `:` with the wildcard `*`), `state` (=, !=), `create_time`,
`update_time`, `start_time`, `end_time` (all comparisons, RFC 3339) and `labels.KEY` (=, !=, `:`),
joined by AND, OR, NOT (or `-`) and parentheses. As in AIP-160, OR binds tighter than AND, and AND
joins adjacent terms.
"""

import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, Protocol

from deploy.local.servers.vertex.errors import invalid_argument
from deploy.local.servers.vertex.messages import JOB_STATES

TIMES = ("create_time", "update_time", "start_time", "end_time")
_TOKEN = re.compile(
    r"""\s*(?:(?P<punctuation>[()])|(?P<operator><=|>=|!=|=|<|>|:)"""
    r"""|(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<word>[^\s()<>=!:"']+))"""
)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Listed(Protocol):
    """The fields that a filter can compare."""

    display_name: str
    state: str
    labels: Mapping[str, str]


Predicate = Callable[[Any], bool]  # of a Listed
# from a field, an operator and a value; raises ValueError
Restrict = Callable[[str, str, str], Predicate]


class _Token(NamedTuple):
    kind: str
    text: str


def compile_filter(text: str, restrict: Restrict | None = None) -> Predicate:
    """Compile a filter to a predicate on jobs; raise ApiError (400) for an invalid filter.

    `restrict` compiles the comparisons of other messages than jobs.
    """
    tokens = _tokens(text)
    if not tokens:
        return lambda _: True
    parser = _Parser(text, tokens, restrict or _restrict)
    try:
        predicate = parser.expression()
    except RecursionError as exc:
        raise _invalid(text[:100], "it is nested too deeply") from exc
    parser.finish()
    return predicate


def _tokens(text: str) -> list[_Token]:
    tokens, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise _invalid(text, f"unexpected character at position {position}")
        word = match[match.lastgroup]
        if match.lastgroup == "quoted":
            word = re.sub(r"\\(.)", r"\1", word[1:-1])
        tokens.append(_Token(match.lastgroup, word))
        position = match.end()
    return tokens


class _Parser:
    """A recursive descent through expression (AND), factor (OR), term (NOT) and restriction."""

    def __init__(self, text: str, tokens: list[_Token], restrict: Restrict) -> None:
        self._text = text
        self._restrict = restrict
        self._rest = tokens[::-1]

    def expression(self) -> Predicate:
        """Read terms joined by AND, explicit or implied."""
        all_of = [self._factor()]
        while self._rest and self._rest[-1] != _Token("punctuation", ")"):
            self._take("word", "AND")
            all_of.append(self._factor())
        return all_of[0] if len(all_of) == 1 else lambda job: all(one(job) for one in all_of)

    def finish(self) -> None:
        """Refuse tokens after a complete expression."""
        if self._rest:
            raise _invalid(self._text, f'unexpected "{self._rest[-1].text}"')

    def _factor(self) -> Predicate:
        any_of = [self._term()]
        while self._take("word", "OR"):
            any_of.append(self._term())
        return any_of[0] if len(any_of) == 1 else lambda job: any(one(job) for one in any_of)

    def _term(self) -> Predicate:
        if self._take("word", "NOT") or self._take_minus():
            denied = self._term()
            return lambda job: not denied(job)
        if self._take("punctuation", "("):
            inner = self.expression()
            if not self._take("punctuation", ")"):
                raise _invalid(self._text, 'missing ")"')
            return inner
        return self._restriction()

    def _restriction(self) -> Predicate:
        field = self._next("word", "a field")
        if field.endswith(".") and self._rest and self._rest[-1].kind == "quoted":
            field += self._rest.pop().text
        sign = self._next("operator", f'an operator after "{field}"')
        if not self._rest or self._rest[-1].kind not in ("word", "quoted"):
            raise _invalid(self._text, f'missing value after "{field}{sign}"')
        try:
            return self._restrict(field, sign, self._rest.pop().text)
        except ValueError as exc:
            raise _invalid(self._text, str(exc)) from exc

    def _take(self, kind: str, text: str) -> bool:
        found = bool(self._rest) and self._rest[-1] == _Token(kind, text)
        if found:
            self._rest.pop()
        return found

    def _take_minus(self) -> bool:
        if (
            not self._rest
            or self._rest[-1].kind != "word"
            or not self._rest[-1].text.startswith("-")
        ):
            return False
        word = self._rest.pop().text.removeprefix("-")
        if word:
            self._rest.append(_Token("word", word))
        return True

    def _next(self, kind: str, wanted: str) -> str:
        if not self._rest or self._rest[-1].kind != kind:
            found = f'"{self._rest[-1].text}"' if self._rest else "the end"
            raise _invalid(self._text, f"expected {wanted}, found {found}")
        return self._rest.pop().text


def _restrict(field: str, sign: str, value: str) -> Predicate:
    if field == "display_name" and sign in ("=", "!=", ":"):
        match = _matcher(sign, value)
        return lambda job: match(job.display_name)
    if field == "state" and sign in ("=", "!="):
        if value not in JOB_STATES:
            raise ValueError(f'"{value}" is not a JobState')
        compare = COMPARE[sign]
        return lambda job: compare(job.state, value)
    if field in TIMES and sign != ":":
        return _restrict_time(field, COMPARE[sign], value)
    if field.startswith("labels.") and len(field) > len("labels.") and sign in ("=", "!=", ":"):
        key, match = field.removeprefix("labels."), _matcher(sign, value)
        return lambda job: key in job.labels and match(job.labels[key])
    if field in ("display_name", "state", *TIMES) or field.startswith("labels"):
        raise ValueError(f'the operator "{sign}" is not supported for "{field}"')
    raise ValueError(f'unknown field "{field}"')


def _matcher(sign: str, value: str) -> Callable[[str], bool]:
    if sign != ":":
        compare = COMPARE[sign]
        return lambda text: compare(text, value)
    pattern = re.sub(r"[\[?]", r"[\g<0>]", value)  # only the asterisk is a wildcard here
    return lambda text: fnmatchcase(text, pattern)


def _restrict_time(field: str, compare: Callable[[Any, Any], bool], value: str) -> Predicate:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f'"{value}" is not in RFC 3339 format')

    def holds(job: Listed) -> bool:
        happened = getattr(job, field)
        return happened is not None and compare(happened, moment)

    return holds


def _invalid(text: str, why: str) -> Exception:
    return invalid_argument(f'Invalid list filter "{text}": {why}.', {"filter": why})
