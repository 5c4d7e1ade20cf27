"""What jobs printed, as Cloud Logging lists it: `entries:list`, for the filters that are asked for a job's log."""

import operator
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.local.vertex_server.errors import invalid_argument
from deploy.local.vertex_server.state import Job, VertexState

_TERM = re.compile(r'(resource\.type|resource\.labels\.\w+|timestamp|severity)\s*(=|>=)\s*"?([^"\s]+)"?')
_COMPARE = {"=": operator.eq, ">=": operator.ge}


def list_entries(state: VertexState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return one page of the entries that a request asks for; raise ApiError (400) for what is not understood."""
    terms = [_term(text) for text in re.split(r"\s+AND\s+", str(asked.get("filter", "")).strip()) if text]
    order = asked.get("orderBy", "timestamp asc")
    if order not in ("timestamp asc", "timestamp desc"):
        raise invalid_argument(f'Unknown order "{order}".', {"orderBy": "it is timestamp asc or timestamp desc"})
    projects = [str(name) for name in asked.get("resourceNames", ())]
    if not projects:
        raise invalid_argument("No resource names.", {"resourceNames": "at least one is needed"})
    found = [
        entry
        for job in state.jobs()
        if job.parent.partition("/locations/")[0] in projects
        for entry in _entries(job)
        if all(_COMPARE[sign](_value(entry, field), value) for field, sign, value in terms)
    ]
    found.sort(key=lambda entry: (entry["timestamp"], entry["insertId"]), reverse=order.endswith("desc"))
    return {"entries": found[: int(asked.get("pageSize", 50))]} if found else {}


def _term(text: str) -> tuple[str, str, str]:
    term = _TERM.fullmatch(text.strip())
    if term is None:
        raise invalid_argument(f'Unparseable filter: "{text}".', {"filter": "only comparisons joined by AND"})
    field, sign, value = term.groups()
    return field, sign, _moment(datetime.fromisoformat(value)) if field == "timestamp" else value


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
