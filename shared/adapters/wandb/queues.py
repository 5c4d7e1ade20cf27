"""W&B over GraphQL: run queues for poll; runs, items and sweeps for status.

W&B's own client starts a side process that repeats mutations by itself, hence plain HTTPS with our
own rules of repetition. The operations are those of the installed `wandb` package, which judges
them in the tests.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import NotAllowed, Refusal, Refused, at
from shared.adapters.wandb.batches import PAGE, ask_all
from shared.adapters.wandb.documents import QUEUE_PROJECT
from shared.adapters.wandb.graphql import CALL_SECONDS, Graphql
from shared.adapters.wandb.item_statuses import item_statuses
from shared.adapters.wandb.popping import Popped, read_item
from shared.adapters.wandb.reports import report
from shared.adapters.wandb.run_statuses import ask_runs
from shared.adapters.wandb.waiting import count_waiting
from shared.core.budget import Budget
from shared.core.errors import Reject, Retry
from shared.core.launch import RunPath
from shared.core.message import Queue
from shared.core.ports import Answers, ItemStatus, QueueItem, RunStatus

log = logging.getLogger(__name__)

__all__ = ["PAGE", "QUEUE_PROJECT", "WandbRunQueue"]

LOOK_SECONDS = 60.0  # for the states of all runs or all items; later ones are in `failed`
SWEEP_GOES_ON = ("PENDING", "RUNNING", "PAUSED")
VERSION = "vertex-launch@0.1.0"  # shown as the agent's version on W&B's page


class WandbRunQueue:
    """Implements RunQueue and RunTracker.

    A call ends within CALL_SECONDS; the two that return states, within LOOK_SECONDS.
    """

    def __init__(self, graphql: Graphql) -> None:
        self._graphql = graphql

    def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
        """Lease the next item; an unreadable one has a problem.

        If the answer is lost, an item stays leased for a minute.
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
        """Accept an item; False if it was accepted before, or W&B does not have it."""
        try:
            answer = self._graphql.mutate(documents.ACK, {"itemId": item_id, "runId": run_id})
        except Refused as exc:
            log.info("wandb.ack_refused", extra={"fields": {"item": item_id, "because": str(exc)}})
            return False
        return at(answer, "ackRunQueueItem").get("success") is True

    def known_queues(self, entity: str) -> frozenset[str]:
        """Return the names of an entity's queues that our key can see."""
        return frozenset(self._queue_ids(entity, Budget(CALL_SECONDS)) or {})

    def count_waiting(self, queue: Queue) -> int | None:
        """Return how many items wait in a queue; None if it has too many items to count."""
        return count_waiting(self._graphql, queue, Budget(CALL_SECONDS))

    def register(self, entity: str, queues: Sequence[str], config: Mapping[str, Any]) -> str:
        """Register an agent; if the answer is lost, an agent without heartbeats stays behind."""
        budget = Budget(CALL_SECONDS)
        known = self._queue_ids(entity, budget) or {}
        missing = [name for name in queues if name not in known]
        if missing:
            visible = ", ".join(sorted(known)) or "none that this key can see"
            problem = f"{entity} has no queue named {', '.join(missing)}"
            raise Reject("queues", problem, f"Its queues: {visible}.")
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
        """Show the agent as active; return whether it should stop polling.

        None: W&B does not know the agent; it answers null, errors, 403, 404, or refuses the
        heartbeat. A failure of the whole service is raised.
        """
        budget = Budget(CALL_SECONDS)
        try:
            found = self._graphql.query(documents.AGENT, {"agentId": agent_id}, budget)
            agent = at(found, "launchAgent")
            if not agent:
                return None
            variables = {"agentId": agent_id, "agentStatus": "RUNNING" if running else "POLLING"}
            beat = self._graphql.query(documents.HEARTBEAT, variables, budget)
        except Refusal as exc:
            fields = {"agent_id": agent_id, "because": str(exc)}
            log.warning("wandb.agent_unknown", extra={"fields": fields})
            return None
        if at(beat, "updateLaunchAgent").get("success") is not True:
            return None
        return bool(agent.get("stopPolling"))

    def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
        """Return the states of these items, by id."""
        budget = Budget(LOOK_SECONDS)
        return item_statuses(self._graphql, items, self._queue_names, budget)

    def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
        """Return the states of these runs: a query names up to a hundred, of any projects.

        The runs of a project that our key cannot see are `hidden`.
        """
        named = [run for run in dict.fromkeys(runs) if run.entity and run.project]
        return ask_all(named, partial(ask_runs, self._graphql), Budget(LOOK_SECONDS))

    def fail_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Show the item as FAILED; does nothing if W&B no longer has it, or shows it as FAILED.

        Raises:
            Reject: W&B has the item, and has refused the report twice.
        """
        self._report(documents.FAIL, queue, item_id, message, stage)

    def warn_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Show a warning at the item; does nothing if W&B no longer has it, or shows it as FAILED.

        Raises:
            Reject: W&B has the item, and has refused the warning twice.
        """
        self._report(documents.WARN, queue, item_id, message, stage)

    def cancel_sweep(self, sweep: RunPath) -> None:
        """Set an unfinished sweep to CANCELED, as the agent does after its scheduler has failed."""
        budget = Budget(CALL_SECONDS)
        where = {"entity": sweep.entity, "project": sweep.project, "sweep": sweep.run_id}
        try:
            answer = self._graphql.query(documents.SWEEP_TO_CANCEL, where, budget)
            found = at(answer, "project", "sweep")
            if str(found.get("state")).upper() in SWEEP_GOES_ON:
                change = {
                    "id": found.get("id"),
                    "state": "CANCELED",
                    "entityName": sweep.entity,
                    "projectName": sweep.project,
                }
                # idempotent, so a repetition is harmless
                self._graphql.query(documents.CANCEL_SWEEP, change, budget)
        except NotAllowed as exc:
            name = f"{sweep.run_id} of {sweep.entity}/{sweep.project}"
            problem = f"{name} cannot be cancelled with this deployment's API key"
            raise Reject("sweep", problem, "Stop it in W&B.") from exc

    def _report(self, document: str, queue: Queue, item_id: str, message: str, stage: str) -> None:
        text = message.encode("utf-8", "replace").decode()  # it may quote a lone surrogate
        variables = {"runQueueItemId": item_id, "message": text, "stage": stage}
        report(self._graphql, document, queue, variables, self._look_up, Budget(CALL_SECONDS))

    def _look_up(self, queue: Queue, item_id: str, budget: Budget) -> Answers[str, ItemStatus]:
        return item_statuses(self._graphql, [(queue, item_id)], self._queue_names, budget)

    def _queue_names(self, entity: str, budget: Budget) -> frozenset[str] | None:
        ids = self._queue_ids(entity, budget)
        return None if ids is None else frozenset(ids)

    def _queue_ids(self, entity: str, budget: Budget) -> dict[str, str] | None:
        """Return the ids of an entity's queues by name; None if our key cannot see its project."""
        variables = {"entity": entity, "projectName": QUEUE_PROJECT}
        project = at(self._graphql.query(documents.QUEUES, variables, budget), "project")
        if not project:
            return None
        if not isinstance(project.get("runQueues"), list):
            raise Refused(f"W&B's answer lacks the queues of {entity}")
        ids: dict[str, str] = {}
        for queue in project["runQueues"]:
            name, queue_id = at(queue).get("name"), at(queue).get("id")
            if name and queue_id:
                ids[str(name)] = str(queue_id)
        return ids
