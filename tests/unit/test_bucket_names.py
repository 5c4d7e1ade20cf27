"""Buckets of a job: each rule of their names, for the staging bucket and for the output folder."""

import pytest

from shared.core.launch import RunPath
from shared.core.reserved import ReservedPlaces
from shared.runspec.buckets import base_output_dir, check_places, staging_bucket
from tests.unit.specs import refusal

RUN = RunPath("team", "Cats", "r1")


NO_NAME = "and no bucket can have this name. Write the name of a bucket: gs://BUCKET."
NO_FOLDER = "with a folder named `.` or `..`. Write the names of folders only."


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("gs://abc", ""),
        ("gs://" + "a" * 63, ""),
        ("gs://" + ".".join(["a" * 63] * 2), ""),
        ("gs://my.bucket/folder/..x/.y", ""),
        ("gs://my_bucket-1/folder", ""),
        ("gs://1.2.3/x", ""),
        ("gs://ab", NO_NAME),
        ("gs://googbucket", NO_NAME),
        ("gs://a..b", NO_NAME),
        ("gs://10.0.0.1/x", NO_NAME),
        ("gs://" + "a" * 64 + ".b", NO_NAME),
        ("gs://b." + "a" * 64, NO_NAME),
        ("gs://abc/..", NO_FOLDER),
        ("gs://abc/a/../b", NO_FOLDER),
        ("gs://abc/./b", NO_FOLDER),
    ],
)
def test_both_places_follow_the_rules_of_buckets(written: str, why: str) -> None:
    """The refusal shows the whole place, with its folder."""
    wanted = f"at: is '{written}', {why}" if why else ""
    assert refusal(lambda: staging_bucket(f" {written} ", "at")) == wanted
    assert refusal(lambda: base_output_dir(f" {written} ", "at", "gs://b-1", RUN)) == wanted
    if not why:
        assert staging_bucket(written.removeprefix("gs://"), "at") == written
        assert base_output_dir(f" {written} ", "at", "gs://b-1", RUN) == written


@pytest.mark.parametrize(
    ("written", "staging", "output"),
    [
        (
            "s3://abc",
            "is 's3://abc', not a bucket. Write gs://BUCKET or gs://BUCKET/FOLDER.",
            "is 's3://abc', not in a bucket. Write gs://BUCKET/FOLDER, or leave it out.",
        ),
        ("abc", "", "is 'abc', not in a bucket. Write gs://BUCKET/FOLDER, or leave it out."),
        (" ", "is empty. Write a bucket of the job's region into the queue's configuration: gs://BUCKET.", ""),
        (
            5,
            "should be a text, but is a number. Write it in quotes.",
            "should be a text, but is a number. Write it in quotes.",
        ),
    ],
)
def test_another_place_is_refused(written: object, staging: str, output: str) -> None:
    """Only the staging bucket may be written without gs://, and only the output folder may be left out."""
    assert refusal(lambda: staging_bucket(written, "at")) == (staging and f"at: {staging}")
    assert refusal(lambda: base_output_dir(written, "at", "gs://b-1", RUN)) == (output and f"at: {output}")


def test_a_run_has_its_own_folder() -> None:
    """Its entity keeps its letters, its project does not; no name is a path."""
    run = RunPath("Te/am", "My Cats/1", "R/1")
    assert base_output_dir(None, "at", "gs://b-1/launch/", run) == "gs://b-1/launch/Te%2Fam/my%20cats%2F1/R%2F1"


@pytest.mark.parametrize("name", ["staging_bucket", "base_output_dir"])
def test_a_reserved_place_is_refused(name: str) -> None:
    """For either argument, in the job's own project; another bucket is allowed."""
    places = {"staging_bucket": "gs://abc", "base_output_dir": None}
    ledger = {**places, name: "gs://p-launch-ledger/x"}
    check_places(places, "spec", "p", ReservedPlaces())
    check_places(ledger, "spec", "q", ReservedPlaces())
    assert refusal(lambda: check_places(ledger, "spec", "p", ReservedPlaces())) == (
        f"spec.{name}: is 'gs://p-launch-ledger/x', a bucket that holds the ledger of the deployment launch. "
        "Write a bucket for the output of jobs."
    )
