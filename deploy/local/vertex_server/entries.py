"""What jobs printed, as Cloud Logging lists it: `entries:list`, for the filters that are asked for a job's log.

The filter language is that of custom jobs' lists: comparisons joined by AND, OR, NOT and parentheses, OR before AND.
Words without a field, which Cloud Logging searches everywhere, are refused.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.local.vertex_server.errors import invalid_argument
from deploy.local.vertex_server.filters import COMPARE, Predicate, compile_filter
from deploy.local.vertex_server.state import Job, VertexState

_FIELDS = (
    "logName",
    "insertId",
    "severity",
    "resource.type",
    "textPayload",
    "jsonPayload.",
    "resource.labels.",
    "labels.",
)


def list_entries(state: VertexState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return one page of the entries that a request asks for; raise ApiError (400) for what is not understood."""
    matches = compile_filter(str(asked.get("filter", "")), _restrict)
    order = asked.get("orderBy", "timestamp asc")
    if order not in ("timestamp asc", "timestamp desc"):
        raise invalid_argument(f'Unknown order "{order}".', {"orderBy": "it is timestamp asc or timestamp desc"})
    projects = [str(name) for name in asked.get("resourceNames", ())]
    if not projects:
        raise invalid_argument("No resource names.", {"resourceNames": "at least one is needed"})
    token = str(asked.get("pageToken", "") or 0)
    if not token.isdecimal():
        raise invalid_argument("page_token is not one of a former answer.", {"pageToken": "it is unknown"})
    found = [
        entry
        for job in state.jobs()
        if job.parent.partition("/locations/")[0] in projects
        for entry in _entries(job)
        if matches(entry)
    ]
    found.sort(key=lambda entry: (entry["timestamp"], entry["insertId"]), reverse=order.endswith("desc"))
    start, end = int(token), int(token) + int(asked.get("pageSize", 50))
    answer: dict[str, Any] = {"entries": found[start:end]} if found[start:end] else {}
    return answer | ({"nextPageToken": str(end)} if end < len(found) else {})


def _restrict(field: str, sign: str, value: str) -> Predicate:
    """Return a comparison of an entry's field; severities have an order of their own, which nobody asks for here."""
    if field == "timestamp" and sign != ":":
        moment, compare = _moment(datetime.fromisoformat(value)), COMPARE[sign]
        return lambda entry: compare(entry["timestamp"], moment)
    if not field.startswith(_FIELDS):
        raise ValueError(f'unknown field "{field}"')
    if sign == ":":
        return lambda entry: value.lower() in _value(entry, field).lower()
    if field == "severity" and sign not in ("=", "!="):
        raise ValueError(f'the operator "{sign}" is not supported for "severity"')
    compare = COMPARE[sign]
    return lambda entry: compare(_value(entry, field), value)


def _value(entry: Mapping[str, Any], field: str) -> str:
    value: Any = entry
    for step in field.split("."):
        value = value.get(step, {})
    return str(value)


def _entries(job: Job) -> Iterator[dict[str, Any]]:
    """Yield an entry for each line that a job's containers printed, a thousandth of a second apart."""
    if not job.log:
        return
    _, project, _, location, _, number = job.name.split("/")
    labels = {"job_id": number, "project_id": project, "task_name": "workerpool0-0"}
    lines = Path(job.log).read_text(encoding="utf-8", errors="replace").splitlines()
    for nth, line in enumerate(lines):
        yield {
            "logName": f"projects/{project}/logs/workerpool0-0",
            "insertId": f"{number}-{nth:09d}",
            "resource": {"type": "ml_job", "labels": labels},
            "labels": {"ml.googleapis.com/endpoint": location},
            "timestamp": _moment((job.start_time or job.create_time) + timedelta(milliseconds=nth)),
            "severity": "INFO",
            "jsonPayload": {"message": line, "levelname": "INFO"},
        }


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
