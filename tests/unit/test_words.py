"""Commands, arguments, variables and labels in another form: the right form that is suggested."""

from typing import Any

import pytest

from shared.core.errors import Reject
from shared.runspec.fields import one_word, texts
from shared.runspec.words import as_object, as_variable, as_variables, as_words, word

SECRET = "wandb_v1_" + "a1B2" * 12


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("x", "x"),
        ("", ""),
        (3, "3"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (None, None),
        ([], None),
        ({}, None),
    ],
)
def test_a_word_is_written_as_in_json(value: object, written: str | None) -> None:
    """A text stays; anything else is no word."""
    assert word(value) == written


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("python x.py --lr 0.1", 'Write ["python", "x.py", "--lr", "0.1"].'),
        ("sh -c 'a  b'", 'Write ["sh", "-c", "a  b"].'),
        ("say it's", 'Write ["say", "it\'s"].'),
        ("größe", 'Write ["größe"].'),
        (" ".join("abcdefghijkl"), 'Write ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"].'),
        (" ".join("abcdefghijklm"), 'Write ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", …].'),
        ("x" * 101, f'Write ["{"x" * 50}…{"x" * 50}"].'),
        ("x" * 100, f'Write ["{"x" * 100}"].'),
        (
            {"lr": 0.1, "--epochs": 3, "amp": True, "flag": None},
            'Write ["--lr=0.1", "--epochs=3", "--amp=true", "--flag"].',
        ),
        ({"layers": [1], "opt": {"a": 1}}, 'Write ["--layers=…", "--opt=…"].'),
        ({"api_key": "hunter22", 5: "five"}, 'Write ["--api_key=…", "--5=five"].'),
        ({f"k{n}": n for n in range(12)}, "k11"),
        ({f"k{n}": n for n in range(13)}, '"--k11=11", …].'),
        (5, ""),
        (None, ""),
        (["a"], ""),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)[:40]),
)
def test_a_command_is_suggested_as_a_list(value: object, form: str) -> None:
    """At most twelve words, without the value of a secret."""
    assert as_words(value) == form if form[:5] in ("Write", "") else form in as_words(value)


def test_a_secret_stays_out_of_a_suggested_command() -> None:
    """Also behind a part that is not shown."""
    assert SECRET not in as_words(f"run --key {SECRET}")
    assert SECRET[:20] not in as_words("run " + "x" * 1980 + f" --key {SECRET}")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({"A": 1, "B": "x y"}, 'Write [{name: A, value: "1"}, {name: B, value: "x y"}].'),
        ("A=1, B = 2=3,C", 'Write [{name: A, value: "1"}, {name: B, value: " 2=3"}].'),
        (["A=1", {"name": "B"}, "C=2"], 'Write [{name: A, value: "1"}, {name: C, value: "2"}].'),
        ({"A": [1]}, "Write [{name: A, value: …}]."),
        ({"A": 1, "DB_PASSWORD": "hunter22"}, 'Write [{name: A, value: "1"}, …].'),
        ({"DB_PASSWORD": "hunter22"}, "Write [{name: …, value: …}]."),
        ({f"V{n}": n for n in range(12)}, '{name: V11, value: "11"}].'),
        ({f"V{n}": n for n in range(13)}, '{name: V11, value: "11"}, …].'),
        ("A", "Write [{name: …, value: …}]."),
        (5, "Write [{name: …, value: …}]."),
        ([], "Write [{name: …, value: …}]."),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)[:40]),
)
def test_variables_are_suggested_as_a_list(value: object, form: str) -> None:
    """Without those that are secrets."""
    assert as_variables(value).endswith(form)
    assert as_variables(value).startswith("Write [{name: ")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("A=1", 'Write {name: A, value: "1"}.'),
        ({"A": 1, "B": 2}, 'Write {name: A, value: "1"}.'),
        ("DB_PASSWORD=hunter22,B=2", 'Write {name: B, value: "2"}.'),
        ("DB_PASSWORD=hunter22", "Write {name: …, value: …}."),
        (7, "Write {name: …, value: …}."),
    ],
)
def test_one_variable_is_suggested(value: object, form: str) -> None:
    """The first that is no secret."""
    assert as_variable(value) == form


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("team=a,version=3", 'Write {team: "a", version: "3"}.'),
        (["team=a", 5, "b"], 'Write {team: "a"}.'),
        (",".join(f"k{n}={n}" for n in range(13)), '"10", k11: "11"}.'),
        ("team", ""),
        (5, ""),
    ],
)
def test_labels_are_suggested_as_an_object(value: object, form: str) -> None:
    """At most twelve of them."""
    assert as_object(value).endswith(form)
    assert bool(as_object(value)) == bool(form)


@pytest.mark.parametrize(
    ("act", "value", "why"),
    [
        (texts, 5, "at: should be a list, but is a number."),
        (texts, "a b", 'at: should be a list, but is a text. Write ["a", "b"].'),
        (texts, {"a": 1}, 'at: should be a list, but is an object. Write ["--a=1"].'),
        (texts, ["a", None], "at[1]: should be a text, but is null."),
        (one_word, [1], "at: should be a text, but is a list."),
    ],
)
def test_no_list_of_words_is_refused_with_the_list(act: Any, value: object, why: str) -> None:
    """If one can be guessed."""
    with pytest.raises(Reject) as refused:
        act(value, "at")
    assert str(refused.value) == why
