"""`vertex-launch retry`: launch an ended launch again, as a new one that names the old one."""

import json

import click

from deploy.exit_codes import OF_OUTCOMES
from deploy.operate.fleet.fleet import find_one, state_of
from deploy.operate.fleet.target import Target, changing_options
from deploy.operate.steering.follow import Follow, wait_options
from deploy.operate.steering.person import as_option
from deploy.operate.steering.retries import retries_of
from shared.core.errors import Conflict
from shared.core.launch import Launch, Outcome, State
from shared.core.retry import retry_of


@click.command()
@changing_options
@as_option
@click.option("--again", is_flag=True, help="Even if the launch was retried before.")
@wait_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("launch_id", metavar="ID")
def retry(
    target: Target,
    launch_id: str,
    by: str,
    again: bool,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Launch an ended launch again. `vertex-launch show --help` lists what an ID can be.

    The new launch has the old run spec, with the versions that the old launch used, and a run of
    its own; `show` names the one for the other. It has no item in W&B: the ledger, the run and the
    log show how it ends. The policy applies again. A retry of an item takes a slot of max_jobs; the
    limits for requests apply to retries of requests only. A retried run of a sweep leaves it.

    The command writes the new launch into the ledger, and status starts it within a minute. Its
    key comes from the old key, so a repeated command launches nothing twice: to retry the same
    launch once more, retry the retry, or add --again.

    --json prints one object: `launch_key`, `retries`, `new` and `state`.

    Needs roles/storage.objectUser on the ledger's bucket.

    \b
    Examples:
      vertex-launch retry kabc --project=my-project
      vertex-launch retry run-1 --wait --project=my-project

    Exit codes: 1 if the launch has not ended, was retried before, cannot be launched again, or
    cannot be written; 4 if the ledger does not answer, or the time is over. With --wait: 0
    succeeded, 3 rejected, 5 failed, 6 cancelled.
    """  # noqa: D301 - \b is click's
    old = _ended(target, launch_id)
    retries = list(retries_of(target, old.key))
    known, new = retries[-1] if retries else None, False
    if known is None or again:
        launch = retry_of(old, len(retries) + 1, by, target.now())
        try:
            known, new = target.ledger.write(launch), True
        except Conflict:  # the same command, a moment ago
            known = target.ledger.read(launch.key) or launch
    state = state_of(known.entry, target.now())
    if not new and known.entry.state is State.ENDED:
        raise click.ClickException(
            f"{old.key} was retried before: {known.key} ended as {known.entry.outcome}.\n"
            f"To retry that one: vertex-launch retry {known.key}\n"
            "To retry the old one once more, add --again"
        )
    if as_json:
        document = {"launch_key": known.key, "retries": old.key, "new": new, "state": state}
        click.echo(json.dumps(document, indent=2))
    elif new:
        click.echo(f"{known.key}  retries {old.key}: status starts it within a minute")
    else:
        click.echo(f"{known.key}  retries {old.key} already: {state}")
    if wait:
        ended = Follow(target, timeout, lambda text: click.echo(text, err=True))
        launch = ended.until_ended([known.key])[known.key]
        raise SystemExit(OF_OUTCOMES[launch.entry.outcome or Outcome.FAILED])


def _ended(target: Target, launch_id: str) -> Launch:
    """Return the ended launch that an ID names."""
    entry = find_one(target, launch_id)
    if entry.state is not State.ENDED:
        raise click.ClickException(
            f"{entry.key} is not over: {state_of(entry, target.now())}. "
            f"To end it first: vertex-launch cancel {entry.key}"
        )
    launch = target.launch(entry)
    if launch is None:
        raise click.ClickException(f"{entry.key} is no longer in the ledger")
    return launch
