"""Untrusted JSON, field by field: the type that a refusal names, and the depth that it bears."""

from typing import Any

import pytest

from shared.core.errors import Reject
from shared.runspec.fields import MAX_DEPTH, check_depth, found, image, is_empty, items, mapping, text


@pytest.mark.parametrize(
    ("value", "named", "empty"),
    [
        (None, "null", True),
        ("", "empty (a text)", True),
        ([], "empty (a list)", True),
        ({}, "empty (an object)", True),
        (False, "true or false", True),
        (True, "true or false", False),
        (0, "a number", False),
        (1.5, "a number", False),
        ("x", "a text", False),
        ([1], "a list", False),
        ({"a": 1}, "an object", False),
        (b"x", "bytes", False),
    ],
)
def test_a_value_is_named_by_its_type(value: object, named: str, empty: bool) -> None:
    """Zero says something, false does not."""
    assert (found(value), is_empty(value)) == (named, empty)


@pytest.mark.parametrize(
    ("act", "value", "wanted"),
    [
        (mapping, None, {}),
        (mapping, {"a": 1}, {"a": 1}),
        (mapping, [{"a": 1}], "at: should be an object, but is a list. Write the object without its list."),
        (mapping, [{"a": 1}, {}], "at: should be an object, but is a list."),
        (mapping, [1], "at: should be an object, but is a list."),
        (mapping, [], "at: should be an object, but is empty (a list)."),
        (items, None, []),
        (items, {}, []),
        (items, [1], [1]),
        (items, {"a": 1}, "at: should be a list, but is an object. Write a list of objects: [{…}]."),
        (items, "x", "at: should be a list, but is a text."),
        (text, "x", "x"),
        (text, None, "at: should be a text, but is null."),
        (text, 5, "at: should be a text, but is a number. Write it in quotes."),
        (text, 1.5, "at: should be a text, but is a number. Write it in quotes."),
        (text, True, "at: should be a text, but is true or false."),
        (text, [1], "at: should be a text, but is a list."),
        (lambda value, path: text(value, path, "d"), None, "d"),
        (lambda value, path: text(value, path, ""), None, ""),
        (lambda value, path: mapping(value, path, "Own."), [{"a": 1}], "at: should be an object, but is a list. Own."),
        (lambda value, path: items(value, path, "Own."), {"a": 1}, "at: should be a list, but is an object. Own."),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)[:40]),
)
def test_a_field_is_read_or_refused(act: Any, value: object, wanted: object) -> None:
    """By its path; null counts as missing."""
    try:
        assert act(value, "at") == wanted
    except Reject as refused:
        assert str(refused) == wanted  # noqa: PT017 - one table


def nested(levels: int, *, named: str = "") -> Any:
    """Return a value that is nested so deep: lists, or objects with this name."""
    value: Any = {} if named else []
    for _ in range(levels - 1):
        value = {named: value, "plain": 1} if named else [value, 1]
    return value


ENDS = ".0" * 20  # of a path that is cut in the middle


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (nested(MAX_DEPTH), ""),
        (nested(MAX_DEPTH, named="a"), ""),
        ("x", ""),
        (nested(MAX_DEPTH + 1), f"{'0.' * 20}…{ENDS}"),
        ([0, nested(MAX_DEPTH)], f"1.{'0.' * 19}…{ENDS}"),
        ({"a": 1, "b": nested(MAX_DEPTH)}, f"b.{'0.' * 19}…{ENDS}"),
        ({"a" * 41: {"b": nested(MAX_DEPTH)}}, f"{'a' * 20}…{'a' * 19}…{ENDS}"),
        (nested(MAX_DEPTH + 1, named="n" * 39), f"{'n' * 39}.…{'n' * 39}."),
    ],
    ids=["lists", "objects", "text", "deep lists", "second", "one of two", "long name", "long path"],
)
def test_a_value_is_nested_sixty_levels_deep_at_most(value: Any, path: str) -> None:
    """The refusal names the place; of long names and paths it shows a part."""
    refused = ""
    try:
        check_depth(value, "run_spec")
    except Reject as exc:
        refused = str(exc)
    assert refused == (path and f"{path}: is nested more than 60 levels deep. Write it with fewer levels.")


def test_the_name_of_an_image_is_shown_whole() -> None:
    """A long name is usual for one."""
    written = "gcr.io/" + "a/" * 60 + "B"
    with pytest.raises(Reject) as refused:
        image(written, "at")
    assert str(refused.value).startswith(f"at: is '{written}', which ")
    assert image("gcr.io/p/i:1", "at").tag == "1"
