"""A CustomJob as REST writes it: each field is read, and what cannot be read counts as absent."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.adapters.vertex.job import DEFAULT_FLEX_START_WAIT, NO_LIMIT, job_of
from shared.core.ports import Job

LABELS = {"launch_key": "k1", "launch_attempt": "2"}
ENV = [{"name": "DB_PASSWORD", "value": "hunter22"}, {"name": "LR", "value": "0.1"}]
RAW: dict[str, Any] = {
    "name": "projects/p/locations/r/customJobs/1",
    "labels": LABELS,
    "state": "JOB_STATE_FAILED",
    "createTime": "2026-01-01T00:00:01Z",
    "startTime": "2026-01-01T00:00:02Z",
    "updateTime": "2026-01-01T00:00:03Z",
    "endTime": "2026-01-01T00:00:04Z",
    "error": {"code": 3, "message": "hunter22 is wrong"},
    "jobSpec": {
        "workerPoolSpecs": [{}, {"containerSpec": {"env": ENV}}],
        "scheduling": {"strategy": "FLEX_START", "maxWaitDuration": "60s"},
    },
}


def second(number: int) -> datetime:
    """Return a second of the job's life."""
    return datetime(2026, 1, 1, 0, 0, number, tzinfo=UTC)


def read(**changed: Any) -> Job:
    """Return the job with these fields instead."""
    job = job_of({**RAW, **changed})
    assert job
    return job


def test_each_field_is_read() -> None:
    """An error is left without the values of the job's secret variables."""
    assert job_of(RAW) == Job(
        name=RAW["name"],
        key="k1",
        attempt=2,
        state="JOB_STATE_FAILED",
        created_at=second(1),
        started_at=second(2),
        updated_at=second(3),
        ended_at=second(4),
        error="[redacted] is wrong",
        max_wait=timedelta(minutes=1),
        secrets=frozenset({"hunter22"}),
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"name": None},
        {"name": 7},
        {"labels": None},
        {"labels": {"launch_key": "k1"}},
        {"labels": {"launch_attempt": "2"}},
        {"labels": {**LABELS, "launch_key": ""}},
        {"labels": {**LABELS, "launch_attempt": "two"}},
        {"labels": {**LABELS, "launch_attempt": "-1"}},
    ],
    ids=str,
)
def test_a_job_of_another_program_is_none(changed: dict[str, Any]) -> None:
    """One without our labels."""
    assert job_of({**RAW, **changed}) is None


@pytest.mark.parametrize(
    ("written", "state"),
    [
        (0, "JOB_STATE_UNSPECIFIED"),
        (1, "JOB_STATE_QUEUED"),
        (11, "JOB_STATE_PARTIALLY_SUCCEEDED"),
        (12, "JOB_STATE_12"),
        (-1, "JOB_STATE_-1"),
        ("JOB_STATE_NEW", "JOB_STATE_NEW"),
        ("", "JOB_STATE_UNSPECIFIED"),
        (None, "JOB_STATE_UNSPECIFIED"),
    ],
)
def test_a_state_is_a_name_or_a_number(written: object, state: str) -> None:
    """Servers write a state that they do not know as its number."""
    assert read(state=written).state == state


@pytest.mark.parametrize(
    ("state", "end", "ended_at"),
    [
        ("JOB_STATE_EXPIRED", None, second(3)),
        ("JOB_STATE_EXPIRED", "soon", second(3)),
        ("JOB_STATE_RUNNING", None, None),
        ("JOB_STATE_RUNNING", "2026-01-01T00:00:09", second(9)),
    ],
)
def test_a_job_without_an_end_ended_with_its_last_change(state: str, end: object, ended_at: datetime | None) -> None:
    """Vertex documents no end for each final state. A time without a zone is in UTC."""
    assert read(state=state, endTime=end).ended_at == ended_at


def test_a_job_without_a_creation_is_new() -> None:
    """Nothing is older than it by accident."""
    assert datetime.now(UTC) - read(createTime=None).created_at < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({"code": 3}, "error code 3"),
        ({"code": 0}, ""),
        ({"message": "m"}, "m"),
        ({"message": ""}, ""),
        (None, ""),
    ],
)
def test_an_error_is_its_message_or_else_its_code(error: object, text: str) -> None:
    """As Google writes errors."""
    assert read(error=error).error == text


@pytest.mark.parametrize(
    ("scheduling", "wait"),
    [
        ({"strategy": "FLEX_START", "maxWaitDuration": "1.5s"}, timedelta(seconds=1.5)),
        ({"strategy": 6, "maxWaitDuration": "60s"}, timedelta(minutes=1)),
        ({"strategy": "FLEX_START", "maxWaitDuration": "0s"}, NO_LIMIT),
        ({"strategy": "FLEX_START"}, DEFAULT_FLEX_START_WAIT),
        ({"strategy": "FLEX_START", "maxWaitDuration": "an hour"}, DEFAULT_FLEX_START_WAIT),
        ({"strategy": "FLEX_START", "maxWaitDuration": "1e300s"}, DEFAULT_FLEX_START_WAIT),
        ({"strategy": "SPOT", "maxWaitDuration": "60s"}, timedelta(0)),
        ({"maxWaitDuration": "60s"}, timedelta(0)),
        (None, timedelta(0)),
    ],
)
def test_only_flex_start_waits_on_purpose(scheduling: object, wait: timedelta) -> None:
    """Without a limit, with Vertex's default, or as long as the job says."""
    assert read(jobSpec={"scheduling": scheduling}).max_wait == wait
    assert (timedelta(hours=24), timedelta(days=3650)) == (DEFAULT_FLEX_START_WAIT, NO_LIMIT)
