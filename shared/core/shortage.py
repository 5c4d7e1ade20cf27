"""What Vertex AI lacks: by the words of a refusal or of a job's error, then by a 429's details.

One table serves both, because they use the same words; each row names its source. Sources for the
details: the reasons of an ErrorInfo (google/api/error_reason.proto), QuotaFailure and RetryInfo
(google/rpc/error_details.proto). Seen: a `quota_limit_value` of "0" for a quota of zero.
"""

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.core.asjson import as_list, as_mapping


class Shortage(enum.StrEnum):
    """A resource that Vertex AI lacks."""

    RATE = "RATE"  # calls a minute: soon free again
    AMOUNT = "AMOUNT"  # the project's quota of machines: free when other jobs end
    STOCKOUT = "STOCKOUT"  # Google's own machines in a region
    ZERO = "ZERO"  # a quota of zero: waiting does not help

    @property
    def holds(self) -> bool:
        """Tell whether another job in the same place would find no capacity either."""
        return self is not Shortage.RATE


class Cause(enum.StrEnum):
    """Another reason of a failed job, by the words of its error."""

    OWN = "OWN"  # the author's code failed with an exit code
    INTERNAL = "INTERNAL"  # Google's own failure


@dataclass(frozen=True, slots=True)
class Row:
    """The meaning of some words, and the source of that meaning."""

    meaning: Shortage | Cause
    words: re.Pattern[str]
    source: str


def _row(meaning: Shortage | Cause, words: str, source: str) -> Row:
    return Row(meaning, re.compile(words, re.IGNORECASE | re.DOTALL), source)


# The first matching row decides, for a 429 and for the error of a job.
TABLE = (
    _row(
        Cause.OWN,
        r"exited with a non-zero status",
        "documented: Vertex AI, Understand the training service",
    ),
    _row(
        Cause.INTERNAL,
        r"\binternal error occurred",
        "seen: Internal error occurred for the current attempt "
        "(google-research/t5x-on-vertex-ai#2)",
    ),
    _row(
        Shortage.ZERO,
        r"quota.{0,400}\blimit:?\s+(of\s+)?0(\.0+)?(?!\.?\d)",
        "seen: Quota 'X' exceeded. Limit: 0.0 in region us-central1",
    ),
    _row(
        Shortage.RATE,
        r"\bper[ -](second|minute|hour|day)|(?-i:Per(Second|Minute|Hour|Day))|\d/(s|min|h|d)/"
        r"|\brate.?limit",
        "documented: Service Usage, names of rate limits; "
        "seen: Quota exceeded for quota metric … per minute",
    ),
    _row(
        Shortage.STOCKOUT,
        r"resources are insufficient in region|stockout|resource_pool_exhausted"
        r"|does not have enough resources|\bout of capacity|temporarily unavailable"
        r"|try a different region",
        "documented: Vertex AI, Understand the training service, and Use Spot VMs; "
        "Compute Engine, Troubleshoot resource availability: "
        "ZONE_RESOURCE_POOL_EXHAUSTED(_WITH_DETAILS); seen: GCE_STOCKOUT",
    ),
    _row(
        Shortage.AMOUNT,
        r"quota metrics? exceed|quotas? (is|are|was|were) exceeded|\bquota '[^']*' exceeded"
        r"|exceed(s|ed)? quota limit|custom_?model_?training",
        "documented: The following quota metrics exceed quota limits: … (Vertex AI, Neural "
        "Architecture Search); seen: The following quotas are exceeded: "
        "CustomModelTrainingT4GPUsPerProjectPerRegion; Quota 'X' exceeded. Limit: 8.0",
    ),
)

# these words also appear for quotas of calls
_WEAK_AMOUNT = re.compile(r"quota exceeded|exceed(s|ed)? (the |your )?quota", re.IGNORECASE)
_RATE_LIMIT = re.compile(
    r"\bper (second|minute|hour|day)\b|Per(Second|Minute|Hour|Day)|\d/(s|min|h|d)/"
)
_PER_MINUTE = re.compile(r"PerMinute|\d/min\b")
_MOST = 1_000_000  # calls a minute
_ZERO = re.compile(r"0(\.0+)?")
LONGEST_DELAY = 86_400  # seconds; an odd answer must not hold a launch for years
_DURATION = re.compile(r"(\d{1,9}(?:\.\d+)?)s")


def meaning_of(text: str) -> Shortage | Cause | None:
    """Return the meaning of the first matching row, or None."""
    return next((row.meaning for row in TABLE if row.words.search(text)), None)


def shortage_of(details: Sequence[Any], message: str) -> Shortage:
    """Return what a 429 means: by a limit of zero, by its words, by its details.

    Without any of these it counts as RATE, which moves a launch to no other place.
    """
    info = next(_details(details, "ErrorInfo"), {})
    metadata = as_mapping(info.get("metadata"))
    violations = [
        as_mapping(one)
        for each in _details(details, "QuotaFailure")
        for one in as_list(each.get("violations"))
    ]
    named = " ".join(str(value) for each in (metadata, *violations) for value in each.values())
    values = (metadata.get("quota_limit_value"), *(one.get("quotaValue") for one in violations))
    if any(_is_zero(value) for value in values):
        return Shortage.ZERO
    reason = str(info.get("reason", ""))
    by_words = meaning_of(message)
    if isinstance(by_words, Shortage) and not (
        by_words is Shortage.AMOUNT and _RATE_LIMIT.search(named)
    ):
        return by_words
    by_details = meaning_of(f"{reason} quota {named}")
    if by_details in (Shortage.ZERO, Shortage.STOCKOUT):
        return Shortage(by_details)
    if reason == "RATE_LIMIT_EXCEEDED" or _RATE_LIMIT.search(named):
        return Shortage.RATE
    if reason == "RESOURCE_QUOTA_EXCEEDED" or violations or _WEAK_AMOUNT.search(message):
        return Shortage.AMOUNT
    return Shortage.AMOUNT if by_details is Shortage.AMOUNT else Shortage.RATE


def shortage_of_job(error: str) -> Shortage | None:
    """Return the shortage that ended a job; None if it failed for another reason."""
    meaning = meaning_of(error)
    if isinstance(meaning, Shortage):
        # a registry has rate limits too; only Vertex AI's mention a quota
        return None if meaning is Shortage.RATE and "quota" not in error.lower() else meaning
    return Shortage.AMOUNT if meaning is None and _WEAK_AMOUNT.search(error) else None


def is_own_failure(error: str) -> bool:
    """Tell whether the author's code failed with an exit code."""
    return meaning_of(error) is Cause.OWN


def is_internal(error: str) -> bool:
    """Tell whether an internal error of Google's ended a job."""
    return meaning_of(error) is Cause.INTERNAL


def retry_delay(details: Sequence[Any]) -> timedelta:
    """Return the least wait that Google asks for (RetryInfo), at most a day."""
    for detail in _details(details, "RetryInfo"):
        if delay := _DURATION.fullmatch(str(detail.get("retryDelay"))):
            return timedelta(seconds=min(float(delay[1]), LONGEST_DELAY))
    return timedelta(0)


def rate_of(details: Sequence[Any]) -> int:
    """Return the calls a minute that an error's details name as the limit; 0 without one."""
    for detail in _details(details, "ErrorInfo"):
        metadata = as_mapping(detail.get("metadata"))
        named = f"{metadata.get('quota_limit')} {metadata.get('quota_unit')}"
        value = str(metadata.get("quota_limit_value"))
        if _PER_MINUTE.search(named) and value.isdecimal():
            return min(int(value[:9]), _MOST)
    return 0


def quota_of(details: Sequence[Any]) -> str:
    """Return the quota that an error's details name, as Google's quota page lists it, or empty."""
    for detail in _details(details, "ErrorInfo"):
        if metric := as_mapping(detail.get("metadata")).get("quota_metric"):
            return str(metric)
    for detail in _details(details, "QuotaFailure"):
        for violation in as_list(detail.get("violations")):
            named = as_mapping(violation)
            if metric := named.get("quotaMetric") or named.get("subject"):
                return str(metric)
    return ""


def _details(details: Sequence[Any], kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield the details of one type, as REST gives them: JSON objects with `@type`."""
    return (
        one
        for one in details
        if isinstance(one, dict) and str(one.get("@type")).endswith(f"google.rpc.{kind}")
    )


def _is_zero(value: object) -> bool:
    """Tell whether a limit is zero: "0", "0.0" or 0, as REST and its clients write it."""
    return bool(_ZERO.fullmatch(str(value)))
