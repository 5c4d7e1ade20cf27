"""`vertex-launch cancel`: end launches, whatever they wait for, and cancel their jobs."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import click

from deploy.exit_codes import UNKNOWN, CouldNotSee
from deploy.operate.fleet.fleet import find_each, state_of
from deploy.operate.fleet.permission import WRITER
from deploy.operate.fleet.target import Target, changing_options, explained
from deploy.operate.plain import plain
from deploy.operate.steering.follow import Follow
from deploy.operate.steering.person import as_option
from deploy.operate.steering.wish import Recorded, Wishing
from shared.core.entry import Entry
from shared.core.launch import State, Wish

CONNECTIONS = 16


@click.command()
@changing_options
@as_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", is_flag=True, help="Wait until the launches have ended.")
@click.option(
    "--timeout",
    default=900.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds to wait for a submit that is working, and with --wait for the end.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def cancel(
    target: Target,
    ids: tuple[str, ...],
    by: str,
    yes: bool,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Cancel launches. `vertex-launch show --help` lists what an ID can be.

    The command records the wish in the ledger, and status acts on it within a minute. A launch
    without a job ends, and gets none. A job is cancelled in Vertex AI; its launch ends as CANCELLED
    even if it was preempted meanwhile or its ladder has another place. If a job ends by itself
    first, its own outcome stays. The item shows who cancelled.

    A build of an image goes on, because other launches may wait for the same image. The sweep of a
    cancelled scheduler is cancelled too. While a submit works on a launch, the command waits.

    --json prints one object: `launches`, each with `launch_key`, `result` ("recorded", "recorded
    before", "over" or "failed"), `state`, `by`, `at` and `problem`.

    Needs roles/storage.objectUser on the ledger's bucket.

    \b
    Examples:
      vertex-launch cancel kabc --project=my-project
      vertex-launch cancel run-1 run-2 --yes --wait --project=my-project

    Exit codes: 1 if an ID names no launch or a record cannot be written: with an unknown ID,
    nothing is cancelled; 4 if the ledger does not answer, or the time is over.
    """  # noqa: D301 - \b is click's
    found = find_each(target, ids)
    now = target.now()
    living = [entry for entry in found if entry.state is not State.ENDED]
    if living and not yes:
        for entry in living:
            click.echo(f"  {entry.key}  {state_of(entry, now):<10}  {_title(entry)}", err=True)
        click.confirm(f"Cancel {_count(len(living))}?", abort=True, err=True)
    wish = Wish("cancel", by, now)
    tell = _tell
    wishing = Wishing(target, wish, timedelta(seconds=timeout), tell)
    results = _recorded(wishing, [entry.key for entry in found])
    if wait:
        going_on = [key for key, one in results.items() if isinstance(one, Recorded)]
        ended = Follow(target, timeout, tell).until_ended(going_on)
        results |= {key: Recorded(launch, new=True) for key, launch in ended.items()}
    if as_json:
        click.echo(json.dumps({"launches": [_document(*one) for one in results.items()]}, indent=2))
    else:
        for key, result in results.items():
            if isinstance(result, Recorded):
                click.echo(f"{key}  {_line(result, wait=wait)}")
    _raise_failures(results)


def _recorded(wishing: Wishing, keys: Sequence[str]) -> dict[str, Recorded | click.ClickException]:
    """Record the wish in each launch; one failure does not stop the others."""

    def record(key: str) -> Recorded | click.ClickException:
        try:
            with explained(wishing.target, WRITER):
                return wishing.record(key)
        except click.ClickException as exc:
            return exc

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return dict(zip(keys, pool.map(record, keys), strict=True))


def _raise_failures(results: dict[str, Recorded | click.ClickException]) -> None:
    failures = [one for one in results.values() if isinstance(one, click.ClickException)]
    if not failures:
        return
    kind = CouldNotSee if {one.exit_code for one in failures} == {UNKNOWN} else click.ClickException
    texts = dict.fromkeys(one.format_message() for one in failures)
    raise kind("\n".join(texts))


def _line(result: Recorded, *, wait: bool) -> str:
    entry = result.launch.entry
    if result.over and wait and result.new:
        return f"has ended: {entry.outcome}"
    if result.over:
        return f"is over: {entry.outcome}. Nothing is changed"
    if not result.new and entry.wish:
        at = f"{entry.wish.at:%Y-%m-%d %H:%M} UTC"
        return f"is being cancelled already, by {plain(entry.wish.by)} since {at}"
    if entry.job_name:
        return "is recorded: status cancels its job within a minute"
    return "is recorded: status ends it within a minute"


def _document(key: str, result: Recorded | click.ClickException) -> dict[str, Any]:
    if isinstance(result, click.ClickException):
        return {"launch_key": key, "result": "failed", "problem": plain(result.format_message())}
    entry = result.launch.entry
    wish = entry.wish
    known = "over" if result.over else "recorded before"
    return {
        "launch_key": key,
        "result": "recorded" if result.new else known,
        "state": str(entry.state),
        "outcome": str(entry.outcome) if entry.outcome else None,
        "by": wish.by if wish else None,
        "at": wish.at.isoformat() if wish else None,
        "problem": None,
    }


def _title(entry: Entry) -> str:
    return plain(entry.name or entry.run.run_id)


def _count(number: int) -> str:
    return "this launch" if number == 1 else f"these {number} launches"


def _tell(text: str) -> None:
    click.echo(text, err=True)
