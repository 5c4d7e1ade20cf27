"""Count the items that wait in a queue of W&B.

W&B has no such number: a queue lists its items of all states, a hundred a query.
"""

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import at
from shared.adapters.wandb.batches import PAGE
from shared.adapters.wandb.documents import QUEUE_PROJECT
from shared.adapters.wandb.graphql import Graphql
from shared.core.budget import Budget
from shared.core.message import Queue

PAGES = 5  # queries at most; a queue with more items has no count


def count_waiting(graphql: Graphql, queue: Queue, budget: Budget) -> int | None:
    """Return the number of items that wait; None if the queue has too many items to see.

    Raises:
        Retry, Denied, …: W&B does not answer.
    """
    where = {"projectName": QUEUE_PROJECT, "entityName": queue.entity, "runQueue": queue.name}
    waiting, after = 0, None
    for _ in range(PAGES):
        variables = {**where, "first": PAGE, "after": after}
        answer = graphql.query(documents.QUEUE_ITEMS, variables, budget)
        items = at(answer, "project", "runQueue", "runQueueItems")
        edges = items.get("edges")
        states = [at(edge, "node").get("state") for edge in (edges or ())]
        waiting += sum(str(state).upper() == "PENDING" for state in states)
        page = at(items, "pageInfo")
        if page.get("hasNextPage") is not True:
            return waiting if isinstance(edges, list) else None
        after = page.get("endCursor")
    return None
