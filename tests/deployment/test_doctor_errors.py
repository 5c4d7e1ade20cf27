"""An error inside a check of `doctor` becomes a line of its own, with the fix."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors

from deploy.cloud.deployment import Deployment
from deploy.cloud.doctor import hazards
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Check, Finding, by_cause, failed, ok, unknown, warning
from deploy.cloud.google import Google
from deploy.cloud.lifecycle import LEDGER, rule_of
from shared.core.errors import Retry

QUOTA = "gcloud auth application-default set-quota-project p1"


def forbidden(reason: str, message: str, service: str, consumer: str = "p1") -> google_errors.GoogleAPICallError:
    """Answer 403 as Google does, with a reason of its own."""
    about = {"service": service, "consumer": f"projects/{consumer}"}
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": about}
    body = {"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED", "details": [info]}}
    response = requests.Response()
    response.status_code = 403
    response._content = json.dumps(body).encode()  # noqa: SLF001 - a Response has no other way in
    response.request = requests.Request("GET", "https://cloudscheduler.googleapis.com/v1/x").prepare()
    return google_errors.from_http_response(response)


ERRORS: list[tuple[Exception, str, str]] = [
    (
        forbidden("SERVICE_DISABLED", "Cloud Scheduler API has not been used in …", "cloudscheduler.googleapis.com"),
        "cloudscheduler.googleapis.com is off",
        "gcloud services enable cloudscheduler.googleapis.com --project=p1",
    ),
    (
        forbidden("USER_PROJECT_DENIED", "Caller does not have required permission to use project p2.", "x"),
        "Caller does not have required permission to use project p2.",
        QUOTA,
    ),
    (
        forbidden(
            "SERVICE_DISABLED",
            "Your application is authenticating by using local Application Default Credentials. The run.googleapis.com "
            "API requires a quota project, which is not set by default.",
            "run.googleapis.com",
            "764086051850",
        ),
        "your application-default credentials have no quota project",
        QUOTA,
    ),
    (
        forbidden("SERVICE_DISABLED", "Cloud Run Admin API has not been used in …", "run.googleapis.com", "2222"),
        "run.googleapis.com is off in 2222, the quota project of your application-default credentials",
        QUOTA,
    ),
    (
        forbidden("CONSUMER_INVALID", "Project 'projects/gone' not found.", "x", "gone"),
        "Project 'projects/gone' not found.",
        QUOTA,
    ),
    (
        auth_errors.DefaultCredentialsError("Your default credentials were not found.\nMore."),
        "Google does not accept your credentials: Your default credentials were not found.",
        "gcloud auth application-default login",
    ),
    (auth_errors.TransportError("oauth2.googleapis.com"), "Google cannot be reached to sign in", ""),
    (google_errors.ServiceUnavailable("GET https://x/y: come back later"), "Google answers 503: come back later", ""),
    (requests.ConnectionError("refused"), "Google cannot be reached: ConnectionError", ""),
    (Retry("W&B answers 429"), "W&B answers 429", ""),
    (KeyError("state"), "this check itself failed: KeyError: 'state'", ""),
]


@pytest.mark.parametrize(("error", "message", "fix"), ERRORS, ids=[type(error).__name__ for error, *_ in ERRORS])
def test_an_error_is_a_finding(error: Exception, message: str, fix: str) -> None:
    """Findings before the error stay; the error is described in words, with a command if one helps."""

    def look() -> Iterator[Finding]:
        yield ok("thing", "is there")
        raise error

    case = Case(Deployment("p1", "us-central1"))
    case.once("number", lambda: Deployment("p1", "us-central1", number="1111"))
    first, second = case.examined(Check("thing", look))
    assert first == ok("thing", "is there")
    assert (second.outcome.name, second.message, second.fix) == ("UNKNOWN", message, fix)


def test_a_bucket_whose_callers_pay_is_named_to_callers_without_a_payer() -> None:
    """Google refuses even the look: the finding is the same as for a caller whose credentials name a payer."""

    class Refusing(Google):
        def get(self, url: str, **query: str | int) -> Any:
            raise google_errors.BadRequest(
                f"GET {url}: Bucket is a requester pays bucket but no user project provided."
            )

    case = Case(Deployment("p1", "us-central1"), google=Refusing())
    [check] = [check for check in hazards.checks(case) if check.name == "settings of p1-launch-ledger"]
    [finding] = case.examined(check)
    assert (finding.outcome.name, finding.fix) == (
        "FAILED",
        "gcloud storage buckets update gs://p1-launch-ledger --no-requester-pays",
    )


@pytest.mark.parametrize(
    ("rule", "takes"),
    [
        ({"action": {"type": "Delete"}, "condition": {"age": 365}}, True),
        ({"action": {"type": "Delete"}, "condition": {"age": 1, "matchesPrefix": ["agents/"]}}, True),
        ({"action": {"type": "Delete"}, "condition": {"age": 1, "matchesPrefix": ["closed/"]}}, True),
        ({"action": {"type": "Delete"}, "condition": {"age": 90, "matchesPrefix": ["closed/", "open/"]}}, True),
        ({"action": {"type": "Delete"}, "condition": {"age": 90, "matchesPrefix": ["closed/a"]}}, False),
        ({"action": {"type": "Delete"}, "condition": {"numNewerVersions": 3}}, False),
        ({"action": {"type": "Delete"}, "condition": {"age": 1, "isLive": False}}, False),
        ({"action": {"type": "SetStorageClass", "storageClass": "NEARLINE"}, "condition": {"age": 1}}, False),
        ({"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 1}}, False),
        (rule_of(LEDGER), False),
    ],
)
def test_a_rule_is_a_hazard_if_it_can_delete_a_record_that_is_needed(rule: dict[str, Any], takes: bool) -> None:
    """A rule that only deletes closed records, later than ours, or old versions is the owner's own business."""
    found = list(hazards.rules("ledger", "b", {"lifecycle": {"rule": [rule]}}))
    assert bool(found) == takes


def test_findings_with_a_common_cause_are_one() -> None:
    """The worst one stays in its place; causes that one finding joins are one; a finding without a cause stays."""
    explained = replace(failed("call", "failed", "fix", "call"), because=("nothing", "bucket"))
    findings = [
        unknown("rule", "no bucket", "", "bucket"),
        failed("alone", "x", "fix"),
        unknown("other", "also no bucket", "", "bucket", "topic"),
        warning("topic", "odd", "fix", "topic"),
        failed("bucket", "does not exist", "fix", "bucket"),
        ok("fine", "is there"),
        unknown("alone too", "y"),
        unknown("alone too", "y"),
        explained,
        unknown("of the call", "?", "", "call"),
        replace(warning("late", "late", "fix"), because=("call",)),
    ]
    once = by_cause(findings)
    assert [finding and finding.name for finding in once] == [
        None,
        "alone",
        None,
        "topic",
        "bucket",
        "fine",
        "alone too",
        "alone too",
        None,
        None,
        None,
    ]
    also = {finding.name: [each.name for each in finding.also] for finding in once if finding}
    assert also["bucket"] == ["rule", "other", "call", "of the call", "late"]
    assert also["topic"] == also["alone"] == []
