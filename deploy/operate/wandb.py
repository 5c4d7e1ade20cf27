"""Look at W&B's run queues without touching them: queries only, for the commands that check before anything runs.

The operations are those of the installed `wandb` package. Two things are asked that it does not ask: the pages of a
queue's items, and their run specs. W&B's own schema is not public, so whether it shows a run spec before the item is
popped is asked first.
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
ITEMS = """query GetRunQueueItems($projectName: String!, $entityName: String!, $runQueue: String!, $first: Int!,
                                  $after: String) {
  project(name: $projectName, entityName: $entityName) {
    runQueue(name: $runQueue) {
      runQueueItems(first: $first, after: $after) {
        edges { node { id state #spec } } pageInfo { endCursor hasNextPage }
      }
    }
  }
}"""
_EXAMPLES = {"integer": 1, "number": 1.0, "boolean": False}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whom an API key belongs to."""

    username: str
    entity: str  # the default one
    teams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue and what it gives to each of its items.

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
        """Return the run spec that an item of this image would have, with example values for template variables."""
        examples = {
            name: _example(name, schema) for name, schema in self.template_variables.items()
        }
        config: dict[str, Any] = filled(self.config, examples)
        named = {
            "entity": self.entity,
            "project": "uncategorized",
            "docker": {"docker_image": image},
        }
        return {**config, **named, "resource": self.resource}


@dataclass(frozen=True, slots=True)
class PendingItem:
    """An item that waits in its queue; `run_spec` is None where W&B shows none before the item is popped."""

    id: str
    run_spec: dict[str, Any] | None = field(repr=False)  # can hold a key


def viewer(graphql: Graphql) -> Viewer:
    """Return whom the API key belongs to.

    Raises:
        Denied: W&B does not know the key.
        Retry: W&B does not answer.
    """
    found = graphql.query(VIEWER, {})["viewer"]
    if not found:
        raise Denied("W&B does not know whom this API key belongs to: check WANDB_API_KEY")
    teams = [edge["node"]["name"] for edge in (found.get("teams") or {}).get("edges") or []]
    return Viewer(found.get("username") or "", found.get("entity") or "", tuple(teams))


def queue_names(graphql: Graphql, entity: str) -> list[str]:
    """Return the names of those queues of an entity that the key may see."""
    project = graphql.query(QUEUES, {"entity": entity, "projectName": QUEUE_PROJECT})["project"]
    return [queue["name"] for queue in (project or {}).get("runQueues") or []]


def read_queue(graphql: Graphql, entity: str, name: str) -> QueueView | None:
    """Return a queue with its default resource config; None where there is none that the key may see."""
    found = read_config(graphql, entity, name)
    if found is None:
        return None
    return QueueView(
        entity, name, found.id, found.access, found.resource, found.config, found.template_variables
    )


def pending_items(graphql: Graphql, entity: str, name: str) -> Iterator[PendingItem]:
    """Yield the items that wait in a queue, page by page, in W&B's own order; they stay there."""
    document = ITEMS.replace("#spec", "runSpec" if shows_run_specs(graphql) else "")
    after = None
    while True:
        queue = _queue(
            graphql.query(document, {**_where(entity, name), "first": PAGE, "after": after})
        )
        items = (queue or {}).get("runQueueItems") or {}
        for edge in items.get("edges") or []:
            node = edge["node"]
            if str(node["state"]).upper() == "PENDING":
                yield PendingItem(
                    str(node["id"]), _object(node["runSpec"]) if "runSpec" in node else None
                )
        info = items.get("pageInfo") or {}
        if not info.get("hasNextPage") or info.get("endCursor") in (None, after):
            return
        after = info["endCursor"]


def shows_run_specs(graphql: Graphql) -> bool:
    """Tell whether this W&B shows an item's run spec without popping it, by asking its schema as W&B's client does."""
    found = graphql.query(FIELDS, {"typeName": "RunQueueItem"})["TypeInfo"]
    return "runSpec" in {each["name"] for each in (found or {}).get("fields") or []}


def _where(entity: str, name: str) -> dict[str, str]:
    return {"projectName": QUEUE_PROJECT, "entityName": entity, "runQueue": name}


def _queue(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    return (answer.get("project") or {}).get("runQueue")


def _object(value: Any) -> dict[str, Any]:
    """Return an object that W&B writes as JSON or as a string of JSON; an odd one as poll would hand it on."""
    loaded = value
    if isinstance(value, str):
        try:
            loaded = json.loads(value)
        except ValueError:
            return {"run_spec": value}
    return loaded if isinstance(loaded, dict) else {"run_spec": loaded}


def _example(name: str, schema: Mapping[str, Any]) -> Any:
    """Return a value that a template variable may have: its default, else the simplest."""
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    return schema.get("minimum", _EXAMPLES.get(str(schema.get("type")), name))
