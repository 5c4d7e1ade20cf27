"""The dead-letter subscription, and the launch topic, through Google's clients."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

import click
import requests
from google.api_core import exceptions as google_errors
from google.pubsub_v1.types import ReceivedMessage

from deploy.cloud.names import Names
from deploy.operate.dead_letters.dead_letter import DeadLetter, read_dead_letter
from deploy.operate.messaging import (
    PUBLISHER,
    SUBSCRIBER,
    TIMEOUT,
    explaining,
    publisher,
    subscriber,
)

PAGE = 100  # dead letters of one pull
MAX_DEAD_LETTERS = 1000  # of one command


class DeadLetterQueue:
    """The dead letters of a deployment, as a context manager.

    It holds each pulled message, so that the next pull brings others. At the end it releases those
    that were not acknowledged.
    """

    def __init__(self, names: Names, wait: float) -> None:
        self._names = names
        project = f"projects/{names.project}"
        self._subscription = f"{project}/subscriptions/{names.dead_letters}"
        self._topic = f"{project}/topics/{names.topic}"
        self._wait = wait
        self._held: dict[str, str] = {}  # message id: ack id
        self._seen: set[str] = set()
        self.complete = True  # False: there may be more than MAX_DEAD_LETTERS

    def __enter__(self) -> Self:
        with self._explaining(SUBSCRIBER, self._subscription):
            self._publisher, self._subscriber = publisher(), subscriber()
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

    def _explaining(self, role: str, resource: str) -> AbstractContextManager[None]:
        return explaining(role, resource, self._names.region, self._names.name)
