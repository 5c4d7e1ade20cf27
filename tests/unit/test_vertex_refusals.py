"""What an error of Google's client means for a create: its body's status and details, or else the library's own."""

from typing import Any

import pytest
import requests
from google.api_core import exceptions as google_errors

from shared.adapters.vertex.submit.compute import _body, _refusal
from shared.core.errors import Capacity, Denied, Reject, Retry

LIMIT = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "metadata": {"quota_limit": "JobSubmissionRequestsPerMinutePerProjectPerRegion", "quota_limit_value": "60"},
}


def response(content: bytes) -> requests.Response:
    """Return an answer with this content."""
    made = requests.Response()
    vars(made).update(_content=content, _content_consumed=True)  # requests has no public way
    return made


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (None, {}),
        (response(b"<html>"), {}),
        (response(b"null"), {}),
        (response(b"[1]"), {}),
        (response(b"{}"), {}),
        (response(b'{"error": "no"}'), {}),
        (response(b'{"error": {"status": "ABORTED"}}'), {"status": "ABORTED"}),
    ],
    ids=range(7),
)
def test_the_body_of_an_error_is_an_object(answer: Any, body: dict[str, Any]) -> None:
    """Whatever the server answers; errors of gRPC have none."""
    assert _body(google_errors.Conflict("x", response=answer)) == body


@pytest.mark.parametrize(
    ("content", "details", "limit"),
    [
        (b'{"error": {"details": []}}', [LIMIT], 0),  # the body counts
        (b'{"error": {"details": "odd"}}', [LIMIT], 60),
        (b"<html>", [LIMIT], 60),
        (b"<html>", [], 0),
    ],
)
def test_details_are_the_bodys_or_the_librarys(content: bytes, details: list[Any], limit: int) -> None:
    """They name the quota."""
    error = google_errors.TooManyRequests("Quota exceeded per minute", details=details, response=response(content))
    found = _refusal(error)
    assert isinstance(found, Capacity)
    assert (str(found), found.limit) == ("Vertex AI has no capacity: Quota exceeded per minute", limit)


@pytest.mark.parametrize(("status", "kind"), [("ABORTED", Retry), ("ALREADY_EXISTS", Reject), (None, Reject)], ids=str)
def test_the_status_of_the_body_counts(status: Any, kind: type[Exception]) -> None:
    """The library drops it."""
    content = b'{"error": {"status": "%s"}}' % status.encode() if status else b"{}"
    assert type(_refusal(google_errors.Conflict("x", response=response(content)))) is kind


def test_what_google_has_not_answered_is_no_refusal() -> None:
    """A job may exist. A project of the deployment's own is an operator's affair."""
    assert _refusal(OSError("reset")) is None
    assert _refusal(google_errors.GoogleAPICallError("x")) is None
    assert _refusal(google_errors.ServiceUnavailable("x")) is None
    unknown = google_errors.Forbidden("CONSUMER_INVALID")
    assert isinstance(_refusal(unknown), Denied)
    refused = _refusal(unknown, "other")
    assert isinstance(refused, Reject)
    assert refused.field == "spec.project"
