"""How Google's refusals are classified, each with the thread or page that shows the words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import Capacity, Denied, LaunchError, Reject, Retry
from shared.core.refusals import classify
from shared.core.shortage import Shortage

INFO = "type.googleapis.com/google.rpc.ErrorInfo"
ACT_AS = "You do not have permission to act as service_account: t@p.iam.gserviceaccount.com. (or it may not exist)."
BEING_MADE = "Service agents are being provisioned (https://cloud.google.com/x). Please try again in a few minutes."
INSUFFICIENT = "Resources are insufficient in region: us-central1. Please try a different region."
QUOTA = "The following quota metrics exceed quota limits: aiplatform.googleapis.com/custom_model_training_cpus"
REFUSALS = [
    # seen: public threads on Vertex AI training with a service account of one's own
    ("act as", ACT_AS, 400, "INVALID_ARGUMENT", Denied),
    ("act as, by its permission", "Permission 'iam.serviceAccounts.actAs' denied on t@p", 403, "", Denied),
    # seen: public threads on the first job of a new project
    ("agents being made", BEING_MADE, 400, "FAILED_PRECONDITION", Retry),
    # seen: public threads; google/rpc/code.proto: an ABORTED call may be tried again
    ("aborted", "The operation was aborted, please retry.", 409, "ABORTED", Retry),
    ("aborted, without words", "Conflict", 409, "ABORTED", Retry),
    ("aborted, without a status", "The operation was aborted, please retry.", 409, "", Retry),
    # shared/core/shortage.py names the sources of these words
    ("quota of machines", QUOTA, 429, "RESOURCE_EXHAUSTED", Capacity),
    ("quota of machines, as a 400", QUOTA, 400, "FAILED_PRECONDITION", Capacity),
    ("stockout", INSUFFICIENT, 429, "RESOURCE_EXHAUSTED", Capacity),
    ("stockout, as a 400", INSUFFICIENT, 400, "FAILED_PRECONDITION", Capacity),
    ("429 without words", "", 429, "", Capacity),
    ("its status without its code or words", "no more", 400, "RESOURCE_EXHAUSTED", Capacity),
    # google/rpc/code.proto
    ("unauthenticated", "who are you?", 401, "UNAUTHENTICATED", Denied),
    ("forbidden", "Permission 'aiplatform.customJobs.create' denied", 403, "PERMISSION_DENIED", Denied),
    ("invalid", "machine_type is not supported", 400, "INVALID_ARGUMENT", Reject),
    ("precondition", "the network is not peered", 400, "FAILED_PRECONDITION", Reject),
    ("not found", "no such tensorboard", 404, "NOT_FOUND", Reject),
    ("already there", "the resource already exists", 409, "ALREADY_EXISTS", Reject),
    ("too large", "Request Entity Too Large", 413, "", Reject),
    ("unprocessable", "odd", 422, "", Reject),
]


@pytest.mark.parametrize(
    ("message", "code", "status", "meaning"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_a_refusal_has_its_class(message: str, code: int, status: str, meaning: type[LaunchError]) -> None:
    """The words decide before the code does, and the author reads them."""
    refusal = classify(message, code, status)
    assert type(refusal) is meaning
    assert message in str(refusal)


def test_the_kind_of_shortage_is_read_from_the_details() -> None:
    """As Google gives them in an error's body."""
    details = [{"@type": INFO, "reason": "RATE_LIMIT_EXCEEDED"}]
    refusal = classify("Quota exceeded", 429, "RESOURCE_EXHAUSTED", details)
    assert isinstance(refusal, Capacity)
    assert refusal.shortage is Shortage.RATE


@pytest.mark.parametrize("in_details", [True, False])
def test_a_project_that_cannot_be_used_is_whose_it_is(in_details: bool) -> None:
    """The author's, if the spec names it (google/api/error_reason.proto: CONSUMER_INVALID); else our operators'."""
    message = "Permission denied on resource project other." + ("" if in_details else " CONSUMER_INVALID")
    details = [{"@type": INFO, "reason": "CONSUMER_INVALID"}] if in_details else []
    foreign = classify(message, 403, "PERMISSION_DENIED", details, foreign_project="other")
    assert type(foreign) is Reject
    assert str(foreign).startswith("spec.project: other cannot be used")
    assert type(classify(message, 403, "PERMISSION_DENIED", details)) is Denied
    assert type(classify("no role", 403, "PERMISSION_DENIED", [], foreign_project="other")) is Denied


@given(st.sampled_from([0, 200, 302, 408, 425, 499, *range(500, 600)]), st.sampled_from([row[1] for row in REFUSALS]))
def test_no_other_code_says_that_nothing_was_created(code: int, message: str) -> None:
    """Whatever its words: a gateway may have lost the answer of a create that worked."""
    assert classify(message, code) is None


TEXT = st.text().filter(lambda text: "None" not in text)  # an error's text with it looks like one without a value


@given(st.integers(400, 499), TEXT, st.text(), st.lists(st.dictionaries(st.text(), st.text())))
def test_every_other_4xx_is_a_definite_refusal(code: int, message: str, status: str, details: list[object]) -> None:
    """Whatever its body says."""
    refusal = classify(message, code, status, details)
    assert (refusal is None) == (code in (408, 425, 499))
