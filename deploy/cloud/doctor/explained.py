"""An error of a check, as a finding that names its cause and the fix."""

from typing import Any, Protocol
from urllib.parse import urlsplit

import click
import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors

from deploy.cloud import gcloud
from deploy.cloud.deployment import Deployment
from deploy.cloud.doctor.finding import Check, Finding, Unusable, unknown
from deploy.cloud.google import Google, words
from deploy.cloud.provision.parts import NotYet
from shared.core.errors import KeyRefused, LaunchError

UNSEEN = (google_errors.GoogleAPICallError, auth_errors.GoogleAuthError, requests.RequestException)
LOGIN = "gcloud auth application-default"
NO_FUNCTION = "no function is deployed"
GCLOUDS_OWN = "764086051850"  # the project of gcloud's login: it pays if no quota project is set
WRONG_QUOTA_PROJECT = ("USER_PROJECT_DENIED", "CONSUMER_INVALID", "CONSUMER_SUSPENDED")


class Asking(Protocol):
    """The part of a `Case` that an explanation needs."""

    @property
    def deployment(self) -> Deployment:
        """Return the deployment."""

    @property
    def numbered(self) -> Deployment:
        """Return the deployment with its project's number; raises Google's errors."""

    @property
    def key_title(self) -> str:
        """Return the title of the check of the key that queries use."""

    @property
    def google(self) -> Google:
        """Return Google's APIs."""


def explained(case: Asking, check: Check, exc: Exception) -> Finding:
    """Return the finding of a check that has raised."""
    match exc:
        case google_errors.Forbidden() if cause := _of_quota_project(case, exc):
            fix = f"{LOGIN} set-quota-project {case.deployment.project}"
            return unknown(check.name, cause, fix, "quota project")
        case google_errors.Forbidden(reason="SERVICE_DISABLED"):
            api = exc.metadata["service"]
            project = f"--project={case.deployment.project}"
            enable = gcloud.shown(("services", "enable", api, project))
            return unknown(check.name, f"{api} is off", enable, f"API {api}")
        case google_errors.Forbidden():
            needs = ", ".join(_lacking(case, check.needs)) or words(exc)
            fix = f"Ask an owner of {case.deployment.project} for a role with {needs}."
            return unknown(check.name, f"you may not see this; needs {needs}", fix, needs)
        case auth_errors.TransportError():
            return unknown(check.name, "Google cannot be reached to sign in", "", "credentials")
        case google_errors.Unauthorized() | auth_errors.GoogleAuthError():
            return unknown(
                check.name,
                f"Google does not accept your credentials: {str(exc).splitlines()[0]}",
                f"{LOGIN} login",
                "credentials",
            )
        case google_errors.GoogleAPICallError():
            message = f"Google answers {exc.code}: {words(exc)}"
            return unknown(check.name, message, "", message)
        case requests.RequestException():
            where = urlsplit((exc.request.url if exc.request else "") or "").netloc or "Google"
            message = f"{where} cannot be reached: {type(exc).__name__}"
            return unknown(check.name, message, "", message)
        case LaunchError() | NotYet() | Unusable():
            return unknown(check.name, str(exc), "", *_causes(case, exc))
        case click.ClickException():
            message, _, fix = exc.message.partition("\n")
            return unknown(check.name, message, fix)
    return unknown(check.name, f"this check itself failed: {type(exc).__name__}: {exc}")


def _causes(case: Asking, exc: LaunchError | NotYet | Unusable) -> tuple[str, ...]:
    """Return what is at fault, as the check of that thing names it."""
    match exc:
        case KeyRefused():
            return (case.key_title,)
        case Unusable():
            return (exc.cause,)
        case NotYet():  # the trigger
            topic = f"projects/{case.deployment.project}/topics/{case.deployment.topic}"
            return (topic, f"function {case.deployment.function('submit')}", NO_FUNCTION)
    return (str(exc),)


def _of_quota_project(case: Asking, exc: Any) -> str:
    """Return the fault of the credentials' quota project, or nothing.

    Google counts a user's calls on the quota project of the application-default credentials,
    whatever project the call is about. The API must be on there.
    """
    consumer = str((exc.metadata or {}).get("consumer", "")).removeprefix("projects/")
    if consumer == GCLOUDS_OWN or "requires a quota project" in words(exc):
        return "your application-default credentials have no quota project"
    if exc.reason in WRONG_QUOTA_PROJECT:
        return words(exc)
    if exc.reason != "SERVICE_DISABLED" or not consumer:
        return ""
    try:
        ours = (case.deployment.project, case.numbered.number)
    except UNSEEN:
        return ""
    if consumer in ours:
        return ""
    api = exc.metadata.get("service", "the API")
    return f"{api} is off in {consumer}, the quota project of your application-default credentials"


def _lacking(case: Asking, needs: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of these permissions that the caller lacks in the project.

    Returns all of them if the project cannot say, or if none is missing.
    """
    project = f"projects/{case.deployment.project}"
    url = f"https://cloudresourcemanager.googleapis.com/v3/{project}:testIamPermissions"
    try:
        held = case.google.post(url, {"permissions": list(needs)}).get("permissions", ())
    except UNSEEN:
        return needs
    return tuple(permission for permission in needs if permission not in held) or needs
