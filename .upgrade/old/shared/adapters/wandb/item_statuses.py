"""The states of W&B's queue items, of any queues, in one query."""

from collections.abc import Callable, Sequence
from typing import Any

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import NotAllowed, Refusal, Refused, at, misses
from shared.adapters.wandb.batches import Part, ask_all
from shared.adapters.wandb.documents import QUEUE_PROJECT
from shared.adapters.wandb.graphql import Graphql
from shared.adapters.wandb.statuses import ask_projects
from shared.core.budget import Budget
from shared.core.errors import LaunchError
from shared.core.message import Queue
from shared.core.ports import Answers, ItemStatus

__all__ = ["ask_items", "item_statuses"]

Item = tuple[Queue, str]
QueueNames = Callable[[str, Budget], frozenset[str] | None]
ItemPart = Part[Item, ItemStatus]


def item_statuses(
    graphql: Graphql, items: Sequence[Item], queue_names: QueueNames, budget: Budget
) -> Answers[str, ItemStatus]:
    """Return the states of these items, by id.

    `queue_names` returns the names of an entity's queues, None if our key cannot see them; each
    entity is asked for once.
    """
    known: dict[str, frozenset[str] | None] = {}

    def names(entity: str, left: Budget) -> frozenset[str] | None:
        if entity not in known:
            known[entity] = queue_names(entity, left)
        return known[entity]

    def ask(asked: Sequence[Item], left: Budget) -> ItemPart:
        return ask_items(graphql, asked, names, left)

    seen = ask_all(list(dict.fromkeys(items)), ask, budget)
    found = {item_id: status for (_, item_id), status in seen.found.items()}
    return Answers(found, {item_id: error for (_, item_id), error in seen.failed.items()})


def ask_items(
    graphql: Graphql, items: Sequence[Item], names: QueueNames, budget: Budget
) -> ItemPart:
    """Query the states of these items. An item is absent only if its queue is visible."""
    part: ItemPart = Part()
    asked = [_variables(item) for item in items]
    try:
        answers, general = ask_projects(graphql, documents.ITEM, asked, budget)
    except Refusal as exc:
        if len(items) == 1 and misses(exc):
            _look_for_queue(part, items[0], names, exc, budget)
            return part
        raise
    vague: list[Item] = []
    for item, answer in zip(items, answers, strict=True):
        if status := _status(answer.project):
            part.found[item] = status
        elif answer.error and misses(answer.error):
            _look_for_queue(part, item, names, answer.error, budget)
        elif answer.error:
            part.failed[item] = answer.error
        elif general:
            vague.append(item)
        else:
            _explain(part, item, answer.project, names, budget)
    if general and vague:
        part.doubts.append((vague, general))
    return part


def _status(project: Any) -> ItemStatus | None:
    item = at(project, "runQueue", "runQueueItem")
    state, run = item.get("state"), item.get("associatedRunId")
    if not isinstance(state, str) or not state:
        return None
    return ItemStatus(state.upper(), run if isinstance(run, str) else "")


def _explain(part: ItemPart, item: Item, project: Any, names: QueueNames, budget: Budget) -> None:
    """Note why an answer without errors shows no item."""
    queue = item[0]
    where = f"{QUEUE_PROJECT} of {queue.entity}"
    if project is None:
        part.failed[item] = NotAllowed(f"W&B does not show this key the queues in {where}")
    elif project.get("runQueue", item) is None:
        hidden = NotAllowed(f"W&B does not show this key the queue {queue.name} in {where}")
        _look_for_queue(part, item, names, hidden, budget)
    elif at(project, "runQueue").get("runQueueItem", item) is None:
        part.absent.add(item)
    else:
        part.failed[item] = Refused(f"W&B's answer lacks the state of item {item[1]}")


def _look_for_queue(
    part: ItemPart, item: Item, names: QueueNames, error: LaunchError, budget: Budget
) -> None:
    """Note an item as absent if its entity's queues are visible, and its queue is not among them.

    Also if its queue exists, and W&B's message says that the item does not.
    """
    queue = item[0]
    try:
        known = names(queue.entity, budget)
    except Refusal as exc:
        part.failed[item] = exc
    except LaunchError as exc:
        part.doubts.append(([item], exc))
    else:
        if known is not None and (queue.name not in known or misses(error) == "item"):
            part.absent.add(item)
        else:
            part.failed[item] = error


def _variables(item: Item) -> dict[str, str]:
    queue, item_id = item
    return {
        "entityName": queue.entity,
        "projectName": QUEUE_PROJECT,
        "runQueue": queue.name,
        "itemId": item_id,
    }
