"""The steps of `bootstrap` that create: APIs, service agents, resources of a deployment."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from deploy.cloud.bootstrap_repositories import repository_step
from deploy.cloud.deployment import Deployment
from deploy.cloud.gcloud import GcloudError, Step
from deploy.cloud.iam import (
    Role,
    custom_roles,
)
from deploy.cloud.lifecycle import (
    CONTEXTS,
    LEDGER,
    RESTORE_NOTHING,
    RESTORE_RECORDS,
    SOURCES,
    rule_of,
)

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
ENCRYPTING_APIS = (
    "aiplatform",
    "artifactregistry",
    "cloudfunctions",
    "eventarc",
    "pubsub",
    "run",
    "secretmanager",
)


def enable_apis(deployment: Deployment) -> Step:
    """Return the step that enables the APIs."""
    names = [f"{api}.googleapis.com" for api in APIS]
    command = ("services", "enable", *names, _project(deployment))
    return Step(f"{len(names)} APIs", command)


def service_agents(deployment: Deployment) -> Iterator[Step]:
    """Yield the steps that create the service agents that need access to the KMS key.

    Google creates some of them only at the first use of their service, which is too late.
    """
    project = _project(deployment)
    if deployment.kms_key or deployment.ladder_keys:
        yield Step("Cloud Storage's", ("storage", "service-agent", project))
    if not deployment.kms_key:
        return
    for api in ENCRYPTING_APIS:
        service = f"--service={api}.googleapis.com"
        yield Step(f"{api}'s", ("beta", "services", "identity", "create", service, project))


def resources(deployment: Deployment) -> Iterator[Step]:
    """Yield the steps that create the resources, which must exist before their bindings."""
    for repository in dict.fromkeys(filter(None, (deployment.repository, deployment.images))):
        yield repository_step(deployment, repository)
    yield _own_bucket(deployment, deployment.ledger_bucket, LEDGER)
    yield _own_bucket(deployment, deployment.sources_bucket, SOURCES)
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


def _soft_delete(seconds: int) -> str:
    return f"--soft-delete-duration={seconds}s"


def _bucket(
    deployment: Deployment,
    bucket: str,
    region: str,
    *flags: str,
    soft_delete: int = RESTORE_NOTHING,
) -> Step:
    address = f"gs://{bucket}"
    closed = ("--uniform-bucket-level-access", "--public-access-prevention")
    key: tuple[str, ...] = ()
    if kms_key := deployment.key_of(region):
        key = (f"--default-encryption-key={kms_key}",)
    where = (address, f"--location={region}", _project(deployment))
    return Step(
        f"bucket {address}",
        ("storage", "buckets", "create", *where, *closed, *flags, _soft_delete(soft_delete), *key),
        describe=("storage", "buckets", "describe", address),
    )


def _own_bucket(deployment: Deployment, bucket: str, lifecycle: Path | None = None) -> Step:
    """Return the step of a bucket whose name follows from the deployment's."""
    flags = [f"--lifecycle-file={lifecycle}"] if lifecycle else []
    seconds = RESTORE_RECORDS if lifecycle == LEDGER else RESTORE_NOTHING
    step = _bucket(deployment, bucket, deployment.region, *flags, soft_delete=seconds)
    # provision sets the ledger's
    rule = rule_of(lifecycle) if lifecycle in (CONTEXTS, SOURCES) else None
    return replace(
        step,
        describe=(*step.describe, "--raw"),
        updates=partial(_bucket_updates, deployment, bucket, rule, flags, seconds),
    )


def _bucket_updates(
    deployment: Deployment,
    bucket: str,
    rule: Mapping[str, Any] | None,
    flags: list[str],
    soft_delete: int,
    there: Mapping[str, Any],
) -> Iterator[tuple[str, ...]]:
    """Yield the command that sets what differs: lifecycle, soft delete, key, closed access.

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
    kept = there.get("softDeletePolicy", {}).get("retentionDurationSeconds", 0)
    if int(kept) != soft_delete:
        differing.append(_soft_delete(soft_delete))
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
