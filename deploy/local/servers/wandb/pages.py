"""The pages for people: queues with their items, agents and runs."""

import html
import json
from collections.abc import Iterable
from typing import Any

from deploy.local.servers.wandb.queues import Item, RunQueue
from deploy.local.servers.wandb.run_fields import LOG, lines, plain_config, rows, timestamp
from deploy.local.servers.wandb.runs import Run
from deploy.local.servers.wandb.state import State
from shared.core.redaction import hiding, redacted, secrets_in

STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin-bottom: 2rem }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem }
th, td { border-bottom: 1px solid #8884 }
pre { background: #8881; padding: .6rem; overflow: auto; margin: .3rem 0 }
.FAILED, .failed, .crashed, .killed { color: #b00020 }
.finished { color: #0a7d33 } .warning { color: #8a5a00 }
"""


def page(state: State, path: str) -> str:
    """Return the page of a path: a run, a project, or the overview."""
    match path.strip("/").split("/"):
        case [entity, project, "runs", name, *_] if run := state.runs.get(entity, project, name):
            return _whole(
                f"Run {run.name}", '<p><a href="/">All queues and runs</a></p>' + _run(run)
            )
        case [_, _, "runs", name, *_]:
            return _whole(
                "Run not found",
                f'<p>No run is named {_text(name)}. <a href="/">All queues and runs</a></p>',
            )
        case [entity, project] if (entity, project) in state.projects:
            runs = _runs(state.runs.in_project(entity, project))
            return _whole(
                f"{entity}/{project}", '<p><a href="/">All queues and runs</a></p>' + runs
            )
    return _whole("W&B stand-in", _overview(state))


def _overview(state: State) -> str:
    state.queues.end_leases()
    queues = (
        "".join(_queue(state, queue) for queue in state.queues.by_path.values())
        or "<p>No queues yet.</p>"
    )
    agents = _table(
        ("agent", "queues", "host", "status", "heartbeat"),
        (
            (
                _text(agent.name),
                _text(
                    ", ".join(
                        queue.name for queue in map(state.queues.by_id, agent.run_queues) if queue
                    )
                ),
                _text(agent.hostname),
                _text("asked to stop polling" if agent.stop_polling else agent.agent_status),
                _text(timestamp(agent.heartbeat_at)),
            )
            for agent in state.agents.by_id.values()
        ),
    )
    return f"<h2>Queues</h2>{queues}<h2>Agents</h2>{agents}<h2>Runs</h2>{_runs(state.runs.all())}"


def _queue(state: State, queue: RunQueue) -> str:
    rows_ = []
    for item in reversed(queue.items.values()):
        with hiding(secrets_in(item.run_spec)):
            rows_.append(_item(state, queue, item))
    config = queue.resource_config
    resource = f"<small>{_text(config.resource)}</small>"
    title = f"<h3>{_text(queue.entity)} / {_text(queue.name)} {resource}</h3>"
    shown = f"<summary>resource config</summary>{_json(config.config)}"
    table = _table(("job and run spec", "item", "run"), rows_)
    return f"{title}<details>{shown}</details>{table}"


def _item(state: State, queue: RunQueue, item: Item) -> tuple[str, ...]:
    run_name = item.associated_run_id or ""
    spec = item.run_spec
    where = (spec.get("entity") or queue.entity, spec.get("project") or "")
    path = f"/{where[0]}/{where[1]}/runs/{run_name}"
    spellings = (str(where[1]), str(where[1]).lower())  # only a sweep's run keeps its capitals
    runs = (state.runs.get(str(where[0]), spelling, run_name) for spelling in spellings)
    run = next(filter(None, runs), None)
    run_state = f" {_span(run.state)}" if run else ""
    notes = [
        f'<div class="{kind}">{_text(report["stage"])}: {_text(report["message"])}</div>'
        for kind, report in (("FAILED", item.error), ("warning", item.warning))
        if report
    ]
    name = _text(spec.get("name") or run_name or "no name yet")
    shown = f"item {_text(item.id)}{_json(spec)}"
    return (
        f"<details><summary>{name}</summary>{shown}</details>",
        _span(item.state) + "".join(notes),
        f'<a href="{_text(path)}">{_text(run_name)}</a>{run_state}' if run_name else "",
    )


def _runs(runs: list[Run]) -> str:
    return _table(
        ("run", "name", "state", "exit code", "created", "summary"),
        (
            (
                _run_link(run),
                _text(run.display_name or ""),
                _state(run),
                _text("" if run.exit_code is None else run.exit_code),
                _text(timestamp(run.created_at)),
                _text(
                    json.dumps(
                        {
                            key: value
                            for key, value in run.summary.items()
                            if not key.startswith("_")
                        }
                    )[:200]
                ),
            )
            for run in reversed(runs)
        ),
    )


def _run(run: Run) -> str:
    facts = [
        ("path", _text(_path(run))),
        ("name", _text(run.display_name or run.name)),
        ("state", _state(run)),
        ("created", _text(timestamp(run.created_at))),
        ("heartbeat", _text(timestamp(run.heartbeat_at))),
        ("exit code", _text("" if run.exit_code is None else run.exit_code)),
        ("config", _json(plain_config(run))),
        ("summary", _json(run.summary)),
        ("files", _text(", ".join(run.files))),
    ]
    history = _text("\n".join(json.dumps(row) for row in rows(run)[-100:]))
    log = _text("\n".join(lines(run, LOG)[-200:]))
    return (
        _table(("", ""), facts)
        + f"<h2>History</h2><pre>{history}</pre><h2>Log</h2><pre>{log}</pre>"
    )


def _state(run: Run) -> str:
    asked = " (stop requested)" if run.stopped else ""
    return _span(run.state) + asked


def _span(state: str) -> str:
    return f'<span class="{_text(state)}">{_text(state)}</span>'


def _run_link(run: Run) -> str:
    label = f"{run.entity}/{run.project}/{run.name}"
    return f'<a href="{_text(_path(run))}">{_text(label)}</a>'


def _path(run: Run) -> str:
    return f"/{run.entity}/{run.project}/runs/{run.name}"


def _table(heads: tuple[str, ...], rows_: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows_)
    return f"<table><tr>{head}</tr>{body}</table>" if body else "<p>None yet.</p>"


def _whole(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{_text(title)}</title><style>{STYLE}</style>"
        f"<h1>{_text(title)}</h1>{body}</html>"
    )


def _json(value: Any) -> str:
    return f"<pre>{_text(json.dumps(redacted(value), indent=2))}</pre>"


def _text(value: Any) -> str:
    """Return a text as HTML, without secrets; every cell of every page passes here."""
    return html.escape(redacted(str(value)))
