"""`vertex-launch bootstrap`: prepare a project, once, as its owner."""

import os
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from deploy.cloud import gcloud
from deploy.cloud.bootstrap_bindings import bindings_by_resource
from deploy.cloud.bootstrap_look import look_around
from deploy.cloud.bootstrap_script import NUMBER, script
from deploy.cloud.bootstrap_services import enable_apis, service_agents
from deploy.cloud.bootstrap_steps import resources
from deploy.cloud.deployment import Deployment, deployment_options
from deploy.cloud.iam import FIRST_DAYS
from deploy.cloud.inputs import ROOT
from deploy.cloud.regions import ALWAYS_BUILDS, NO_EVENTARC, SCHEDULER, near
from deploy.cloud.waiting import Patience

SUBMIT = "gcloud beta builds submit"  # without `beta`, gcloud does not show Cloud Logging's logs


@click.command()
@deployment_options
@click.option(
    "--print",
    "only_print",
    is_flag=True,
    help="Print a script for an administrator instead of running commands.",
)
@click.option(
    "--prune",
    is_flag=True,
    help="Also remove roles that the deployment's own accounts no longer need.",
)
def bootstrap(deployment: Deployment, only_print: bool, prune: bool) -> None:
    """Prepare a project: APIs, buckets, the secret, service accounts, roles and bindings.

    Looks first, creates what is missing and updates what differs, so you can repeat it. Waits up
    to seven minutes for new accounts, APIs and permissions. Reads W&B's API key from
    WANDB_API_KEY, or asks for it, and stores it in Secret Manager only.

    Use --prune after the build: the functions of an earlier version can need their former roles.

    Needs gcloud, logged in as an owner of the project; later runs need only the permissions for
    what they change. If you are not an owner, give an owner the script of --print.

    \b
    Example:
      vertex-launch bootstrap --project=my-project --region=us-central1

    Exit code 1 if a gcloud command fails; its message follows the command.
    """  # noqa: D301 - \b is click's
    console = Console(stderr=only_print)
    _check_services(deployment, only_print)
    deployment = replace(deployment, number=_number(deployment, only_print))
    if not only_print:
        look_around(deployment, console)
    bound = bindings_by_resource(deployment, prune=prune)
    first_days = bound.pop(FIRST_DAYS)
    phases = {
        "APIs": [[enable_apis(deployment)]],
        "Google's service agents": [[service_agents(deployment)]],
        # before the buckets: Google's services encrypt them with the key
        "Access to the keys": [
            bound.pop(key, []) for key in ("kms_key", *dict.fromkeys(deployment.ladder_keys))
        ],
        "Buckets, secret, accounts and roles": [[step] for step in resources(deployment)],
        "Bindings": list(bound.values()),
        "The first build": [first_days],  # after the others of the project's policy
    }
    phases = {title: groups for title, groups in phases.items() if any(groups)}
    if only_print:
        click.echo(script(deployment, phases), nl=False)
        return
    for title, groups in phases.items():
        console.print(f"[bold]{title}[/]")
        gcloud.carry_out_all(groups, console)
    _add_key(deployment, console)
    go = "" if Path.cwd() == ROOT else f"cd {ROOT} &&\n  "
    console.print(
        f"\n{deployment.project} is ready. Test and deploy until the end of tomorrow (UTC):\n\n"
        f"  {go}{test_command(deployment)} &&\n  {submit_command(deployment)}\n",
        soft_wrap=True,
    )


def test_command(deployment: Deployment) -> str:
    """Return the command that runs the tests, as an account without permissions."""
    name = f" --substitutions=_NAME={deployment.name}" if deployment.name != "launch" else ""
    return (
        f"{_checked(deployment)}{SUBMIT} --project={deployment.project} "
        f"--region={deployment.build_region} "
        f"--config=deploy/cloud/test.yaml {_account(deployment, 'test')}"
        f"--gcs-source-staging-dir=gs://{deployment.sources_bucket}/source{name}"
    )


def submit_command(deployment: Deployment) -> str:
    """Return the command that builds and deploys."""
    substitutions = {
        "_REGION": deployment.region,
        "_NAME": deployment.name,
        "_KMS_KEY": deployment.kms_key,
        "_SCHEDULER_REGION": deployment.other_scheduler_region,
    }
    given = ",".join(f"{key}={value}" for key, value in substitutions.items() if value)
    return (
        f"{_checked(deployment)}{SUBMIT} --project={deployment.project} "
        f"--region={deployment.build_region} "
        f"--config=cloudbuild.yaml {_account(deployment, 'build')}"
        f"--gcs-source-staging-dir=gs://{deployment.sources_bucket}/source "
        f'--substitutions="{given},COMMIT_SHA=$(git rev-parse HEAD)"'
    )


def _checked(deployment: Deployment) -> str:
    """Return what precedes an upload: a check that the project owns the bucket of the sources."""
    name = f" {deployment.name}" if deployment.name != "launch" else ""
    return f"deploy/cloud/check_sources.sh {deployment.project}{name} &&\n  "


def _account(deployment: Deployment, role: str) -> str:
    """Return the flag of a build's account; the files spell those of ordinary projects."""
    if ":" not in deployment.project:
        return ""
    name = f"projects/{deployment.project}/serviceAccounts/{deployment.account(role)}"
    return f"--service-account={name} "


def _check_services(deployment: Deployment, only_print: bool) -> None:
    """Refuse a region without Eventarc or Cloud Scheduler; warn if it may have no builds."""
    region, scheduler = deployment.region, deployment.scheduler_region
    if region in NO_EVENTARC:
        fix = f"Write another --region, such as {near(region, SCHEDULER)}"
        raise click.UsageError(f"--region is {region!r}, where Eventarc does not run. {fix}")
    if scheduler not in SCHEDULER and (only_print or not _schedules(deployment)):
        option = "--scheduler-region" if deployment.other_scheduler_region else "--region"
        raise click.UsageError(
            f"{option} is {scheduler!r}, where Cloud Scheduler does not run, as far as we know. "
            f"Add --scheduler-region={near(scheduler, SCHEDULER)}; `gcloud scheduler locations "
            "list` shows all, after its API is enabled"
        )
    if deployment.build_region not in ALWAYS_BUILDS:
        click.echo(
            f"Warning: Google lets some projects build only in {', '.join(ALWAYS_BUILDS)}. If "
            "`gcloud beta builds submit` answers FAILED_PRECONDITION, ask Google for builds in "
            f"{deployment.build_region}, or add --build-region with one of these regions: see "
            "docs/how-to/work-under-policies.md",
            err=True,
        )


def _schedules(deployment: Deployment) -> bool:
    """Ask Google whether Cloud Scheduler runs in its region; without an answer, it does not."""
    command = ("scheduler", "locations", "list", f"--project={deployment.project}")
    try:
        listed = gcloud.describe(command, Patience(seconds=0, denied=0))
    except gcloud.GcloudError:
        return False
    return any(each.get("locationId") == deployment.scheduler_region for each in listed or ())


def _number(deployment: Deployment, only_print: bool) -> str:
    if only_print:
        return NUMBER
    project = gcloud.describe(("projects", "describe", deployment.project))
    if project is None:
        raise click.UsageError(
            f"--project is {deployment.project!r}, which does not exist. Your projects: "
            "gcloud projects list"
        )
    return str(project["projectNumber"])


def _add_key(deployment: Deployment, console: Console) -> None:
    """Add W&B's API key to the secret, unless it has an enabled version."""
    project = f"--project={deployment.project}"
    listing = ("secrets", "versions", "list", deployment.secret, "--filter=state=ENABLED", project)
    if versions := gcloud.describe(listing):
        version = versions[0]["name"].rpartition("/")[2]
        console.print(f"  W&B's API key: exists, as version {version} of {deployment.secret}")
        return
    key = os.environ.get("WANDB_API_KEY") or click.prompt("W&B's API key", hide_input=True)
    gcloud.run(
        ("secrets", "versions", "add", deployment.secret, "--data-file=-", project),
        stdin=key.strip(),
    )
    console.print(f"  W&B's API key: added to {deployment.secret}")
