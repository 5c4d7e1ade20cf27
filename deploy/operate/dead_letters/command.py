"""`python -m deploy dead-letters`: list what submit could not take, and replay or drop it."""

import json
from collections.abc import Iterator
from dataclasses import replace

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.cloud.deployment import Deployment, deployment_options
from deploy.operate.dead_letters.letter import DeadLetter
from deploy.operate.dead_letters.queue import MOST, DeadLetterBox
from deploy.operate.dead_letters.standing import Launches


@click.command("dead-letters")
@deployment_options
@click.option("--replay", is_flag=True, help="Publish them again: all that can be, or those named.")
@click.option("--drop", is_flag=True, help="Delete those named for good, after asking.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="List as JSON.")
@click.option(
    "--wait",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0.5),
    help="Seconds to wait for more.",
)
@click.option(
    "--ledger", envvar="LEDGER_BUCKET", help="Its bucket.  [default: PROJECT-NAME-ledger]"
)
@click.argument("message_ids", nargs=-1, metavar="[MESSAGE_ID]...")
def dead_letters(
    deployment: Deployment,
    message_ids: tuple[str, ...],
    replay: bool,
    drop: bool,
    yes: bool,
    as_json: bool,
    wait: float,
    ledger: str | None,
) -> None:
    """List what submit could not take, and put it on its way again.

    A message ends here that is none at all, or for which the ledger could not be reached in all its attempts. Without
    --replay and --drop nothing is changed, and no run spec is ever shown.

    When the cause is fixed, --replay looks for each launch in the ledger. A message whose launch has a job, has ended
    or is closed stays, and so does one that submit would refuse again; the output says why. Every other message is
    published again and only then taken out: at worst it comes twice, which launches once. If the ledger has no record
    of a request, however old, submit looks for its job in Vertex AI before it creates one.

    Pub/Sub shows a part at a time: what somebody else is looking at may be missing, and comes back within a minute.

    The stack of `make up`: PUBSUB_EMULATOR_HOST=127.0.0.1:7002, STORAGE_EMULATOR_HOST=http://127.0.0.1:7004,
    --project=local-project, --region=us-central1, --ledger=launch-ledger.

    Exit code 1 where a message that was named is not there or stays, or where Pub/Sub could not be asked.
    """
    named = frozenset(message_ids)
    if replay and drop:
        raise click.UsageError("--replay or --drop, not both")
    if as_json and (replay or drop):
        raise click.UsageError("--json is for listing")
    if drop and not message_ids:
        raise click.UsageError("--drop needs the MESSAGE_ID of each that shall go")
    if drop and not yes:
        click.confirm(f"Delete {_count(len(named))} for good?", abort=True)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    with DeadLetterBox(deployment, wait) as letters:
        if replay:
            settled = _replay(letters, Launches(ledger or deployment.ledger_bucket), named, console)
        elif drop:
            settled = _drop(letters, named, console)
        else:
            found = [
                replace(letter, content=b"") for page in _wanted(letters, named) for letter in page
            ]
            settled = {letter.id for letter in found}
            _show(found, console, as_json=as_json)
    if not letters.complete:
        click.echo(f"Only {MOST} were looked at; there may be more.", err=True)
    if left := [one for one in dict.fromkeys(message_ids) if one not in settled]:
        raise click.ClickException(f"not there, or it stays: {', '.join(left)}")


def _wanted(letters: DeadLetterBox, wanted: frozenset[str]) -> Iterator[list[DeadLetter]]:
    """Yield the letters that are wanted, all of them where none is named, until the last has been seen."""
    missing = set(wanted)
    for page in letters.pages():
        chosen = [letter for letter in page if letter.id in wanted or not wanted]
        missing -= {letter.id for letter in chosen}
        yield chosen
        if wanted and not missing:
            return


def _replay(
    letters: DeadLetterBox, launches: Launches, wanted: frozenset[str], console: Console
) -> set[str]:
    """Publish letters again, and take out what was published; return the ids of those."""
    replayed: set[str] = set()
    stay = 0
    for page in _wanted(letters, wanted):
        published: list[DeadLetter] = []
        try:
            for letter in page:
                standing = launches.standing(letter.launch_key) if letter.kind else None
                done = f"{standing.words}. Drop it" if standing and standing.done else ""
                if why := letter.stays or done:
                    stay += 1
                    console.print(f"  {letter.id} stays, {letter.what}: {why}.")
                else:
                    letters.publish(letter)
                    published.append(letter)
                    words = f": {standing.words}" if standing else ""
                    console.print(f"  {letter.id} is published again, {letter.what}{words}")
        finally:
            letters.acknowledge(published)
        replayed |= {letter.id for letter in published}
    console.print(f"{_count(len(replayed))} replayed" + (f", {stay} left." if stay else "."))
    return replayed


def _drop(letters: DeadLetterBox, wanted: frozenset[str], console: Console) -> set[str]:
    """Take letters out for good; return their ids."""
    dropped: set[str] = set()
    for page in _wanted(letters, wanted):
        letters.acknowledge(page)
        for letter in page:
            console.print(f"  {letter.id} is dropped, {letter.what}")
        dropped |= {letter.id for letter in page}
    console.print(f"{_count(len(dropped))} dropped.")
    return dropped


def _show(found: list[DeadLetter], console: Console, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([letter.document() for letter in found], indent=2))
        return
    if found:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name, width in (
            ("message id", 17),
            ("published", 19),
            ("tried", 0),
            ("what it is", 28),
        ):  # a key is whole
            table.add_column(name, overflow="fold", min_width=width)
        for letter in sorted(found, key=lambda one: one.published):
            tried = f"{letter.attempts or '?'} times by {letter.subscription or '?'}"
            row = (letter.id, f"{letter.published:%Y-%m-%d %H:%M:%S}", tried, letter.what)
            table.add_row(*(Text(one) for one in row))
        console.print(table, soft_wrap=False)
    console.print(f"{_count(len(found))}." if found else "No dead letters.")


def _count(number: int) -> str:
    return f"{number} dead letter{'' if number == 1 else 's'}"
