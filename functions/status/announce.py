"""Announce what has happened to launches: the events that the ledger shows as not yet published.

Level-triggered, after the actions of a tick and before launches are closed. If a tick crashes
between the publication and its mark, the next one publishes the same events again, with the same
ids. A failing topic stops no action.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from functions.status.decisions import Decision, NoAction
from functions.status.report import Report
from shared.core.errors import Reject
from shared.core.launch import Entry, Event, Launch, State
from shared.core.ports import EventTopic

BATCH = 1000  # messages of one request, Pub/Sub's limit
REFUSED_FOR = timedelta(days=1)  # how long events that cannot be published keep a launch open


def owes(entry: Entry) -> bool:
    """Tell whether a launch has events that were not published."""
    return entry.events > entry.announced


def due(entry: Entry, decision: Decision) -> bool:
    """Tell whether the events of a launch can be published now.

    Not before the launch is ours for certain: another agent may have the item of a launch that is
    new, or that was refused at intake; a late duplicate of a request is deleted. Not during a
    claim: its holder could not record the job after our mark, and its next event comes soon.
    """
    if not owes(entry) or entry.state is State.SUBMITTING:
        return False
    certain = entry.attempt > 0 and entry.state is not State.ENDED
    return certain or not isinstance(decision, NoAction)


@dataclass(frozen=True, slots=True)
class Announcer:
    """The topic of events; without one, no launch owes any."""

    topic: EventTopic | None
    report: Report

    def wants(self, entry: Entry, decision: Decision) -> bool:
        """Tell whether to publish events of this launch now."""
        return self.topic is not None and due(entry, decision)

    def publish(self, launches: Sequence[Launch]) -> frozenset[str]:
        """Publish the events that these launches owe; return the keys of those that are out."""
        out: set[str] = set()
        for batch in _batches(launches):
            try:
                out |= self._publish(batch)
            except Exception as exc:  # noqa: BLE001 - a failing topic does not stop the rest
                self.report.failed("events", exc)
                break  # the next tick tries again
        return frozenset(out)

    def _publish(self, launches: Sequence[Launch]) -> set[str]:
        """Publish a batch; if one of its launches is refused, publish the others."""
        if self.topic is None:
            return set()
        try:
            self.topic.announce([pair for launch in launches for pair in _owed(launch)])
        except Reject as exc:
            if len(launches) == 1:
                self.report.failed(f"events of {launches[0].key}", exc)
                return set()
            middle = len(launches) // 2
            return self._publish(launches[:middle]) | self._publish(launches[middle:])
        return {launch.key for launch in launches}


def _owed(launch: Launch) -> list[tuple[Launch, Event]]:
    """Return the events that were not published, in order; a record keeps the last 50."""
    announced = launch.entry.announced
    return [(launch, event) for event in launch.events if event.number > announced]


def _batches(launches: Sequence[Launch]) -> list[list[Launch]]:
    """Return launches in groups whose events fit into one request."""
    batches: list[list[Launch]] = []
    room = 0
    for launch in launches:
        size = len(_owed(launch))
        if not batches or size > room:
            batches.append([])
            room = BATCH
        batches[-1].append(launch)
        room -= size
    return batches
