"""Cloud Logging's `entries:list`, for the output of jobs and builds.

The filter language is that of custom jobs' lists: comparisons joined by AND, OR, NOT and
parentheses, OR before AND. Cloud Logging searches words without a field everywhere; here they are
refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.local.servers.vertex.errors import invalid_argument
from deploy.local.servers.vertex.filters import COMPARE, Predicate, compile_filter
from deploy.local.servers.vertex.state import Job, VertexState

Entry = dict[str, Any]
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


def list_entries(entries: Iterable[Entry], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return one page of the requested entries; raise ApiError (400) for an invalid request."""
    matches = compile_filter(str(asked.get("filter", "")), _restrict)
    order = asked.get("orderBy", "timestamp asc")
    if order not in ("timestamp asc", "timestamp desc"):
        raise invalid_argument(
            f'Unknown order "{order}".', {"orderBy": "use timestamp asc or timestamp desc"}
        )
    projects = [str(name) for name in asked.get("resourceNames", ())]
    if not projects:
        raise invalid_argument("No resource names.", {"resourceNames": "at least one is required"})
    token = str(asked.get("pageToken", "") or 0)
    if not token.isdecimal():
        raise invalid_argument(
            "page_token does not come from an earlier answer.", {"pageToken": "unknown"}
        )
    found = [entry for entry in entries if _project(entry) in projects and matches(entry)]
    found.sort(
        key=lambda entry: (entry["timestamp"], entry["insertId"]), reverse=order.endswith("desc")
    )
    start, end = int(token), int(token) + int(asked.get("pageSize", 50))
    answer: dict[str, Any] = {"entries": found[start:end]} if found[start:end] else {}
    return answer | ({"nextPageToken": str(end)} if end < len(found) else {})


def entries_of_jobs(state: VertexState) -> Iterator[Entry]:
    """Yield the output of all jobs."""
    for job in state.jobs():
        yield from _job_entries(job)


def entries_of_builds(folder: Path | None, project: str) -> Iterator[Entry]:
    """Yield the lines of each `ID/log.txt` in a folder; the last line has the time of its file."""
    for log in sorted(folder.glob("*/log.txt")) if folder else ():
        build, lines = (
            log.parent.name,
            log.read_text(encoding="utf-8", errors="replace").splitlines(),
        )
        last = datetime.fromtimestamp(log.stat().st_mtime, UTC)
        for nth, line in enumerate(lines):
            yield {
                "logName": f"projects/{project}/logs/cloudbuild",
                "insertId": f"{build}-{nth:09d}",
                "resource": {"type": "build", "labels": {"build_id": build, "project_id": project}},
                "timestamp": _moment(last - timedelta(milliseconds=len(lines) - 1 - nth)),
                "severity": "INFO",
                "textPayload": line,
            }


def _project(entry: Entry) -> str:
    return str(entry["logName"]).partition("/logs/")[0]


def _restrict(field: str, sign: str, value: str) -> Predicate:
    """Return a comparison of an entry's field; severities have no order here."""
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


def _job_entries(job: Job) -> Iterator[Entry]:
    """Yield an entry for each line of a job's log, one millisecond apart."""
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
