"""Parse JSON from outside within bounds: size, nesting, integers, number of values.

JSON can take thirty times its size once parsed. A process parses one large text at a time.
"""

import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from shared.core.errors import Reject

LARGEST = 1_000_000  # bytes that are parsed: poll has 256 MB, and up to 32 connections
MOST_VALUES = 100_000  # keys and values of one text; each takes up to 75 bytes once parsed
DEEPEST = 100  # levels of nesting; parsers of JSON fail at 200 and more
LONGEST = 4300  # digits of an integer that Python reads
ONE_AT_A_TIME = 100_000  # bytes from which on texts are handled one at a time

RUN_SPEC = "run_spec"
WRITE_JSON = "Create the job again with `wandb launch`, or write the run spec as a JSON object."
USE_ARTIFACT = "Put large values into an artifact, and name the artifact instead."
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)
_INTEGER = re.compile(r"-?\d+")
Path = Sequence[str | int]
_LARGE = threading.RLock()


def one_at_a_time(size: int) -> AbstractContextManager[object]:
    """Wait, while another thread handles a large text; a text of few bytes need not wait."""
    return _LARGE if size > ONE_AT_A_TIME else nullcontext()


def parsed_bytes(
    body: bytes, prefix: Path = (), whole: str = RUN_SPEC, most: int = LARGEST
) -> tuple[Any, str]:
    """Parse JSON in UTF-8; returns the value, and the problem, empty if there is none.

    A problem names its place in the JSON, relative to `prefix`; `whole` is the name of all of it.
    `most` is the limit in bytes.
    """
    if len(body) > most:
        return None, too_large(whole, len(body), most)
    try:
        text = body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as exc:
        flaw = f"is not UTF-8: byte 0x{body[exc.start]:02x} at position {exc.start}"
        return None, problem(flaw, WRITE_JSON, whole)
    return parsed(text, prefix, whole, most)


def parsed(
    text: str, prefix: Path = (), whole: str = RUN_SPEC, most: int = LARGEST
) -> tuple[Any, str]:
    """Parse a text, as `parsed_bytes` does; a large one while no other is parsed."""
    with one_at_a_time(len(text)):
        if flaw := _flaw(text, prefix, whole, most):
            return None, flaw
        try:
            return json.loads(text), ""
        except RecursionError:
            return None, problem("is nested too deep", "Flatten it.", whole)
        except ValueError as exc:
            return None, problem(f"is not JSON: {exc}", WRITE_JSON, whole)


def check_values(text: str, field: str, subject: str = "") -> None:
    """Refuse JSON with too many values to parse; the refusal names its field and its subject."""
    marks = (match[0] for match in _TOKEN.finditer(text))
    for count, _ in enumerate((mark for mark in marks if mark not in "}]:,"), 1):
        if count > MOST_VALUES:
            flaw = f"{subject} has more than {MOST_VALUES:,} keys and values".strip()
            raise Reject(field, flaw, USE_ARTIFACT)


def check_keys(text: str, field: str, prefix: Path = ()) -> None:
    """Refuse JSON in which an object has a key twice: a parser would drop the first value."""
    keys: list[set[str]] = []  # of each object or list around the current place
    for mark, path in _walk(text):
        if len(path) > DEEPEST:
            return  # refused anyway
        if mark in "{[":
            keys.append(set())
        elif mark in "}]":
            del keys[-1:]
        elif mark == ":" and keys and isinstance(key := path[-1], str):
            if key in keys[-1]:
                place = _place(path, prefix) or field
                raise Reject(place, "appears twice in its object", "Remove one of the two.")
            keys[-1].add(key)


def problem(flaw: str, fix: str, whole: str = RUN_SPEC) -> str:
    """Return a refusal of the whole text, as its author reads it."""
    return str(Reject(whole, flaw, fix))


def too_large(whole: str = RUN_SPEC, size: int = 0, most: int = LARGEST) -> str:
    """Return the refusal of a text that is not parsed for its size, if known."""
    found = f"has {size:,} bytes; the limit is {most:,}"
    flaw = found if size else f"is larger than {most:,} bytes"
    return problem(flaw, USE_ARTIFACT, whole)


def _flaw(text: str, prefix: Path, whole: str, most: int) -> str:
    """Return which bound a JSON text exceeds; empty if none."""
    if len(text) > most:
        return too_large(whole, len(text), most)
    try:
        check_values(text, whole)
        check_keys(text, whole, prefix)
    except Reject as exc:
        return str(exc)
    for mark, path in _walk(text):
        if len(path) > DEEPEST:
            flaw = f"nests more than {DEEPEST} levels"
            return str(Reject(_place(path, prefix) or whole, flaw, "Flatten this value."))
        if len(mark) > LONGEST and _INTEGER.fullmatch(mark):
            digits = len(mark.lstrip("-"))
            flaw = f"has an integer of {digits:,} digits, and the most is {LONGEST:,}"
            return str(Reject(_place(path, prefix) or whole, flaw, "Write it as a string."))
    return ""


def _walk(text: str) -> Iterator[tuple[str, list[str | int]]]:
    """Yield each mark and value of a JSON text with its path; works at any depth."""
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


def _place(path: Path, prefix: Path) -> str:
    """Write a path as its author knows it: relative to `prefix`, shortened in the middle."""
    steps = list(path)
    if steps[: len(prefix)] == list(prefix):
        steps = steps[len(prefix) :]
    names = [_step(step) for step in steps if step != ""]
    shown = names if len(names) <= 8 else [*names[:5], " … ", *names[-2:]]
    return "".join(shown).lstrip(".").encode("utf-8", "replace").decode()


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step[:40]}"
