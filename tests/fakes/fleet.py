"""A deployment in memory, for the commands that look at launches."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.operate.fleet.target import Target
from shared.core.intake import from_item
from shared.core.launch import Launch, State
from shared.core.message import Queue
from shared.core.ports import AgentNote
from tests.fakes.ledger import InMemoryLedger

NOW = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
QUEUE = Queue(entity="team", name="vertex")
PARENT = "projects/p/locations/us-central1"


@dataclass(frozen=True)
class FakeTarget(Target):
    """A target whose ledger is in memory, and whose clock stands at NOW."""

    project: str = "p"
    region: str = "us-central1"
    name: str = "launch"
    bucket_name: str = "p-launch-ledger"
    agent_name: str = "launch"
    memory: InMemoryLedger = field(default_factory=lambda: InMemoryLedger(lambda: NOW))
    agent: AgentNote = field(default_factory=lambda: AgentNote("", base_url="https://api.wandb.ai"))

    @property
    def ledger(self) -> Any:
        """Return the ledger in memory."""
        return self.memory

    @property
    def note(self) -> AgentNote:
        """Return the agent's note."""
        return self.agent

    def put(self, *launches: Launch) -> None:
        """Write launches; those that have ended are closed."""
        for launch in launches:
            written = self.memory.write(launch)
            if launch.entry.state is State.ENDED and not launch.entry.report_owed:
                self.memory.close(written)


def launch(item: str, ago: timedelta = timedelta(minutes=10), queue: Queue = QUEUE, **spec: Any) -> Launch:
    """Return a queued launch that was opened some time ago."""
    names = {"entity": "team", "project": "cats", "run_id": f"run-{item}", "name": f"job {item}", "author": "anna"}
    return from_item(item, queue, names | spec, NOW - ago)


def submitted(begun: Launch, number: str = "1", **changes: Any) -> Launch:
    """Return it with a job."""
    machine = "1×a2-highgpu-1g (1×NVIDIA_TESLA_A100) SPOT"
    claim = begun.move(State.SUBMITTING, attempt=begun.entry.attempt + 1, parent=PARENT, machine=machine)
    job = {"job_name": f"{PARENT}/customJobs/{number}", "submitted_at": NOW - timedelta(minutes=8)}
    return claim.move(State.SUBMITTED, **job, **changes)


def running(begun: Launch, number: str = "1", ago: timedelta = timedelta(minutes=5)) -> Launch:
    """Return it with a job that runs."""
    return submitted(begun, number).started(NOW - ago)


def changed(begun: Launch, **changes: Any) -> Launch:
    """Return it with other fields of its entry."""
    return replace(begun, entry=replace(begun.entry, **changes))


Put = Callable[[FakeTarget], None]
