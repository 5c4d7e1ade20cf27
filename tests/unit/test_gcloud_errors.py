"""What an error of gcloud means follows from its status and its stderr, never from the command line."""

import pytest

from deploy.cloud.gcloud import GcloudError

# As gcloud 528 prints them; the project's id and the names contain whatever the words of an error are.
ABSENT = {
    "iam": "ERROR: (gcloud.iam.roles.describe) NOT_FOUND: The role named projects/p/roles/r was not found.",
    "account": "ERROR: (gcloud.iam.service-accounts.describe) NOT_FOUND: Unknown service account. [PERMISSION_DENIED]",
    "bucket": "ERROR: (gcloud.storage.buckets.describe) gs://b not found: 404.",
    "function": "ERROR: (gcloud.functions.describe) ResponseError: status=[404], code=[Not Found], message=[f is gone]",
    "http": "ERROR: (gcloud.x) HTTPError 404: The specified bucket does not exist.",
    "words": "ERROR: (gcloud.run.services.describe) Cannot find service [launch-poll]: it does not exist",
    "after a warning": "WARNING: PERMISSION_DENIED is a word here.\nERROR: (gcloud.secrets.describe) NOT_FOUND: gone",
}
PRESENT = {
    "denied": "ERROR: (gcloud.iam.roles.describe) PERMISSION_DENIED: denied on projects/p-404 (or it may not exist).",
    "denied by number": "ERROR: (gcloud.functions.describe) ResponseError: status=[403], code=[Ok], message=[p404]",
    "a project that is gone": "ERROR: (gcloud.x) INVALID_ARGUMENT: Project p not found or deleted",
    "a project that is denied": "ERROR: (gcloud.x) PERMISSION_DENIED: Project p not found or permission denied.",
    "unavailable": "ERROR: (gcloud.x) UNAVAILABLE: upstream not found",
    "a broken answer": "ERROR: (gcloud.x) HTTPError 503: <html>the backend does not exist 404</html>",
    "a network": "ERROR: gcloud crashed (ConnectionError): HTTPSConnectionPool(host='x-404', port=443)",
    "signed out": "ERROR: (gcloud.x) You do not currently have an active account selected: projects/p-404.",
    "nothing": "",
}


@pytest.mark.parametrize("stderr", ABSENT.values(), ids=ABSENT.keys())
def test_an_absent_resource_is_absent(stderr: str) -> None:
    """By its status; by words only where gcloud prints no status."""
    assert GcloudError("gcloud …", stderr).absent


@pytest.mark.parametrize("stderr", PRESENT.values(), ids=PRESENT.keys())
def test_another_error_is_not_taken_for_absence(stderr: str) -> None:
    """Neither its words nor the command, which can contain 404 and NOT_FOUND, make a resource absent."""
    command = "gcloud storage buckets describe gs://not-found-404-does not exist --project=p-404 NOT_FOUND"
    assert not GcloudError(f"{command}\n{stderr}", stderr).absent


def test_a_bucket_of_others_is_denied() -> None:
    """Cloud Storage does not say whether a bucket of others exists."""
    text = "[me] does not have permission to access b instance [x] (or it may not exist): me lacks storage.buckets.get"
    error = GcloudError("", f"ERROR: (gcloud.storage.buckets.describe) {text}")
    assert (error.denied, error.absent) == (True, False)
