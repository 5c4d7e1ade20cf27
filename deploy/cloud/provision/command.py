"""`python -m deploy provision`: bring what hangs between the functions to how it shall be, and nothing more."""

from dataclasses import replace

import click
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.cloud.resourcemanager_v3 import ProjectsClient
from rich.console import Console

from deploy.cloud.deployment import Deployment, deployment_options
from deploy.cloud.provision import schedule, topics
from deploy.cloud.provision.ledger import LedgerRule
from deploy.cloud.provision.parts import NotYet, Part


@click.command()
@deployment_options
@click.option("--plan", is_flag=True, help="Only print what differs.")
@click.option(
    "--complete",
    is_flag=True,
    help="Fail where something still waits for a function to be deployed.",
)
def provision(deployment: Deployment, plan: bool, complete: bool) -> None:
    """Make the topics, the dead-letter subscription and the Scheduler jobs; set the trigger's patience.

    Safe to repeat: what is as it shall be stays untouched. Before the functions are deployed for the first time, what
    hangs on them waits; each build runs this before and after it deploys.
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        deployment = with_number(deployment)
        changed, waiting = _bring_about(
            [LedgerRule(deployment), *topics.parts(deployment)], console, plan=plan
        )
        if not waiting:  # else there is nothing yet that could be called
            changed += _bring_about(schedule.parts(deployment), console, plan=plan)[0]
    except (google_errors.GoogleAPICallError, auth_errors.GoogleAuthError) as exc:
        raise click.ClickException(str(exc)) from exc
    console.print(
        "Nothing to change." if not changed else f"{changed} {'to change' if plan else 'changed'}."
    )
    for reason in waiting:
        console.print(f"Waiting: {reason}.")
    if complete and waiting:
        raise click.ClickException("not complete")


def with_number(deployment: Deployment) -> Deployment:
    """Return the deployment with its project's number, in which Google names service agents and addresses."""
    project = ProjectsClient(transport="rest").get_project(name=f"projects/{deployment.project}")
    return replace(deployment, number=project.name.partition("/")[2])


def _bring_about(parts: list[Part], console: Console, *, plan: bool) -> tuple[int, list[str]]:
    """Carry out, or only print, what differs; return how much that was, and what waits for what."""
    changed, waiting = 0, []
    for part in parts:
        try:
            for change in part.changes():
                changed += 1
                console.print(f"  {change.resource}: {change.difference}")
                if not plan:
                    change.carry_out()
        except NotYet as exc:
            waiting.append(str(exc))
    return changed, list(dict.fromkeys(waiting))
