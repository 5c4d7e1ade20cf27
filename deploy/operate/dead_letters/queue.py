"""The dead-letter subscription and the topic that a letter goes back to, through Google's clients."""

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
from deploy.cloud.doctor.google import words
from deploy.operate.dead_letters.letter import DeadLetter, letter_of

PAGE = 100  # letters a pull
MOST = 1000  # letters that are looked at in all
TIMEOUT = 20  # seconds, of every call but a pull
SUBSCRIBER, PUBLISHER = "roles/pubsub.subscriber", "roles/pubsub.publisher"


class DeadLetterBox:
    """What waits in it. Whatever was pulled is held until the end, so that the next pull brings others.

    A context manager: when it is left, what was not acknowledged is let go at once, for whoever looks next.
    """

    def __init__(self, deployment: Deployment, wait: float) -> None:
        self._deployment = deployment
        self._subscription = (
            f"projects/{deployment.project}/subscriptions/{deployment.dead_letters}"
        )
        self._topic = f"projects/{deployment.project}/topics/{deployment.topic}"
        self._wait = wait
        self._held: dict[str, str] = {}  # message id: ack id
        self._seen: set[str] = set()
        self.complete = True  # False: MOST were looked at, and there may be more

    def __enter__(self) -> Self:
        with self._asking(SUBSCRIBER, self._subscription):
            self._publisher, self._subscriber = _clients()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if not self._held:
            return
        try:
            with self._asking(SUBSCRIBER, self._subscription):
                self._subscriber.modify_ack_deadline(
                    subscription=self._subscription,
                    ack_ids=list(self._held.values()),
                    ack_deadline_seconds=0,
                    timeout=TIMEOUT,
                )
        except click.ClickException:
            if (
                error is None
            ):  # else the first error is the one to read; these come back within a minute
                raise

    def pages(self) -> Iterator[list[DeadLetter]]:
        """Yield what waits, each letter once, until a pull brings nothing new."""
        while len(self._seen) < MOST:
            letters = [letter_of(received) for received in self._pull()]
            self._held |= {letter.id: letter.ack_id for letter in letters}
            new = [letter for letter in letters if letter.id not in self._seen]
            if not new:
                return
            self._seen |= {letter.id for letter in new}
            yield new
        self.complete = False

    def publish(self, letter: DeadLetter) -> None:
        """Publish a letter's message again on the launch topic."""
        with self._asking(PUBLISHER, self._topic):
            self._publisher.publish(
                topic=self._topic, messages=[{"data": letter.content}], timeout=TIMEOUT
            )

    def acknowledge(self, letters: Iterable[DeadLetter]) -> None:
        """Take letters out for good."""
        if ack_ids := [self._held.pop(letter.id) for letter in letters]:
            with self._asking(SUBSCRIBER, self._subscription):
                self._subscriber.acknowledge(
                    subscription=self._subscription, ack_ids=ack_ids, timeout=TIMEOUT
                )

    def _pull(self) -> list[ReceivedMessage]:
        with self._asking(SUBSCRIBER, self._subscription):
            try:
                answer = self._subscriber.pull(
                    subscription=self._subscription,
                    max_messages=PAGE,
                    retry=None,
                    timeout=self._wait,
                )
            except (
                google_errors.DeadlineExceeded,
                requests.ReadTimeout,
            ):  # where nothing waits, Pub/Sub waits
                return []
        return list(answer.received_messages)

    @contextmanager
    def _asking(self, role: str, resource: str) -> Iterator[None]:
        """Say of an error of Google's what mends it; `role` is what the call needs on this resource."""
        told = self._deployment
        try:
            yield
        except google_errors.NotFound as exc:
            make = f"python -m deploy provision --project={told.project} --region={told.region} --name={told.name}"
            raise click.ClickException(
                f"{resource} does not exist. What makes it:\n{make}"
            ) from exc
        except google_errors.Forbidden as exc:
            kind, _, name = resource.rpartition("/")
            on = (
                "pubsub",
                kind.rpartition("/")[2],
                "add-iam-policy-binding",
                name,
                f"--project={told.project}",
            )
            raise click.ClickException(
                f"you lack {role} on {resource}: {words(exc)}. For an owner of {told.project}, to give it to you:\n"
                + gcloud.shown((*on, f"--role={role}", "--member=user:YOU"))
            ) from exc
        except (requests.RequestException, auth_errors.TransportError) as exc:
            raise click.ClickException(
                f"{resource}: Pub/Sub cannot be reached: {type(exc).__name__}"
            ) from exc
        except (google_errors.Unauthorized, auth_errors.GoogleAuthError) as exc:
            login = "gcloud auth application-default login"
            raise click.ClickException(
                f"Google does not know you: {str(exc).splitlines()[0]}\n{login}"
            ) from exc
        except google_errors.GoogleAPICallError as exc:
            raise click.ClickException(
                f"{resource}: Pub/Sub answers {exc.code}: {words(exc)}"
            ) from exc


def _clients() -> tuple[Any, Any]:
    """Return Google's own clients, which speak to the emulator where PUBSUB_EMULATOR_HOST names one."""
    host = os.environ.get("PUBSUB_EMULATOR_HOST")
    if not host:
        return PublisherClient(transport="rest"), SubscriberClient(transport="rest")
    channel = grpc.insecure_channel(host, options=[("grpc.max_receive_message_length", -1)])
    publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
    return publisher, SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
