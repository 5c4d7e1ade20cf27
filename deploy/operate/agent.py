"""`vertex-launch agent`: show, stop and start poll's agent in W&B."""

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from deploy.cloud.deployment import Deployment, deployment_options
from deploy.exit_codes import CouldNotSee
from shared.adapters.gcs import GcsAgentBook, GcsLedger
from shared.core.errors import Conflict, LaunchError, Retry
from shared.core.ports import AgentNote

LEASE = timedelta(seconds=60)  # more than this command needs
EVERY = 1.0  # seconds between two attempts to take the lease


@click.command()
@deployment_options
@click.option(
    "--bucket",
    envvar="LEDGER_BUCKET",
    default="",
    help="The ledger's bucket.  [default: PROJECT-NAME-ledger]",
)
@click.option(
    "--agent-name",
    envvar="LAUNCH_AGENT_NAME",
    default="",
    help="Name of the agent's record.  [default: NAME]",
)
@click.option(
    "--wait",
    default=180.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds to wait for a poll that is running.",
)
@click.argument("action", type=click.Choice(["show", "start", "stop"]), default="show")
def agent(deployment: Deployment, bucket: str, agent_name: str, wait: float, action: str) -> None:
    """Show, stop or start poll's agent in W&B.

    show: prints the agent, its queues and the result of poll's last call.

    stop: poll pops nothing more. status continues to watch running jobs.

    start: undoes `stop`, and "stop agent" on W&B's page. W&B cannot undo that for an agent, so
    poll registers another agent at its next call.

    Needs Storage Object User on the ledger's bucket.

    \b
    Example:
      vertex-launch agent stop --project=my-project --region=us-central1
    For the stack of `make up`:
      . .stack/env
      vertex-launch agent

    Exit codes: 1 if the record cannot be read or written; 4 if the bucket does not answer, or if
    a poll runs for longer than --wait.
    """  # noqa: D301 - \b is click's
    os.environ.setdefault("GOOGLE_CLOUD_PROJECT", deployment.project)  # for Google's client
    bucket = bucket or deployment.ledger_bucket
    book, clock = GcsAgentBook(bucket, agent_name or deployment.name), GcsLedger(bucket).now
    try:
        if action == "start":
            _change(book, clock, wait, agent_id="", stopped=False, failures=0)
            click.echo("Started: poll registers a new agent at its next call, within a minute.")
        elif action == "stop":
            _change(book, clock, wait, stopped=True)
            click.echo("Stopped: poll pops nothing more. `vertex-launch agent start` undoes it.")
        else:
            click.echo(_text(book.read()))
    except Retry as exc:
        raise CouldNotSee(str(exc)) from exc
    except LaunchError as exc:
        raise click.ClickException(str(exc)) from exc


def _change(
    book: GcsAgentBook,
    clock: Callable[[], datetime],
    wait: float,
    **changes: Any,
) -> None:
    """Change the note under its lease: a running poll would overwrite it."""
    holder, deadline = f"command-{uuid.uuid4().hex}", time.monotonic() + wait
    while True:
        now = clock()
        note = book.take(holder, now, now + LEASE)
        if note:
            try:
                book.write(replace(note, **changes, lease_until=None, why_not=""))
            except Conflict:
                note = None
        if note:
            return
        if time.monotonic() >= deadline:
            raise CouldNotSee(
                "a poll is running, or ended without releasing its lease, which lasts "
                "POLL_LEASE_SECONDS (150). Try again in three minutes, or with a longer --wait"
            )
        time.sleep(EVERY)


def _text(note: AgentNote | None) -> str:
    if note is None or not (note.agent_id or note.stopped):
        return "No agent: poll registers one at its next call."
    lines = [
        f"agent:     {note.agent_id or 'none'}",
        f"W&B:       {note.base_url or 'unknown'}",
        f"entity:    {note.entity or 'unknown'}",
        f"queues:    {', '.join(note.queues) or 'none'}",
    ]
    if note.missing:
        lines.append(f"missing:   {', '.join(note.missing)} (when the agent was registered)")
    polled = note.polled_at and f"{note.polled_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    lines.append(f"last call: {polled or 'unknown'}")
    if note.stopped:
        lines.append("state:     stopped; `vertex-launch agent start` lets it poll again")
    else:
        lines.append(f"state:     {note.why_not or 'polls'}")
    return "\n".join(lines)
