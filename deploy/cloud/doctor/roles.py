"""The custom roles: their permissions, and the time since a deletion."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from google.api_core import exceptions as google_errors

from deploy.cloud import gcloud
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.explained import UNSEEN
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, warning
from deploy.cloud.iam import Role, custom_roles

LOGGING = "https://logging.googleapis.com/v2/entries:list"
# https://cloud.google.com/iam/docs/creating-custom-roles#deleting-custom-role
RESTORABLE = timedelta(days=7)  # after a deletion
TAKEN = timedelta(days=37)  # so long no other role can have the id


def checks(case: Case) -> Iterator[Check]:
    """Yield a check for each custom role."""
    for name, role in custom_roles(case.deployment).items():
        yield Check(f"role {name}", partial(_role, case, name, role), ("iam.roles.get",))


def _role(case: Case, name: str, role: Role) -> Iterator[Finding]:
    title, project = f"role {name}", f"--project={case.deployment.project}"
    role_id = case.deployment.custom_role(name)
    try:
        there = case.google.get(
            f"https://iam.googleapis.com/v1/projects/{case.deployment.project}/roles/{role_id}"
        )
    except google_errors.NotFound:
        there = None
    if there is None or there.get("deleted"):
        deleted = _deletion(case, role_id)
        if deleted and datetime.now(UTC) - deleted > RESTORABLE:
            yield _blocked(title, role_id, deleted)
        elif there is None:
            yield failed(title, f"{role_id} does not exist", case.command("bootstrap"))
        else:
            message = f"{role_id} is deleted, but Google restores a role for 7 days"
            yield failed(
                title, message, gcloud.shown(("iam", "roles", "undelete", role_id, project))
            )
        return
    wanted, has = set(role.permissions), set(there.get("includedPermissions", ()))
    permissions = f"--permissions={','.join(role.permissions)}"
    update = gcloud.shown(("iam", "roles", "update", role_id, project, permissions))
    surplus = f"has permissions that it does not need: {', '.join(sorted(has - wanted))}"
    if wanted - has:
        message = f"{role_id} lacks {', '.join(sorted(wanted - has))}"
        if has - wanted:
            message += f", and {surplus}"
        yield failed(title, message, update)
    elif has - wanted:
        yield warning(title, f"{role_id} {surplus}", update)
    else:
        yield ok(title, f"{role_id} has exactly its {len(wanted)} permissions")


def _blocked(title: str, role_id: str, deleted: datetime) -> Finding:
    message = f"{role_id} was deleted on {deleted:%Y-%m-%d}: Google restores a role for 7 days only"
    free = deleted + TAKEN
    fix = f"No role can have its id before {free:%Y-%m-%d}. "
    return failed(title, message, f"{fix}Wait, or bootstrap and build under another --name.")


def _deletion(case: Case, role_id: str) -> datetime | None:
    """Return when somebody deleted a role, as the audit log says; None if it cannot be seen."""
    project = f"projects/{case.deployment.project}"
    since = datetime.now(UTC) - TAKEN
    lines = (
        'protoPayload.methodName="google.iam.admin.v1.DeleteRole"',
        f'protoPayload.resourceName="{project}/roles/{role_id}"',
        f'timestamp>="{since:%Y-%m-%dT%H:%M:%SZ}"',
    )
    asked = {
        "resourceNames": [project],
        "filter": " AND ".join(lines),
        "orderBy": "timestamp desc",
        "pageSize": 1,
    }
    try:
        entries = case.google.post(LOGGING, asked).get("entries", ())
    except UNSEEN:
        return None
    return datetime.fromisoformat(entries[0]["timestamp"]) if entries else None
