"""The mark of a deployment on its resources: a label, or the beginning of a title.

Only a resource with this mark is deleted. A name alone proves nothing: somebody else can have
created the resource before.
"""

import re
from collections.abc import Mapping
from typing import Any

import click

from deploy.cloud.deployment import Deployment
from shared.core.reserved import DEPLOYMENT

LABEL = "vertex-launch"  # its value is the deployment's name
_TITLE = re.compile(rf"({DEPLOYMENT}): .+")


def title(deployment: Deployment, text: str) -> str:
    """Return the title of a resource that can have no label: a service account, a role."""
    return f"{deployment.name}: {text}"


def marked(there: Mapping[str, Any]) -> str:
    """Return the name of the deployment whose mark a resource carries; empty without a mark."""
    if label := (there.get("labels") or {}).get(LABEL):
        return str(label)
    found = _TITLE.fullmatch(str(there.get("displayName") or there.get("title") or ""))
    return found[1] if found else ""


def of_another(there: Mapping[str, Any], deployment: Deployment) -> str:
    """Return why this deployment may not change a resource; empty if it may.

    A resource without a mark may be one of an earlier version, which set no labels.
    """
    other = marked(there)
    if not other or other == deployment.name:
        return ""
    return f"belongs to the deployment {other}, not to {deployment.name}: choose another --name"


def require_ours(name: str, there: Mapping[str, Any], deployment: Deployment) -> None:
    """Raise ClickException if a resource belongs to another deployment."""
    if reason := of_another(there, deployment):
        raise click.ClickException(f"{name} {reason}")


def of_nobody(there: Mapping[str, Any], deployment: Deployment) -> str:
    """Return why this deployment may not delete a resource; empty if it may."""
    if marked(there) == deployment.name:
        return ""
    return of_another(there, deployment) or f"carries no mark of the deployment {deployment.name}"
