"""`python -m deploy bootstrap`: once, by an owner of the project: what the build and the functions stand on."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import click
from rich.console import Console

from deploy.cloud import gcloud
from deploy.cloud.deployment import Deployment, deployment_options
from deploy.cloud.gcloud import Step
from deploy.cloud.iam import (
    AT_BUILD,
    Binding,
    bind_command,
    bindings,
    custom_roles,
    repository_flags,
)
from deploy.cloud.provision.ledger import LIFECYCLE

APIS = (
    "aiplatform",
    "artifactregistry",
    "cloudbuild",
    "cloudfunctions",
    "cloudresourcemanager",
    "cloudscheduler",
    "eventarc",
    "iam",
    "logging",
    "pubsub",
    "run",
    "secretmanager",
    "storage",
)


@click.command()
@deployment_options
@click.option(
    "--print", "only_print", is_flag=True, help="Print the commands instead of running them."
)
def bootstrap(deployment: Deployment, only_print: bool) -> None:
    """Prepare a project, once, as its owner: APIs, buckets, the secret, service accounts and what they may do.

    Safe to repeat: what is there stays, what is missing is made. The API key of W&B is read from WANDB_API_KEY or asked
    for, and goes into Secret Manager only.
    """
    console = Console(stderr=only_print)
    deployment = replace(deployment, number=_number(deployment, only_print))
    bound = _by_resource(deployment)
    phases = {
        "APIs": [[_apis(deployment)]],
        "Google's service agents": [[step] for step in _agents(deployment)],
        "Who may use the key": [
            bound.pop("kms_key", [])
        ],  # whoever encrypts with it has to be let at it before
        "Buckets, secret, accounts and roles": [[step] for step in _things(deployment)],
        "Who may do what": list(bound.values()),
    }
    phases = {title: groups for title, groups in phases.items() if any(groups)}
    if only_print:
        _print(phases)
        return
    for title, groups in phases.items():
        console.print(f"[bold]{title}[/]")
        gcloud.carry_out_all(groups, console)
    _key(deployment, console)
    console.print(
        f"\n{deployment.project} is ready. Next:\n\n  {submit_command(deployment)}\n",
        soft_wrap=True,
    )


def submit_command(deployment: Deployment) -> str:
    """Return the command that builds and deploys."""
    told = {"_REGION": deployment.region, "_NAME": deployment.name, "_KMS_KEY": deployment.kms_key}
    given = ",".join(f"{key}={value}" for key, value in told.items() if value)
    return (
        f"gcloud builds submit --project={deployment.project} --region={deployment.region} --config=cloudbuild.yaml "
        f"--gcs-source-staging-dir=gs://{deployment.staging_bucket}/source "
        f'--substitutions="{given},COMMIT_SHA=$(git rev-parse HEAD)"'
    )


def _number(deployment: Deployment, only_print: bool) -> str:
    if only_print:
        return "PROJECT_NUMBER"
    return str(gcloud.describe(("projects", "describe", deployment.project))["projectNumber"])


def _apis(deployment: Deployment) -> Step:
    names = [f"{api}.googleapis.com" for api in APIS]
    return Step(
        f"{len(names)} APIs", ("services", "enable", *names, f"--project={deployment.project}")
    )


def _agents(deployment: Deployment) -> Iterator[Step]:
    """Yield the making of Google's accounts that are to be let at the key; some come only with their first use."""
    if not deployment.kms_key:
        return
    project = f"--project={deployment.project}"
    yield Step("Cloud Storage's", ("storage", "service-agent", project))
    for api in (
        "aiplatform",
        "artifactregistry",
        "cloudfunctions",
        "eventarc",
        "pubsub",
        "run",
        "secretmanager",
    ):
        yield Step(
            f"{api}'s",
            ("beta", "services", "identity", "create", f"--service={api}.googleapis.com", project),
        )


def _things(deployment: Deployment) -> Iterator[Step]:
    """Yield what has to be there before somebody can be let at it."""
    project = f"--project={deployment.project}"
    key = deployment.kms_key
    for repository in dict.fromkeys(filter(None, (deployment.repository, deployment.images))):
        yield Step(
            f"Artifact Registry repository {repository.rpartition('/')[2]}",
            (
                *(
                    "artifacts",
                    "repositories",
                    "create",
                    *repository_flags(repository),
                    "--repository-format=docker",
                ),
                *([f"--kms-key={key}"] if key else []),
            ),
            found=("artifacts", "repositories", "describe", *repository_flags(repository)),
        )
    home = deployment.region
    for bucket, region, rules in (
        (deployment.ledger_bucket, home, (f"--lifecycle-file={LIFECYCLE}",)),
        (deployment.staging_bucket, home, ()),
        *((bucket, region, ()) for bucket, region in deployment.ladder_buckets.items()),
    ):
        yield Step(
            f"bucket gs://{bucket}",
            (
                *(
                    "storage",
                    "buckets",
                    "create",
                    f"gs://{bucket}",
                    f"--location={region}",
                    project,
                ),
                *("--uniform-bucket-level-access", "--public-access-prevention", *rules),
                *(
                    [f"--default-encryption-key={key}"] if key and region == home else []
                ),  # a key is of one region
            ),
            found=("storage", "buckets", "describe", f"gs://{bucket}"),
        )
    # a file, because no flag of gcloud gives a secret that is kept in one region a key
    replica = {"location": deployment.region}
    encrypted = replica | {"customerManagedEncryption": {"kmsKeyName": key}}
    yield Step(
        f"secret {deployment.secret}",
        ("secrets", "create", deployment.secret, "--replication-policy-file=-", project),
        given=json.dumps({"userManaged": {"replicas": [encrypted if key else replica]}}),
        found=("secrets", "describe", deployment.secret, project),
    )
    for role in deployment.accounts:
        email = deployment.account(role)
        yield Step(
            f"service account {email}",
            (
                "iam",
                "service-accounts",
                "create",
                email.partition("@")[0],
                f"--display-name={deployment.name}: {role}",
                project,
            ),
            found=("iam", "service-accounts", "describe", email, project),
        )
    for name, custom in custom_roles(deployment).items():
        role_id, permissions = deployment.custom_role(name), ",".join(custom.permissions)
        told = (
            f"--title={deployment.name}: {custom.title}",
            f"--permissions={permissions}",
            "--stage=GA",
        )
        yield Step(
            f"custom role {role_id}",
            ("iam", "roles", "create", role_id, project, *told),
            found=("iam", "roles", "describe", role_id, project),
            mends=partial(
                _role_mends,
                set(custom.permissions),
                ("iam", "roles", "undelete", role_id, project),
                ("iam", "roles", "update", role_id, project, *told),
            ),
        )


def _role_mends(
    permissions: set[str],
    undelete: tuple[str, ...],
    update: tuple[str, ...],
    role: Mapping[str, Any],
) -> Iterator[tuple[str, ...]]:
    """Yield what a role lacks: for a week after its deletion it can, and has to, be brought back."""
    if role.get("deleted"):
        yield undelete
    if set(role.get("includedPermissions", ())) != permissions:
        yield update


def _by_resource(deployment: Deployment) -> dict[str, list[Step]]:
    """Return the bindings, those of one resource one after another: each rewrites its whole policy."""
    groups: dict[str, list[Step]] = defaultdict(list)
    for binding in bindings(deployment):
        if binding.kind not in AT_BUILD:
            on_project = binding.kind in ("project", "sources")
            group = (
                "project"
                if on_project
                else binding.kind
                if binding.kind == "kms_key"
                else binding.resource
            )
            groups[group].append(_bind(binding, deployment))
    return groups


def _bind(binding: Binding, deployment: Deployment) -> Step:
    name = binding.role.rpartition("/")[2]
    where = binding.resource if binding.kind != "sources" else "the buckets of functions' sources"
    return Step(
        f"{binding.member.partition(':')[2]} gets {name} on {where}",
        bind_command(binding, deployment),
    )


def _key(deployment: Deployment, console: Console) -> None:
    """Put W&B's API key into the secret, where it has none yet."""
    project = f"--project={deployment.project}"
    versions = gcloud.describe(
        ("secrets", "versions", "list", deployment.secret, "--filter=state=ENABLED", project)
    )
    if versions:
        console.print(
            f"  the API key of W&B: is there, as {versions[0]['name'].rpartition('/')[2]} of {deployment.secret}"
        )
        return
    key = os.environ.get("WANDB_API_KEY") or click.prompt("W&B's API key", hide_input=True)
    gcloud.run(
        ("secrets", "versions", "add", deployment.secret, "--data-file=-", project),
        given=key.strip(),
    )
    console.print(f"  the API key of W&B: made, in {deployment.secret}")


def _print(phases: dict[str, list[list[Step]]]) -> None:
    for title, groups in phases.items():
        click.echo(f"# {title}")
        for steps in groups:
            for step in steps:
                click.echo(gcloud.shown(step.make, step.given))
