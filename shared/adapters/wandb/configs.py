"""The configurations of W&B's run queues, for submit: two queries that W&B's own client sends."""

import json
from dataclasses import replace
from typing import Any

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import Refused, at, for_author, items_of
from shared.adapters.wandb.documents import QUEUE_PROJECT
from shared.adapters.wandb.graphql import CALL_SECONDS, Graphql
from shared.core.bounded_json import check_keys, check_values, one_at_a_time
from shared.core.budget import Budget
from shared.core.message import Queue
from shared.core.queueconfig import QueueConfig
from shared.core.shorten import shown


class WandbQueueConfigs:
    """Implements QueueConfigs."""

    def __init__(self, graphql: Graphql) -> None:
        self._graphql = graphql

    def config_of(self, queue: Queue) -> QueueConfig | None:
        """Return a queue's configuration; None if our key cannot see such a queue."""
        name = f"{queue.name} of {queue.entity}"
        with for_author("queue", name, "Name a queue that the key can see, or give resource_args."):
            return read_config(self._graphql, queue.entity, queue.name)


def read_config(graphql: Graphql, entity: str, name: str) -> QueueConfig | None:
    """Return a queue's default configuration; None if our key cannot see such a queue."""
    where = {"projectName": QUEUE_PROJECT, "entityName": entity, "runQueue": name}
    budget = Budget(CALL_SECONDS)
    found = at(graphql.query(documents.QUEUE, where, budget), "project", "runQueue")
    if not found:
        return None
    if not found.get("id"):
        raise Refused(f"W&B's answer lacks the id of queue {name} of {entity}")
    config = QueueConfig(str(found["id"]), str(found.get("access") or ""))
    if not found.get("defaultResourceConfigID"):
        return config
    asked = {"entityName": entity, "id": found["defaultResourceConfigID"]}
    answer = graphql.query(documents.QUEUE_CONFIG, asked, budget)
    default = at(answer, "entity", "defaultResourceConfig")
    schemas: dict[str, dict[str, Any]] = {}
    for variable in items_of(default.get("templateVariables")):
        if variable_name := at(variable).get("name"):
            place = f"queue.template_variables.{shown(str(variable_name), 80)}"
            schemas[str(variable_name)] = _object(variable.get("schema"), place)
    return replace(
        config,
        resource=str(default.get("resource") or ""),
        config=_object(default.get("config"), "queue"),
        template_variables=schemas,
    )


def _object(value: Any, field: str) -> dict[str, Any]:
    """Return an object that W&B sends as JSON or as JSON text; anything else is empty.

    Raises:
        Reject: it has too many values for a function's memory, or one key twice.
    """
    if isinstance(value, str):
        with one_at_a_time(len(value)):
            check_values(value, field)
            check_keys(value, field)
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return {}
    return value if isinstance(value, dict) else {}
