"""Google's clients of Pub/Sub for commands, and what their errors mean for a person."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import grpc
import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from deploy.cloud import gcloud
from deploy.cloud.google import words
from deploy.exit_codes import CouldNotSee
from deploy.operate.fleet.permission import LOGIN

TIMEOUT = 20  # seconds, of every call but a pull
SUBSCRIBER, PUBLISHER = "roles/pubsub.subscriber", "roles/pubsub.publisher"


@contextmanager
def explaining(role: str, resource: str, region: str, name: str) -> Iterator[None]:
    """Turn Google's errors into messages with a fix; the call needs `role` on `resource`."""
    project = resource.split("/")[1]
    try:
        yield
    except google_errors.NotFound as exc:
        place = f"--project={project} --region={region or 'REGION'} --name={name}"
        raise click.ClickException(
            f"{resource} does not exist. Create it with:\nvertex-launch provision {place}"
        ) from exc
    except google_errors.Forbidden as exc:
        raise click.ClickException(
            f"you lack {role} on {resource}: {words(exc)}. An owner of {project} grants it with:\n"
            f"{_grant(role, resource)}"
        ) from exc
    except (requests.RequestException, auth_errors.TransportError) as exc:
        raise CouldNotSee(f"{resource}: Pub/Sub cannot be reached: {type(exc).__name__}") from exc
    except (google_errors.Unauthorized, auth_errors.GoogleAuthError) as exc:
        first_line = str(exc).splitlines()[0]
        raise click.ClickException(
            f"Google does not accept your credentials: {first_line}\n{LOGIN}"
        ) from exc
    except (google_errors.ServerError, google_errors.TooManyRequests) as exc:
        raise CouldNotSee(f"{resource}: Pub/Sub answers {exc.code}: {words(exc)}") from exc
    except google_errors.GoogleAPICallError as exc:
        raise click.ClickException(f"{resource}: Pub/Sub answers {exc.code}: {words(exc)}") from exc


def _grant(role: str, resource: str) -> str:
    _, project, collection, name = resource.split("/")
    bind = ("pubsub", collection, "add-iam-policy-binding", name, f"--project={project}")
    return gcloud.shown((*bind, f"--role={role}", "--member=user:YOU"))


def publisher() -> Any:
    """Return Google's client; PUBSUB_EMULATOR_HOST connects it with an emulator."""
    if channel := _emulator():
        return PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    return PublisherClient(transport="rest")


def subscriber() -> Any:
    """Return Google's client, as `publisher` does."""
    if channel := _emulator():
        return SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
    return SubscriberClient(transport="rest")


def _emulator() -> Any:
    host = os.environ.get("PUBSUB_EMULATOR_HOST")
    options = [("grpc.max_receive_message_length", -1)]
    return grpc.insecure_channel(host, options=options) if host else None
