"""A part of a deployment: what differs from how it shall be, and how it is taken away."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import click
from google.api_core import exceptions as google_errors

LABEL = "vertex-launch"  # its value is the deployment's name: what carries it was made by us


@dataclass(frozen=True)
class Change:
    """One difference, and the call that ends it."""

    resource: str
    difference: str
    make: Callable[[], Any]

    def carry_out(self) -> None:
        """Make the call.

        Raises:
            ClickException: naming the resource, with Google's words.
        """
        try:
            self.make()
        except google_errors.GoogleAPICallError as exc:
            raise click.ClickException(f"{self.resource}: {exc.message}") from exc


class Part(Protocol):
    """One resource, or one policy of a resource."""

    def changes(self) -> Iterator[Change]:
        """Yield what differs, read anew; each change's effect can be read by the next."""

    def removal(self) -> Change | None:
        """Return how to take it away; None where it is not there, or was not made by us."""


class NotYet(Exception):
    """It hangs on something that the build has not deployed yet; the message says on what."""
