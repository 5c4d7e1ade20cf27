"""The notification channels of the alerts, which an operator creates in Cloud Monitoring."""

import re
from collections.abc import Iterable, Sequence

import click
import requests
from google.api_core import exceptions as google_errors

from deploy.cloud import gcloud
from deploy.cloud.deployment import Deployment
from deploy.cloud.google import Google

CHANNELS = "notificationChannels"  # the field of an alert, and the word in a channel's name
OPTION = "--notification-channels"
_NAME = re.compile(rf"(?:projects/[^/]+/{CHANNELS}/)?[A-Za-z0-9_-]+")


def named(text: str, deployment: Deployment) -> tuple[str, ...]:
    """Return the resource names of channels; the text holds names or ids.

    Raises:
        UsageError: a word is neither.
    """
    parent = f"projects/{deployment.project}/{CHANNELS}"
    words = re.split(r"[\s,;]+", text.strip()) if text.strip() else []
    for word in words:
        if not _NAME.fullmatch(word):
            raise click.UsageError(
                f"{OPTION} has {word!r}: write ids, or names such as {parent}/ID. "
                f"List them with: {listing(deployment)}"
            )
    return tuple(dict.fromkeys(w if "/" in w else f"{parent}/{w}" for w in words))


def check(google: Google, deployment: Deployment, channels: Iterable[str]) -> None:
    """Look at each channel, as far as the caller may.

    Raises:
        ClickException: one does not exist, or belongs to another project.
    """
    for name in channels:
        if name.split("/")[1] not in (deployment.project, deployment.number):
            raise click.ClickException(
                f"{OPTION}: {name} belongs to another project. Alerts of {deployment.project} use "
                f"channels of {deployment.project}. List them with: {listing(deployment)}"
            )
        try:
            google.get(f"https://monitoring.googleapis.com/v3/{name}")
        except (google_errors.Forbidden, requests.RequestException):
            return  # a deployment goes on without monitoring, and Google checks an alert's channels
        except (google_errors.NotFound, google_errors.BadRequest) as exc:
            raise click.ClickException(
                f"{OPTION}: {name} does not exist. List the channels with: {listing(deployment)}"
            ) from exc


def listing(deployment: Deployment) -> str:
    """Return the command that lists a project's channels."""
    shown = ("--format=value(name,displayName)", f"--project={deployment.project}")
    return gcloud.shown(("beta", "monitoring", "channels", "list", *shown))


def same_channels(wanted: Sequence[str], there: Sequence[str] | None) -> bool:
    """Tell whether two lists name the same channels; Google may write the project's number."""
    return {name.rpartition("/")[2] for name in wanted} == {
        name.rpartition("/")[2] for name in there or ()
    }
