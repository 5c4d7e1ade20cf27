"""Read W&B's run queues with queries only, for commands that must not change them.

The operations are those of the installed `wandb` package, except the pages of a queue's items with
their run specs and priorities. W&B's schema is not public, so we ask first whether it shows these.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.adapters.wandb import Graphql, read_config
from shared.adapters.wandb.documents import QUEUES
from shared.adapters.wandb.queues import PAGE, QUEUE_PROJECT
from shared.core.errors import Denied
from shared.runspec.templates import filled

VIEWER = "query GetViewer { viewer { username entity teams { edges { node { name } } } } }"
FIELDS = (
    "query TypeFields($typeName: String!) { TypeInfo: __type(name: $typeName) { fields { name } } }"
)
ITEMS = """query GetRunQueueItems(
  $projectName: String!, $entityName: String!, $runQueue: String!, $first: Int!, $after: String
) {
  project(name: $projectName, entityName: $entityName) {
    runQueue(name: $runQueue) {
      #mode
      runQueueItems(first: $first, after: $after) {
        edges { node { id state #spec } } pageInfo { endCursor hasNextPage }
      }
    }
  }
}"""
BY_PRIORITY = "V0"  # the mode of a queue that offers items by priority
_SHOWN = {"runSpec", "priority"}  # if W&B's schema has them
_EXAMPLES = {"integer": 1, "number": 1.0, "boolean": False}


@dataclass(frozen=True, slots=True)
class Viewer:
    """The owner of an API key."""

    username: str
    entity: str  # the default entity
    teams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue with its configuration.

    `config` is `{"resource_args": {resource: {…}}}`; `template_variables` are JSON schemas by name.
    """

    entity: str
    name: str
    id: str
    access: str = ""
    resource: str = ""
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    template_variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def example_spec(self, image: str) -> dict[str, Any]:
        """Return the run spec of an item with this image and example template values."""
        examples = {
            name: _example(name, schema) for name, schema in self.template_variables.items()
        }
        config: dict[str, Any] = filled(self.config, examples)
        return {**config, "docker": {"docker_image": image}, "resource": self.resource}


@dataclass(frozen=True, slots=True)
class PendingItem:
    """An item that waits in its queue; `run_spec` is None if W&B hides it until the pop.

    `priority` is W&B's number (0: critical, 3: low); None if W&B does not show it, or if the queue
    ignores it.
    """

    id: str
    run_spec: dict[str, Any] | None = field(repr=False)  # can contain a key
    priority: int | None = None


def viewer(graphql: Graphql) -> Viewer:
    """Return the owner of the API key.

    Raises:
        Denied: W&B does not know the key.
        Retry: W&B does not answer.
    """
    found = graphql.query(VIEWER, {})["viewer"]
    if not found:
        raise Denied("W&B does not know the owner of this API key: check WANDB_API_KEY")
    teams = [edge["node"]["name"] for edge in (found.get("teams") or {}).get("edges") or []]
    return Viewer(found.get("username") or "", found.get("entity") or "", tuple(teams))


def queue_names(graphql: Graphql, entity: str) -> list[str]:
    """Return the names of an entity's queues that the key can see."""
    project = graphql.query(QUEUES, {"entity": entity, "projectName": QUEUE_PROJECT})["project"]
    return [queue["name"] for queue in (project or {}).get("runQueues") or []]


def read_queue(graphql: Graphql, entity: str, name: str) -> QueueView | None:
    """Return a queue with its configuration; None if it does not exist or the key cannot see it."""
    found = read_config(graphql, entity, name)
    if found is None:
        return None
    return QueueView(
        entity, name, found.id, found.access, found.resource, found.config, found.template_variables
    )


def pending_items(graphql: Graphql, entity: str, name: str) -> Iterator[PendingItem]:
    """Yield the items that wait in a queue, page by page, in W&B's order, without popping them."""
    shown = _SHOWN & _item_fields(graphql)
    document = ITEMS.replace("#spec", " ".join(sorted(shown)))
    document = document.replace("#mode", "prioritizationMode" if "priority" in shown else "")
    after = None
    while True:
        queue = _queue(
            graphql.query(document, {**_where(entity, name), "first": PAGE, "after": after})
        )
        by_priority = (queue or {}).get("prioritizationMode") == BY_PRIORITY
        items = (queue or {}).get("runQueueItems") or {}
        for edge in items.get("edges") or []:
            node = edge["node"]
            if str(node["state"]).upper() == "PENDING":
                spec = _object(node["runSpec"]) if "runSpec" in node else None
                priority = node.get("priority") if by_priority else None
                known = priority if type(priority) is int else None
                yield PendingItem(str(node["id"]), spec, known)
        info = items.get("pageInfo") or {}
        if not info.get("hasNextPage") or info.get("endCursor") in (None, after):
            return
        after = info["endCursor"]


def _item_fields(graphql: Graphql) -> set[str]:
    """Return the fields that W&B's schema shows of an item, as W&B's client asks for them."""
    found = graphql.query(FIELDS, {"typeName": "RunQueueItem"})["TypeInfo"]
    return {each["name"] for each in (found or {}).get("fields") or []}


def _where(entity: str, name: str) -> dict[str, str]:
    return {"projectName": QUEUE_PROJECT, "entityName": entity, "runQueue": name}


def _queue(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    return (answer.get("project") or {}).get("runQueue")


def _object(value: Any) -> dict[str, Any]:
    """Return the object that W&B writes as JSON or as a string; odd values as poll stores them."""
    loaded = value
    if isinstance(value, str):
        try:
            loaded = json.loads(value)
        except ValueError:
            return {"run_spec": value}
    return loaded if isinstance(loaded, dict) else {"run_spec": loaded}


def _example(name: str, schema: Mapping[str, Any]) -> Any:
    """Return a valid value of a template variable: its default, else the simplest."""
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    return schema.get("minimum", _EXAMPLES.get(str(schema.get("type")), name))
