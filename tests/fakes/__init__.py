"""The world of unit tests: our own ports in memory, with the failures that a test requests."""

from tests.fakes.builds import FakeBuilds
from tests.fakes.clock import FakeClock
from tests.fakes.events import FakeEventTopic
from tests.fakes.ledger import InMemoryAgentBook, InMemoryLedger, InMemoryPaceBook
from tests.fakes.vertex import FakeJobLogs, FakeVertex
from tests.fakes.wandb import FakeJobs, FakePublisher, FakeQueueConfigs, FakeSweeps, FakeWandb

__all__ = [
    "FakeBuilds",
    "FakeClock",
    "FakeEventTopic",
    "FakeJobLogs",
    "FakeJobs",
    "FakePublisher",
    "FakeQueueConfigs",
    "FakeSweeps",
    "FakeVertex",
    "FakeWandb",
    "InMemoryAgentBook",
    "InMemoryLedger",
    "InMemoryPaceBook",
]
