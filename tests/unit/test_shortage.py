"""Shortages of Vertex AI: a table of its messages and their class."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core import shortage
from shared.core.shortage import (
    Shortage,
    is_internal,
    is_own_failure,
    quota_of,
    rate_of,
    retry_delay,
    shortage_of,
    shortage_of_job,
)

TYPE = "type.googleapis.com/google.rpc."
CPUS = "aiplatform.googleapis.com/custom_model_training_cpus"
EXCEEDED = f"The following quota metrics exceed quota limits: {CPUS}"
STOCKOUT = "Resources are insufficient in region: us-central1. Try a different region or use a different accelerator."


def info(reason: str, **metadata: str) -> list[Any]:
    """Return the details with an ErrorInfo."""
    return [{"@type": f"{TYPE}ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": metadata}]


def failure(**violation: str) -> list[Any]:
    """Return the details with a QuotaFailure."""
    return [{"@type": f"{TYPE}QuotaFailure", "violations": [violation]}]


DEBUG = [{"@type": f"{TYPE}DebugInfo", "detail": f"[ORIGINAL ERROR] generic::resource_exhausted: {EXCEEDED}"}]

TABLE: list[tuple[str, list[Any], str, Shortage]] = [
    ("a quota of calls", info("RATE_LIMIT_EXCEEDED", quota_limit_value="60"), "Quota exceeded", Shortage.RATE),
    ("a quota of calls of nothing", info("RATE_LIMIT_EXCEEDED", quota_limit_value="0"), "Quota exceeded",
     Shortage.ZERO),
    ("a quota of machines, by its reason", info("RESOURCE_QUOTA_EXCEEDED"), "no", Shortage.AMOUNT),
    ("a quota of machines, by Vertex AI's words", DEBUG, EXCEEDED, Shortage.AMOUNT),
    ("a violation of a quota of machines", failure(quotaMetric=CPUS, quotaValue="42"), "no", Shortage.AMOUNT),
    ("a violation of a quota of nothing", failure(quotaMetric=CPUS, quotaValue="0"), "no", Shortage.ZERO),
    ("one that says so in its description", failure(subject=CPUS, description="Quota exceeded, limit: 0"), "no",
     Shortage.ZERO),
    ("a limit that only begins with 0", failure(subject=CPUS, description="Quota exceeded, limit: 0.5"), "no",
     Shortage.AMOUNT),
    ("a violation of a quota of calls", failure(quotaId="JobSubmissionRequestsPerMinutePerProjectPerRegion"), "no",
     Shortage.RATE),
    ("a stockout, by its reason", info("ZONE_RESOURCE_POOL_EXHAUSTED"), "no", Shortage.STOCKOUT),
    ("the words win over the reason", info("RATE_LIMIT_EXCEEDED"), STOCKOUT, Shortage.STOCKOUT),
    ("a limit of nothing wins over the words", info("RATE_LIMIT_EXCEEDED", quota_limit_value="0.0"), EXCEEDED,
     Shortage.ZERO),
    ("words of quotas without a rate", [],
     "The following quotas are exceeded: CustomModelTrainingT4GPUsPerProjectPerRegion", Shortage.AMOUNT),
    ("words of quotas with a rate", [], "The following quotas are exceeded: CustomJobRequestsPerMinutePerProject",
     Shortage.RATE),
    ("a rate that stands before the quota", [], "60 requests per minute: quota exceeded", Shortage.RATE),
    ("general words, and a limit by the minute", info("", quota_limit="RequestsPerMinutePerProject"),
     "Quota exceeded for aiplatform.googleapis.com/custom_jobs", Shortage.RATE),
    ("a limit of 0.0", [], "Quota 'NVIDIA_T4_GPUS' exceeded. Limit: 0.0 in region us-central1.", Shortage.ZERO),
    ("a limit of 8.0", [], "Quota 'NVIDIA_T4_GPUS' exceeded. Limit: 8.0 in region us-central1.", Shortage.AMOUNT),
    ("a limit of 0.05", [], "Quota 'X' exceeded. Limit: 0.05", Shortage.AMOUNT),
    ("words of a stockout", [], STOCKOUT, Shortage.STOCKOUT),
    ("words of a quota of calls", [], "Quota exceeded for quota metric 'a' and limit 'a per minute'", Shortage.RATE),
    ("words of a quota of machines", [], f"Quota exceeded: {CPUS}", Shortage.AMOUNT),
    ("words of a quota of nothing", [], f"Quota exceeded for metric: {CPUS}, limit: 0", Shortage.ZERO),
    ("any violation", failure(subject="x"), "no", Shortage.AMOUNT),
    ("general words", [], "You exceeded your quota", Shortage.AMOUNT),
    ("a limit of a number", [{"@type": f"{TYPE}QuotaFailure", "violations": [{"quotaValue": 0}]}], "no", Shortage.ZERO),
    ("a limit that is none", [{"@type": f"{TYPE}QuotaFailure", "violations": [{"quotaValue": False}]}], "no",
     Shortage.AMOUNT),
    ("the second violation", failure(subject="x") + failure(subject="y", quotaValue="0"), "no", Shortage.ZERO),
    ("nothing that says anything", [], "Too many requests", Shortage.RATE),
]  # fmt: skip


@pytest.mark.parametrize(("details", "message", "wanted"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_429_is_told_apart(details: list[Any], message: str, wanted: Shortage) -> None:
    """Its words count first."""
    assert shortage_of(details, message) is wanted


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (STOCKOUT, Shortage.STOCKOUT),
        ("STOCKOUT", Shortage.STOCKOUT),
        ("GCE_STOCKOUT", Shortage.STOCKOUT),
        ("ZONE_RESOURCE_POOL_EXHAUSTED", Shortage.STOCKOUT),
        ("code ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS: no", Shortage.STOCKOUT),
        ("The zone 'us-central1-a' does not have enough resources available", Shortage.STOCKOUT),
        ("We are out of capacity.", Shortage.STOCKOUT),
        ("A2 machines are temporarily unavailable", Shortage.STOCKOUT),
        ("Please try a different region", Shortage.STOCKOUT),
        (EXCEEDED, Shortage.AMOUNT),
        ("The following quotas are exceeded: CustomModelTrainingT4GPUsPerProjectPerRegion", Shortage.AMOUNT),
        ("Quota 'NVIDIA_T4_GPUS' exceeded. Limit: 8.0 in region us-central1.", Shortage.AMOUNT),
        ("Quota 'NVIDIA_T4_GPUS' exceeded. Limit: 0.0 in region us-central1.", Shortage.ZERO),
        ("Quota exceeded: 60 requests per minute", Shortage.RATE),
        ("You exceeded your quota", Shortage.AMOUNT),
        ("toomanyrequests: you have reached your pull rate limit", None),
        ("The replica workerpool0-0 exited with a non-zero status of 1.", None),
        (f"The replica workerpool0-0 exited with a non-zero status of 1. Termination log message: {STOCKOUT}", None),
        ("The replica workerpool0-0 ran out of memory and exited with a non-zero status of 137.", None),
        ("Internal error occurred for the current attempt", None),
        ("", None),
    ],
)
def test_the_error_of_a_job_is_its_machines_or_its_authors(error: str, wanted: Shortage | None) -> None:
    """The message also quotes output of the author's code, which means nothing."""
    assert shortage_of_job(error) is wanted


def test_google_s_own_failure_is_not_the_author_s() -> None:
    """Whatever an author's code prints, it is quoted after its exit code."""
    internal = "Internal error occurred for the current attempt."
    own = f"The replica workerpool0-0 exited with a non-zero status of 1. {internal}"
    assert (is_internal(internal), is_own_failure(internal)) == (True, False)
    assert (is_internal(own), is_own_failure(own)) == (False, True)


def test_each_row_names_its_source() -> None:
    """Documented, or seen."""
    assert all(row.source.startswith(("documented: ", "seen: ")) for row in shortage.TABLE)


@pytest.mark.parametrize(
    ("delay", "wanted"), [("21s", 21), ("1.5s", 1.5), ("soon", 0), ("-3s", 0), (None, 0), ("9" * 30 + "s", 0)]
)
def test_google_says_how_long_to_wait(delay: object, wanted: float) -> None:
    """As JSON writes a Duration."""
    assert retry_delay([{"@type": f"{TYPE}RetryInfo", "retryDelay": delay}]) == timedelta(seconds=wanted)


@pytest.mark.parametrize(
    ("limit", "unit", "value", "calls"),
    [
        ("RequestsPerMinutePerProject", "", "600", 600),
        ("Requests", "1/min/{project}", "60", 60),
        ("Requests", "1/day/{project}", "60", 0),
        ("RequestsPerMinute", "", "many", 0),
        ("RequestsPerMinute", "", "-5", 0),
        ("RequestsPerMinute", "", "1000001", 1_000_000),
        ("RequestsPerMinute", "", "9" * 5000, 1_000_000),
        ("", "", "60", 0),
    ],
)
def test_the_calls_a_minute_that_a_refusal_names(limit: str, unit: str, value: str, calls: int) -> None:
    """At most a million; of the first detail that names some."""
    named = info("RATE_LIMIT_EXCEEDED", quota_limit=limit, quota_unit=unit, quota_limit_value=value)
    assert rate_of(named) == calls
    assert rate_of([*DEBUG, *info("x"), *named, *info("x", quota_limit="PerMinute", quota_limit_value="7")]) == (
        calls or 7
    )


def test_the_quota_has_a_name() -> None:
    """If the details have one."""
    named = info("RATE_LIMIT_EXCEEDED", quota_metric=CPUS)
    assert [quota_of(each) for each in (named, failure(quotaMetric=CPUS), failure(subject=CPUS), DEBUG)] == [
        CPUS
    ] * 3 + [""]


ODD = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["@type", "metadata", "violations", "reason", "quotaValue", "retryDelay"]),
            inner | st.sampled_from([f"{TYPE}{kind}" for kind in ("ErrorInfo", "QuotaFailure", "RetryInfo")]),
        )
    ),
)


@given(st.lists(ODD, max_size=4), st.text())
def test_no_answer_is_too_odd(details: list[Any], message: str) -> None:
    """It is read, whatever its shape."""
    assert shortage_of(details, message) in Shortage
    assert shortage_of_job(message) in (None, *Shortage)
    assert retry_delay(details) >= timedelta(0)
    assert isinstance(quota_of(details), str)
