"""Pub/Sub, and what jobs print into Cloud Logging."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from shared.core.launch import Event, Launch


class Publisher(Protocol):
    """The topic."""

    def publish(self, keys: Iterable[str]) -> None:
        """Publish a ticket for each of these launches; return when Pub/Sub has accepted all.

        Raises:
            Retry, Denied: Pub/Sub has not accepted all of them.
        """


class WakeUps(Protocol):
    """The topic whose messages call poll."""

    def ring(self) -> None:
        """Publish one wake-up. Raises Retry, Denied: Pub/Sub has not accepted it."""


class EventTopic(Protocol):
    """The topic of launches' events."""

    def announce(self, happened: Sequence[tuple[Launch, Event]]) -> None:
        """Publish these events, at most 1,000, in one call.

        Raises:
            Reject: Pub/Sub refuses one of them, and has accepted none.
            Retry, Denied: Pub/Sub has not accepted them, or its answer is lost.
        """


class JobLogs(Protocol):
    """The logs of jobs and builds. Never raises: an excerpt is optional."""

    def tail(self, job_name: str, since: datetime) -> str:
        """Return the last lines that a job printed since then; empty if none can be read."""

    def tail_of_build(self, build_name: str, since: datetime) -> str:
        """Return the last lines of a build's log since then; empty if none can be read."""
