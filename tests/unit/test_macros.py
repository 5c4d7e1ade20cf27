"""Macros of a queue's configuration in their label form, and every other form refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import Reject
from shared.runspec.macros import as_label, substitute, uses
from tests.unit.specs import put, rendered, run_spec

MACROS = {"project_name": "bob's cats", "run_name": None, "run_id": "R1", "TEAM": "A B", "DB_PASSWORD": "hunter22"}
LABELS = ("resource_args", "gcp-vertex", "spec", "labels")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${project_name:label}", "bob-s-cats"),
        ("${run_id:label}_${TEAM:label}", "r1_a-b"),
        ("x${run_name:label}", "x"),
        ("${project_name} ${project_name:label}", "bob's cats bob-s-cats"),
        ("${HOME:-/root} ${A:0:3} ${A:?unset} ${A%.*} ${A#b} ${A/b/c} ${A^^}", None),  # a shell's own
        ("${project_name:-x} ${run_id:0:3} ${run_id%.*}", None),
        ("${HOME:offset} ${a.b} ${a|b} ${a:b c}", None),
        ("$${project_name:}", None),
    ],
)
def test_the_label_form_is_filled_in_and_a_shells_forms_stay(text: str, filled: str | None) -> None:
    """The agent leaves them too: a queue's command may be a shell's."""
    assert substitute([text], MACROS) == [text if filled is None else filled]


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("${project_name:lable}", "Did you mean ${project_name:label}?"),
        ("${project_name:Label}", "Did you mean ${project_name:label}?"),
        ("${project_name: label}", "Did you mean ${project_name:label}?"),
        ("${project_name:label:63}", "Did you mean ${project_name:label}?"),
        ("${project_name|label}", "Did you mean ${project_name:label}?"),
        ("${project_name.label}", "Did you mean ${project_name:label}?"),
        ("${project_name:upper}", "Write ${project_name} or ${project_name:label}."),
        ("${projectname:label}", "Did you mean ${project_name:label}?"),
        ("${PROJECT_NAME:label}", "Did you mean ${project_name:label}?"),
        ("${projekt_name:lable}", "Did you mean ${project_name:label}?"),
        ("${xyz:label}", "Known: ${TEAM:label}, ${project_name:label}, ${run_id:label}, ${run_name:label}."),
        ("${DB_PASSWORD:label}", "Write ${DB_PASSWORD}, where a secret is allowed."),
    ],
)
def test_an_unknown_form_is_refused_with_the_near_one(text: str, fix: str) -> None:
    """Also an unknown macro with a known form, and a secret in a form that redaction does not know."""
    with pytest.raises(Reject) as refused:
        substitute({"a": ["b", f"x-{text}"]}, MACROS)
    assert str(refused.value).startswith(text)
    assert str(refused.value).endswith(fix)
    assert "hunter22" not in str(refused.value)


@given(st.text(max_size=200))
def test_any_text_has_a_label_form(text: str) -> None:
    """At most 63 letters, digits, dashes and underscores; the same text has the same form."""
    assert re.fullmatch(r"[a-z0-9_-]{0,63}", as_label(text))
    assert as_label(as_label(text)) == as_label(text)


@pytest.mark.parametrize(
    ("name", "label"),
    [("Größe Ärger", "grosse-arger"), ("7B.v2", "7b-v2"), ("猫", "-"), ("x" * 100, "x" * 63), ("İ", "i")],
)
def test_letters_stay_readable(name: str, label: str) -> None:
    """Without their accents."""
    assert as_label(name) == label


def test_a_form_counts_as_a_use() -> None:
    """A request may not contain a macro of the operator in any form."""
    assert uses(["${TEAM} ${TEAM:label}", {"a": "${run_id:label}"}], {"TEAM"}) == {"TEAM": 2}


def test_a_queue_labels_its_jobs_with_any_project() -> None:
    """In a label and in the display name; the refusal of the plain macro names the form."""
    spec = run_spec(project="Bob's Cats 2.0", name="Größe 1")
    spec = put(spec, (*LABELS[:-1], "display_name"), "job-${run_name:label}")
    job = rendered(put(spec, LABELS, {"of": "${project_name:label}"})).constructor
    assert (job["labels"]["of"], job["display_name"]) == ("bob-s-cats-2-0", "job-grosse-1")
    with pytest.raises(Reject, match=re.escape("${project_name:label} writes the value of a macro in this form")):
        rendered(put(spec, LABELS, {"of": "${project_name}"}))
