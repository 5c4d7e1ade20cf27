"""The dead-letter subscription, and the launch topic, through Google's clients."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import click
import grpc
import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import ReceivedMessage

from deploy.cloud import gcloud
from deploy.cloud.deployment import Deployment
from deploy.cloud.google import words
from deploy.exit_codes import CouldNotSee
from deploy.operate.dead_letters.dead_letter import DeadLetter, read_dead_letter

PAGE = 100  # dead letters of one pull
MAX_DEAD_LETTERS = 1000  # of one command
TIMEOUT = 20  # seconds, of every call but a pull
SUBSCRIBER, PUBLISHER = "roles/pubsub.subscriber", "roles/pubsub.publisher"
LOGIN = "gcloud auth application-default login"


class DeadLetterQueue:
    """The dead letters of a deployment, as a context manager.

    It holds each pulled message, so that the next pull brings others. At the end it releases those
    that were not acknowledged.
    """

    def __init__(self, deployment: Deployment, wait: float) -> None:
        self._deployment = deployment
        project = f"projects/{deployment.project}"
        self._subscription = f"{project}/subscriptions/{deployment.dead_letters}"
        self._topic = f"{project}/topics/{deployment.topic}"
        self._wait = wait
        self._held: dict[str, str] = {}  # message id: ack id
        self._seen: set[str] = set()
        self.complete = True  # False: there may be more than MAX_DEAD_LETTERS

    def __enter__(self) -> Self:
        with self._explaining(SUBSCRIBER, self._subscription):
            self._publisher, self._subscriber = _clients()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if not self._held:
            return
        try:
            with self._explaining(SUBSCRIBER, self._subscription):
                self._subscriber.modify_ack_deadline(
                    subscription=self._subscription,
                    ack_ids=list(self._held.values()),
                    ack_deadline_seconds=0,
                    timeout=TIMEOUT,
                )
        except click.ClickException:
            # The first error matters more: Pub/Sub releases the messages within a minute anyway.
            if error is None:
                raise

    def pages(self) -> Iterator[list[DeadLetter]]:
        """Yield each dead letter once, until a pull brings nothing new."""
        while len(self._seen) < MAX_DEAD_LETTERS:
            letters = [read_dead_letter(received) for received in self._pull()]
            self._held |= {letter.id: letter.ack_id for letter in letters}
            new = [letter for letter in letters if letter.id not in self._seen]
            if not new:
                return
            self._seen |= {letter.id for letter in new}
            yield new
        self.complete = False

    def publish(self, letter: DeadLetter) -> None:
        """Publish a dead letter's message on the launch topic again."""
        with self._explaining(PUBLISHER, self._topic):
            self._publisher.publish(
                topic=self._topic, messages=[{"data": letter.content}], timeout=TIMEOUT
            )

    def acknowledge(self, letters: Iterable[DeadLetter]) -> None:
        """Delete dead letters for good."""
        if ack_ids := [self._held.pop(letter.id) for letter in letters]:
            with self._explaining(SUBSCRIBER, self._subscription):
                self._subscriber.acknowledge(
                    subscription=self._subscription, ack_ids=ack_ids, timeout=TIMEOUT
                )

    def _pull(self) -> list[ReceivedMessage]:
        with self._explaining(SUBSCRIBER, self._subscription):
            try:
                answer = self._subscriber.pull(
                    subscription=self._subscription,
                    max_messages=PAGE,
                    retry=None,
                    timeout=self._wait,
                )
            except (google_errors.DeadlineExceeded, requests.ReadTimeout):
                return []  # Pub/Sub answers an empty subscription late
        return list(answer.received_messages)

    @contextmanager
    def _explaining(self, role: str, resource: str) -> Iterator[None]:
        """Turn Google's errors into messages with a fix; the call needs `role` on `resource`."""
        try:
            yield
        except google_errors.NotFound as exc:
            raise click.ClickException(
                f"{resource} does not exist. Create it with:\n{self._provision()}"
            ) from exc
        except google_errors.Forbidden as exc:
            raise click.ClickException(
                f"you lack {role} on {resource}: {words(exc)}. An owner of "
                f"{self._deployment.project} grants it with:\n{self._grant(role, resource)}"
            ) from exc
        except (requests.RequestException, auth_errors.TransportError) as exc:
            raise CouldNotSee(
                f"{resource}: Pub/Sub cannot be reached: {type(exc).__name__}"
            ) from exc
        except (google_errors.Unauthorized, auth_errors.GoogleAuthError) as exc:
            first_line = str(exc).splitlines()[0]
            raise click.ClickException(
                f"Google does not accept your credentials: {first_line}\n{LOGIN}"
            ) from exc
        except (google_errors.ServerError, google_errors.TooManyRequests) as exc:
            raise CouldNotSee(f"{resource}: Pub/Sub answers {exc.code}: {words(exc)}") from exc
        except google_errors.GoogleAPICallError as exc:
            raise click.ClickException(
                f"{resource}: Pub/Sub answers {exc.code}: {words(exc)}"
            ) from exc

    def _provision(self) -> str:
        deployment = self._deployment
        return (
            f"vertex-launch provision --project={deployment.project} "
            f"--region={deployment.region} --name={deployment.name}"
        )

    def _grant(self, role: str, resource: str) -> str:
        kind, _, name = resource.rpartition("/")
        collection = kind.rpartition("/")[2]
        project = f"--project={self._deployment.project}"
        bind = ("pubsub", collection, "add-iam-policy-binding", name, project)
        return gcloud.shown((*bind, f"--role={role}", "--member=user:YOU"))


def _clients() -> tuple[Any, Any]:
    """Return Google's clients; PUBSUB_EMULATOR_HOST connects them with an emulator."""
    host = os.environ.get("PUBSUB_EMULATOR_HOST")
    if not host:
        return PublisherClient(transport="rest"), SubscriberClient(transport="rest")
    channel = grpc.insecure_channel(host, options=[("grpc.max_receive_message_length", -1)])
    publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    return publisher, SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
