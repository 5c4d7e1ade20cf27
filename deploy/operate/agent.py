"""`python -m deploy agent`: show poll's agent in W&B, stop it, and let it poll again."""

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click

from deploy.cloud.deployment import Deployment, deployment_options
from shared.adapters.gcs import GcsAgentBook, GcsLedger
from shared.core.errors import Conflict, LaunchError
from shared.core.ports import AgentNote

LEASE = timedelta(seconds=60)  # this command holds it for a moment
EVERY = 1.0  # seconds between two tries to take it


@click.command()
@deployment_options
@click.option(
    "--bucket",
    envvar="LEDGER_BUCKET",
    default="",
    help="Of the ledger.  [default: PROJECT-NAME-ledger]",
)
@click.option(
    "--agent-name",
    envvar="LAUNCH_AGENT_NAME",
    default="",
    help="Names the agent's record.  [default: NAME]",
)
@click.option(
    "--wait",
    default=180.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds to wait for a poll.",
)
@click.argument("action", type=click.Choice(["show", "start", "stop"]), default="show")
def agent(deployment: Deployment, bucket: str, agent_name: str, wait: float, action: str) -> None:
    """Show poll's agent in W&B, stop it, or let it poll again.

    show: prints the agent, its queues and what the last call of poll found.

    stop: poll pops nothing more. Jobs that run are still looked after.

    start: undoes `stop`, and "stop agent" on W&B's page. W&B has no way to take that back for an agent, so poll
    registers another one at its next call.

    The stack of `make up`: STORAGE_EMULATOR_HOST=http://127.0.0.1:7004, LEDGER_BUCKET=launch-ledger,
    LAUNCH_AGENT_NAME=vertex-launch, --project=local-project, --region=us-central1.

    Exit code 1 if the record cannot be read or written, or if a poll is at work for longer than --wait.
    """
    os.environ.setdefault(
        "GOOGLE_CLOUD_PROJECT", deployment.project
    )  # Google's client asks for one
    bucket = bucket or deployment.ledger_bucket
    book, clock = GcsAgentBook(bucket, agent_name or deployment.name), GcsLedger(bucket).now
    try:
        if action == "start":
            _change(
                book,
                clock,
                wait,
                lambda note: replace(note, agent_id="", stopped=False, failures=0),
            )
            click.echo("Poll registers a new agent at its next call, within a minute, and polls.")
        elif action == "stop":
            _change(book, clock, wait, lambda note: replace(note, stopped=True))
            click.echo("Stopped: poll pops nothing more. `python -m deploy agent start` undoes it.")
        else:
            click.echo(_shown(book.read()))
    except LaunchError as exc:
        raise click.ClickException(str(exc)) from exc


def _change(
    book: GcsAgentBook,
    clock: Callable[[], datetime],
    wait: float,
    change: Callable[[AgentNote], AgentNote],
) -> None:
    """Change the note while no poll is at work: poll would write its own over it."""
    holder, deadline = f"command-{uuid.uuid4().hex}", time.monotonic() + wait
    while True:
        now = clock()
        note = book.take(holder, now, now + LEASE)
        if note:
            try:
                book.write(replace(change(note), lease_until=None, why_not=""))
            except Conflict:
                note = None
        if note:
            return
        if time.monotonic() >= deadline:
            raise click.ClickException(
                "a poll is at work, or ended without giving its lease back, which lasts POLL_LEASE_SECONDS (150). "
                "Try again in three minutes, or with a longer --wait"
            )
        time.sleep(EVERY)


def _shown(note: AgentNote | None) -> str:
    if note is None or not (note.agent_id or note.stopped):
        return "No agent: poll registers one at its next call."
    lines = [f"agent:     {note.agent_id or 'none'}", f"W&B:       {note.base_url or 'unknown'}"]
    lines += [
        f"entity:    {note.entity or 'unknown'}",
        f"queues:    {', '.join(note.queues) or 'none'}",
    ]
    if note.missing:
        lines.append(f"missing:   {', '.join(note.missing)}, when the agent was registered")
    last = (
        f"{note.polled_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if note.polled_at else "unknown"
    )
    lines.append(f"last call: {last}")
    if note.stopped:
        lines.append("state:     stopped; `python -m deploy agent start` lets it poll again")
    else:
        lines.append(f"state:     {note.why_not or 'polls'}")
    return "\n".join(lines)
