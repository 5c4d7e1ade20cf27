"""W&B: its run queues, items, runs, sweeps and job artifacts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.core.entry import RunPath
from shared.core.jobsource import JobSource
from shared.core.message import Queue
from shared.core.ports.answers import Answers
from shared.core.queueconfig import QueueConfig


@dataclass(frozen=True, slots=True)
class QueueItem:
    """An item that was popped off a W&B queue: leased to us for about a minute.

    `problem` tells the author why the run spec cannot be read; then `run_spec` is empty.
    """

    id: str
    run_spec: dict[str, Any] = field(repr=False)  # can contain a key
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ItemStatus:
    """A queue item as W&B shows it. `run_name` is the run of its ack; empty before an ack."""

    state: str
    run_name: str


class RunQueue(Protocol):
    """W&B's run queues, as poll uses them. Raises Retry, Denied, OutcomeUnknown, SettingsError."""

    def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
        """Lease the next item; an empty `agent_id` pops without an agent, which W&B allows."""

    def ack(self, item_id: str, run_id: str) -> bool:
        """Accept an item; False if its lease ended or it was acked before, perhaps by us."""

    def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
        """Return these items by id, a hundred a query. Never raises: see Answers.failed."""

    def known_queues(self, entity: str) -> frozenset[str]:
        """Return the names of an entity's run queues that our key can see."""

    def count_waiting(self, queue: Queue) -> int | None:
        """Return how many items wait in a queue; None if it has too many items to count."""

    def register(self, entity: str, queues: Sequence[str], config: Mapping[str, Any]) -> str:
        """Register an agent for these queues and return its id.

        Raises:
            Reject: naming the queues that do not exist.
        """

    def heartbeat(self, agent_id: str, *, running: bool) -> bool | None:
        """Show the agent as active; return whether W&B asks it to stop polling.

        None means that W&B does not know this agent: it answers null, 404 or errors.
        """


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run in W&B: its state (pending, running, finished, …), and whether stop was pressed."""

    state: str
    stopped: bool

    @property
    def started(self) -> bool:
        """Tell whether wandb.init was called: the run of a sweep is pending until then."""
        return self.state != "pending"

    @property
    def ended(self) -> bool:
        """Tell whether W&B shows the run as over."""
        return self.state in {"finished", "failed", "crashed", "killed", "preempted"}


class RunTracker(Protocol):
    """W&B's runs, items and sweeps, as status uses them. Raises Retry, Denied, SettingsError."""

    def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
        """Return these runs, a hundred a query. Never raises: see Answers.failed and hidden."""

    def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
        """Return these items by id, a hundred a query. Never raises: see Answers.failed."""

    def fail_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Show the item as FAILED. Safe to repeat; a deleted or FAILED item counts as reported.

        Raises:
            Reject: W&B has the item and does not accept the report.
        """

    def warn_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Show this warning at the item. Safe to repeat; a deleted or FAILED item needs none."""

    def cancel_sweep(self, sweep: RunPath) -> None:
        """End a sweep whose scheduler has failed. Safe to repeat; a sweep that is over stays so.

        Raises:
            Reject: the key has no permission.
        """


class JobArtifacts(Protocol):
    """W&B's jobs, as submit uses them. Raises Retry, Denied."""

    def resolve(self, path: str) -> JobSource:
        """Return the job entity/project/name:alias, named by its current version.

        Raises:
            Reject: our key cannot see such a job, or the job cannot be launched.
        """


class QueueConfigs(Protocol):
    """The configurations of W&B's run queues, as submit uses them. Raises Retry, Denied."""

    def config_of(self, queue: Queue) -> QueueConfig | None:
        """Return a queue's configuration, or None if there is no such queue.

        Raises:
            Reject: the key has no permission.
        """


class Sweeps(Protocol):
    """W&B's sweeps, as submit uses them. Raises Retry, Denied."""

    def state_of(self, entity: str, project: str, sweep: str) -> str:
        """Return a sweep's state (RUNNING, PAUSED, …); empty if there is no such sweep.

        Raises:
            Reject: the key has no permission.
        """
