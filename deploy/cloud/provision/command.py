"""`vertex-launch provision`: reconcile Pub/Sub, the schedule and the ledger's rule."""

from dataclasses import replace
from functools import partial

import click
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.cloud.resourcemanager_v3 import ProjectsClient
from rich.console import Console

from deploy.cloud.deployment import Deployment, deployment_options
from deploy.cloud.google import Google
from deploy.cloud.places import places_of_a_build, refuse_a_second_region
from deploy.cloud.provision import schedule, topics
from deploy.cloud.provision.ledger import LedgerRule
from deploy.cloud.provision.parts import NotYet, Part
from deploy.cloud.waiting import DENIED, LAG, SECONDS, Passing, Patience, passing


@click.command()
@deployment_options
@click.option("--plan", is_flag=True, help="Only print the differences.")
@click.option(
    "--complete",
    is_flag=True,
    help="Fail if a part still waits for a function to be deployed.",
)
def provision(deployment: Deployment, plan: bool, complete: bool) -> None:
    """Reconcile topics, subscriptions, Scheduler jobs and the ledger's rule.

    Creates missing parts and updates parts that differ; leaves the others alone. Parts that need
    a deployed function wait for the first build. Each build runs this command twice: before and
    after it deploys the functions.

    Needs the permissions of the account NAME-build, and the resources that `bootstrap` creates.

    \b
    Example:
      vertex-launch provision --plan --project=my-project --region=us-central1

    Exit code 1 if Google refuses a change, if the deployment runs in another region, if the
    ledger's bucket belongs to another project, or if --complete is set and a part waits.
    """  # noqa: D301 - \b is click's
    console = Console(highlight=False, soft_wrap=True)
    try:
        # the access of a build may be as new as the deployment
        patience = Patience() if plan else Patience(denied=SECONDS)
        deployment = patience.keep(
            partial(with_number, deployment), passing_of, f"project {deployment.project}"
        )
        refuse_a_second_region(deployment, places_of_a_build(Google(), deployment))
        parts = [LedgerRule(deployment), *topics.parts(deployment)]
        changed, waiting = _reconcile(parts, console, patience, plan=plan)
        if not waiting:  # else no function exists that the schedule could call
            changed += _reconcile(schedule.parts(deployment), console, patience, plan=plan)[0]
    except (google_errors.GoogleAPICallError, auth_errors.GoogleAuthError) as exc:
        raise click.ClickException(str(exc)) from exc
    if changed:
        console.print(f"{changed} {'to change' if plan else 'changed'}.")
    else:
        console.print("Nothing to change.")
    for reason in waiting:
        console.print(f"Waiting: {reason}.")
    if complete and waiting:
        raise click.ClickException("not complete: some parts wait, see above")


def with_number(deployment: Deployment) -> Deployment:
    """Return the deployment with its project's number, which service agents and URLs contain."""
    project = ProjectsClient(transport="rest").get_project(name=f"projects/{deployment.project}")
    return replace(deployment, number=project.name.partition("/")[2])


def _reconcile(
    parts: list[Part], console: Console, patience: Patience, *, plan: bool
) -> tuple[int, list[str]]:
    """Print the differences, and end them unless `plan`.

    After an error that passes by itself, looks at the part again: somebody else may have changed
    it at the same time. Returns the number of differences, and the reasons why parts wait.
    """
    changed: list[str] = []
    waiting: list[str] = []
    for part in parts:

        def reconcile(part: Part = part) -> None:
            for change in part.changes():
                if not plan:
                    change.carry_out()
                changed.append(change.resource)
                console.print(f"  {change.resource}: {change.difference}")

        try:
            patience.keep(reconcile, passing_of, type(part).__name__)
        except NotYet as exc:
            waiting.append(str(exc))
    return len(changed), list(dict.fromkeys(waiting))


def passing_of(error: Exception) -> Passing | None:
    """Classify an error of Google's clients; the kind of the exception says more than its words."""
    cause = error.__cause__ if isinstance(error, click.ClickException) else error
    if isinstance(cause, google_errors.Conflict | google_errors.PreconditionFailed):
        return Passing(LAG, "somebody else changed the same resource at the same time")
    if not isinstance(cause, google_errors.GoogleAPICallError):
        return None
    found = passing(str(cause))
    if found is None and isinstance(cause, google_errors.Forbidden):
        return Passing(DENIED, "a permission is missing; a new one takes up to seven minutes")
    return found
