"""The steps of `bootstrap` that create the resources of a deployment."""

import json
import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from deploy.cloud.bootstrap_identities import account_step, role_step
from deploy.cloud.bootstrap_repositories import repository_step
from deploy.cloud.buckets import foreign, refusal
from deploy.cloud.deployment import Deployment
from deploy.cloud.gcloud import GcloudError, Step
from deploy.cloud.iam import custom_roles
from deploy.cloud.inputs import ROOT
from deploy.cloud.lifecycle import (
    CONTEXTS,
    LEDGER,
    RESTORE_NOTHING,
    RESTORE_RECORDS,
    SOURCES,
    rule_of,
)
from deploy.cloud.marks import LABEL, require_ours


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
        yield account_step(deployment, account)
    for name, role in custom_roles(deployment).items():
        yield role_step(deployment, name, role)


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
    # gcloud reads the file from the current folder
    flags = [f"--lifecycle-file={os.path.relpath(ROOT / lifecycle)}"] if lifecycle else []
    seconds = RESTORE_RECORDS if lifecycle == LEDGER else RESTORE_NOTHING
    step = _bucket(deployment, bucket, deployment.region, *flags, soft_delete=seconds)
    # provision sets the ledger's
    rule = rule_of(lifecycle) if lifecycle in (CONTEXTS, SOURCES) else None
    label = f"--update-labels={LABEL}={deployment.name}"  # `create` has no such flag
    mark = ("storage", "buckets", "update", f"gs://{bucket}", label)

    def updates(there: Mapping[str, Any] | None) -> Iterator[tuple[str, ...]]:
        if there is None:
            yield from (step.command, mark)
        else:
            yield from _bucket_updates(deployment, bucket, rule, flags, seconds, there)

    return Step(step.name, (), describe=(*step.describe, "--raw"), updates=updates)


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
        GcloudError: the bucket belongs to another project or deployment.
    """
    if number := foreign(there, deployment):
        raise GcloudError(refusal(bucket, number, deployment))
    require_ours(f"gs://{bucket}", there, deployment)
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
        (
            *("secrets", "create", secret, "--replication-policy-file=-", project),
            f"--labels={LABEL}={deployment.name}",
        ),
        stdin=json.dumps({"userManaged": {"replicas": [replica]}}),
        describe=("secrets", "describe", secret, project),
        updates=partial(_secret_updates, deployment),
    )


def _secret_updates(deployment: Deployment, there: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the command that sets or clears the secret's KMS key, for its next version."""
    require_ours(f"secret {deployment.secret}", there, deployment)
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
