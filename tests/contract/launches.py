"""Launches for the tests of the ledger."""

from datetime import UTC, datetime

from shared.core.intake import from_item
from shared.core.launch import Launch, Outcome
from shared.core.message import Queue

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = Queue(entity="team", name="Vertex, spät")


def a_launch(item: str = "item") -> Launch:
    """Return a launch that was not written yet."""
    return from_item(item, QUEUE, {"entity": "team", "project": "Cats", "name": "blau 🐈"}, NOW)


def ended(launch: Launch) -> Launch:
    """Return it ended."""
    return launch.end(Outcome.FAILED, "because", NOW)
