"""The topic of events in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.core.errors import Reject
from shared.core.launch import Event, Launch


@dataclass
class FakeEventTopic:
    """Implements EventTopic; a batch with an event of a launch in `refused` is refused as a whole."""

    batches: list[list[tuple[str, Event]]] = field(default_factory=list)  # with launch keys
    refused: set[str] = field(default_factory=set)
    unreachable: Exception | None = None
    lost: Exception | None = None  # the answer of the next batch
    asked: int = 0

    def announce(self, happened: Sequence[tuple[Launch, Event]]) -> None:
        """Take a batch."""
        self.asked += 1
        if self.unreachable:
            raise self.unreachable
        if any(launch.key in self.refused for launch, _ in happened):
            raise Reject("event", "is refused")
        self.batches.append([(launch.key, event) for launch, event in happened])
        if self.lost:
            error, self.lost = self.lost, None
            raise error

    @property
    def ids(self) -> list[str]:
        """Return the ids of all events that arrived, in order."""
        return [f"{key}/{event.number}" for batch in self.batches for key, event in batch]

    def types(self, key: str) -> list[str]:
        """Return what a reader keeps of one launch: each id once."""
        kept = {event.number: event for batch in self.batches for each, event in batch if each == key}
        return [str(event.type) for event in kept.values()]
