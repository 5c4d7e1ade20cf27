"""`vertex-launch why`: the reason why a launch, an item, or everything waits."""

import json

import click
from rich.console import Console

from deploy.cloud.doctor.finding import Outcome
from deploy.operate.fleet.target import Target, target_options
from deploy.operate.plain import plain
from deploy.operate.why.collect import collect
from deploy.operate.why.facts import Unseen
from deploy.operate.why.reasons import Answer, reasons
from deploy.operate.why.sources import Sources

STYLES = {Outcome.OK: "green", Outcome.FAILED: "red", Outcome.UNKNOWN: "cyan"}


@click.command()
@target_options
@click.option(
    "--scheduler-region",
    default="",
    help="Location of the Scheduler jobs, if Cloud Scheduler does not serve the region.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("id", default="", metavar="[ID]")
def why(target: Target, scheduler_region: str, as_json: bool, id: str) -> None:  # noqa: A002
    """Tell why a launch waits, or how it ended. Without an ID: why nothing starts.

    The first line is the cause. A checklist follows, from W&B's queue to Vertex AI:

    \b
    ✓ does not stand in the way
    ✗ the launch waits for this; the commands below the line change it
    ? could not be checked; the line says why

    ID is a launch key, a run id, an item id, the URL of a run in W&B, SOURCE/IDEMPOTENCY_KEY of a
    request, the number of a CustomJob, or a prefix that only one launch has. It can also name an
    item that still waits in W&B's queue.

    --json prints one object: `launch_key` and `item` (null if they do not apply), `cause`, and
    `checks`, a list of objects with `check`, `result` (ok, blocks or unseen), `message` and `fix`.

    The command changes nothing. It reads the ledger, and asks W&B with WANDB_API_KEY, or with the
    key in the deployment's own secret. It asks Google with your application-default credentials.
    A permission that you lack costs only its own line.

    \b
    Examples:
      vertex-launch why --project=my-project --region=us-central1
      vertex-launch why kabcdefg --project=my-project --region=us-central1
      vertex-launch why airflow/run-42 --json --project=my-project
    For the stack of `make up`, in its folder:
      vertex-launch why

    Exit codes: 0 if nothing stands in the way (it runs, has succeeded, or its turn comes); 1 if
    something does, if it failed, or if ID names nothing or several launches; 3 if it is refused;
    4 if a check that could not be made may hide the cause.
    """  # noqa: D301 - \b is click's
    facts = collect(Sources(target, scheduler_region), id.strip())
    answer = reasons(facts)
    if as_json:
        click.echo(json.dumps(answer.document(facts), indent=2, ensure_ascii=False))
    else:
        _print(answer)
        if not id and isinstance(facts.open, Unseen):
            click.echo("The ledger could not be read, so the launches are unknown.", err=True)
    raise SystemExit(answer.exit_code)


def _print(answer: Answer) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(plain(answer.cause), style="bold")
    console.print()
    for finding in answer.findings:
        console.print(f"{finding.outcome} ", style=STYLES[finding.outcome], end="")
        console.print(plain(f"{finding.name}: {finding.message}"))
        for line in finding.fix.splitlines():
            console.print(f"    {plain(line)}")
