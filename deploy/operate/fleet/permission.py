"""What a person lacks who may not read a deployment, and the command that grants it."""

from deploy.cloud import gcloud
from shared.core.errors import Denied

VIEWER = "roles/storage.objectViewer"
WRITER = "roles/storage.objectUser"
LOG_VIEWER = "roles/logging.viewer"
LOGIN = "gcloud auth application-default login"
_OF_A_FUNCTION = ". The function's account needs"  # how each adapter ends a refusal


def grant(exc: Denied, bucket: str, project: str, role: str = VIEWER) -> str:
    """Return a refusal of the ledger with the missing permission, and how to get it."""
    refusal, refused, _ = str(exc).partition(_OF_A_FUNCTION)
    if "no Google credentials" in refusal:
        return f"{refusal}. Log in with:\n{LOGIN}"
    if not refused:  # there is no such bucket, or it is somebody else's
        return f"{refusal}. --project, --name or --bucket name another one"
    bind = ("storage", "buckets", "add-iam-policy-binding", f"gs://{bucket}", f"--role={role}")
    command = gcloud.shown((*bind, "--member=user:YOU"))
    return f"{refusal}.\nYou need {role}. An owner of {project} grants it with:\n{command}"


def grant_logs(exc: Denied, project: str) -> str:
    """Return a refusal of Cloud Logging with the missing permission, and how to get it."""
    refusal = str(exc).partition(_OF_A_FUNCTION)[0]
    if "no Google credentials" in refusal:
        return f"{refusal}. Log in with:\n{LOGIN}"
    bind = ("projects", "add-iam-policy-binding", project, f"--role={LOG_VIEWER}")
    command = gcloud.shown((*bind, "--member=user:YOU"))
    return f"{refusal}.\nYou need {LOG_VIEWER}. An owner of {project} grants it with:\n{command}"
