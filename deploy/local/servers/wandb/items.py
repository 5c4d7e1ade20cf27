"""A run queue, its items and its resource config."""

import heapq
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ResourceConfig:
    """A queue's defaults for its items: `{"resource_args": {resource: {…}}}`."""

    id: str
    resource: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    template_schemas: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Item:
    """One job on a queue: PENDING → LEASED → CLAIMED; any state → FAILED."""

    id: str
    number: int
    queue: "RunQueue"
    run_spec: dict[str, Any]
    priority: int
    state: str = "PENDING"
    leased_until: float = 0.0
    associated_run_id: str | None = None
    agent_id: str | None = None
    error: dict[str, Any] | None = None
    warning: dict[str, Any] | None = None
    raw: str | None = None  # replaces the run spec in an answer, unchanged

    @property
    def project_path(self) -> tuple[Any, Any]:
        """The entity and the project of the run, as the item names them."""
        content = self.run_spec
        return content.get("entity"), content.get("project")


@dataclass
class RunQueue:
    """A queue and its items."""

    id: str
    entity: str
    project: str
    name: str
    access: str
    created_by: str
    resource_config: ResourceConfig
    prioritization_mode: str = "DISABLED"
    external_links: dict[str, Any] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    waiting: list[tuple[int, int, str]] = field(default_factory=list)

    def wait(self, item: Item) -> None:
        """Enqueue an item by its priority and age."""
        priority = item.priority if self.prioritization_mode == "V0" else 0
        heapq.heappush(self.waiting, (priority, item.number, item.id))

    def reorder(self, prioritization_mode: str) -> None:
        """Change the order of the queue, also for waiting items."""
        self.prioritization_mode = prioritization_mode
        self.waiting = []
        for item in self.items.values():
            if item.state == "PENDING":
                self.wait(item)
