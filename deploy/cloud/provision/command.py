"""`vertex-launch provision`: reconcile Pub/Sub, the schedule, the ledger's rule, monitoring."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import click
import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.cloud.resourcemanager_v3 import ProjectsClient
from rich.console import Console

from deploy.cloud.deployment import Deployment, deployment_options
from deploy.cloud.gcloud import SOON
from deploy.cloud.google import Google, words
from deploy.cloud.places import places_of_a_build, refuse_a_second_region
from deploy.cloud.provision import channels, monitoring, schedule, topics
from deploy.cloud.provision.ledger import LedgerRule
from deploy.cloud.provision.parts import NotYet, Part
from deploy.cloud.waiting import DENIED, LAG, SECONDS, Passing, Patience, passing

UNSEEN = (google_errors.GoogleAPICallError, requests.RequestException)
BOOTSTRAP_OF_MONITORING = (
    "`bootstrap` turns the API on and gives the build its permissions: run it once, then build"
)


@click.command()
@deployment_options
@click.option(
    channels.OPTION,
    "channel_names",
    default="",
    help="Names or ids of the alerts' notification channels, separated by spaces.  "
    "[default: each alert keeps its channels]",
)
@click.option("--plan", is_flag=True, help="Only print the differences.")
@click.option(
    "--complete",
    is_flag=True,
    help="Fail if a part still waits for a function to be deployed.",
)
def provision(deployment: Deployment, channel_names: str, plan: bool, complete: bool) -> None:
    """Reconcile topics, subscriptions, Scheduler jobs, the ledger's rule and monitoring.

    Creates missing parts and updates parts that differ; leaves the others alone. Parts that need
    a deployed function wait for the first build. Each build runs this command twice: before and
    after it deploys the functions.

    Monitoring consists of log-based metrics, a dashboard and alerts. If Google refuses one of
    them, the command says so and goes on: a deployment works without monitoring.

    Needs the permissions of the account NAME-build, and the resources that `bootstrap` creates.

    \b
    Example:
      vertex-launch provision --plan --project=my-project --region=us-central1

    Exit code 1 if Google refuses a change, if the deployment runs in another region, if the
    ledger's bucket belongs to another project, if a notification channel does not exist, or if
    --complete is set and a part waits.
    """  # noqa: D301 - \b is click's
    console = Console(highlight=False, soft_wrap=True)
    notified = channels.named(channel_names, deployment)
    changed: list[str] = []
    try:
        # the access of a build may be as new as the deployment
        patience = Patience() if plan else Patience(denied=SECONDS)
        deployment = patience.keep(
            partial(with_number, deployment), passing_of, f"project {deployment.project}"
        )
        google = Google()
        refuse_a_second_region(deployment, places_of_a_build(google, deployment))
        channels.check(google, deployment, notified)
        reconcile = partial(_reconcile, changed=changed, console=console, plan=plan)
        parts = [LedgerRule(deployment), *topics.parts(deployment)]
        waiting = reconcile(parts, patience=patience)
        if not waiting:  # else no function exists that the schedule could call
            reconcile(schedule.parts(deployment), patience=patience)
        metrics, *users = monitoring.parts(deployment, google, notified)
        _unless_refused([metrics] if waiting else [metrics, *users], reconcile, console)
    except (google_errors.GoogleAPICallError, auth_errors.GoogleAuthError) as exc:
        raise click.ClickException(str(exc)) from exc
    if changed:
        console.print(f"{len(changed)} {'to change' if plan else 'changed'}.")
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
    parts: Iterable[Part | monitoring.Collection],
    patience: Patience,
    changed: list[str],
    console: Console,
    *,
    plan: bool,
    classify: Callable[[Exception], Passing | None] | None = None,
) -> list[str]:
    """Print the differences, note them in `changed`, and end them unless `plan`.

    After an error that passes by itself, looks at the part again: somebody else may have changed
    it at the same time. Returns the reasons why parts wait.
    """
    waiting: list[str] = []
    for part in parts:

        def reconcile(part: Part | monitoring.Collection = part) -> None:
            for change in part.changes():
                if not plan:
                    change.carry_out()
                changed.append(change.resource)
                console.print(f"  {change.resource}: {change.difference}")

        try:
            patience.keep(reconcile, classify or passing_of, type(part).__name__)
        except NotYet as exc:
            waiting.append(str(exc))
    return list(dict.fromkeys(waiting))


def _unless_refused(
    collections: Iterable[monitoring.Collection], reconcile: Callable[..., object], console: Console
) -> None:
    """Reconcile each kind of monitoring; an error is printed, because launches work without it."""
    patience = Patience(denied=SOON)
    for collection in collections:
        try:
            reconcile([collection], patience=patience, classify=_passing_of_monitoring)
        except (*UNSEEN, click.ClickException) as exc:
            console.print(f"Skipped: {collection.kind.title}s: {_reason(exc)}")
            patience = replace(patience, denied=0)  # one wait for a permission is enough


def _reason(exc: Exception) -> str:
    match exc:
        case click.ClickException():
            return exc.message
        case google_errors.Forbidden():
            return f"{words(exc)}. {BOOTSTRAP_OF_MONITORING}"
        case google_errors.GoogleAPICallError():
            return words(exc)
    return str(exc)


def _passing_of_monitoring(error: Exception) -> Passing | None:
    """Classify as `passing_of`, but do not wait long for an API that may stay off."""
    cause = error.__cause__ if isinstance(error, click.ClickException) else error
    found = passing_of(error)
    if found and isinstance(cause, google_errors.Forbidden):
        return replace(found, kind=DENIED)
    return found


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
