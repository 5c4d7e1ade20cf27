"""A part of a deployment: its differences from the desired state, and its removal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import click
from google.api_core import exceptions as google_errors

from deploy.cloud.marks import LABEL as LABEL

BOOTSTRAP_AGAIN = (
    "A build can create resources and set their policies until the end of the day after "
    "`bootstrap`: run bootstrap again, then build"
)
CREATED, DELETED = "is created", "is deleted"  # the differences of whole resources


@dataclass(frozen=True)
class Change:
    """One difference from the desired state, and the call that ends it."""

    resource: str
    difference: str
    make: Callable[[], Any]

    def carry_out(self) -> None:
        """Make the call.

        Raises:
            ClickException: with the resource's name and Google's message.
        """
        try:
            self.make()
        except google_errors.GoogleAPICallError as exc:
            denied = isinstance(exc, google_errors.Forbidden)
            fix = f". {BOOTSTRAP_AGAIN}" if denied else ""
            raise click.ClickException(f"{self.resource}: {exc.message}{fix}") from exc


class Part(Protocol):
    """One resource, or one policy of a resource."""

    def changes(self) -> Iterator[Change]:
        """Yield the differences; each change is carried out before the next is read."""

    def removal(self) -> Change | None:
        """Return the call that deletes the part; None if it does not exist or is not ours."""


class NotYet(Exception):
    """The part needs a resource that the build has not deployed yet; the message names it."""
