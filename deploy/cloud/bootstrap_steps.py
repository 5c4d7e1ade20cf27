"""The steps of `bootstrap` that create: APIs, service agents, resources of a deployment."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from deploy.cloud.deployment import Deployment
from deploy.cloud.gcloud import GcloudError, Step
from deploy.cloud.iam import (
    Role,
    custom_roles,
    repository_flags,
)
from deploy.cloud.inputs import ROOT
from deploy.cloud.lifecycle import CONTEXTS, LEDGER, rule_of


def resources(deployment: Deployment) -> Iterator[Step]:
    """Yield the steps that create the resources, which must exist before their bindings."""
    for repository in dict.fromkeys(filter(None, (deployment.repository, deployment.images))):
        yield _repository(deployment, repository)
    yield _own_bucket(deployment, deployment.ledger_bucket, LEDGER)
    yield _own_bucket(deployment, deployment.sources_bucket)
    if deployment.images and deployment.contexts_bucket == deployment.own_contexts_bucket:
        yield _own_bucket(deployment, deployment.contexts_bucket, CONTEXTS)
    if deployment.staging:
        yield _bucket(deployment, deployment.staging_bucket, deployment.region)
    else:
        yield _own_bucket(deployment, deployment.staging_bucket)
    for bucket, region in deployment.ladder_buckets.items():
        yield _bucket(deployment, bucket, region)
    yield _secret(deployment)
    for account in deployment.accounts:
        yield _account(deployment, account)
    for name, role in custom_roles(deployment).items():
        yield _role(deployment, name, role)


def _project(deployment: Deployment) -> str:
    return f"--project={deployment.project}"


def _repository(deployment: Deployment, repository: str) -> Step:
    flags = repository_flags(repository)
    key = [f"--kms-key={deployment.kms_key}"] if deployment.kms_key else []
    # Cloud Run moves tags in the functions' repository. An existing repository stays as it is: its
    # owner may move tags too, so doctor only reports it.
    fixed = [] if repository == deployment.repository else ["--immutable-tags"]
    create = ("artifacts", "repositories", "create", *flags, "--repository-format=docker")
    command = (*create, *fixed, *key)
    return Step(
        f"Artifact Registry repository {repository.rpartition('/')[2]}",
        command,
        describe=("artifacts", "repositories", "describe", *flags),
    )


def _bucket(deployment: Deployment, bucket: str, region: str, *flags: str) -> Step:
    address = f"gs://{bucket}"
    closed = ("--uniform-bucket-level-access", "--public-access-prevention")
    key: tuple[str, ...] = ()
    if deployment.kms_key and region == deployment.region:  # a key serves one region
        key = (f"--default-encryption-key={deployment.kms_key}",)
    where = (address, f"--location={region}", _project(deployment))
    return Step(
        f"bucket {address}",
        ("storage", "buckets", "create", *where, *closed, *flags, *key),
        describe=("storage", "buckets", "describe", address),
    )


def _own_bucket(deployment: Deployment, bucket: str, lifecycle: Path | None = None) -> Step:
    """Return the step of a bucket whose name follows from the deployment's."""
    # gcloud reads the file from the current folder
    flags = [f"--lifecycle-file={os.path.relpath(ROOT / lifecycle)}"] if lifecycle else []
    if lifecycle == CONTEXTS:
        flags.append("--soft-delete-duration=0")  # else Google keeps deleted code for a week
    step = _bucket(deployment, bucket, deployment.region, *flags)
    rule = rule_of(CONTEXTS) if lifecycle == CONTEXTS else None  # provision sets the ledger's
    return replace(
        step,
        describe=(*step.describe, "--raw"),
        updates=partial(_bucket_updates, deployment, bucket, rule, flags),
    )


def _bucket_updates(
    deployment: Deployment,
    bucket: str,
    rule: Mapping[str, Any] | None,
    flags: list[str],
    there: Mapping[str, Any],
) -> Iterator[tuple[str, ...]]:
    """Yield the command that sets what differs: lifecycle, encryption key, closed access.

    Bucket names are global: somebody else could have created a bucket with this name, and would
    read all that we write.

    Raises:
        GcloudError: the bucket belongs to another project.
    """
    if str(there["projectNumber"]) != deployment.number:
        raise GcloudError(
            f"gs://{bucket} belongs to the project number {there['projectNumber']}, not to "
            f"{deployment.project}: choose another --name"
        )
    differing = []
    if rule and rule not in there.get("lifecycle", {}).get("rule", ()):
        differing += flags
    key = deployment.kms_key
    if there.get("encryption", {}).get("defaultKmsKeyName", "") != key:
        differing.append(
            f"--default-encryption-key={key}" if key else "--clear-default-encryption-key"
        )
    access = there.get("iamConfiguration", {})
    if not access.get("uniformBucketLevelAccess", {}).get("enabled"):
        differing.append("--uniform-bucket-level-access")
    if access.get("publicAccessPrevention") != "enforced":
        differing.append("--public-access-prevention")
    if differing:
        yield ("storage", "buckets", "update", f"gs://{bucket}", *differing)


def _secret(deployment: Deployment) -> Step:
    """Return the step of the secret; only a file can give a regional secret a KMS key."""
    replica: dict[str, Any] = {"location": deployment.region}
    if deployment.kms_key:
        replica["customerManagedEncryption"] = {"kmsKeyName": deployment.kms_key}
    project, secret = _project(deployment), deployment.secret
    return Step(
        f"secret {secret}",
        ("secrets", "create", secret, "--replication-policy-file=-", project),
        stdin=json.dumps({"userManaged": {"replicas": [replica]}}),
        describe=("secrets", "describe", secret, project),
        updates=partial(_secret_updates, deployment),
    )


def _secret_updates(deployment: Deployment, there: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the command that sets or clears the secret's KMS key, for its next version."""
    replicas = there.get("replication", {}).get("userManaged", {}).get("replicas", ())
    keys = {one.get("customerManagedEncryption", {}).get("kmsKeyName", "") for one in replicas}
    if keys == {deployment.kms_key}:
        return
    update = ("secrets", "replication", "update", deployment.secret, _project(deployment))
    if deployment.kms_key:
        where = f"--location={deployment.region}"
        yield (*update, f"--set-kms-key={deployment.kms_key}", where)
    else:
        yield (*update, "--remove-cmek")


def _account(deployment: Deployment, account: str) -> Step:
    project, email = _project(deployment), deployment.account(account)
    title = f"--display-name={deployment.name}: {account}"
    name = email.partition("@")[0]
    return Step(
        f"service account {email}",
        ("iam", "service-accounts", "create", name, title, project),
        describe=("iam", "service-accounts", "describe", email, project),
    )


def _role(deployment: Deployment, name: str, role: Role) -> Step:
    project, role_id = _project(deployment), deployment.custom_role(name)
    flags = (
        f"--title={deployment.name}: {role.title}",
        f"--permissions={','.join(role.permissions)}",
        "--stage=GA",
    )
    undelete = ("iam", "roles", "undelete", role_id, project)
    update = ("iam", "roles", "update", role_id, project, *flags)
    return Step(
        f"custom role {role_id}",
        ("iam", "roles", "create", role_id, project, *flags),
        describe=("iam", "roles", "describe", role_id, project),
        updates=partial(_role_updates, set(role.permissions), undelete, update),
    )


def _role_updates(
    permissions: set[str],
    undelete: tuple[str, ...],
    update: tuple[str, ...],
    role: Mapping[str, Any],
) -> Iterator[tuple[str, ...]]:
    """Yield the commands that update a role.

    Google keeps a deleted role and its id for a week: it must be restored, not created.
    """
    if role.get("deleted"):
        yield undelete
    if set(role.get("includedPermissions", ())) != permissions:
        yield update
