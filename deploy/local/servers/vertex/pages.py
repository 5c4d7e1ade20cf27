"""The pages for people: the jobs, and the log of a job, with secret variables redacted."""

import html
import json
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from deploy.local.servers.vertex.errors import not_found
from deploy.local.servers.vertex.messages import render
from deploy.local.servers.vertex.state import Job, VertexState
from shared.core.redaction import redacted, secrets_in

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Vertex AI stand-in</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.4 system-ui; margin: 2rem }}
td, th {{ text-align: left; padding: .3rem .8rem; vertical-align: top }}
tr:nth-child(even) {{ background: #8881 }}
</style>
<h1>Vertex AI stand-in: custom jobs</h1>{table}"""


def job_row(job: Job) -> dict[str, Any]:
    """Describe a job; values of variables with a secret's name are redacted."""
    spec = render(job.described(), numeric_enums=False)["jobSpec"]
    shown = ("name", "display_name", "labels", "state")
    moments = {
        name: m.isoformat() if (m := getattr(job, name)) else None
        for name in ("create_time", "end_time")
    }
    row = {name: getattr(job, name) for name in shown} | moments
    row |= {"error": job.shown_error, "job_spec": spec}
    described: dict[str, Any] = redacted(row, secrets_in(spec))
    return described


def _without_secrets(text: str, job: Job) -> str:
    return redacted(text, secrets_in(render(job.message, numeric_enums=False)["jobSpec"]))


def log_response(state: VertexState, number: str) -> Response:
    """Return the log of a job as text, without its secrets."""
    for job in state.jobs():
        if job.name.endswith(f"/{number}"):
            text = Path(job.log).read_text(encoding="utf-8", errors="replace") if job.log else ""
            return PlainTextResponse(
                _without_secrets(text, job) or "The job has printed nothing.\n"
            )
    return JSONResponse(not_found(number).body(), 404)


def page(state: VertexState) -> str:
    """Return the HTML page of the newest jobs."""
    rows = []
    for job in state.jobs()[:500]:
        number = job.name.rpartition("/")[2]
        link = f'<a href="/standin/jobs/{html.escape(number)}/log">{html.escape(number)}</a>'
        cells = [
            html.escape(_without_secrets(text, job))
            for text in (job.display_name, job.state, json.dumps(job.labels), job.shown_error)
        ]
        rows.append(
            f"<tr><td>{link}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        )
    head = "".join(
        f"<th>{name}</th>" for name in ("job (log)", "display name", "state", "labels", "error")
    )
    table = f"<table><tr>{head}</tr>{''.join(rows)}</table>"
    return PAGE.format(table=table if rows else "<p>No jobs yet.</p>")
