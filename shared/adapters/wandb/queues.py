"""W&B over GraphQL: its run queues, as poll needs them, and its runs and items, as status does.

Plain HTTPS with our own rules of repetition, because W&B's own client starts a side process that repeats mutations by
itself. The operations are those of the installed `wandb` package's launch API, which is the oracle in the tests.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import NotAllowed, Refusal, Refused, at, items_of
from shared.adapters.wandb.batches import PAGE, ask_all
from shared.adapters.wandb.graphql import CALL_SECONDS, Graphql
from shared.adapters.wandb.popping import Popped, read_item
from shared.adapters.wandb.statuses import QUEUE_PROJECT, ask_items, ask_runs
from shared.core.budget import Budget
from shared.core.errors import Denied, LaunchError, Reject, Retry
from shared.core.launch import RunPath
from shared.core.message import Queue
from shared.core.ports import Answers, ItemStatus, QueueItem, RunStatus

log = logging.getLogger(__name__)

__all__ = ["PAGE", "QUEUE_PROJECT", "WandbRunQueue"]

LOOK_SECONDS = (
    60.0  # for the states of all runs, or of all items; what is not asked by then is in `failed`
)
SWEEP_GOES_ON = ("PENDING", "RUNNING", "PAUSED")
VERSION = "vertex-launch@0.1.0"  # shown as the agent's version on W&B's page


class WandbRunQueue:
    """Implements RunQueue and RunTracker. Each call ends in CALL_SECONDS, the two for states in LOOK_SECONDS."""

    def __init__(self, graphql: Graphql) -> None:
        self._graphql = graphql

    def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
        """Lease the next item; one that cannot be read is handed on with its problem.

        A lost answer leaves an item leased for a minute, no more.
        """
        where = {"entity": queue.entity, "project": QUEUE_PROJECT, "queueName": queue.name}
        body = Popped()
        self._graphql.post(documents.POP, {**where, "launchAgentId": agent_id or None}, body)
        answer, item = read_item(body)
        if item:
            if item.problem:
                fields = {"queue": queue.name, "item": item.id, "problem": item.problem}
                log.warning("wandb.unreadable_item", extra={"fields": fields})
            return item
        self._graphql.judge(answer)
        return None

    def ack(self, item_id: str, run_id: str) -> bool:
        """Accept an item; False for a second ack, and for an item that is gone, which W&B answers with errors too."""
        try:
            answer = self._graphql.mutate(documents.ACK, {"itemId": item_id, "runId": run_id})
        except Refused as exc:
            log.info("wandb.ack_refused", extra={"fields": {"item": item_id, "because": str(exc)}})
            return False
        return at(answer, "ackRunQueueItem").get("success") is True

    def known_queues(self, entity: str) -> frozenset[str]:
        """Return the names of an entity's queues that our key can see."""
        return frozenset(self._queue_ids(entity, Budget(CALL_SECONDS)) or {})

    def register(self, entity: str, queues: Sequence[str], config: Mapping[str, Any]) -> str:
        """Register an agent; a lost answer leaves an agent without heartbeats on W&B's page, and is repeated."""
        budget = Budget(CALL_SECONDS)
        known = self._queue_ids(entity, budget) or {}
        missing = [name for name in queues if name not in known]
        if missing:
            there = ", ".join(sorted(known)) or "none that this key may see"
            raise Reject(
                "queues",
                f"{entity} has no queue named {', '.join(missing)}",
                f"Its queues: {there}.",
            )
        variables = {
            "entity": entity,
            "project": QUEUE_PROJECT,
            "queues": [known[name] for name in queues],
            "hostname": "google-cloud-functions",
            "agentConfig": json.dumps(config),
            "version": VERSION,
        }
        answer = self._graphql.mutate(documents.REGISTER, variables, budget)
        agent_id = at(answer, "createLaunchAgent").get("launchAgentId")
        if not agent_id:
            raise Retry("W&B answers the registration of an agent without its id")
        return str(agent_id)

    def heartbeat(self, agent_id: str, *, running: bool) -> bool | None:
        """Show the agent as active, then ask whether it should stop polling.

        None: W&B does not know it, and says so by null, errors, 403, 404, or by refusing the heartbeat. A failure of
        the whole service is raised.
        """
        budget = Budget(CALL_SECONDS)
        try:
            agent = at(
                self._graphql.query(documents.AGENT, {"agentId": agent_id}, budget), "launchAgent"
            )
            if not agent:
                return None
            variables = {"agentId": agent_id, "agentStatus": "RUNNING" if running else "POLLING"}
            beat = self._graphql.query(documents.HEARTBEAT, variables, budget)
        except Refusal as exc:
            log.warning(
                "wandb.agent_unknown", extra={"fields": {"agent_id": agent_id, "because": str(exc)}}
            )
            return None
        return (
            bool(agent.get("stopPolling"))
            if at(beat, "updateLaunchAgent").get("success") is True
            else None
        )

    def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
        """Return what W&B shows of these items, by id."""
        return self._item_statuses(items, Budget(LOOK_SECONDS))

    def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
        """Return what W&B shows of these runs: a query names up to a hundred, of any projects.

        Hidden are the runs of a project that W&B does not show to our key: it answers null, or says so.
        """
        named = [run for run in dict.fromkeys(runs) if run.entity and run.project]
        return ask_all(named, partial(ask_runs, self._graphql), Budget(LOOK_SECONDS))

    def fail_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Show the item as FAILED; one that W&B no longer has, or shows as FAILED, counts as reported.

        Raises:
            Reject: W&B has the item, and has refused the report twice.
        """
        self._report(documents.FAIL, "failRunQueueItem", queue, item_id, message, stage)

    def warn_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Show this warning at the item; one that W&B no longer has, or shows as FAILED, needs none.

        Raises:
            Reject: W&B has the item, and has refused the warning twice.
        """
        self._report(documents.WARN, "updateRunQueueItemWarning", queue, item_id, message, stage)

    def cancel_sweep(self, sweep: RunPath) -> None:
        """Set a sweep that is not over to CANCELED, as the agent does when its scheduler has failed."""
        budget = Budget(CALL_SECONDS)
        where = {"entity": sweep.entity, "project": sweep.project, "sweep": sweep.run_id}
        try:
            found = at(
                self._graphql.query(documents.SWEEP_TO_CANCEL, where, budget), "project", "sweep"
            )
            if str(found.get("state")).upper() in SWEEP_GOES_ON:
                change = {"id": found.get("id"), "state": "CANCELED"}
                asked = {**change, "entityName": sweep.entity, "projectName": sweep.project}
                self._graphql.query(
                    documents.CANCEL_SWEEP, asked, budget
                )  # the same again changes nothing
        except NotAllowed as exc:
            problem = f"{sweep.run_id} of {sweep.entity}/{sweep.project} may not be cancelled with this key"
            raise Reject("sweep", problem, "Stop it in W&B.") from exc

    def _report(
        self, document: str, operation: str, queue: Queue, item_id: str, message: str, stage: str
    ) -> None:
        """Report to an item's author. After any error the item is looked up: W&B may have it no more."""
        budget = Budget(CALL_SECONDS)
        text = message.encode("utf-8", "replace").decode()  # it may quote half of a surrogate pair
        variables = {"runQueueItemId": item_id, "message": text, "stage": stage}
        for attempt in (1, 2):
            problem = self._reported(document, operation, variables, budget)
            if problem is None:
                return
            seen = self._item_statuses([(queue, item_id)], budget)
            if item_id in seen.failed:
                unseen = seen.failed[item_id]
                raise unseen if isinstance(unseen, Denied) else problem
            status = seen.found.get(item_id)
            fields = {
                "item": item_id,
                "queue": queue.name,
                "operation": operation,
                "because": str(problem),
            }
            if status is None or status.state == "FAILED":
                log.info("wandb.report_not_needed", extra={"fields": fields})
                return
            log.warning("wandb.report_refused", extra={"fields": fields})
            if attempt == 2 and isinstance(problem, Refused):
                raise Reject(
                    "item", f"{item_id} is {status.state}, and W&B does not take a report"
                ) from problem
            if not _definite(problem):
                raise problem

    def _reported(
        self, document: str, operation: str, variables: Mapping[str, Any], budget: Budget
    ) -> LaunchError | None:
        """Send a report, which is the same when it is sent again; return why W&B did not take it."""
        try:
            answer = self._graphql.query(document, variables, budget)
        except LaunchError as exc:
            return exc
        success = at(answer, operation).get("success")
        if success is True:
            return None
        return (
            _NotTaken("W&B answers success: false")
            if success is False
            else Refused("W&B answers with no result")
        )

    def _item_statuses(
        self, items: Sequence[tuple[Queue, str]], budget: Budget
    ) -> Answers[str, ItemStatus]:
        listed: dict[str, frozenset[str] | None] = {}

        def names(entity: str, left: Budget) -> frozenset[str] | None:
            if entity not in listed:
                ids = self._queue_ids(entity, left)
                listed[entity] = None if ids is None else frozenset(ids)
            return listed[entity]

        def ask(asked: Sequence[tuple[Queue, str]], left: Budget) -> Any:
            return ask_items(self._graphql, asked, names, left)

        seen = ask_all(list(dict.fromkeys(items)), ask, budget)
        found = {item_id: status for (_, item_id), status in seen.found.items()}
        return Answers(found, {item_id: why for (_, item_id), why in seen.failed.items()})

    def _queue_ids(self, entity: str, budget: Budget) -> dict[str, str] | None:
        """Return the ids of an entity's queues by name; None if our key cannot see where they are."""
        project = self._graphql.query(
            documents.QUEUES, {"entity": entity, "projectName": QUEUE_PROJECT}, budget
        )
        found = at(project, "project")
        if not found:
            return None
        if not isinstance(found.get("runQueues"), list):
            raise Refused(f"W&B's answer lacks the queues of {entity}")
        queues = [queue for queue in items_of(found["runQueues"]) if isinstance(queue, dict)]
        return {
            str(queue["name"]): str(queue["id"])
            for queue in queues
            if queue.get("name") and queue.get("id")
        }


class _NotTaken(Refused):
    """W&B answers success: false."""


def _definite(problem: LaunchError) -> bool:
    """Tell whether W&B itself refuses a report: errors with status 200 can be a passing failure."""
    if isinstance(problem, _NotTaken):
        return True
    return (
        isinstance(problem, Refused)
        and problem.answer.status != 200
        and bool(problem.answer.errors)
    )
