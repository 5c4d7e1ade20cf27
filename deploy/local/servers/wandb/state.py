"""The state of the stand-in: accepted keys, projects and their contents."""

import base64
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

from deploy.local.servers.wandb.agents import Agent, Agents
from deploy.local.servers.wandb.artifacts import Artifacts
from deploy.local.servers.wandb.errors import Refused
from deploy.local.servers.wandb.queues import Item, Queues, RunQueue
from deploy.local.servers.wandb.runs import Run, Runs
from deploy.local.servers.wandb.shapes import Errors
from deploy.local.servers.wandb.specs import variable_schemas

QUEUE_PROJECT = "model-registry"  # W&B keeps an entity's launch queues here


class State:
    """The whole state; callers hold `lock` while they read or change several parts.

    Args:
        api_keys: the accepted keys; empty accepts any key.
        entity: the viewer's own; other entities begin with their first project.
        clock: returns seconds; a test's clock moves leases and heartbeats.
        first_number: the first id; the default repeats no id of an earlier stand-in.
    """

    def __init__(
        self,
        *,
        api_keys: Collection[str] = (),
        entity: str = "local",
        lease_seconds: float = 60,
        crashed_after_seconds: float = 300,
        clock: Callable[[], float] = time.time,
        first_number: int | None = None,
    ) -> None:
        start = int(time.time() * 1000) if first_number is None else first_number
        numbers = itertools.count(start)
        self.lock = threading.RLock()
        self.started_at = clock()
        self.api_keys = frozenset(api_keys)
        self.entity = entity
        self.queues = Queues(numbers.__next__, global_id, clock, lease_seconds)
        self.agents = Agents(numbers.__next__, global_id, clock)
        self.artifacts = Artifacts(numbers.__next__, global_id, clock)
        self.runs = Runs(numbers.__next__, global_id, clock, crashed_after_seconds)
        self.errors = Errors()
        self.projects: dict[tuple[str, str], int] = {}
        self.requests: Counter[str] = Counter()
        self._numbers = numbers

    def accepts(self, api_key: str) -> bool:
        """Return whether this key is accepted."""
        return bool(api_key) and (not self.api_keys or api_key in self.api_keys)

    def project(self, entity: str, name: str) -> bool:
        """Create a project if it is missing; return whether it is new."""
        new = (entity, name) not in self.projects
        if new:
            self.projects[entity, name] = next(self._numbers)
        return new

    def has_entity(self, name: str) -> bool:
        """Return whether an entity is the viewer's or has a project."""
        return name == self.entity or any(entity == name for entity, _ in self.projects)

    def make_queue(
        self,
        entity: str,
        queue: str,
        resource: str = "gcp-vertex",
        config: Mapping[str, Any] | None = None,
        *,
        template_variables: Any = None,
        prioritization_mode: str | None = None,
        project: str = QUEUE_PROJECT,
    ) -> RunQueue:
        """Create a queue with its resource config, or replace the config of an existing queue.

        `config` is the part under `{"resource_args": {resource: …}}`, or the whole object.
        `template_variables` is `{name: schema}`, or the same as JSON.
        """
        full = (
            config
            if config and "resource_args" in config
            else {"resource_args": {resource: config or {}}}
        )
        with self.lock:
            self.project(entity, project)
            made = self.queues.create_config(resource, full, variable_schemas(template_variables))
            there = self.queues.by_path.get((entity, project, queue))
            if there is None:
                there = self.queues.create(
                    entity, project, queue, access="PROJECT", created_by=self.entity
                )
            there.resource_config = made
            if prioritization_mode:
                there.reorder(prioritization_mode)
            return there

    def push(
        self,
        entity: str,
        queue: str,
        run_spec: Mapping[str, Any],
        *,
        priority: int | None = None,
        template_variables: Mapping[str, Any] | None = None,
        project: str = QUEUE_PROJECT,
    ) -> Item:
        """Push a run spec to a queue, as pushToRunQueueByName does."""
        with self.lock:
            there = self.queues.by_path.get((entity, project, queue))
            if there is None:
                raise Refused(f"run queue {queue} not found in {entity}/{project}")
            return self.queues.push(there, run_spec, priority, template_variables or {})

    def register_agent(
        self,
        entity: str,
        project: str,
        queue_ids: list[str],
        hostname: str,
        config: str | None,
        version: str | None,
    ) -> Agent:
        """Register an agent; all of its queues must exist."""
        with self.lock:
            if unknown := [
                queue_id for queue_id in queue_ids if self.queues.by_id(queue_id) is None
            ]:
                raise Refused(f"run queues not found: {', '.join(unknown)}")
            return self.agents.register(
                entity, project, queue_ids, hostname, json.loads(config or "{}"), version
            )

    def upsert_run(
        self, entity: str | None, project: str | None, name: str, given: Mapping[str, Any]
    ) -> tuple[Run, bool]:
        """Create or update a run, with its project."""
        with self.lock:
            entity, project = entity or self.entity, project or "uncategorized"
            self.project(entity, project)
            run, inserted = self.runs.upsert(entity, project, name, self.entity, given)
            if run.run_queue_item_id is None and (
                item := self.queues.claimed_for(entity, project, name)
            ):
                run.run_queue_item_id = item.id
            return run, inserted


def global_id(kind: str, number: int) -> str:
    """Format an id as W&B does: base64 of kind and number."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode()
