"""Parse JSON from outside within bounds: size, nesting, integers, number of values."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from shared.core.errors import Reject

LARGEST = 1_000_000  # bytes that are parsed: poll has 256 MB, and up to 32 connections
MOST_VALUES = 100_000  # keys and values of one text; each takes up to 75 bytes once parsed
DEEPEST = 100  # levels of nesting; parsers of JSON fail at 200 and more
LONGEST = 4300  # digits of an integer that Python reads

RUN_SPEC = "run_spec"
WRITE_JSON = "Create the job again with `wandb launch`, or write the run spec as a JSON object."
USE_ARTIFACT = "Put large values into an artifact, and name the artifact instead."
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)
_INTEGER = re.compile(r"-?\d+")
Path = Sequence[str | int]


def parsed_bytes(body: bytes, prefix: Path = ()) -> tuple[Any, str]:
    """Parse JSON in UTF-8; returns the value, and the problem, empty if there is none.

    A problem names its place in the JSON, relative to `prefix`.
    """
    try:
        text = body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as exc:
        flaw = f"is not UTF-8: byte 0x{body[exc.start]:02x} at position {exc.start}"
        return None, problem(flaw, WRITE_JSON)
    return parsed(text, prefix)


def parsed(text: str, prefix: Path = ()) -> tuple[Any, str]:
    """Parse a text, as `parsed_bytes` does."""
    if flaw := _flaw(text, prefix):
        return None, flaw
    try:
        return json.loads(text), ""
    except RecursionError:
        return None, problem("is nested too deep", "Flatten it.")
    except ValueError as exc:
        return None, problem(f"is not JSON: {exc}", WRITE_JSON)


def problem(flaw: str, fix: str) -> str:
    """Return a refusal of the whole run spec, as its author reads it."""
    return str(Reject(RUN_SPEC, flaw, fix))


def too_large() -> str:
    """Return the refusal of a run spec that is not parsed for its size."""
    return problem(f"is larger than {LARGEST:,} bytes", USE_ARTIFACT)


def _flaw(text: str, prefix: Path) -> str:
    """Return which bound a JSON text exceeds; empty if none."""
    if len(text) > LARGEST:
        return too_large()
    values = 0
    for mark, path in _walk(text):
        if mark not in "}]:,":
            values += 1
        if len(path) > DEEPEST:
            flaw = f"nests more than {DEEPEST} levels"
            return str(Reject(_place(path, prefix), flaw, "Flatten this value."))
        if len(mark) > LONGEST and _INTEGER.fullmatch(mark):
            digits = len(mark.lstrip("-"))
            flaw = f"has an integer of {digits:,} digits, and the most is {LONGEST:,}"
            return str(Reject(_place(path, prefix), flaw, "Write it as a string."))
        if values > MOST_VALUES:
            return problem(f"has more than {MOST_VALUES:,} keys and values", USE_ARTIFACT)
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
    """Write a path as its author knows it: relative to the run spec, shortened in the middle."""
    steps = list(path)
    if steps[: len(prefix)] == list(prefix):
        steps = steps[len(prefix) :]
    names = [_step(step) for step in steps if step != ""]
    shown = names if len(names) <= 8 else [*names[:5], " … ", *names[-2:]]
    text = "".join(shown).lstrip(".").encode("utf-8", "replace").decode()
    return text or RUN_SPEC


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step[:40]}"
