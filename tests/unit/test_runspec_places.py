"""Projects and regions of a spec: invalid ones are refused before the client library or Vertex AI refuses them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import Reject
from shared.runspec.places import location, project

PATH = "resource_args.gcp-vertex.spec.project"


@pytest.mark.parametrize("named", ["my-project-123", "p", "example.com:my-project", "123456789012", "a" * 30])
def test_a_project_is_named_by_its_id_or_its_number(named: str) -> None:
    """As Google gives them out."""
    assert project(f" {named} ", PATH, "ours") == named


@pytest.mark.parametrize(
    ("named", "near"),
    [
        ("projects/p", "Did you mean p?"),
        ("p/locations/us-central1", "Did you mean p?"),
        ("projects/p/locations/us-central1", "Did you mean p?"),
        ("My Project", ""),
        ("PROJECT", ""),
        ("p q", ""),
        ("ä", ""),
        ("-p", ""),
        ("p-", ""),
        ("../p", ""),
        ("p?x=1", ""),
        ("a" * 31, ""),
        ("0123", ""),
        ("٣", ""),
    ],
)
def test_an_invalid_project_is_refused(named: str, near: str) -> None:
    """The author reads the field, the value and what to write."""
    with pytest.raises(Reject) as refused:
        project(named, PATH, "ours")
    assert str(refused.value).startswith(f"{PATH}: is {named!r}, which is not a project. {near}")
    assert "Write a project's id" in str(refused.value)


@pytest.mark.parametrize(
    ("named", "taken"),
    [("us-central1", "us-central1"), ("US-Central1", "us-central1"), ("europe-west12", "europe-west12"), ("", "here")],
)
def test_a_region_is_taken_in_any_case(named: str, taken: str) -> None:
    """Without one, the deployment's own."""
    assert location(named, "spec.location", "here") == taken


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("us-central1-a", "which is a zone. Did you mean us-central1?"),
        ("global", "which is not a region"),
        ("us", "which is not a region"),
        ("us_central1", "which is not a region"),
        ("us-central1/customJobs", "which is not a region"),
        ("projects/p/locations/us-central1", "which is not a region"),
    ],
)
def test_an_invalid_region_is_refused(named: str, message: str) -> None:
    """With the one that was meant, if it can be known."""
    with pytest.raises(Reject) as refused:
        location(named, "spec.location", "us-central1")
    assert message in str(refused.value)


@given(st.text() | st.integers() | st.none() | st.lists(st.text()))
def test_any_value_is_a_name_or_refused(named: object) -> None:
    """A name that is taken can stand in a resource name: no parent is ever malformed."""
    for take, default in ((project, "ours"), (location, "us-central1")):
        try:
            taken = take(named, PATH, default)
        except Reject:
            continue
        assert taken == default or ("/" not in taken and taken.isascii() and taken)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("us-east9", "Did you mean us-east1?"),
        ("asia", "Valid: europe-west4, us-east1."),
        ("", "Did you mean us-east1?"),
    ],
)
def test_a_location_that_the_sdk_does_not_know_is_refused(named: str, message: str) -> None:
    """The SDK would raise an error with its own list in no order; the deployment's region is no exception."""
    with pytest.raises(Reject) as refused:
        location(named, "spec.location", "us-east3", {"us-east1", "europe-west4", "global"})
    assert message in str(refused.value)


REGIONS = {"us-central1", "us-east1", "europe-west4", "europe-west12", "global", "us"}
VALID = "Valid: europe-west12, europe-west4, us-central1, us-east1."


@pytest.mark.parametrize(
    ("named", "fix"),
    [
        ("us_central1", "Did you mean us-central1?"),
        ("US Central1", "Did you mean us-central1?"),
        ("us-central-1", "Did you mean us-central1?"),
        ("eu-west-4", "Did you mean europe-west4?"),
        ("eu-west-12", "Did you mean europe-west12?"),
        ("projects/p/locations/us-east1", "Did you mean us-east1?"),
        ("asia-east1", "Did you mean us-east1?"),
        ("us-central1-a", "Did you mean us-central1?"),
        ("global", VALID),
        ("us", VALID),
        ("x" * 100_000, VALID),
    ],
)
def test_the_region_that_was_meant_is_suggested(named: str, fix: str) -> None:
    """In the spelling of another cloud, too; without a near one, all of the SDK's."""
    with pytest.raises(Reject) as refused:
        location(named, "spec.location", "us-east1", REGIONS)
    assert str(refused.value).endswith(f". {fix}")


def test_without_the_sdks_regions_the_form_is_shown() -> None:
    """Nothing near is known."""
    with pytest.raises(Reject) as refused:
        location("US", "spec.location", "us-east1")
    wanted = "spec.location: is 'US', which is not a region of Vertex AI. Write a region such as us-central1."
    assert str(refused.value) == wanted


@pytest.mark.parametrize("default", ["global", "test region", "us-central1-a"])
def test_a_default_in_another_form_stays(default: str) -> None:
    """The settings have checked it."""
    assert location("", "spec.location", default, REGIONS) == location(default, "spec.location", default) == default
    assert project(None, PATH, "My Default") == project("My Default", PATH, "My Default") == "My Default"
