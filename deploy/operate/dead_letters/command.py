"""`vertex-launch dead-letters`: list messages that submit could not accept, replay or drop."""

import json
from collections.abc import Iterator
from dataclasses import replace

import click

from deploy.cloud.names import Names
from deploy.operate.dead_letters.dead_letter import DeadLetter
from deploy.operate.dead_letters.launch_state import Launches
from deploy.operate.dead_letters.queue import MAX_DEAD_LETTERS, DeadLetterQueue
from deploy.operate.fleet.target import Target, target_options
from deploy.operate.terminal import Terminal


@click.command("dead-letters")
@target_options
@click.option("--replay", is_flag=True, help="Publish dead letters again: all, or those you name.")
@click.option("--drop", is_flag=True, help="Delete the dead letters that you name, after asking.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="List as JSON.")
@click.option(
    "--wait",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0.5),
    help="Seconds to wait for more messages.",
)
@click.argument("message_ids", nargs=-1, metavar="[MESSAGE_ID]...")
def dead_letters(
    target: Target,
    message_ids: tuple[str, ...],
    replay: bool,
    drop: bool,
    yes: bool,
    as_json: bool,
    wait: float,
) -> None:
    """List the messages that submit could not accept, and publish them again.

    A message becomes a dead letter if it is invalid, or if the ledger was unreachable in all its
    deliveries. Without --replay and --drop the command changes nothing. It never shows a run spec.

    Fix the cause, then use --replay. The command looks up each launch in the ledger. A message
    stays if its launch has a job, has ended or is closed, or if submit would refuse it again; the
    output gives the reason. The command publishes every other message, then deletes the dead
    letter. A message that arrives twice still launches once. If the ledger has no record of a
    request, however old, submit looks for its job in Vertex AI before it creates one.

    Pub/Sub may not show messages that another reader holds; they return within a minute.

    Needs roles/pubsub.subscriber on the subscription NAME-dead-letters. --replay also needs
    roles/storage.objectViewer on the ledger's bucket and roles/pubsub.publisher on NAME-requests.

    \b
    Examples:
      vertex-launch dead-letters --project=my-project
      vertex-launch dead-letters --replay --project=my-project

    Exit codes: 1 if a message that you named does not exist or stays, or if a permission or a
    resource is missing; 4 if Pub/Sub or the ledger does not answer.
    """  # noqa: D301 - \b is click's
    named = frozenset(message_ids)
    if replay and drop:
        raise click.UsageError("--replay and --drop exclude each other: use one")
    if as_json and (replay or drop):
        raise click.UsageError("--json only lists: remove it, or --replay and --drop")
    if drop and not message_ids:
        raise click.UsageError("--drop needs the MESSAGE_ID of each dead letter to delete")
    if drop and not yes:
        click.confirm(f"Delete {_count(len(named))} for good?", abort=True)
    with DeadLetterQueue(Names(target.project, target.region, target.name), wait) as queue:
        if replay:
            settled = _replay(queue, Launches(target.bucket_name), named)
        elif drop:
            settled = _drop(queue, named)
        else:
            settled = _list(queue, named, as_json=as_json)
    if not queue.complete:
        click.echo(f"Stopped after {MAX_DEAD_LETTERS} messages; there may be more.", err=True)
    if left := [one for one in dict.fromkeys(message_ids) if one not in settled]:
        raise click.ClickException(f"not found, or not replayed: {', '.join(left)}")


def _selected(queue: DeadLetterQueue, named: frozenset[str]) -> Iterator[list[DeadLetter]]:
    """Yield the named dead letters, or all if none is named, page by page."""
    missing = set(named)
    for page in queue.pages():
        chosen = [letter for letter in page if letter.id in named or not named]
        missing -= {letter.id for letter in chosen}
        yield chosen
        if named and not missing:
            return


def _replay(queue: DeadLetterQueue, launches: Launches, named: frozenset[str]) -> set[str]:
    """Publish messages again, and delete their dead letters; return the ids of those."""
    replayed: set[str] = set()
    stay = 0
    for page in _selected(queue, named):
        published: list[DeadLetter] = []
        try:
            for letter in page:
                obstacle, state = letter.obstacle, ""
                if letter.kind:
                    launch = launches.state(letter.launch_key)
                    state = f": {launch.text}"
                    obstacle = f"{launch.text}. Drop it" if launch.done else ""
                if obstacle:
                    stay += 1
                    click.echo(f"  {letter.id} stays, {letter.description}: {obstacle}.")
                else:
                    queue.publish(letter)
                    published.append(letter)
                    click.echo(f"  {letter.id} is published again, {letter.description}{state}")
        finally:
            queue.acknowledge(published)
        replayed |= {letter.id for letter in published}
    click.echo(f"{_count(len(replayed))} replayed" + (f", {stay} left." if stay else "."))
    return replayed


def _drop(queue: DeadLetterQueue, named: frozenset[str]) -> set[str]:
    """Delete dead letters for good; return their ids."""
    dropped: set[str] = set()
    for page in _selected(queue, named):
        queue.acknowledge(page)
        for letter in page:
            click.echo(f"  {letter.id} is dropped, {letter.description}")
        dropped |= {letter.id for letter in page}
    click.echo(f"{_count(len(dropped))} dropped.")
    return dropped


def _list(queue: DeadLetterQueue, named: frozenset[str], *, as_json: bool) -> set[str]:
    """Print dead letters, without their contents; return their ids."""
    found = [replace(letter, content=b"") for page in _selected(queue, named) for letter in page]
    if as_json:
        click.echo(json.dumps([letter.document() for letter in found], indent=2))
    else:
        terminal = Terminal.here()
        for letter in sorted(found, key=lambda one: one.published):
            _show(terminal, letter)
        click.echo(f"{_count(len(found))}." if found else "No dead letters.")
    return {letter.id for letter in found}


def _show(terminal: Terminal, letter: DeadLetter) -> None:
    """Print a dead letter: its id, its time and its attempts, and below it what it is."""
    tried = f"{letter.attempts or '?'} times by {letter.subscription or '?'}"
    head = f"{letter.id}  {letter.published:%Y-%m-%d %H:%M:%S}  {tried}"
    if not terminal.live:
        click.echo(f"{head}  {letter.description}")
        return
    lines = (*terminal.folded(head, 2, first=0), *terminal.folded(letter.description, 2))
    click.echo("\n".join(lines))


def _count(number: int) -> str:
    return f"{number} dead letter{'' if number == 1 else 's'}"
