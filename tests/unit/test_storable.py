"""A value that every reader of JSON can read is returned; the refusal of another names its path."""

from typing import Any

import pytest

from shared.core.errors import Reject
from shared.core.storable import MAX_DEPTH, MAX_DIGITS, printable, storable

NUMBER = "Write a number or null."
CHARACTER = "contains half of a surrogate pair (\\ud800), which UTF-8 does not have. Write the whole character"
DIGITS = f"is an integer of more than {MAX_DIGITS:,} digits. Write it as text."
DEEP = f"is nested more than {MAX_DEPTH} levels deep. Write it with fewer levels."


def nested(levels: int) -> Any:
    """Return lists within lists; the innermost has a number."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -1, 1.5, "é", [], {}, {"a": [1, {"b": None}], "c": ""}, nested(MAX_DEPTH),
        10**MAX_DIGITS - 1, 1 - 10**MAX_DIGITS,
    ],
    ids=range(12),
)  # fmt: skip
def test_a_value_that_can_be_kept_is_returned(value: object) -> None:
    """The same object, up to the bounds."""
    assert storable(value) is value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"a": float("nan")}, f"a: is NaN, which JSON does not have. {NUMBER}"),
        ({"a": {"b": float("inf")}}, f"a.b: is Infinity, which JSON does not have. {NUMBER}"),
        ({"a": [1, float("-inf")]}, f"a[1]: is -Infinity, which JSON does not have. {NUMBER}"),
        ({"a": [[], [0, {"b": "\ud800"}]], "c": "\ud801"}, f"a[1][1].b: {CHARACTER}"),
        ({"a": 1, "b\ud800": 2}, f"b\\ud800: {CHARACTER}"),
        ([{}, ["\ud800"]], f"[1][0]: {CHARACTER}"),
        ("\ud800", f"run_spec: {CHARACTER}"),
        ({"a": 10**MAX_DIGITS}, f"a: {DIGITS}"),
        ({"a": -(10**MAX_DIGITS)}, f"a: {DIGITS}"),
        ({"a": {1, 2}}, "a: is of type set, which JSON does not have."),
        ({"a": (1,)}, "a: is of type tuple, which JSON does not have."),
        ({"a": nested(MAX_DEPTH)}, f"a{'[0]' * 99}: {DEEP}"),
        (nested(MAX_DEPTH + 1), f"{'[0]' * 100}: {DEEP}"),
        ({"k" * 100: {1}}, f"{'k' * 40}…{'k' * 40}: is of type set, which JSON does not have."),
        ({"a" * 70: {"b" * 70: {"c" * 70: {"d" * 70: {"e" * 70: {1}}}}}},
         f"{'a' * 70}.{'b' * 70}.{'c' * 8}…{'c' * 8}.{'d' * 70}.{'e' * 70}: is of type set, which JSON does not"),
        ({"ok": 1, "also": {"fine": [2]}, "bad": {1}}, "bad: is of type set, which JSON does not have."),
    ],
    ids=range(16),
)  # fmt: skip
def test_the_refusal_names_the_first_path(value: object, problem: str) -> None:
    """It starts at the value's own name, and ends with the fix."""
    with pytest.raises(Reject) as refused:
        storable(value)
    assert str(refused.value).startswith(problem)


def test_the_path_starts_at_the_name_of_the_whole() -> None:
    """`path` names the value itself."""
    with pytest.raises(Reject) as refused:
        storable({"a": [float("nan")]}, "reply")
    assert refused.value.field == "reply.a[0]"


def test_half_of_a_pair_is_shown_as_an_escape() -> None:
    """Other characters stay."""
    assert printable("é\ud800x") == "é\\ud800x"
