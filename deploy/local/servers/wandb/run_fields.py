"""The GraphQL fields of a run, and the URLs of its files."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from deploy.local.servers.wandb.errors import Refused
from deploy.local.servers.wandb.execution import Info
from deploy.local.servers.wandb.nodes import connection, project_node
from deploy.local.servers.wandb.runs import Run

HISTORY = "wandb-history.jsonl"
EVENTS = "wandb-events.jsonl"
LOG = "output.log"


def timestamp(seconds: float) -> str:
    """Format a time as W&B does: UTC, in seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def lines(run: Run, stream: str) -> list[str]:
    """Return the lines of a run's stream."""
    return run.streams.get(stream, [])


def rows(run: Run, stream: str = HISTORY) -> list[dict[str, Any]]:
    """Return the parsed lines of a stream of JSON objects."""
    return [json.loads(line, parse_constant=str) for line in lines(run, stream) if line]


def plain_config(run: Run) -> dict[str, Any]:
    """Return a run's config as its author wrote it, without W&B's own entry and wrapping."""
    return {
        key: held["value"] if isinstance(held, dict) and "value" in held else held
        for key, held in run.config.items()
        if key != "_wandb"
    }


def upload_url(base_url: str, run: Run, name: str) -> str:
    """Return the URL of a run's file, at the stand-in itself."""
    return f"{base_url}/storage/{quote(f'{run.entity}/{run.project}/{run.name}/{name}')}"


def _history_keys(run: Run, _: Info) -> dict[str, Any]:
    written = rows(run)
    keys = dict.fromkeys(key for row in written for key in row)
    return {
        "lastStep": written[-1].get("_step", 0) if written else -1,
        "keys": {key: {} for key in keys},
    }


def _history(
    run: Run, _: Info, min_step: int = 0, max_step: int | None = None, samples: int | None = None
) -> list[str]:
    wanted = [
        json.dumps(row)
        for row in rows(run)
        if min_step <= row.get("_step", 0) and (max_step is None or row.get("_step", 0) < max_step)
    ]
    return wanted[:samples]


def _parquet_history(run: Run, _: Info, live_keys: list[str]) -> dict[str, Any]:
    """Return the whole history as live data; nothing is exported to parquet."""
    chosen = [row for row in rows(run) if all(key in row for key in live_keys)]
    return {
        "parquet_urls": [],
        "live_data": [{key: row[key] for key in live_keys or row} for row in chosen],
    }


def _sampled_history(run: Run, _: Info, specs: list[str]) -> list[list[dict[str, Any]]]:
    answers = []
    for spec in map(json.loads, specs):
        keys = spec.get("keys")
        chosen = [row for row in rows(run) if not keys or all(key in row for key in keys)]
        answers.append(
            [{key: row[key] for key in keys or row} for row in chosen[: spec.get("samples", 500)]]
        )
    return answers


def _wandb_config(run: Run, _: Info, keys: list[str] | None = None) -> str:
    own = run.config.get("_wandb", {}).get("value", {})
    return json.dumps({key: own[key] for key in keys or own if key in own})


def _file(info: Info, run: Run, name: str) -> dict[str, Any]:
    asked = info.context
    url = upload_url(asked.base_url, run, name)
    return {
        "id": f"{run.id}/{name}",
        "name": name,
        "url": url,
        "direct_url": url,
        "upload_url": url,
        "size_bytes": len(run.files.get(name, b"")),
        "mimetype": None,
        "updated_at": timestamp(run.heartbeat_at),
        "md5": hashlib.md5(
            run.files.get(name, b""), usedforsecurity=False
        ).hexdigest(),  # W&B's own checksum
    }


def _files(run: Run, info: Info, names: list[str] | None = None, **_: Any) -> dict[str, Any]:
    found = [name for name in run.files if not names or name in names]
    return connection([_file(info, run, name) for name in found], len(found))


def create_run_files(_: None, info: Info, **arguments: Any) -> dict[str, Any]:
    """Return the upload URLs of a run's files."""
    asked = info.context
    given = arguments["input"]
    entity, project = (
        given.get("entity_name") or asked.state.entity,
        given.get("project_name") or "uncategorized",
    )
    run = asked.state.runs.get(entity, project, given["run_name"])
    if run is None:
        raise Refused(f"run {entity}/{project}/{given['run_name']} not found")
    return {
        "run_id": run.id,
        "upload_headers": [],
        "files": [_file(info, run, name) for name in given["files"]],
    }


def _tail(stream: str) -> Any:
    return lambda run, _: json.dumps(lines(run, stream)[-1:])


RUN_FIELDS: dict[str, Any] = {
    "displayName": lambda run, _: run.display_name or run.name,
    "config": lambda run, _: json.dumps(run.config),
    "wandbConfig": _wandb_config,
    "summaryMetrics": lambda run, _: json.dumps(run.summary),
    "systemMetrics": lambda run, _: json.dumps((rows(run, EVENTS) or [{}])[-1]),
    "readOnly": lambda *_: False,
    "exitcode": lambda run, _: run.exit_code,
    "shouldStop": lambda run, _: run.stopped,
    "failed": lambda run, _: run.state == "failed",
    "running": lambda run, _: run.state == "running",
    "createdAt": lambda run, _: timestamp(run.created_at),
    "heartbeatAt": lambda run, _: timestamp(run.heartbeat_at),
    "user": lambda run, _: {"id": run.user, "name": run.user, "username": run.user},
    "project": lambda run, info: project_node(info.context.state, run.entity, run.project),
    "projectId": lambda run, info: info.context.state.projects[run.entity, run.project],
    "historyLineCount": lambda run, _: len(lines(run, HISTORY)),
    "logLineCount": lambda run, _: len(lines(run, LOG)),
    "eventsLineCount": lambda run, _: len(lines(run, EVENTS)),
    "historyTail": _tail(HISTORY),
    "eventsTail": _tail(EVENTS),
    "historyKeys": _history_keys,
    "history": _history,
    "events": lambda run, _, samples=None: lines(run, EVENTS)[:samples],
    "parquetHistory": _parquet_history,
    "sampledHistory": _sampled_history,
    "fileCount": lambda run, _: len(run.files),
    "files": _files,
}
