"""What a launch may name: requests, and references to secrets."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.config.requests import RequestLimits
from shared.core.intake import from_request
from shared.core.message import Request
from shared.runspec.expansion import check_filled, check_references, inert_json
from shared.runspec.model import Draft
from shared.runspec.requests import admit_request
from tests.unit.specs import refusal, run_spec


def asked(**changes: Any) -> Draft:
    """Return a request with these parts."""
    made = Request(idempotency_key="1", source="ci", queue=None, run_spec=run_spec(**changes))
    return Draft.of(from_request(made, datetime(2026, 1, 1, tzinfo=UTC)))


def test_an_authors_words_refer_to_no_secret() -> None:
    """The refusal names the word; a reference that stood there before stays."""
    texts = ["a", "$(HOME)", "x $(DB_PASSWORD) y"]
    why = "contains $(DB_PASSWORD), which Vertex AI can replace by the secret."
    assert refusal(check_references, texts, "args") == f"args[2]: {why} Let the program read the variable itself."
    assert refusal(check_references, texts[:2], "args") == ""
    assert refusal(check_filled, "at", "$(HOME)", texts[2]) == f"at: {why} Use another value."
    assert refusal(check_filled, "at", "$(DB_PASSWORD)", texts[2]) == ""
    assert inert_json({"a": "$(X) it's"}) == '{"a": "\\u0024(X) it\\u0027s"}'


@pytest.mark.parametrize(
    ("attempt", "retries", "placed", "refused"),
    [(0, "", False, True), (1, "k1", False, True), (1, "", True, True), (1, "k1", True, False), (2, "", False, False)],
)
def test_a_request_is_its_authors_own_until_it_was_prepared(
    attempt: int, retries: str, placed: bool, refused: bool
) -> None:
    """Later, the ledger holds it with its queue's configuration."""
    draft = asked(run_id="r1")
    parent = "projects/p/locations/us-central1" if placed else ""
    entry = replace(draft.launch.entry, attempt=attempt, retries=retries, parent=parent)
    later = replace(draft, launch=replace(draft.launch, entry=entry))
    shown = refusal(admit_request, later, RequestLimits(), [])
    assert shown.startswith("run_id: is 'r1'") if refused else shown == ""


def test_a_long_name_of_a_request_is_shown_whole() -> None:
    """Its author sees the whole name beside the allowed ones."""
    shown = refusal(admit_request, asked(entity="e" * 120), RequestLimits(entities=("team",)), [])
    assert shown.startswith(f"entity: is '{'e' * 120}', which requests.entities does not allow. Allowed: team.")
