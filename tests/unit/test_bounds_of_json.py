"""A JSON text is refused before it is parsed, with the bound that it exceeds and the place."""

import json
from contextlib import nullcontext

import pytest

from shared.core.bounded_json import (
    LARGEST,
    MOST_VALUES,
    ONE_AT_A_TIME,
    check_values,
    one_at_a_time,
    parsed,
    parsed_bytes,
    too_large,
)
from shared.core.errors import Reject


@pytest.mark.parametrize("size", [1000, 1001])
def test_the_refusal_tells_the_size_and_the_limit(size: int) -> None:
    """At the limit, a text is read."""
    text = f'"{"x" * (size - 2)}"'
    flaw = "" if size == 1000 else too_large("policy", 1001, 1000)
    assert parsed(text, (), "policy", 1000)[1] == flaw
    assert parsed_bytes(text.encode(), (), "policy", 1000)[1] == flaw
    assert "has 1,001 bytes; the limit is 1,000" in too_large("policy", 1001, 1000)
    assert "is larger than 1,000 bytes" in too_large("policy", 0, 1000)


WHOLE = "run_spec"
DEEP = "nests more than 100 levels. Flatten this value."
LONG = "has an integer of 4,301 digits, and the most is 4,300. Write it as a string."
TWICE = "appears twice in its object. Remove one of the two."


def deep(levels: int) -> str:
    """Return lists within lists."""
    return "[" * levels + "1" + "]" * levels


@pytest.mark.parametrize(
    ("text", "prefix", "problem"),
    [
        (deep(100), (), ""),
        (deep(101), (), f"[0][0][0][0][0] … [0][0]: {DEEP}"),
        (f'{{"a": {deep(100)}}}', (), f"a[0][0][0][0] … [0][0]: {DEEP}"),
        (f'{{"a": {{"b": [1, {"9" * 4300}]}}}}', (), ""),
        (f'{{"a": {{"b": [1, {"9" * 4301}]}}}}', (), f"a.b[1]: {LONG}"),
        (f'{{"a": {{"b": [1, {"9" * 4301}]}}}}', ("a",), f"b[1]: {LONG}"),
        (f'{{"a": {{"b": [1, {"9" * 4301}]}}}}', ("a", "b", 1), f"{WHOLE}: {LONG}"),
        (f'{{"a": {{"b": [1, {"9" * 4301}]}}}}', ("x",), f"a.b[1]: {LONG}"),
        (f'{{"a": [[], {{"b": {{}}, "c": -{"9" * 4301}}}]}}', (), f"a[1].c: {LONG}"),
        (f'{{"a": "{"9" * 4301}", "b": {"9" * 4300}.5, "c": 1}}', (), ""),
        ("9" * 4301, (), f"{WHOLE}: {LONG}"),
        (f'{{"a\ud800{"b" * 60}": {"9" * 4301}}}', (), f"a?{'b' * 38}: {LONG}"),
        (f'{{"a": {{"b": {{"c": {{"d": {{"e": {{"f": {{"g": {{"h": {"9" * 4301}}}}}}}}}}}}}}}}}', (),
         f"a.b.c.d.e.f.g.h: {LONG}"),
        (f'{{"a": {{"b": {{"c": {{"d": {{"e": {{"f": {{"g": {{"h": [{"9" * 4301}]}}}}}}}}}}}}}}}}', (),
         f"a.b.c.d.e … .h[0]: {LONG}"),
        ('{"a": ' * 101 + "1" + "}" * 101, (), f"a.a.a.a.a … .a.a: {DEEP}"),
        ('{"a": 1, "a": 2}', (), f"a: {TWICE}"),
        ('{"a": [{"b": 1}, {"b": 1, "c": {"b": 1}, "b": 2}]}', (), f"a[1].b: {TWICE}"),
        ('{"x": {"a": [{"b": 1, "b": 2}]}}', ("x",), f"a[0].b: {TWICE}"),
        ('{"x": {"a": 1}, "a": {"a": {"a": ["a", "a"]}}, "b": ["a"]}', (), ""),
        ('{"": 1, "": 2}', (), f"{WHOLE}: {TWICE}"),
        (f'{{"a": {"[" * 101}{{"b": 1, "b": 2}}{"]" * 101}}}', (), f"a[0][0][0][0] … [0][0]: {DEEP}"),
        ('{"a": 1', (), "run_spec: is not JSON: Expecting ',' delimiter: line 1 column 8 (char 7). Create the job"),
        ('}]{"a": 1}', (), "run_spec: is not JSON: Expecting value: line 1 column 1 (char 0). Create the job"),
    ],
    ids=range(23),
)  # fmt: skip
def test_a_problem_names_its_place(text: str, prefix: tuple[str | int, ...], problem: str) -> None:
    """As its author knows it: relative to `prefix`, the middle of a long one left out."""
    value, found = parsed(text, prefix)
    assert found.startswith(problem)
    assert (value, bool(found)) == ((None, True) if problem else (json.loads(text), False))
    assert parsed_bytes(text.encode("utf-8", "surrogatepass"), prefix) == (value, found)


def test_a_text_that_is_not_utf_8_is_refused() -> None:
    """The problem has the first wrong byte, and the name of the whole."""
    value, found = parsed_bytes(b'{"a": "\xff"}', (), "policy")
    assert (value, found.partition(". ")[0]) == (None, "policy: is not UTF-8: byte 0xff at position 7")


@pytest.mark.parametrize(("count", "refused"), [(MOST_VALUES - 1, False), (MOST_VALUES, True)])
def test_keys_and_values_are_counted(count: int, refused: bool) -> None:
    """Also an object and a list; brackets, colons and commas that end one are none."""
    text = f"[{','.join(['1'] * count)}]"
    assert bool(parsed(text)[1]) is refused
    if refused:
        with pytest.raises(
            Reject, match=r"^job: the file of x has more than 100,000 keys and values. Put large"
        ) as named:
            check_values(text, "job", "the file of x")
        assert named.value.field == "job"
        with pytest.raises(Reject, match=r"^job: has more than 100,000 keys and values"):
            check_values(text, "job")


def test_a_stack_that_is_used_up_is_a_problem_of_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another thread's depth, for example."""

    def fails(_: str) -> None:
        raise RecursionError

    monkeypatch.setattr("shared.core.bounded_json.json.loads", fails)
    assert parsed("[]", (), "policy") == (None, "policy: is nested too deep. Flatten it.")


def test_large_texts_are_handled_one_at_a_time() -> None:
    """The lock is the same for all; a text of up to 100,000 bytes needs none."""
    assert isinstance(one_at_a_time(ONE_AT_A_TIME), nullcontext)
    assert one_at_a_time(ONE_AT_A_TIME + 1) is one_at_a_time(LARGEST)
    with one_at_a_time(LARGEST), one_at_a_time(LARGEST):  # one thread may nest it
        assert parsed(f'"{"x" * ONE_AT_A_TIME}"')[1] == ""
