"""What the messages and paths of W&B's answers mean: who is refused, what is hidden, what is missing."""

import json
from typing import Any

import pytest

from shared.adapters.wandb.answers import (
    Answer,
    NotAllowed,
    Refusal,
    Refused,
    answer_of,
    at,
    for_author,
    hides,
    items_of,
    misses,
    path_of,
    read_answer,
    reason,
    refusal,
)
from shared.core.errors import Denied, LaunchError, Reject, Retry, SettingsError
from shared.core.redaction import remember

DATA = {"a": {"b": {"c": 1}}}


def refused(message: str, *path: object) -> Refused:
    """Return a refusal with one error."""
    return Refused("W&B refuses", Answer(200, None, [{"message": message, "path": list(path)}]))


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ({"data": DATA}, Answer(200, DATA)),
        ({"data": DATA, "errors": [{"message": "a"}]}, Answer(200, DATA, ({"message": "a"},))),
        ({"data": None, "errors": None}, Answer(200)),
        ({"data": [1], "errors": "a"}, Answer(200, None, ("a",))),
        ({"errors": {"message": "a"}}, Answer(200, None, ({"message": "a"},))),
        ({"errors": []}, Answer(200)),
        ([1], Answer(200)),
        ("text", Answer(200)),
        (None, Answer(200)),
    ],
    ids=str,
)
def test_an_answer_is_its_data_and_errors(read: Any, expected: Answer) -> None:
    """Of whatever JSON it is."""
    assert answer_of(200, read) == expected
    assert read_answer(200, json.dumps(read).encode()) == expected


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_what_is_no_json_has_neither(body: bytes) -> None:
    """Only its status."""
    assert read_answer(502, body) == Answer(502)


def test_an_answer_with_too_many_values_is_refused() -> None:
    """It would not fit into the memory of a function. Lone surrogates are read."""
    assert read_answer(200, b'{"data": {"a": "\xed\xa0\x80"}}') == Answer(200, {"a": "\ud800"})
    with pytest.raises(Refused, match=r"^W&B's answer: has more than 100,000 keys and values"):
        read_answer(200, b'{"data": [' + b"0," * 200_000 + b"0]}")


@pytest.mark.parametrize(
    ("errors", "text"),
    [
        ([], ""),
        ([{"message": "a"}, {"message": "b"}], "a; b"),
        ([{"message": 7}, "text", {"code": 1}], "7; text; {'code': 1}"),
        ([{"message": "a\ud800"}], "a?"),
        ([{"message": f"{'planted-key-' * 4} is wrong"}], "[redacted] is wrong"),
        ([{"message": "x" * 20_000}], "x" * 5_000 + "…" + "x" * 5_000),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "replace").decode(),
)
def test_the_reason_of_errors_is_one_text(errors: list[Any], text: str) -> None:
    """Without a key, and of a bounded length."""
    remember(["planted-key-" * 4])
    assert reason(errors) == text == Answer(errors=errors).reason


def test_an_error_may_name_its_place() -> None:
    """The first part of it is a field or an alias."""
    errors = [{"path": ["a0", "x"]}, {"path": ["a1"]}, {"path": []}, {"path": "a0"}, {}, "a0"]
    answer = Answer(errors=errors)
    assert answer.of("a0") == errors[:1]
    assert answer.of("a1") == errors[1:2]
    assert answer.of("x") == []
    assert [path_of(error) for error in errors] == [["a0", "x"], ["a1"], [], [], [], []]


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (200, "no", Refused),
        (403, "no", NotAllowed),
        (401, "no", Refused),
        (200, "Permission denied", NotAllowed),
        (404, "forbidden", NotAllowed),
        (400, "Access Denied", NotAllowed),
        (200, "not authorized", NotAllowed),
        (200, "access granted", Refused),
    ],
)
def test_a_message_counts_more_than_its_status(status: int, message: str, kind: type[Refusal]) -> None:
    """W&B sends a missing permission with several."""
    answer = Answer(status, None, [{"message": message}])
    found = refusal("text", answer)
    assert (type(found), str(found), found.answer) == (kind, "text", answer)
    assert isinstance(found, Denied if kind is NotAllowed else Retry)


@pytest.mark.parametrize(
    ("error", "hidden"),
    [
        (refused("project not found"), True),
        (refused("Project x does\nnot exist"), True),
        (refused("entity unknown"), True),
        (refused("unknown project x"), True),
        (refused("could not find entity"), True),
        (refused("No such Project"), True),
        (refused("permission denied"), True),
        (refused("projects are nice"), False),
        (refused("run not found"), False),
        (NotAllowed("W&B answers 403"), False),
        (Retry("project not found"), False),
    ],
    ids=str,
)
def test_some_refusals_hide_a_project(error: LaunchError, hidden: bool) -> None:
    """A bare 403 does not, nor does an error that W&B has not sent."""
    assert hides(error) is hidden


@pytest.mark.parametrize(
    ("error", "missing"),
    [
        (refused("run queue item not found"), "item"),
        (refused("Item does not exist"), "item"),
        (refused("could not find it", "project", "runQueue", "runQueueItem"), "item"),
        (refused("unknown", "project", "runQueue"), "queue"),
        (refused("no such queue"), "queue"),
        (refused("Queue not found", "a0", "runQueue"), "queue"),
        (refused("not found", "project"), ""),
        (refused("not found"), ""),
        (refused("item is broken", "project", "runQueueItem"), ""),
        (refused("project not found", "runQueueItem"), ""),
        (Retry("item not found"), ""),
    ],
    ids=str,
)
def test_some_refusals_miss_an_item_or_a_queue(error: LaunchError, missing: str) -> None:
    """By the words of the message, and the end of the path."""
    assert misses(error) == missing


def test_every_error_of_an_answer_counts() -> None:
    """The second one may have the place."""
    errors = [{"message": "not found", "path": ["project"]}, {"message": "x", "path": ["project", "runQueueItem"]}]
    assert misses(Refused("x", Answer(200, None, errors))) == "item"


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        (DATA, (), DATA),
        (DATA, ("a",), {"b": {"c": 1}}),
        (DATA, ("a", "b"), {"c": 1}),
        (DATA, ("a", "b", "c"), {}),
        (DATA, ("x", "b"), {}),
        ([DATA], ("a",), {}),
        (None, (), {}),
        ("a", ("a",), {}),
    ],
)
def test_a_path_leads_to_an_object_or_nothing(value: Any, path: tuple[str, ...], found: dict[str, Any]) -> None:
    """Whatever shape the answer has."""
    assert at(value, *path) == found
    assert items_of(value) == (value if isinstance(value, list) else [])


def test_a_refusal_is_the_authors_only_if_the_key_lacks_a_permission() -> None:
    """Wrong settings are an operator's; anything else stays what it is."""
    with pytest.raises(Reject) as raised, for_author("job", "e/p/j:v1", "Write another."):
        raise NotAllowed("403")
    words = "job: e/p/j:v1 may not be read with this deployment's API key. Write another."
    assert (str(raised.value), raised.value.field) == (words, "job")
    with pytest.raises(Denied, match=r"^no certificate$"), for_author("job", "x", "y"):
        raise SettingsError("no certificate")
    error = Refused("later")
    with pytest.raises(Refused) as same, for_author("job", "x", "y"):
        raise error
    assert same.value is error


def test_a_refusal_without_an_answer_has_an_empty_one() -> None:
    """It has no errors that say more."""
    assert NotAllowed("x").answer == Answer() == Answer(0, None, ())
