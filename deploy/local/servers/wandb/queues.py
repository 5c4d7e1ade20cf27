"""All run queues: pushes, leases, acks and failures of their items."""

import heapq
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from deploy.local.servers.wandb.errors import Refused
from deploy.local.servers.wandb.items import Item as Item
from deploy.local.servers.wandb.items import ResourceConfig as ResourceConfig
from deploy.local.servers.wandb.items import RunQueue as RunQueue
from deploy.local.servers.wandb.specs import filled, merged, template_values

DEFAULT_PRIORITY = 2  # medium; critical is 0, low is 3


class Queues:
    """All run queues; callers hold State's lock."""

    def __init__(
        self,
        new_number: Callable[[], int],
        new_id: Callable[[str, int], str],
        clock: Callable[[], float],
        lease_seconds: float,
    ) -> None:
        self._new_number = new_number
        self._new_id = new_id
        self._clock = clock
        self.lease_seconds = lease_seconds
        self.by_path: dict[tuple[str, str, str], RunQueue] = {}
        self.configs: dict[str, ResourceConfig] = {}
        self.items: dict[str, Item] = {}
        self._claimed: dict[str, Item] = {}
        self._leases: deque[tuple[float, Item]] = deque()

    def in_project(self, entity: str, project: str) -> list[RunQueue]:
        """Return a project's queues, oldest first."""
        return [
            queue
            for queue in self.by_path.values()
            if (queue.entity, queue.project) == (entity, project)
        ]

    def by_id(self, queue_id: str) -> RunQueue | None:
        """Find a queue by its id."""
        return next((queue for queue in self.by_path.values() if queue.id == queue_id), None)

    def create_config(
        self, resource: str, config: Mapping[str, Any], schemas: Mapping[str, Any]
    ) -> ResourceConfig:
        """Create a default resource config for later queues."""
        made = ResourceConfig(
            self._id("DefaultResourceConfig"), resource, dict(config), dict(schemas)
        )
        self.configs[made.id] = made
        return made

    def create(
        self,
        entity: str,
        project: str,
        name: str,
        *,
        access: str,
        created_by: str,
        prioritization_mode: str | None = None,
        config_id: str | None = None,
    ) -> RunQueue:
        """Create a queue; raise Refused if the name exists."""
        if (entity, project, name) in self.by_path:
            raise Refused(f"run queue {name} already exists in {entity}/{project}")
        if config_id is not None and config_id not in self.configs:
            raise Refused(f"default resource config {config_id} not found")
        config = self.configs[config_id] if config_id is not None else ResourceConfig("")
        made = RunQueue(
            self._id("RunQueue"),
            entity,
            project,
            name,
            access,
            created_by,
            config,
            prioritization_mode or "DISABLED",
        )
        self.by_path[entity, project, name] = made
        return made

    def delete(self, queue_id: str) -> bool:
        """Delete a queue with its items."""
        queue = self.by_id(queue_id)
        if queue is None:
            return False
        del self.by_path[queue.entity, queue.project, queue.name]
        for item_id in queue.items:
            del self.items[item_id]
        return True

    def push(
        self,
        queue: RunQueue,
        spec: Mapping[str, Any],
        priority: int | None,
        template_variables: Mapping[str, Any],
    ) -> Item:
        """Push an item: merge its spec into the queue's, and fill in template variables."""
        config = queue.resource_config
        base = filled(config.config, template_values(config.template_schemas, template_variables))
        content = merged(base, spec)
        if config.resource and content.get("resource") in (None, "", "auto"):
            content["resource"] = config.resource
        number = self._new_number()
        item = Item(
            self._new_id("RunQueueItem", number),
            number,
            queue,
            content,
            DEFAULT_PRIORITY if priority is None else priority,
        )
        self.items[item.id] = queue.items[item.id] = item
        queue.wait(item)
        return item

    def push_raw(self, queue: RunQueue, raw: str) -> Item:
        """Push an item with this text as its run spec, even if it is not JSON."""
        item = self.push(queue, {}, None, {})
        item.raw = raw
        return item

    def raw_specs(self, answer: Mapping[str, Any]) -> dict[str, str]:
        """Return the raw run specs in the answer to a pop, by their placeholder."""
        popped = (answer.get("data") or {}).get("popFromRunQueue") or {}
        item = self.items.get(str(popped.get("runQueueItemId")))
        return {f"raw:{item.id}": item.raw} if item and item.raw is not None else {}

    def pop(self, queue: RunQueue, agent_id: str | None) -> Item | None:
        """Lease the next item; return None if nothing waits."""
        self.end_leases()
        while queue.waiting:
            item = queue.items.get(heapq.heappop(queue.waiting)[2])
            if item is not None and item.state == "PENDING":
                item.state, item.agent_id = "LEASED", agent_id
                item.leased_until = self._clock() + self.lease_seconds
                self._leases.append((item.leased_until, item))
                return item
        return None

    def ack(self, item_id: str, run_name: str) -> bool:
        """Claim a leased item for a run; return False without a live lease."""
        self.end_leases()
        item = self.items.get(item_id)
        if item is None or item.state != "LEASED":
            return False
        item.state, item.associated_run_id = "CLAIMED", run_name
        self._claimed[run_name] = item
        return True

    def claimed_for(self, entity: str, project: str, run_name: str) -> Item | None:
        """Return the item that was claimed for a run, by the run's path."""
        item = self._claimed.get(run_name)
        return item if item and item.project_path == (entity, project) else None

    def fail(self, item_id: str, error: Mapping[str, Any]) -> bool:
        """Mark an item in any state as FAILED."""
        item = self.items.get(item_id)
        if item is None:
            return False
        item.state, item.error = "FAILED", dict(error)
        return True

    def warn(self, item_id: str, warning: Mapping[str, Any]) -> bool:
        """Set an item's warning."""
        item = self.items.get(item_id)
        if item is None:
            return False
        item.warning = dict(warning)
        return True

    def remove(self, queue_id: str, item_id: str) -> bool:
        """Delete an item from its queue."""
        queue = self.by_id(queue_id)
        if queue is None or queue.items.pop(item_id, None) is None:
            return False
        del self.items[item_id]
        return True

    def end_leases(self) -> None:
        """Return items with an expired lease to their queues."""
        now = self._clock()
        while self._leases and self._leases[0][0] <= now:
            until, item = self._leases.popleft()
            if item.state == "LEASED" and item.leased_until == until:
                item.state = "PENDING"
                item.queue.wait(item)

    def _id(self, kind: str) -> str:
        return self._new_id(kind, self._new_number())
