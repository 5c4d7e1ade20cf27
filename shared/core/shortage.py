"""What Vertex AI is short of: told by the details of Google's errors, by its words only where they have none.

Documented: the reasons of an ErrorInfo (google/api/error_reason.proto), QuotaFailure and RetryInfo
(google/rpc/error_details.proto); that a quota of machines is refused with the words "The following quota metrics exceed
quota limits: …" and no detail but DebugInfo (Vertex AI, "Set up your environment for Neural Architecture Search"); that
a job without machines fails with "Resources are insufficient in region: …" and one whose author's code fails with "…
exited with a non-zero status of …" (Vertex AI, "Understand the training service"); that a job whose Spot VMs are taken
away fails with a STOCKOUT error (Vertex AI, "Use Spot VMs with training").

Seen, not documented: `quota_limit_value` "0" and "limit: 0" of a quota of zero; the words of a quota of machines as the
error of a job that had been accepted.
"""

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any


class Shortage(enum.StrEnum):
    """What Vertex AI has too little of."""

    RATE = "RATE"  # calls a minute: a moment later there are new ones
    AMOUNT = "AMOUNT"  # the project's quota of machines: until others give theirs back
    STOCKOUT = "STOCKOUT"  # Google's own machines in a region
    ZERO = "ZERO"  # a quota of nothing at all: no waiting helps

    @property
    def holds(self) -> bool:
        """Tell whether what is asked for now in the same place would not run either."""
        return self is not Shortage.RATE


_STOCKOUT = re.compile(
    r"resources are insufficient in region|\bSTOCKOUT\b|RESOURCE_POOL_EXHAUSTED|does not have enough resources", re.I
)
_RATE = re.compile(r"\bper (second|minute|hour|day)\b|Per(Second|Minute|Hour|Day)|\d/(s|min|h|d)/|\brate.?limit", re.I)
_AMOUNT = re.compile(r"exceed quota limits|quota exceeded|custom_model_training", re.I)
_ZERO = re.compile(r"\blimit: 0(?![\d.])", re.I)
_OWN_FAILURE = "exited with a non-zero status"  # of the author's code, which is quoted after it and may say anything
_DURATION = re.compile(r"(\d{1,9}(?:\.\d+)?)s")


def shortage_of(details: Sequence[Any], said: str) -> Shortage:
    """Return what a 429 means. One that says nothing is taken for a passing one: it climbs no ladder."""
    info = next(_details(details, "ErrorInfo"), {})
    metadata = _mapping(info.get("metadata"))
    violations = [_mapping(one) for each in _details(details, "QuotaFailure") for one in _list(each.get("violations"))]
    named = " ".join(str(value) for each in (metadata, *violations) for value in each.values())
    words = named or said
    if "0" in (metadata.get("quota_limit_value"), *(one.get("quotaValue") for one in violations)):
        return Shortage.ZERO
    if _ZERO.search(words):
        return Shortage.ZERO
    reason = str(info.get("reason", ""))
    if reason == "RATE_LIMIT_EXCEEDED":
        return Shortage.RATE
    if reason == "RESOURCE_QUOTA_EXCEEDED":
        return Shortage.AMOUNT
    if _STOCKOUT.search(f"{reason} {said}"):
        return Shortage.STOCKOUT
    if not _RATE.search(words) and (violations or _AMOUNT.search(words)):
        return Shortage.AMOUNT
    return Shortage.RATE


def shortage_of_job(error: str) -> Shortage | None:
    """Return what the error of a failed job says of its machines; None where it failed for another reason."""
    if _OWN_FAILURE in error:
        return None
    if _STOCKOUT.search(error):
        return Shortage.STOCKOUT
    return Shortage.AMOUNT if "exceed quota limits" in error else None


def retry_delay(details: Sequence[Any]) -> timedelta:
    """Return how long Google asks to wait at least (RetryInfo)."""
    for detail in _details(details, "RetryInfo"):
        if delay := _DURATION.fullmatch(str(detail.get("retryDelay"))):
            return timedelta(seconds=float(delay[1]))
    return timedelta(0)


def quota_of(details: Sequence[Any]) -> str:
    """Return the quota that an error's details name, as Google's page of quotas lists it; empty where none is."""
    for detail in _details(details, "ErrorInfo"):
        if metric := _mapping(detail.get("metadata")).get("quota_metric"):
            return str(metric)
    for detail in _details(details, "QuotaFailure"):
        for violation in _list(detail.get("violations")):
            named = _mapping(violation)
            if metric := named.get("quotaMetric") or named.get("subject"):
                return str(metric)
    return ""


def _details(details: Sequence[Any], kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield the details of one type, as REST gives them: JSON objects that name it."""
    return (one for one in details if isinstance(one, dict) and str(one.get("@type")).endswith(f"google.rpc.{kind}"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
