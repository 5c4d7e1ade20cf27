"""W&B and the topic in memory: leases that end, lost acks, another agent on the same queue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.core.errors import LaunchError, Reject, Retry
from shared.core.jobsource import JobSource
from shared.core.launch import RunPath
from shared.core.message import Queue
from shared.core.ports import Answers, ItemStatus, QueueItem, RunStatus
from shared.core.queueconfig import QueueConfig


@dataclass
class Item:
    """One item of a queue."""

    id: str
    queue: Queue
    run_spec: dict[str, Any]
    state: str = "PENDING"
    run_name: str = ""
    error: str = ""
    stage: str = ""
    warning: str = ""
    problem: str = ""  # reason why its run spec is unreadable


@dataclass
class FakeWandb:
    """Implements RunQueue and RunTracker; methods in `fail` raise, and those in `lose` lose their answer.

    A report of a deleted or FAILED item counts as delivered; `refused` has the errors of other reports.
    """

    items: dict[str, Item] = field(default_factory=dict)
    runs: dict[RunPath, RunStatus] = field(default_factory=dict)
    agents: dict[str, list[str]] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)  # agents that W&B no longer knows
    stop_polling: bool = False
    failed: dict[object, LaunchError] = field(default_factory=dict)  # items and runs whose status cannot be read
    hidden: set[RunPath] = field(default_factory=set)  # runs that our key cannot see
    refused: dict[str, LaunchError] = field(default_factory=dict)  # items whose reports W&B refuses
    other_queues: set[str] = field(default_factory=set)  # queues without items
    missing_queues: set[str] = field(default_factory=set)
    fail: dict[str, Exception] = field(default_factory=dict)
    lose: dict[str, Exception] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    pops: list[str] = field(default_factory=list)
    cancelled_sweeps: list[RunPath] = field(default_factory=list)

    def push(self, item_id: str, queue: Queue, **run_spec: Any) -> Item:
        """Enqueue an item."""
        spec = {"entity": queue.entity, "project": "cats", **run_spec}
        self.items[item_id] = Item(item_id, queue, spec)
        return self.items[item_id]

    def push_unreadable(self, item_id: str, queue: Queue, problem: str) -> Item:
        """Enqueue an item with an unreadable run spec."""
        self.items[item_id] = Item(item_id, queue, {}, problem=problem)
        return self.items[item_id]

    def delete(self, item_id: str) -> None:
        """Delete an item from its queue, as its author may at any time."""
        del self.items[item_id]

    def forget_agents(self) -> None:
        """Forget all agents."""
        self.forgotten |= set(self.agents)

    def end_leases(self) -> None:
        """End all leases without an ack."""
        for item in self.items.values():
            if item.state == "LEASED":
                item.state = "PENDING"

    def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
        """Lease the next item."""
        self._before("pop")
        self.pops.append(queue.name)
        if queue.name in self.missing_queues:
            raise Retry(f"W&B refuses: run queue {queue.name} not found")
        for item in list(self.items.values()):
            if item.queue == queue and item.state == "PENDING":
                item.state = "LEASED"
                self._after("pop")
                return QueueItem(item.id, dict(item.run_spec), item.problem)
        return None

    def ack(self, item_id: str, run_id: str) -> bool:
        """Accept an item."""
        self._before("ack")
        item = self.items.get(item_id)
        if item is None or item.state != "LEASED":
            return False
        item.state, item.run_name = "CLAIMED", run_id
        self._after("ack")
        return True

    def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
        """Return the statuses of the items that exist."""
        ids = [item_id for _, item_id in items]
        try:
            self._before("item_statuses")
        except LaunchError as exc:
            return Answers(failed=dict.fromkeys(ids, exc))
        found = (self.items[one] for one in ids if one in self.items and one not in self.failed)
        failed = {one: self.failed[one] for one in ids if one in self.failed}
        return Answers({item.id: ItemStatus(item.state, item.run_name) for item in found}, failed)

    def known_queues(self, entity: str) -> frozenset[str]:
        """Return the names of all queues except the missing ones."""
        self._before("known_queues")
        pushed = {"a", "b"} | {item.queue.name for item in self.items.values()}
        return frozenset((pushed | self.other_queues) - self.missing_queues)

    def count_waiting(self, queue: Queue) -> int | None:
        """Count the items that wait."""
        self._before("count_waiting")
        return len([item for item in self.items.values() if item.queue == queue and item.state == "PENDING"])

    def register(self, entity: str, queues: Sequence[str], config: Mapping[str, Any]) -> str:
        """Register an agent."""
        self._before("register")
        if missing := sorted(self.missing_queues & set(queues)):
            raise Reject("queues", f"{entity} has no queue named {', '.join(missing)}")
        agent_id = f"agent-{len(self.agents) + 1}"
        self.agents[agent_id] = []
        return agent_id

    def heartbeat(self, agent_id: str, *, running: bool) -> bool | None:
        """Record the agent's state."""
        self._before("heartbeat")
        if agent_id not in self.agents or agent_id in self.forgotten:
            return None
        self.agents[agent_id].append("RUNNING" if running else "POLLING")
        return self.stop_polling

    def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
        """Return the statuses of the runs that exist."""
        try:
            self._before("run_statuses")
        except LaunchError as exc:
            return Answers(failed=dict.fromkeys(runs, exc))
        failed = {run: self.failed[run] for run in runs if run in self.failed}
        seen = [run for run in runs if run not in failed and run not in self.hidden]
        found = {run: self.runs[run] for run in seen if run in self.runs}
        return Answers(found, failed, frozenset(self.hidden & set(runs)))

    def fail_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Mark the item as FAILED."""
        self._before("fail_item")
        if item := self._reported(item_id):
            item.state, item.error, item.stage = "FAILED", message, stage
        self._after("fail_item")

    def warn_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Set the item's warning."""
        self._before("warn_item")
        if item := self._reported(item_id):
            item.warning = message

    def cancel_sweep(self, sweep: RunPath) -> None:
        """Record the cancelled sweep."""
        self._before("cancel_sweep")
        self.cancelled_sweeps.append(sweep)

    def _reported(self, item_id: str) -> Item | None:
        item = self.items.get(item_id)
        if item is None or item.state == "FAILED":
            return None
        if item_id in self.refused:
            raise self.refused[item_id]
        return item

    def _before(self, method: str) -> None:
        self.calls.append(method)
        if method in self.fail:
            raise self.fail[method]

    def _after(self, method: str) -> None:
        if method in self.lose:
            raise self.lose.pop(method)


@dataclass
class FakeJobs:
    """Implements JobArtifacts: the current source of each path."""

    jobs: dict[str, JobSource] = field(default_factory=dict)
    unreachable: Exception | None = None

    def resolve(self, path: str) -> JobSource:
        """Return the current source of a job."""
        if self.unreachable:
            raise self.unreachable
        if path not in self.jobs:
            raise Reject("job", f"{path} was not found in W&B")
        return self.jobs[path]


@dataclass
class FakeQueueConfigs:
    """Implements QueueConfigs: the current configuration of each queue."""

    configs: dict[Queue, QueueConfig] = field(default_factory=dict)
    unreachable: Exception | None = None

    def config_of(self, queue: Queue) -> QueueConfig | None:
        """Return a queue's configuration, or None."""
        if self.unreachable:
            raise self.unreachable
        return self.configs.get(queue)


@dataclass
class FakeSweeps:
    """Implements Sweeps: the state of each, by entity, project and name."""

    states: dict[tuple[str, str, str], str] = field(default_factory=dict)
    unreachable: Exception | None = None

    def state_of(self, entity: str, project: str, sweep: str) -> str:
        """Return a sweep's state."""
        if self.unreachable:
            raise self.unreachable
        return self.states.get((entity, project, sweep), "")


@dataclass
class FakePublisher:
    """Implements Publisher."""

    published: list[str] = field(default_factory=list)
    unreachable: Exception | None = None

    def publish(self, keys: Iterable[str]) -> None:
        """Record the tickets."""
        if self.unreachable:
            raise self.unreachable
        self.published.extend(keys)
