"""Read a CustomJob as Vertex AI's REST interface writes it.

One odd value must not hide the other jobs of a page: what cannot be read counts as absent.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.core.asjson import as_list, as_mapping
from shared.core.jobstate import PHASES, phase_of
from shared.core.ports import Job
from shared.core.redaction import redacted, secrets_in

DEFAULT_FLEX_START_WAIT = timedelta(hours=24)  # Vertex's default for max_wait_duration
NO_LIMIT = timedelta(days=3650)  # a max_wait_duration of 0
FLEX_START = ("FLEX_START", 6)  # by name and number: servers write enums as either
_STATES = tuple(PHASES)  # in the order of their numbers


def job_of(raw: object) -> Job | None:
    """Read a CustomJob; None if another program wrote its labels."""
    job = as_mapping(raw)
    labels, name = as_mapping(job.get("labels")), job.get("name")
    key, attempt = labels.get("launch_key"), str(labels.get("launch_attempt", ""))
    if not (isinstance(name, str) and isinstance(key, str) and key and attempt.isdecimal()):
        return None
    state = _state(job.get("state"))
    updated = _time(job.get("updateTime"))
    # Vertex documents endTime for SUCCEEDED, FAILED and CANCELLED only
    end = _time(job.get("endTime")) or (updated if phase_of(state).ended else None)
    spec = as_mapping(job.get("jobSpec"))
    secrets = frozenset(_secrets(spec))
    return Job(
        name=name,
        key=key,
        attempt=int(attempt),
        state=state,
        created_at=_time(job.get("createTime")) or datetime.now(UTC),
        started_at=_time(job.get("startTime")),
        updated_at=updated,
        ended_at=end,
        error=redacted(_error_text(as_mapping(job.get("error"))), secrets),
        max_wait=_max_wait(as_mapping(spec.get("scheduling"))),
        secrets=secrets,
    )


def _state(value: object) -> str:
    """Return the name of a state; servers write one that they do not know as a number."""
    if isinstance(value, int):
        return _STATES[value] if 0 <= value < len(_STATES) else f"JOB_STATE_{value}"
    return value if isinstance(value, str) and value else _STATES[0]


def _time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _error_text(error: Mapping[str, Any]) -> str:
    """Return a job's error: its message, or else its code."""
    code = f"error code {error['code']}" if error.get("code") else ""
    return str(error.get("message") or code)


def _secrets(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield the secrets among a job's variables."""
    for pool in as_list(spec.get("workerPoolSpecs")):
        container = as_mapping(as_mapping(pool).get("containerSpec"))
        for variable in as_list(container.get("env")):
            yield from secrets_in(variable)


def _max_wait(scheduling: Mapping[str, Any]) -> timedelta:
    """Return how long a job may wait for machines; only Flex-start waits on purpose."""
    if scheduling.get("strategy") not in FLEX_START:
        return timedelta(0)
    try:
        wait = timedelta(seconds=float(str(scheduling["maxWaitDuration"]).removesuffix("s")))
    except (KeyError, ValueError, OverflowError):
        return DEFAULT_FLEX_START_WAIT
    return wait or NO_LIMIT
