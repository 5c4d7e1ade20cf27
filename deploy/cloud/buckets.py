"""Who owns a bucket. Names of buckets are global and ours follow from the project's id.

Somebody else can have created a bucket of such a name, to receive sources, contexts and records
(the class of CVE-2026-2473). Only the bucket's `projectNumber` says whose it is.
"""

import re
from collections.abc import Mapping
from typing import Any

from deploy.cloud.deployment import Deployment
from shared.core.reserved import DEPLOYMENT, bucket_name

STORAGE = "https://storage.googleapis.com/storage/v1/b"
UNREADABLE = (
    "exists, but you may not read it: it belongs to somebody else, or you lack storage.buckets.get"
)


def own_buckets(deployment: Deployment) -> dict[str, str]:
    """Return the buckets whose names follow from the deployment's, by what they are for."""
    buckets = {"ledger": deployment.ledger_bucket, "sources": deployment.sources_bucket}
    if deployment.images and deployment.contexts_bucket == deployment.own_contexts_bucket:
        buckets["contexts"] = deployment.contexts_bucket
    if not deployment.staging:
        buckets["staging"] = deployment.staging_bucket
    return buckets


def named_buckets(deployment: Deployment) -> dict[str, str]:
    """Return the buckets that the operator names; these may belong to another project."""
    named = {f"ladder's bucket in {r}": bucket for bucket, r in deployment.ladder_buckets.items()}
    if deployment.staging:
        named["staging bucket"] = deployment.staging_bucket
    if deployment.images and deployment.contexts_bucket != deployment.own_contexts_bucket:
        named["build-context-store"] = deployment.contexts_bucket
    return named


def foreign(bucket: Mapping[str, Any], deployment: Deployment) -> str:
    """Return the number of the project that owns a bucket; empty if it is the deployment's."""
    number = str(bucket["projectNumber"])
    return "" if number == deployment.number else number


def refusal(name: str, number: str, deployment: Deployment) -> str:
    """Return why a bucket of another project is not used, and what to do."""
    others = _of_the_same_name(deployment)
    twin = f" Bucket names join project and --name, so {others} has the same." if others else ""
    return (
        f"gs://{name} belongs to the project number {number}, not to {deployment.project}: "
        f"choose another --name. Somebody else has created it, and would receive what we "
        f"write.{twin}"
    )


def _of_the_same_name(deployment: Deployment) -> str:
    """Name a deployment of another project that has buckets of the same names."""
    whole = bucket_name(deployment.project, deployment.name, "")[:-1]
    for dash in re.finditer("-", whole):
        project, name = whole[: dash.start()], whole[dash.end() :]
        other = (project, name) != (deployment.project, deployment.name)
        if other and re.fullmatch(DEPLOYMENT, name):
            return f"the deployment `{name}` of a project `{project}`"
    return ""
