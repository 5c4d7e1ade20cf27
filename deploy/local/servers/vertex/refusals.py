"""Google's refusals and job errors, word for word as people reported them, in one table each.

After a `Refusal.passing` a later call may succeed; chaos draws from those.
"""

from dataclasses import dataclass, field
from typing import Any

from deploy.local.servers.vertex.errors import ApiError, Detail, FrontendError

TYPE = "type.googleapis.com/google.rpc."


@dataclass(frozen=True)
class Refusal:
    """One answer to a create, with {location}, {project} and {service_account} to fill in."""

    name: str
    http_status: int
    code: str
    words: str
    passing: bool = True
    details: tuple[Detail, ...] = field(default=(), repr=False)
    page: bool = False  # the front end's HTML page instead of JSON

    def error(self, **values: str) -> ApiError:
        """Return the error to raise."""
        known = {
            "location": "us-central1",
            "project": "p",
            "service_account": "t@p.iam.gserviceaccount.com",
        }
        kind = FrontendError if self.page else ApiError
        return kind(self.http_status, self.code, self.words.format(**known | values), self.details)


def _info(reason: str, **metadata: str) -> dict[str, Any]:
    return {
        "@type": f"{TYPE}ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "aiplatform.googleapis.com", **metadata},
    }


_RATE = (
    "Quota exceeded for quota metric 'Job submission requests' and limit "
    "'Job submission requests per minute per region' of service 'aiplatform.googleapis.com' "
    "for consumer 'project_number:123456789012'."
)


def rate_details(creates_a_minute: int) -> tuple[Detail, ...]:
    """Return the details of a create beyond the quota of a minute."""
    quota = _info(
        "RATE_LIMIT_EXCEEDED",
        consumer="projects/123456789012",
        quota_metric="aiplatform.googleapis.com/job_submission_requests",
        quota_limit="JobSubmissionRequestsPerMinutePerProjectPerRegion",
        quota_limit_value=str(creates_a_minute),
        quota_unit="1/min/{project}/{region}",
    )
    return (quota, {"@type": f"{TYPE}RetryInfo", "retryDelay": "1s"})


_ACT_AS = (
    "You do not have permission to act as service_account: {service_account}. "
    "(or it may not exist)."
)
_DENIED = (
    "Permission 'aiplatform.customJobs.create' denied on resource "
    "'//aiplatform.googleapis.com/projects/{project}/locations/{location}' (or it may not exist)."
)
_METRICS = (
    "The following quota metrics exceed quota limits: "
    "aiplatform.googleapis.com/custom_model_training_cpus"
)
_AGENTS = (
    "Service agents are being provisioned "
    "(https://cloud.google.com/vertex-ai/docs/general/access-control#service-agents). "
    "Service agents are needed to access customer resources. Please try again in a few minutes."
)
_REGION = (
    "Resources are insufficient in region: {location}. "
    "Try a different region or use a different accelerator."
)
_CONSUMER = "Permission denied on resource project {project}."
_CONSUMER_DETAILS = (_info("CONSUMER_INVALID", consumer="projects/p"),)
_OTHER = (
    "The service is temporarily unavailable in {location} for this machine type. "
    "Please try a different region."
)

REFUSALS: dict[str, Refusal] = {
    refusal.name: refusal
    for refusal in (
        Refusal("act-as", 400, "INVALID_ARGUMENT", _ACT_AS),
        Refusal("agents-provisioned", 400, "FAILED_PRECONDITION", _AGENTS),
        Refusal("aborted", 409, "ABORTED", "The operation was aborted, please retry."),
        Refusal("denied", 403, "PERMISSION_DENIED", _DENIED),
        Refusal(
            "unauthenticated",
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials.",
        ),
        Refusal("rate", 429, "RESOURCE_EXHAUSTED", _RATE, details=rate_details(60)),
        Refusal("quota-metrics", 429, "RESOURCE_EXHAUSTED", _METRICS),
        Refusal(
            "quotas-exceeded",
            429,
            "RESOURCE_EXHAUSTED",
            "The following quotas are exceeded: CustomModelTrainingT4GPUsPerProjectPerRegion",
        ),
        Refusal(
            "quota-limit",
            429,
            "RESOURCE_EXHAUSTED",
            "Quota 'NVIDIA_T4_GPUS' exceeded. Limit: 8.0 in region {location}.",
        ),
        Refusal("region-insufficient", 429, "RESOURCE_EXHAUSTED", _REGION),
        Refusal("other-region", 429, "RESOURCE_EXHAUSTED", _OTHER),
        Refusal(
            "request-timeout",
            408,
            "",
            "Your client has taken too long to issue its request.",
            page=True,
        ),
        Refusal("internal", 500, "INTERNAL", "Internal error encountered."),
        Refusal("bad-gateway", 502, "", "The server encountered a temporary error.", page=True),
        Refusal("unavailable", 503, "UNAVAILABLE", "The service is currently unavailable."),
        Refusal(
            "deadline",
            504,
            "DEADLINE_EXCEEDED",
            "Deadline expired before operation could complete.",
        ),
        # a later call fails, too
        Refusal(
            "quota-zero",
            429,
            "RESOURCE_EXHAUSTED",
            "Quota 'NVIDIA_T4_GPUS' exceeded. Limit: 0.0 in region {location}.",
            passing=False,
        ),
        Refusal(
            "consumer-invalid",
            403,
            "PERMISSION_DENIED",
            _CONSUMER,
            passing=False,
            details=_CONSUMER_DETAILS,
        ),
        Refusal(
            "no-location",
            403,
            "PERMISSION_DENIED",
            "Permission denied on 'locations/{location}' (or it may not exist).",
            passing=False,
        ),
        Refusal(
            "no-custom-jobs",
            400,
            "INVALID_ARGUMENT",
            "CustomJob is not supported in location {location}.",
            passing=False,
        ),
    )
}

INTERNAL = "Internal error occurred for the current attempt."
JOB_ERRORS: dict[str, str] = {
    "internal": INTERNAL,
    "region-insufficient": _REGION,
    "stockout": "The job failed because of GCE_STOCKOUT in zone {location}-a.",
    "pool-exhausted": "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS: The zone '{location}-a' does not "
    "have enough resources available to fulfill the request.",
    "out-of-capacity": "{location} is currently out of capacity for the requested machine type.",
    "quota-metrics": _METRICS,
    "own-failure": "The replica workerpool0-0 exited with a non-zero status of 1. "
    "Termination reason: Error. To find out more about why your job exited please check the logs: "
    "Quota exceeded. STOCKOUT",
}
"""The errors that Vertex AI writes into a FAILED job."""


def job_error(name: str, location: str = "us-central1") -> str:
    """Return one of the job errors for a region."""
    return JOB_ERRORS[name].format(location=location)
