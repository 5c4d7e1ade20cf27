"""The buckets that no job may use, and the words of the refusal."""

import pytest

from shared.core.reserved import ReservedPlaces, bucket_name

OURS = ReservedPlaces(
    "example.com:my-project",
    {"ledger-bucket": "the ledger", "shared/contexts/": "the contexts of image builds"},
)


@pytest.mark.parametrize(
    ("place", "project", "why"),
    [
        ("gs://ledger-bucket", "", "is 'gs://ledger-bucket', a bucket that holds the ledger of this deployment"),
        ("ledger-bucket/x", "", "is 'ledger-bucket/x', a bucket that holds the ledger of this deployment"),
        (
            " gs://ledger-bucket/ ",
            "",
            "is ' gs://ledger-bucket/ ', a bucket that holds the ledger of this deployment",
        ),
        ("gs://ledger-bucket-2", "", ""),
        ("gs://shared/contexts/a", "", "is 'gs://shared/contexts/a', a bucket that holds the contexts of image builds "
         "of this deployment"),
        ("gs://shared/contexts2", "", ""),
        ("gs://shared", "", ""),
        (
            "gs://example-com-my-project-other-ledger/x",
            "",
            "is 'gs://example-com-my-project-other-ledger/x', a bucket that holds the ledger of the deployment other",
        ),
        (
            "gs://example-com-my-project-other-sources",
            "",
            "is 'gs://example-com-my-project-other-sources', a bucket that holds the sources of builds of the "
            "deployment other",
        ),
        (
            "gs://theirs-a-b-contexts",
            "theirs",
            "is 'gs://theirs-a-b-contexts', a bucket that holds the contexts of image builds of the deployment a-b",
        ),
        ("gs://theirs-a-b-contexts", "", ""),
        ("gs://theirs-a-b-staging", "theirs", ""),
        ("gs://theirs-a-b-ledgers", "theirs", ""),
        ("gs://gcf-v2-sources-1", "", "is 'gs://gcf-v2-sources-1', a bucket that holds the functions' code"),
        ("gs://gcf-v2-uploads-1/x", "", "is 'gs://gcf-v2-uploads-1/x', a bucket that holds the functions' code"),
        ("gs://my-gcf-v2-uploads-1", "", ""),
    ],
)  # fmt: skip
def test_a_reserved_place_is_recognised(place: str, project: str, why: str) -> None:
    """Own buckets and folders by name; those of other deployments by their form, in our project and the job's."""
    assert OURS.problem(place, project) == why


def test_a_long_place_is_quoted_in_part() -> None:
    """Its author knows the rest."""
    why = OURS.problem(f"ledger-bucket/{'x' * 500}")
    assert why.endswith(", a bucket that holds the ledger of this deployment")
    assert len(why) < 300


def test_a_deployments_buckets_have_names_that_are_recognised() -> None:
    """A project of a domain has a colon and dots in its name."""
    assert bucket_name("example.com:my-project", "prod", "ledger") == "example-com-my-project-prod-ledger"
    assert OURS.problem(bucket_name("example.com:my-project", "prod", "ledger"))
