"""A popped item, read so that nothing in it stops the poll: its id first, its run spec in bounds, or why not.

W&B hands an item out once; then it is leased. An answer that poll could not read would block the item's queue.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from shared.adapters.wandb.answers import Answer, answer_of, at
from shared.adapters.wandb.graphql import Body
from shared.core.errors import OutcomeUnknown, Reject
from shared.core.ports import QueueItem

LARGEST = 1_000_000  # bytes of an answer that is parsed: poll has 256 MB, and up to 32 connections
MOST_VALUES = (
    100_000  # keys and values of one run spec; each takes up to 75 bytes when it is parsed
)
DEEPEST = 100  # levels of nesting; readers of JSON give up at 200 and more
LONGEST = 4300  # digits of an integer that Python reads
ONE_AT_A_TIME = 100_000  # bytes from which on answers are parsed one at a time

OPERATION, ID = "popFromRunQueue", "runQueueItemId"
_LARGE = threading.Lock()
_OUTSIDE, _INSIDE = re.compile(rb'["{}\[\]:,]'), re.compile(rb'["\\]')
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)
_INTEGER = re.compile(r"-?\d+")
_FIX = "Create the job again with `wandb launch`, or write the run spec as a JSON object."


class Popped(Body):
    """Takes up the answer to a pop: as much as is parsed, and the item's id wherever it stands."""

    def __init__(self) -> None:
        super().__init__(LARGEST)
        self._finder = IdFinder()

    @property
    def item_id(self) -> str:
        """Return the item's id, as far as it is known by now."""
        return self._finder.found

    def take(self, piece: bytes) -> bool:
        """Keep a piece, or drop it if there are too many: only the id is needed of the rest."""
        self._finder.feed(piece)
        if self.complete and super().take(piece):
            return True
        self.kept.clear()
        return not self.item_id


class IdFinder:
    """Finds an item's id in JSON that comes in pieces, however deep, long or broken the rest of it is.

    It looks at one place only: a run spec may have a key of the same name.
    """

    _PATH = (b"data", OPERATION.encode(), ID.encode())
    _LONGEST = 1000  # bytes of a key or an id

    def __init__(self) -> None:
        self.found = ""
        self._depth = 0  # of open objects and lists
        self._on = 0  # how many of them lead to the id
        self._key = b""
        self._text: bytearray | None = None  # of the string that is being read
        self._escaped = False
        self._value = False  # whether a value comes next, not a key

    def feed(self, piece: bytes) -> None:
        """Look at the next piece."""
        at = 0
        while at < len(piece) and not self.found:
            at = self._outside(piece, at) if self._text is None else self._inside(piece, at)

    def _outside(self, piece: bytes, at: int) -> int:
        match = _OUTSIDE.search(piece, at)
        if not match:
            return len(piece)
        here = self._depth == self._on
        match match[0]:
            case b'"':
                self._text = bytearray()
            case b"{" if here and (self._depth == 0 or self._leads()):
                self._depth, self._on, self._value = self._depth + 1, self._on + 1, False
            case b"{" | b"[":
                self._depth += 1
            case b"}" | b"]":
                self._on -= here and self._on > 0
                self._depth = max(self._depth - 1, 0)
            case mark if here:
                self._value = mark == b":"
        return match.end()

    def _inside(self, piece: bytes, at: int) -> int:
        text = self._text
        assert text is not None  # noqa: S101 - for the type checker
        if self._escaped:
            text += piece[at : at + 1]
            self._escaped = False
            return at + 1
        match = _INSIDE.search(piece, at)
        end = match.start() if match else len(piece)
        if len(text) < self._LONGEST:
            text += piece[at : min(end, at + self._LONGEST)]
        if not match:
            return end
        if match[0] == b"\\":
            text += b"\\" if len(text) < self._LONGEST else b""
            self._escaped = True
        else:
            self._ended(bytes(text))
        return match.end()

    def _ended(self, text: bytes) -> None:
        self._text = None
        if self._depth != self._on:
            return
        if not self._value:
            self._key = text
        elif self._on == len(self._PATH) and self._leads():
            try:
                self.found = str(json.loads(b'"' + text + b'"'))
            except ValueError:
                self.found = ""

    def _leads(self) -> bool:
        return (
            self._value
            and 0 < self._on <= len(self._PATH)
            and self._key == self._PATH[self._on - 1]
        )


def read_item(body: Popped) -> tuple[Answer, QueueItem | None]:
    """Read the answer to a pop: what came, and the item in it, with the reason if its run spec cannot be used.

    Raises:
        OutcomeUnknown: an answer without an id that can be found; an item may be leased.
    """
    with _LARGE if len(body.kept) > ONE_AT_A_TIME else nullcontext():
        read, problem = (None, _too_large()) if not body.complete else _parsed(bytes(body.kept))
        if problem:
            return Answer(200), _unreadable(body.item_id, problem)
        answer = answer_of(200, read)
        popped = at(answer.data, OPERATION)
        item_id = popped.get(ID)
        if type(item_id) not in (str, int) or item_id == "":
            if item_id not in (None, ""):
                raise OutcomeUnknown("W&B answers a pop with an item whose id is no text")
            return answer, None
        if answer.errors:
            problem = _words("W&B cannot show it", f"W&B's own words: {answer.reason[:300]}.")
            return answer, _unreadable(str(item_id), problem)
        spec, problem = _spec(popped.get("runSpec"))
    return answer, QueueItem(str(item_id), spec, problem)


def _unreadable(item_id: str, problem: str) -> QueueItem:
    if not item_id:
        raise OutcomeUnknown(f"W&B's answer to a pop cannot be read: {problem}")
    return QueueItem(item_id, {}, problem)


def _spec(given: Any) -> tuple[dict[str, Any], str]:
    """Return a run spec, which W&B gives as an object, push as JSON text; or what is wrong with it."""
    if isinstance(given, str):
        given, problem = _loaded(given)
        if problem:
            return {}, problem
    if isinstance(given, dict):
        return given, ""
    return {}, _words(f"is {_named(given)}, not a JSON object", _FIX)


def _parsed(body: bytes) -> tuple[Any, str]:
    try:
        text = body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as exc:
        return None, _words(
            f"is not UTF-8: byte 0x{body[exc.start]:02x} at position {exc.start}", _FIX
        )
    return _loaded(text)


def _loaded(text: str) -> tuple[Any, str]:
    """Parse JSON, or say in words what no reader of JSON takes in it, and where."""
    if problem := _flaw(text):
        return None, problem
    try:
        return json.loads(text), ""
    except RecursionError:
        return None, _words("is nested too deep", "Flatten it.")
    except ValueError as exc:
        return None, _words(f"is no JSON: {exc}", _FIX)


def _flaw(text: str) -> str:
    """Return what is wrong with the sizes in a JSON text: nesting, integers, the number of values."""
    if len(text) > LARGEST:
        return _too_large()
    values = 0
    for mark, path in _walk(text):
        values += mark not in "}]:,"
        if len(path) > DEEPEST:
            return str(
                Reject(_place(path), f"nests more than {DEEPEST} levels", "Flatten this value.")
            )
        if len(mark) > LONGEST and _INTEGER.fullmatch(mark):
            problem = (
                f"has an integer of {len(mark.lstrip('-')):,} digits, and the most is {LONGEST:,}"
            )
            return str(Reject(_place(path), problem, "Write it as a string."))
        if values > MOST_VALUES:
            problem = f"has more than {MOST_VALUES:,} keys and values"
            return _words(
                problem, "Put large values into an artifact, and name the artifact instead."
            )
    return ""


def _walk(text: str) -> Iterator[tuple[str, list[str | int]]]:
    """Yield the marks and values of a JSON text, each with its path; no recursion, however deep it is."""
    path: list[str | int] = []
    last = ""
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark in "{[":
            path.append("" if mark == "{" else 0)
        elif mark in "}]":
            del path[-1:]
        elif mark == "," and path and isinstance(number := path[-1], int):
            path[-1] = number + 1
        elif mark == ":" and path and isinstance(path[-1], str):
            path[-1] = last.strip('"')
        last = mark
        yield mark, path


def _place(path: list[str | int]) -> str:
    """Write a path as an author reads it: relative to the run spec, shortened in its middle."""
    steps = path[3:] if path[:3] == ["data", OPERATION, "runSpec"] else path
    names = [
        f"[{step}]" if isinstance(step, int) else f".{step[:40]}" for step in steps if step != ""
    ]
    shown = names if len(names) <= 8 else [*names[:5], " … ", *names[-2:]]
    text = "".join(shown).lstrip(".").encode("utf-8", "replace").decode()
    return text or "run_spec"


def _named(value: Any) -> str:
    kinds = {list: "a list", bool: "true or false", int: "a number", float: "a number", str: "text"}
    return "null" if value is None else kinds.get(type(value), "something else")


def _too_large() -> str:
    problem = f"is larger than {LARGEST:,} bytes"
    return _words(problem, "Put large values into an artifact, and name the artifact instead.")


def _words(problem: str, fix: str) -> str:
    return str(Reject("run_spec", problem, fix))
