"""Template variables: their values in texts, their bounds, and the words of each refusal."""

from typing import Any

import pytest

from shared.runspec.macros import MAX_FILLED, substitute
from shared.runspec.templates import filled, template_values
from tests.unit.specs import refusal


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{{n}}", 3),
        ("{{ n }}", 3),
        (" {{n}}", " 3"),
        ("{{n}}{{ flag }}", "3true"),
        ("{{list}}", [1]),
        ("x{{list}}", "x[1]"),
        ("{{none}}", None),
        ("x{{none}}", "xNone"),
        ("{{unknown}} {{n}} {{}}", "{{unknown}} 3 {{}}"),
        ("{{unknown}}", "{{unknown}}"),
        (5, 5),
        (None, None),
        ({"{{n}}": ["{{n}}", {"a": "{{flag}}"}]}, {"{{n}}": [3, {"a": True}]}),
    ],
    ids=str,
)
def test_a_variable_is_filled_in_with_its_type_or_as_text(text: object, made: object) -> None:
    """Alone it keeps its type; in a longer text it is written as in JSON. Keys and unknown names stay."""
    variables = {"n": 3, "flag": True, "list": [1], "none": None}
    assert filled(text, variables) == made


TOO_LONG = f"makes this launch longer than {MAX_FILLED:,} characters."


@pytest.mark.parametrize("text", ["{{x}}", "-{{x}}", "-${x}"])
def test_all_values_together_have_a_limit(text: str) -> None:
    """Alone or within a text, as a template variable or as a macro: ten times a tenth of it is allowed."""
    value = "v" * (MAX_FILLED // 10)
    fill = substitute if "$" in text else filled
    assert len(fill([text] * 10, {"x": value})) == 10
    why = refusal(lambda: fill([text] * 10, {"x": value + "v"}))
    name, fix = (
        ("${x}", "Shorten its value, or use it in fewer places.")
        if "$" in text
        else (
            "template_variables.x",
            "Shorten its value.",
        )
    )
    assert why == f"{name}: {TOO_LONG} {fix}"


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        ("{{x}}", "$(WANDB_API_KEY)", "template_variables.x: contains $(WANDB_API_KEY), which Vertex AI can replace"),
        ("$({{x}})", "WANDB_API_KEY", "template_variables: contains $(WANDB_API_KEY), which Vertex AI can replace by"),
        ("$(WANDB_API_KEY) {{x}}", "y", ""),
        ("{{x}}", "$(HOME)", ""),
        ("$(WANDB_API_KEY)", "y", ""),
    ],
)
def test_a_value_refers_to_no_secret(text: str, value: str, why: str) -> None:
    """A reference in the operator's own text stays."""
    shown = refusal(lambda: filled([text], {"x": value}))
    assert shown.startswith(why)
    assert bool(shown) == bool(why)


AT = "template_variables.x: is"


@pytest.mark.parametrize(
    ("schema", "value", "why"),
    [
        ({"type": "integer"}, None, f"{AT} missing, and the queue has no default for it. Write an integer."),
        ({"type": "string"}, 5, f"{AT} 5, which the queue does not allow. Write a string."),
        ({"type": "boolean"}, "true", f"{AT} 'true', which the queue does not allow. Write true or false."),
        (
            {"type": "number", "minimum": 0, "maximum": 1},
            2,
            f"{AT} 2, which the queue does not allow. Write a number, at least 0, at most 1.",
        ),
        ({"enum": ["a", 1]}, None, f"{AT} missing, and the queue has no default for it. Write a value, one of 'a', 1."),
        ({"type": "list", "enum": 5}, None, f"{AT} missing, and the queue has no default for it. Write a value."),
        ({"type": "integer"}, [1], f"{AT} a list, which the queue does not allow. Write an integer."),
        ({"type": "integer"}, {}, f"{AT} empty (an object), which the queue does not allow. Write an integer."),
        (
            {"type": "integer"},
            10**300,
            f"{AT} a number of more than 300 digits, which the queue does not allow. Write an integer.",
        ),
        (
            {"type": "number"},
            -(10**300),
            f"{AT} a number of more than 300 digits, which the queue does not allow. Write a number.",
        ),
        ({"type": "number", "maximum": 1}, 10**300 - 1, f"{AT} 9999"),
        ({"type": "number"}, float("inf"), f"{AT} inf, which the queue does not allow. Write a number."),
        ({"type": "number"}, float("nan"), f"{AT} nan, which the queue does not allow. Write a number."),
        ({"type": "number"}, "1e999", f"{AT} '1e999', which the queue does not allow. Write a number."),
        ({"type": "number"}, "\u0663", f"{AT} '\u0663', which the queue does not allow. Write a number."),
        ({"type": "integer"}, "\u0663", f"{AT} '\u0663', which the queue does not allow. Write an integer."),
        (
            {"type": "number", "minimum": 0},
            -0.5,
            f"{AT} -0.5, which the queue does not allow. Write a number, at least 0.",
        ),
        ({"enum": [False]}, 0, f"{AT} 0, which the queue does not allow. Write a value, one of False."),
        (
            {"enum": ["e" * 600]},
            None,
            f"{AT} missing, and the queue has no default for it. Write a value, one of '{'e' * 249}…{'e' * 249}'.",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_value_that_does_not_fit_is_shown_with_what_fits(schema: dict[str, Any], value: Any, why: str) -> None:
    """Each type, list and bound."""
    assert refusal(lambda: template_values({"x": schema}, {"x": value})).startswith(why)


@pytest.mark.parametrize(
    ("schema", "value", "taken"),
    [
        ({"type": "integer"}, " +4 ", 4),
        ({"type": "integer"}, "9" * 300, 10**300 - 1),
        ({"type": "integer", "minimum": 1, "maximum": 1}, 1, 1),
        ({"type": "integer"}, 2.0, 2),
        ({"type": "number"}, 10**300 - 1, 10**300 - 1),
        ({"type": "number"}, "5.", 5.0),
        ({"type": "number"}, "-.5e-1", -0.05),
        ({"type": "number"}, "7", 7),
        ({"type": "string", "minimum": 3}, "a", "a"),
        ({"type": "boolean", "minimum": 3}, True, True),
        ({"type": "number", "minimum": "1", "maximum": None}, 1, 1),
        ({"minimum": "x"}, 1, 1),
        ({"enum": [1.0]}, 1, 1),
        ({"enum": 5}, "x", "x"),
        ({"default": None}, None, None),
        ({"default": "any", "type": "integer"}, None, "any"),
    ],
)
def test_a_value_that_fits_is_taken(schema: dict[str, Any], value: Any, taken: Any) -> None:
    """At each bound; a default is not checked, as W&B has checked it."""
    made = template_values({"x": schema}, {"x": value})["x"]
    assert (made, type(made)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("known", "name", "fix"),
    [
        (["machine", "hours"], "machin", "Did you mean machine? Known: hours, machine."),
        (["machine", "hours"], "zzz", "Known: hours, machine."),
        ([], "zzz", "Known: none."),
    ],
)
def test_an_unknown_variable_is_refused_with_the_known_ones(known: list[str], name: str, fix: str) -> None:
    """The nearest one first."""
    schemas = {one: {"default": 1} for one in known}
    why = f"template_variables.{name}: is not a template variable of the queue. {fix}"
    assert refusal(lambda: template_values(schemas, {name: 1})) == why
    assert refusal(lambda: template_values(schemas, [1])) == "template_variables: should be an object, but is a list."
    assert template_values(schemas, None) == dict.fromkeys(known, 1)
