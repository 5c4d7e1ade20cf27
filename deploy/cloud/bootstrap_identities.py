"""The steps of `bootstrap` that create service accounts and custom roles."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from deploy.cloud.deployment import Deployment
from deploy.cloud.gcloud import Step
from deploy.cloud.iam import Role
from deploy.cloud.marks import require_ours, title


def account_step(deployment: Deployment, role: str) -> Step:
    """Return the step of one of our service accounts."""
    project, email = f"--project={deployment.project}", deployment.account(role)
    flag = f"--display-name={title(deployment, role)}"
    return Step(
        f"service account {email}",
        ("iam", "service-accounts", "create", email.partition("@")[0], flag, project),
        describe=("iam", "service-accounts", "describe", email, project),
        updates=partial(_account_updates, deployment, email),
    )


def _account_updates(deployment: Deployment, email: str, there: Mapping[str, Any]) -> tuple[()]:
    """Return no commands; raises if the account belongs to another deployment."""
    require_ours(f"service account {email}", there, deployment)
    return ()


def role_step(deployment: Deployment, name: str, role: Role) -> Step:
    """Return the step of a custom role."""
    project, role_id = f"--project={deployment.project}", deployment.custom_role(name)
    flags = (
        f"--title={title(deployment, role.title)}",
        f"--permissions={','.join(role.permissions)}",
        "--stage=GA",
    )
    undelete = ("iam", "roles", "undelete", role_id, project)
    update = ("iam", "roles", "update", role_id, project, *flags)
    return Step(
        f"custom role {role_id}",
        ("iam", "roles", "create", role_id, project, *flags),
        describe=("iam", "roles", "describe", role_id, project),
        updates=partial(_role_updates, deployment, set(role.permissions), undelete, update),
    )


def _role_updates(
    deployment: Deployment,
    permissions: set[str],
    undelete: tuple[str, ...],
    update: tuple[str, ...],
    there: Mapping[str, Any],
) -> Iterator[tuple[str, ...]]:
    """Yield the commands that update a role.

    Google keeps a deleted role and its id for a week: it must be restored, not created. An id
    joins two names: `launch` + `first_build` is also `launch-first` + `build`.
    """
    require_ours(f"custom role {update[3]}", there, deployment)
    if there.get("deleted"):
        yield undelete
    if set(there.get("includedPermissions", ())) != permissions:
        yield update
