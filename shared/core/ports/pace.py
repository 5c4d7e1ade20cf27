"""The pace of creates that Vertex AI's refusals have shown."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.core.record import Record


@dataclass(frozen=True, slots=True)
class LearnedPace(Record):
    """The creates a minute that Vertex AI accepts in one project and region."""

    limit: int
    learned_at: datetime
    not_before: datetime  # Google asked to wait until then


class PaceBook(Protocol):
    """What submits have learned, by `projects/P/locations/L`. Raises Retry, Denied."""

    def pace_of(self, parent: str) -> LearnedPace | None:
        """Return what was learned last, however long ago; None if nothing was."""

    def learn(self, parent: str, pace: LearnedPace) -> None:
        """Record a pace; of several at the same time, one is kept."""
