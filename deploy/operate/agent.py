"""`vertex-launch agent`: show, stop and start poll's agent in W&B."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any

import click

from deploy.operate.fleet.target import Target, changing_options
from deploy.operate.plain import plain
from deploy.operate.steering.agent_note import change_note, replace_agent
from shared.core.ports import AgentNote


@click.command()
@changing_options
@click.option(
    "--wait",
    default=180.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds for which `start` waits for a poll that is running.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the agent as JSON.")
@click.argument("action", type=click.Choice(["show", "start", "stop"]), default="show")
def agent(target: Target, wait: float, as_json: bool, action: str) -> None:
    """Show, stop or start poll's agent in W&B.

    show: prints the agent, its queues and the result of poll's last call.

    stop: poll pops nothing more. status continues to watch running jobs. To hold back launches
    that wait, use `vertex-launch pause`.

    start: undoes `stop`, and "stop agent" on W&B's page. W&B cannot undo that for an agent, so
    poll registers another agent at its next call.

    Needs roles/storage.objectUser on the ledger's bucket; `show` needs roles/storage.objectViewer.

    \b
    Examples:
      vertex-launch agent --project=my-project
      vertex-launch agent stop --project=my-project

    Exit codes: 1 if the record cannot be read or written; 4 if the bucket does not answer, or if
    a poll runs for longer than `start` waits.
    """  # noqa: D301 - \b is click's
    if action == "start":
        replace_agent(
            target,
            wait,
            lambda note: replace(note, agent_id="", stopped=False, failures=0, why_not=""),
        )
        text = "Started: poll registers a new agent at its next call, within a minute."
    elif action == "stop":
        change_note(target, lambda note: replace(note, stopped=True))
        text = "Stopped: poll pops nothing more. `vertex-launch agent start` undoes it."
    else:
        text = "" if as_json else _text(target.book.read())
    click.echo(json.dumps(_document(target.book.read()), indent=2) if as_json else text)


def _document(note: AgentNote | None) -> Mapping[str, Any]:
    note = note or AgentNote("")
    return {
        "agent": note.agent_id or None,
        "wandb": note.base_url or None,
        "entity": note.entity or None,
        "queues": list(note.queues),
        "missing": list(note.missing),
        "paused": [
            {"queue": pause.queue or None, "by": pause.by, "at": pause.at.isoformat()}
            for pause in note.paused
        ],
        "last_call": note.polled_at.isoformat() if note.polled_at else None,
        "stopped": note.stopped,
        "why_not": note.why_not or None,
    }


def _text(note: AgentNote | None) -> str:
    if note is None or not (note.agent_id or note.stopped or note.paused):
        return "No agent: poll registers one at its next call."
    lines = [
        f"agent:     {plain(note.agent_id) or 'none'}",
        f"W&B:       {plain(note.base_url) or 'unknown'}",
        f"entity:    {plain(note.entity) or 'unknown'}",
        f"queues:    {plain(', '.join(note.queues)) or 'none'}",
    ]
    if note.missing:
        missing = plain(", ".join(note.missing))
        lines.append(f"missing:   {missing} (when the agent was registered)")
    lines += [
        f"paused:    {plain(pause.queue) or 'all queues'}, {plain(pause)}" for pause in note.paused
    ]
    polled = note.polled_at and f"{note.polled_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    lines.append(f"last call: {polled or 'unknown'}")
    if note.stopped:
        lines.append("state:     stopped; `vertex-launch agent start` lets it poll again")
    else:
        lines.append(f"state:     {plain(note.why_not) or 'polls'}")
    return "\n".join(lines)
