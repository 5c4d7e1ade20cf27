"""What happened to a launch, in order: listings, published events and phases are read from it."""

import enum
from dataclasses import dataclass
from datetime import datetime

from shared.core.record import Record
from shared.core.shorten import shortened

KEPT = 50  # events of one launch; status announces each within a tick
REASON_BYTES = 500


class EventType(enum.StrEnum):
    """A transition that other systems and people follow."""

    QUEUED = "queued"  # recorded in the ledger
    BUILDING = "building"  # its image is built
    WAITING = "waiting"  # for capacity (`why` names the shortage), or for another attempt
    SUBMITTED = "submitted"  # the CustomJob exists
    RUNNING = "running"  # its machines run
    PREEMPTED = "preempted"  # Vertex AI took the machines; the run is launched again
    ENDED = "ended"  # `why` is the outcome


@dataclass(frozen=True, slots=True)
class Event(Record):
    """One transition. `number` counts from 1 in each launch, so that readers can drop repeats."""

    number: int
    type: EventType
    at: datetime
    attempt: int = 0
    why: str = ""  # the shortage of a wait, the outcome of an end
    job: str = ""  # projects/P/locations/L/customJobs/N
    reason: str = ""  # for people, at most 500 bytes

    def __post_init__(self) -> None:
        """Bound the reason."""
        object.__setattr__(self, "reason", shortened(self.reason, REASON_BYTES))
