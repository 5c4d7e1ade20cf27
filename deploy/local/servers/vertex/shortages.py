"""Run out of machines on purpose, in a region and for a strategy, and say so as Google does."""

from enum import StrEnum
from typing import Any

from deploy.local.servers.vertex.errors import ApiError
from deploy.local.servers.vertex.messages import strategy_of
from deploy.local.servers.vertex.refusals import REFUSALS, TYPE, job_error


class Lack(StrEnum):
    """What there is too little of."""

    RATE = "rate"  # refused: too many calls a minute
    AMOUNT = "amount"  # refused: the project's quota of machines is used up
    ZERO = "zero"  # refused: the project's quota is nothing
    STOCKOUT = "stockout"  # accepted, and failed after a while without having run


class Shortages:
    """Hold what is lacking where, until it is there again."""

    def __init__(self) -> None:
        self._lacks: dict[tuple[str, str], Lack] = {}

    def begin(self, location: str, strategy: str, lack: Lack) -> None:
        """Let machines lack from now on."""
        self._lacks[location, strategy] = lack

    def end(self, location: str, strategy: str) -> None:
        """Let there be machines again."""
        self._lacks.pop((location, strategy), None)

    def check(self, parent: str, message: Any) -> None:
        """Raise ApiError (429) where a job cannot be accepted."""
        location = parent.rpartition("/")[2]
        match self._lacks.get((location, strategy_of(message))):
            case Lack.RATE:
                raise _quota(location, 60)
            case Lack.ZERO:
                raise _quota(location, 0)
            case Lack.AMOUNT:
                raise _amount()

    def stockout(self, parent: str, message: Any) -> str:
        """Return the error of a job for which no machines are found; empty where there are some."""
        location = parent.rpartition("/")[2]
        if self._lacks.get((location, strategy_of(message))) is not Lack.STOCKOUT:
            return ""
        return stockout(location)


def stockout(location: str) -> str:
    """Return the error of a job whose machines are not there, or are taken away, in the words of Google's page."""
    return job_error("region-insufficient", location)


def _quota(location: str, limit: int) -> ApiError:
    """Build what the quota of calls answers; its shape is that of every Google API, the limit's name is made up."""
    words = (
        "Quota exceeded for quota metric 'Job submission requests' and limit 'Job submission requests per minute per "
        "region' of service 'aiplatform.googleapis.com' for consumer 'project_number:123456789012'."
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
    """Build what a quota of machines answers: its details have nothing but DebugInfo."""
    words = REFUSALS["quota-metrics"].words
    debug = {
        "@type": f"{TYPE}DebugInfo",
        "detail": f"[ORIGINAL ERROR] generic::resource_exhausted: {words}",
    }
    return ApiError(429, "RESOURCE_EXHAUSTED", words, [debug])
