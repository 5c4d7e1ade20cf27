"""A pause of one W&B queue or of all, as `vertex-launch pause` stores it with the agent's note."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.core.record import Record


@dataclass(frozen=True, slots=True)
class Pause(Record):
    """Poll pops nothing from this queue, and status publishes no ticket for its launches."""

    queue: str  # its name; empty: every queue of the deployment
    by: str  # the person's account, as the command knows it
    at: datetime

    def __str__(self) -> str:
        """Return who paused the queue, and since when: `by ana@example.com since …`."""
        return f"by {self.by} since {self.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def pause_of(queue: str, paused: Iterable[Pause]) -> Pause | None:
    """Return the pause that applies to a queue of this name: its own, or one of all queues."""
    mine = [pause for pause in paused if pause.queue in ("", queue)]
    return max(mine, key=lambda pause: pause.queue, default=None)
