"""`vertex-launch bootstrap`: prepare a project, once, as its owner."""

import os
from dataclasses import replace

import click
from rich.console import Console

from deploy.cloud import gcloud
from deploy.cloud.bootstrap_bindings import bindings_by_resource
from deploy.cloud.bootstrap_look import look_around
from deploy.cloud.bootstrap_steps import enable_apis, resources, service_agents
from deploy.cloud.deployment import Deployment, deployment_options
from deploy.cloud.gcloud import Step


@click.command()
@deployment_options
@click.option(
    "--print", "only_print", is_flag=True, help="Print the commands instead of running them."
)
@click.option(
    "--prune",
    is_flag=True,
    help="Also remove roles that the deployment's own accounts no longer need.",
)
def bootstrap(deployment: Deployment, only_print: bool, prune: bool) -> None:
    """Prepare a project: APIs, buckets, the secret, service accounts, roles and bindings.

    Creates what is missing and updates what differs, so you can repeat it. Reads W&B's API key
    from WANDB_API_KEY, or asks for it, and stores it in Secret Manager only.

    Use --prune after the build: the functions of an earlier version can need their former roles.

    Needs gcloud, logged in as an owner of the project. If you are not an owner, run it with
    --print and give the commands to an owner.

    \b
    Example:
      vertex-launch bootstrap --project=my-project --region=us-central1

    Exit code 1 if a gcloud command fails; its message follows the command.
    """  # noqa: D301 - \b is click's
    console = Console(stderr=only_print)
    deployment = replace(deployment, number=_number(deployment, only_print))
    if not only_print:
        look_around(deployment, console)
    bound = bindings_by_resource(deployment, prune=prune)
    phases = {
        "APIs": [[enable_apis(deployment)]],
        "Google's service agents": [[step] for step in service_agents(deployment)],
        # before the buckets: Google's services encrypt them with the key
        "Access to the key": [bound.pop("kms_key", [])],
        "Buckets, secret, accounts and roles": [[step] for step in resources(deployment)],
        "Bindings": list(bound.values()),
    }
    phases = {title: groups for title, groups in phases.items() if any(groups)}
    if only_print:
        _print(phases)
        return
    for title, groups in phases.items():
        console.print(f"[bold]{title}[/]")
        gcloud.carry_out_all(groups, console)
    _add_key(deployment, console)
    console.print(
        f"\n{deployment.project} is ready. Test and deploy until the end of tomorrow (UTC):\n\n"
        f"  {test_command(deployment)} &&\n  {submit_command(deployment)}\n",
        soft_wrap=True,
    )


def test_command(deployment: Deployment) -> str:
    """Return the command that runs the tests, as an account without permissions."""
    name = f" --substitutions=_NAME={deployment.name}" if deployment.name != "launch" else ""
    return (
        f"{_checked(deployment)}"
        f"gcloud builds submit --project={deployment.project} --region={deployment.region} "
        "--config=deploy/cloud/test.yaml "
        f"--gcs-source-staging-dir=gs://{deployment.sources_bucket}/source{name}"
    )


def submit_command(deployment: Deployment) -> str:
    """Return the command that builds and deploys."""
    substitutions = {
        "_REGION": deployment.region,
        "_NAME": deployment.name,
        "_KMS_KEY": deployment.kms_key,
    }
    given = ",".join(f"{key}={value}" for key, value in substitutions.items() if value)
    return (
        f"{_checked(deployment)}"
        f"gcloud builds submit --project={deployment.project} --region={deployment.region} "
        "--config=cloudbuild.yaml "
        f"--gcs-source-staging-dir=gs://{deployment.sources_bucket}/source "
        f'--substitutions="{given},COMMIT_SHA=$(git rev-parse HEAD)"'
    )


def _checked(deployment: Deployment) -> str:
    """Return what precedes an upload: a check that the project owns the bucket of the sources."""
    name = f" {deployment.name}" if deployment.name != "launch" else ""
    return f"deploy/cloud/check_sources.sh {deployment.project}{name} &&\n  "


def _number(deployment: Deployment, only_print: bool) -> str:
    if only_print:
        return "PROJECT_NUMBER"
    return str(gcloud.describe(("projects", "describe", deployment.project))["projectNumber"])


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


def _print(phases: dict[str, list[list[Step]]]) -> None:
    for title, groups in phases.items():
        click.echo(f"# {title}")
        for steps in groups:
            for step in steps:
                for command in [step.command] if step.command else step.updates(None):
                    click.echo(gcloud.shown(command, step.stdin))
