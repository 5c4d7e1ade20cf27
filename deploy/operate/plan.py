"""`vertex-launch plan`: show the outcome of the items that wait, without popping them."""

import itertools
import os
from collections import Counter
from pathlib import Path
from typing import Any

import click
import yaml

from deploy.exit_codes import FAILURE, REJECTED, CouldNotSee
from deploy.operate.cost.prices import PriceTable, described, prices_option
from deploy.planner import MISSING, REFUSED, Planned, Planner, build_planner
from shared.adapters.wandb import Graphql
from shared.config.launch_config import CONFIG_FILE
from shared.config.settings import PollSettings, SubmitSettings, joined_names, load
from shared.core.errors import LaunchError, Retry
from shared.core.machine import machines


class PlanSettings(PollSettings, SubmitSettings):
    """The settings of poll and submit; plan opens no bucket, so each bucket is optional."""

    ledger_bucket: str = ""
    contexts_bucket: str = "PROJECT-NAME-contexts"


@click.command()
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"The launch-config.  [default: LAUNCH_CONFIG, or {CONFIG_FILE} if it exists]",
)
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME",
    help="Only this queue; repeatable.  [default: all]",
)
@click.option("--item", default="", metavar="ID", help="Only this item.")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1), help="Items of each queue."
)
@prices_option
def plan(
    config: Path | None,
    queues: tuple[str, ...],
    item: str,
    limit: int,
    prices: PriceTable | None,
) -> None:
    """Show the outcome of the items that wait in W&B's queues. Pops and changes nothing.

    Prints one YAML document for each item: the arguments of its CustomJob and the warnings, or
    the field for which submit would refuse it. If a queue is empty, or W&B shows no item before it
    is popped, the command checks the queue's configuration. It shows no API key. With a price
    table, it shows the cost of an hour.

    The settings are those of the functions: environment variables, then the launch-config. Needs
    WANDB_API_KEY, LAUNCH_ENTITY (entity), LAUNCH_QUEUES (queues), GOOGLE_CLOUD_PROJECT
    (environment.project) and VERTEX_LOCATION (environment.region).

    \b
    Example:
      WANDB_API_KEY=… GOOGLE_CLOUD_PROJECT=my-project VERTEX_LOCATION=us-central1 \\
        vertex-launch plan --queue=vertex

    Exit codes: 1 if a setting is wrong, a queue does not exist, or --item is in no queue;
    else 3 if submit would refuse anything; 4 if W&B does not answer.
    """  # noqa: D301 - \b is click's
    if config:
        os.environ["LAUNCH_CONFIG"] = str(config)
    if queues:
        os.environ["LAUNCH_QUEUES"] = joined_names(queues)
    outcomes: Counter[str] = Counter()
    try:
        settings = load(PlanSettings)
        planner = _planner(settings)
        plans = (planner.plan(name, item, limit) for name in settings.queues)
        for planned in itertools.chain.from_iterable(plans):
            outcomes[planned.outcome] += 1
            click.echo("---\n" + _yaml(_with_cost(planned, prices)), nl=False)
    except Retry as exc:
        raise CouldNotSee(str(exc)) from exc
    except LaunchError as exc:
        raise click.ClickException(str(exc)) from exc
    if not outcomes:
        names = ", ".join(settings.queues)
        raise click.ClickException(f"no item {item} waits in {names} of {settings.entity}")
    counts = "; ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    click.echo(f"{counts}. Nothing was popped.", err=True)
    if outcomes[MISSING]:
        raise SystemExit(FAILURE)
    if outcomes[REFUSED]:
        raise SystemExit(REJECTED)


def _planner(settings: PlanSettings) -> Planner:
    """Build the planner from the settings and from the macros that this shell has."""
    names = settings.launch_macros
    macros = {name: os.environ[name] for name in names if name in os.environ}
    if unset := sorted(set(names) - set(macros)):
        click.echo(f"Not set here, and left as they are: the macros {', '.join(unset)}.", err=True)
    graphql = Graphql(settings.wandb_base_url, settings.api_key, ca_file=settings.wandb_ca_file)
    return build_planner(settings, graphql, settings.entity, macros)


def _with_cost(planned: Planned, prices: PriceTable | None) -> dict[str, Any]:
    """Return a plan's printable form, with the cost of an hour after the outcome."""
    document = planned.document()
    if planned.call is None or prices is None:
        return document
    asked = machines(planned.call.constructor, planned.call.submit)
    cost = {"cost of an hour": described(asked, planned.call.location, prices)}
    known = ("queue", "item", "checked", "outcome")
    first = {name: document[name] for name in known if name in document}
    return {**first, **cost, **document}


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
