"""Simulated shortages of machines by region and strategy, reported in Google's words."""

from enum import StrEnum
from typing import Any

from deploy.local.servers.vertex.errors import ApiError
from deploy.local.servers.vertex.messages import strategy_of
from deploy.local.servers.vertex.refusals import REFUSALS, TYPE, job_error


class Lack(StrEnum):
    """The kinds of shortage."""

    RATE = "rate"  # refused: too many calls per minute
    AMOUNT = "amount"  # refused: the project's quota of machines is used up
    ZERO = "zero"  # refused: the project's quota is zero
    STOCKOUT = "stockout"  # accepted, then failed without having run


class Shortages:
    """The current shortages."""

    def __init__(self) -> None:
        self._lacks: dict[tuple[str, str], Lack] = {}

    def begin(self, location: str, strategy: str, lack: Lack) -> None:
        """Begin a shortage."""
        self._lacks[location, strategy] = lack

    def end(self, location: str, strategy: str) -> None:
        """End a shortage."""
        self._lacks.pop((location, strategy), None)

    def check(self, parent: str, message: Any) -> None:
        """Raise ApiError (429) if a shortage refuses the job."""
        location = parent.rpartition("/")[2]
        match self._lacks.get((location, strategy_of(message))):
            case Lack.RATE:
                raise _quota(location, 60)
            case Lack.ZERO:
                raise _quota(location, 0)
            case Lack.AMOUNT:
                raise _amount()

    def stockout(self, parent: str, message: Any) -> str:
        """Return the error of a job without machines; empty if machines are available."""
        location = parent.rpartition("/")[2]
        if self._lacks.get((location, strategy_of(message))) is not Lack.STOCKOUT:
            return ""
        return stockout(location)


def stockout(location: str) -> str:
    """Return the error of a job without machines, in the words of Google's documentation."""
    return job_error("region-insufficient", location)


def _quota(location: str, limit: int) -> ApiError:
    """Return the refusal of the call quota, in the shape of every Google API.

    The name of the limit is invented.
    """
    words = (
        "Quota exceeded for quota metric 'Job submission requests' and limit "
        "'Job submission requests per minute per region' of service 'aiplatform.googleapis.com' "
        "for consumer 'project_number:123456789012'."
    )
    metadata = {
        "service": "aiplatform.googleapis.com",
        "consumer": "projects/123456789012",
        "quota_metric": "aiplatform.googleapis.com/job_submission_requests",
        "quota_limit": "JobSubmissionRequestsPerMinutePerProjectPerRegion",
        "quota_limit_value": str(limit),
        "quota_location": location,
        "quota_unit": "1/min/{project}/{region}",
    }
    info = {
        "@type": f"{TYPE}ErrorInfo",
        "reason": "RATE_LIMIT_EXCEEDED",
        "domain": "googleapis.com",
        "metadata": metadata,
    }
    return ApiError(
        429, "RESOURCE_EXHAUSTED", words, [info, {"@type": f"{TYPE}RetryInfo", "retryDelay": "21s"}]
    )


def _amount() -> ApiError:
    """Return the refusal of a machine quota, whose only detail is DebugInfo."""
    words = REFUSALS["quota-metrics"].words
    debug = {
        "@type": f"{TYPE}DebugInfo",
        "detail": f"[ORIGINAL ERROR] generic::resource_exhausted: {words}",
    }
    return ApiError(429, "RESOURCE_EXHAUSTED", words, [debug])
