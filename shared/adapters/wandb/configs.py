"""The configurations of W&B's run queues, as submit needs them: two queries that W&B's own client sends too."""

import json
from dataclasses import replace
from typing import Any

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import NotAllowed, Refused, at, items_of
from shared.adapters.wandb.graphql import CALL_SECONDS, Graphql
from shared.adapters.wandb.statuses import QUEUE_PROJECT
from shared.core.budget import Budget
from shared.core.errors import Denied, Reject, SettingsError
from shared.core.message import Queue
from shared.core.queueconfig import QueueConfig


class WandbQueueConfigs:
    """Implements QueueConfigs."""

    def __init__(self, graphql: Graphql) -> None:
        self._graphql = graphql

    def config_of(self, queue: Queue) -> QueueConfig | None:
        """Return what a queue gives to its items; None where there is none."""
        try:
            return read_config(self._graphql, queue.entity, queue.name)
        except NotAllowed as exc:
            problem = (
                f"{queue.name} of {queue.entity} may not be read with this deployment's API key"
            )
            raise Reject(
                "queue", problem, "Name a queue that it may see, or give resource_args."
            ) from exc
        except SettingsError as exc:  # an operator has to mend it
            raise Denied(str(exc)) from exc


def read_config(graphql: Graphql, entity: str, name: str) -> QueueConfig | None:
    """Ask for a queue's default configuration; None where there is no such queue that the key may see."""
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
    given = at(
        graphql.query(documents.QUEUE_CONFIG, asked, budget), "entity", "defaultResourceConfig"
    )
    variables = [
        one
        for one in items_of(given.get("templateVariables"))
        if isinstance(one, dict) and one.get("name")
    ]
    return replace(
        config,
        resource=str(given.get("resource") or ""),
        config=_object(given.get("config")),
        template_variables={str(one["name"]): _object(one.get("schema")) for one in variables},
    )


def _object(value: Any) -> dict[str, Any]:
    """Return an object that W&B writes as JSON or as a string of JSON; an empty one where it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}
