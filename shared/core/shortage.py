"""What Vertex AI is short of: by the words of a refusal or of a job's error first, then by the details of a 429.

One table serves both, since they use the same words; each row names its source. Documented of the details: the reasons
of an ErrorInfo (google/api/error_reason.proto), QuotaFailure and RetryInfo (google/rpc/error_details.proto). Seen: a
`quota_limit_value` of "0" for a quota of zero.
"""

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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


class Cause(enum.StrEnum):
    """Why else a job failed, by the words of its error."""

    OWN = "OWN"  # the author's code ended with an exit code
    INTERNAL = "INTERNAL"  # Google's own failure


@dataclass(frozen=True, slots=True)
class Row:
    """What some words mean, and who has seen them where."""

    meaning: Shortage | Cause
    words: re.Pattern[str]
    source: str


def _row(meaning: Shortage | Cause, words: str, source: str) -> Row:
    return Row(meaning, re.compile(words, re.IGNORECASE | re.DOTALL), source)


# The first row that matches decides, for the answer 429 and for the error of a job alike.
TABLE = (
    _row(
        Cause.OWN,
        r"exited with a non-zero status",
        "documented: Vertex AI, Understand the training service; what the code printed is quoted after it",
    ),
    _row(
        Cause.INTERNAL,
        r"\binternal error occurred",
        "seen: Internal error occurred for the current attempt (google-research/t5x-on-vertex-ai#2)",
    ),
    _row(
        Shortage.ZERO,
        r"quota.{0,400}\blimit:?\s+(of\s+)?0(\.0+)?(?!\.?\d)",
        "seen: Quota 'X' exceeded. Limit: 0.0 in region us-central1",
    ),
    _row(
        Shortage.RATE,
        r"\bper[ -](second|minute|hour|day)|(?-i:Per(Second|Minute|Hour|Day))|\d/(s|min|h|d)/|\brate.?limit",
        "documented: Service Usage names the limits of a rate so; seen: Quota exceeded for quota metric … per minute",
    ),
    _row(
        Shortage.STOCKOUT,
        r"resources are insufficient in region|stockout|resource_pool_exhausted|does not have enough resources"
        r"|\bout of capacity|temporarily unavailable|try a different region",
        "documented: Vertex AI, Understand the training service, and Use Spot VMs; Compute Engine, Troubleshoot "
        "resource availability: ZONE_RESOURCE_POOL_EXHAUSTED(_WITH_DETAILS); seen: GCE_STOCKOUT",
    ),
    _row(
        Shortage.AMOUNT,
        r"quota metrics? exceed|quotas? (is|are|was|were) exceeded|\bquota '[^']*' exceeded|exceed(s|ed)? quota limit"
        r"|custom_?model_?training",
        "documented: The following quota metrics exceed quota limits: … (Vertex AI, Neural Architecture Search); seen: "
        "The following quotas are exceeded: CustomModelTrainingT4GPUsPerProjectPerRegion; Quota 'X' exceeded. "
        "Limit: 8.0",
    ),
)

_WEAK_AMOUNT = re.compile(
    r"quota exceeded|exceed(s|ed)? (the |your )?quota", re.IGNORECASE
)  # of calls, too
_RATE_LIMIT = re.compile(
    r"\bper (second|minute|hour|day)\b|Per(Second|Minute|Hour|Day)|\d/(s|min|h|d)/"
)
_ZERO = re.compile(r"0(\.0+)?")
_DURATION = re.compile(r"(\d{1,9}(?:\.\d+)?)s")


def meaning_of(said: str) -> Shortage | Cause | None:
    """Return what these words mean by the table; None where they are in no row."""
    return next((row.meaning for row in TABLE if row.words.search(said)), None)


def shortage_of(details: Sequence[Any], said: str) -> Shortage:
    """Return what a 429 means: by a limit of zero, by the words, by the reason and the limit that its details name.

    One that says nothing is taken for a passing one: it moves a launch to no other place.
    """
    info = next(_details(details, "ErrorInfo"), {})
    metadata = _mapping(info.get("metadata"))
    violations = [
        _mapping(one)
        for each in _details(details, "QuotaFailure")
        for one in _list(each.get("violations"))
    ]
    named = " ".join(str(value) for each in (metadata, *violations) for value in each.values())
    values = (metadata.get("quota_limit_value"), *(one.get("quotaValue") for one in violations))
    if any(_is_zero(value) for value in values):
        return Shortage.ZERO
    reason = str(info.get("reason", ""))
    by_words = meaning_of(said)
    if isinstance(by_words, Shortage) and not (
        by_words is Shortage.AMOUNT and _RATE_LIMIT.search(named)
    ):
        return by_words
    by_details = meaning_of(f"{reason} quota {named}")
    if by_details in (Shortage.ZERO, Shortage.STOCKOUT):
        return Shortage(by_details)
    if reason == "RATE_LIMIT_EXCEEDED" or _RATE_LIMIT.search(named):
        return Shortage.RATE
    if reason == "RESOURCE_QUOTA_EXCEEDED" or violations or _WEAK_AMOUNT.search(said):
        return Shortage.AMOUNT
    return Shortage.AMOUNT if by_details is Shortage.AMOUNT else Shortage.RATE


def shortage_of_job(error: str) -> Shortage | None:
    """Return what the error of a failed job says of its machines; None where it failed for another reason."""
    meaning = meaning_of(error)
    if isinstance(meaning, Shortage):
        # a registry has rates, too: only a quota's is Vertex AI's
        return None if meaning is Shortage.RATE and "quota" not in error.lower() else meaning
    return Shortage.AMOUNT if meaning is None and _WEAK_AMOUNT.search(error) else None


def is_own_failure(error: str) -> bool:
    """Tell whether a job failed because its author's code ended with an exit code."""
    return meaning_of(error) is Cause.OWN


def is_internal(error: str) -> bool:
    """Tell whether Google's own failure ended a job."""
    return meaning_of(error) is Cause.INTERNAL


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
    return (
        one
        for one in details
        if isinstance(one, dict) and str(one.get("@type")).endswith(f"google.rpc.{kind}")
    )


def _is_zero(value: object) -> bool:
    """Tell whether a limit is a quota of nothing: "0", "0.0" or 0, as REST and its clients write it."""
    return (
        not isinstance(value, bool)
        and isinstance(value, str | int | float)
        and bool(_ZERO.fullmatch(str(value)))
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
