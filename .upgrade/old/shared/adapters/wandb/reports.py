"""Reports to the author of a queue item: a failure or a warning on W&B's page."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from shared.adapters.wandb.answers import Refused, at
from shared.adapters.wandb.graphql import Graphql
from shared.core.budget import Budget
from shared.core.errors import Denied, LaunchError, Reject
from shared.core.message import Queue
from shared.core.ports import Answers, ItemStatus

log = logging.getLogger(__name__)

LookUp = Callable[[Queue, str, Budget], Answers[str, ItemStatus]]


class NotTaken(Refused):
    """W&B answers success: false."""


def report(
    graphql: Graphql,
    document: str,
    queue: Queue,
    variables: Mapping[str, Any],
    look_up: LookUp,
    budget: Budget,
) -> None:
    """Send a report; after an error, look the item up: W&B may not have it any more.

    Raises:
        Reject: W&B has the item, and has refused the report twice.
        Retry, Denied: W&B did not take the report.
    """
    item_id = str(variables["runQueueItemId"])
    for attempt in (1, 2):
        problem = _sent(graphql, document, variables, budget)
        if problem is None:
            return
        seen = look_up(queue, item_id, budget)
        if unseen := seen.failed.get(item_id):
            raise unseen if isinstance(unseen, Denied) else problem
        status = seen.found.get(item_id)
        fields = {
            "item": item_id,
            "queue": queue.name,
            "operation": _operation(document),
            "because": str(problem),
        }
        if status is None or status.state == "FAILED":
            log.info("wandb.report_not_needed", extra={"fields": fields})
            return
        log.warning("wandb.report_refused", extra={"fields": fields})
        if attempt == 2 and isinstance(problem, Refused):
            refused = f"{item_id} is {status.state}, and W&B refuses the report"
            raise Reject("item", refused) from problem
        if not _definite(problem):
            raise problem


def _sent(
    graphql: Graphql, document: str, variables: Mapping[str, Any], budget: Budget
) -> LaunchError | None:
    """Send a report, which is idempotent; return why W&B did not take it."""
    try:
        answer = graphql.query(document, variables, budget)
    except LaunchError as exc:
        return exc
    success = at(answer, _operation(document)).get("success")
    if success is True:
        return None
    if success is False:
        return NotTaken("W&B answers success: false")
    return Refused("W&B answers without a result")


def _operation(document: str) -> str:
    """Return the name of a document's mutation."""
    return document.removeprefix("mutation ").partition("(")[0]


def _definite(problem: LaunchError) -> bool:
    """Tell whether W&B itself refuses: errors with status 200 can be a passing failure."""
    if isinstance(problem, NotTaken):
        return True
    if not isinstance(problem, Refused):
        return False
    return problem.answer.status != 200 and bool(problem.answer.errors)
