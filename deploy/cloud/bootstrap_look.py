"""The look of `bootstrap` at a project before it changes anything, by gcloud alone."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from rich.console import Console

from deploy.cloud import gcloud
from deploy.cloud.buckets import UNREADABLE, foreign, named_buckets, own_buckets, refusal
from deploy.cloud.deployment import Deployment
from deploy.cloud.gcloud import GcloudError
from deploy.cloud.iam import custom_roles
from deploy.cloud.marks import require_ours
from deploy.cloud.places import (
    of_functions,
    of_ledger,
    of_triggers,
    refuse_a_second_region,
)


def look_around(deployment: Deployment, console: Console) -> None:
    """Compare the owners of the buckets, and the regions of what runs; print what is remarkable.

    Raises:
        GcloudError: a bucket of ours belongs to another project.
        ClickException: a custom role belongs to another deployment.
        Elsewhere: the deployment runs in another region.
    """
    project = f"--project={deployment.project}"
    with ThreadPoolExecutor(gcloud.AT_ONCE) as pool:
        functions = pool.submit(_listed, "functions", "list", "--v2", project)
        triggers = pool.submit(_listed, "eventarc", "triggers", "list", "--location=-", project)
        roles = pool.submit(_listed, "iam", "roles", "list", "--show-deleted", project)
        own = own_buckets(deployment)
        found = dict(zip(own, pool.map(_own, own.values()), strict=True))
        named = named_buckets(deployment)
        notes = pool.map(partial(_note, deployment), named, named.values())
        for sentence in filter(None, notes):
            console.print(f"Note: {sentence}.", highlight=False, soft_wrap=True)
    for what, bucket in found.items():
        if bucket and (number := foreign(bucket, deployment)):
            raise GcloudError(refusal(own[what], number, deployment))
    ours = {deployment.custom_role(name) for name in custom_roles(deployment)}
    for role in roles.result():
        if (identifier := role["name"].rpartition("/")[2]) in ours:
            require_ours(f"custom role {identifier}", role, deployment)
    places = [
        *of_ledger(found["ledger"] or {}, deployment),
        *of_functions(functions.result(), deployment),
        *of_triggers(triggers.result(), deployment),
    ]
    refuse_a_second_region(deployment, places)


def _listed(*command: str) -> list[Any]:
    """Return a list; empty if the API is still off, or the caller may not see it."""
    try:
        return list(gcloud.describe(command) or ())
    except GcloudError as exc:
        if exc.denied:
            return []
        raise


def _own(name: str) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] | None = gcloud.describe(_bucket(name))
    except GcloudError as exc:
        if exc.denied:
            raise GcloudError(f"gs://{name} {UNREADABLE}.\n{exc.message}", exc.stderr) from exc
        raise
    return found


def _note(deployment: Deployment, what: str, name: str) -> str:
    """Return the statement about a bucket of the operator, which may belong to anybody."""
    try:
        bucket = gcloud.describe(_bucket(name))
    except GcloudError as exc:
        if exc.denied:
            return f"the {what}, gs://{name}, {UNREADABLE}"
        raise
    number = foreign(bucket, deployment) if bucket else ""
    return f"the {what}, gs://{name}, belongs to another project, number {number}" if number else ""


def _bucket(name: str) -> tuple[str, ...]:
    return ("storage", "buckets", "describe", f"gs://{name}", "--raw")
