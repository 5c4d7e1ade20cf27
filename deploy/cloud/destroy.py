"""`vertex-launch destroy`: delete a deployment, and nothing else."""

from collections.abc import Iterator

import click
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.cloud import storage
from rich.console import Console

from deploy.cloud import gcloud
from deploy.cloud.deployment import ACCOUNTS, FUNCTIONS, Deployment, deployment_options
from deploy.cloud.gcloud import Step
from deploy.cloud.iam import table
from deploy.cloud.provision import schedule, topics
from deploy.cloud.provision.command import with_number
from deploy.cloud.provision.parts import LABEL, Change


@click.command()
@deployment_options
@click.option(
    "--bootstrapped",
    is_flag=True,
    help="Also delete accounts, roles, secret, images, the ledger, sources and contexts.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def destroy(deployment: Deployment, bootstrapped: bool, yes: bool) -> None:
    """List the schedule, functions and topics of a deployment, ask, and delete them.

    The command keeps resources without our label or description, the staging bucket, and running
    jobs. Without --bootstrapped it also keeps the ledger: a new build of the same deployment
    continues where this one ended.

    Needs gcloud, an owner's credentials, and application-default credentials.

    \b
    Example:
      vertex-launch destroy --project=my-project --region=us-central1

    Exit code 1 if you answer no, or if Google refuses a deletion.
    """  # noqa: D301 - \b is click's
    console = Console(highlight=False, soft_wrap=True)
    try:
        deployment = with_number(deployment)
        calls = [
            part.removal()
            for part in [*schedule.parts(deployment), *topics.parts(deployment)[::-1]]
        ]
        changes = [change for change in calls if change]
        steps = list(_functions(deployment))
        later = list(_bootstrapped(deployment)) if bootstrapped else []
        if not (changes or steps or later):
            where = f"{deployment.project}, {deployment.region}"
            console.print(f"Nothing of {deployment.name} is left in {where}.")
            return
        for change in changes:
            console.print(f"  {change.resource}")
        for step in [*steps, *later]:
            console.print(f"  {step.name}")
        _warn_of_open_launches(deployment, console)
        if not yes:
            click.confirm(f"Delete all of this from {deployment.project}?", abort=True)
        scheduled = [change for change in changes if "/jobs/" in change.resource]
        _carry_out(scheduled, console)  # first, so that no call finds half a deployment
        gcloud.carry_out_all([[step] for step in steps], console)
        _carry_out([change for change in changes if change not in scheduled], console)
        gcloud.carry_out_all([[step] for step in later], console)
    except (google_errors.GoogleAPICallError, auth_errors.GoogleAuthError) as exc:
        raise click.ClickException(str(exc)) from exc


def _carry_out(changes: list[Change], console: Console) -> None:
    for change in changes:
        change.carry_out()
        console.print(f"  {change.resource}: {change.difference}")


def _functions(deployment: Deployment) -> Iterator[Step]:
    where = (f"--region={deployment.region}", f"--project={deployment.project}")
    for verb in FUNCTIONS:
        name = deployment.function(verb)
        there = gcloud.describe(("functions", "describe", name, *where))
        if there and there.get("labels", {}).get(LABEL) == deployment.name:
            yield Step(f"function {name}", ("functions", "delete", name, *where))


def _bootstrapped(deployment: Deployment) -> Iterator[Step]:
    """Yield the deletion of bootstrap's resources; accounts take their bindings with them."""
    project, region = f"--project={deployment.project}", f"--location={deployment.region}"
    roles = ("iam", "roles")
    for role in table().roles:
        role_id = deployment.custom_role(role)
        there = gcloud.describe((*roles, "describe", role_id, project))
        if there and not there.get("deleted"):
            yield Step(f"custom role {role_id}", (*roles, "delete", role_id, project))
    for account in ACCOUNTS:
        email = deployment.account(account)
        if gcloud.describe(("iam", "service-accounts", "describe", email, project)):
            yield Step(
                f"service account {email}", ("iam", "service-accounts", "delete", email, project)
            )
    if gcloud.describe(("secrets", "describe", deployment.secret, project)):
        yield Step(f"secret {deployment.secret}", ("secrets", "delete", deployment.secret, project))
    if gcloud.describe(("artifacts", "repositories", "describe", deployment.name, region, project)):
        yield Step(
            f"repository {deployment.name}",
            ("artifacts", "repositories", "delete", deployment.name, region, project),
        )
    for name in (
        deployment.ledger_bucket,
        deployment.sources_bucket,
        deployment.own_contexts_bucket,
    ):
        bucket = f"gs://{name}"
        there = gcloud.describe(("storage", "buckets", "describe", bucket, "--raw"))
        if there and str(there["projectNumber"]) == deployment.number:
            yield Step(f"bucket {bucket}", ("storage", "rm", "--recursive", bucket))


def _warn_of_open_launches(deployment: Deployment, console: Console) -> None:
    client = storage.Client(project=deployment.project)
    try:
        count = sum(
            1
            for _ in client.list_blobs(
                deployment.ledger_bucket, prefix="open/", fields="items(name),nextPageToken"
            )
        )
    except google_errors.NotFound:
        return
    if count:
        console.print(
            f"[bold]{count} launches are not finished.[/] Their jobs continue, but nobody reports "
            "them to W&B. Set max_jobs to 0 and wait, or deploy again under the same name."
        )
