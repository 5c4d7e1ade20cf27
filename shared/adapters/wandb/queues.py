"""W&B over GraphQL: its run queues, as poll needs them, and its runs and items, as status does.

Plain HTTPS with our own rules of repetition, because W&B's own client starts a side process that repeats mutations by
itself. The operations are those of the installed `wandb` package's launch API, which is the oracle in the tests.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from shared.adapters.wandb import documents
from shared.adapters.wandb.graphql import Graphql, NotAllowed
from shared.core.errors import Reject
from shared.core.launch import RunPath
from shared.core.message import Queue
from shared.core.ports import Answers, ItemStatus, QueueItem, RunStatus

log = logging.getLogger(__name__)
T = TypeVar("T")

QUEUE_PROJECT = "model-registry"  # where W&B keeps the launch queues of an entity
PAGE = 100  # runs or items per query
SWEEP_GOES_ON = ("PENDING", "RUNNING", "PAUSED")
VERSION = "vertex-launch@0.1.0"  # shown as the agent's version on W&B's page


class WandbRunQueue:
    """Implements RunQueue and RunTracker."""

    def __init__(self, graphql: Graphql) -> None:
        self._graphql = graphql

    def pop(self, queue: Queue, agent_id: str) -> QueueItem | None:
        """Lease the next item. A lost answer leaves an item leased for a minute, no more."""
        where = {"entity": queue.entity, "project": QUEUE_PROJECT, "queueName": queue.name}
        variables = {**where, "launchAgentId": agent_id or None}
        popped = self._graphql.mutate(documents.POP, variables)["popFromRunQueue"]
        if not popped or not popped.get("runQueueItemId"):
            return None
        return QueueItem(str(popped["runQueueItemId"]), _object(popped.get("runSpec")))

    def ack(self, item_id: str, run_id: str) -> bool:
        """Accept an item; a second ack is answered False, whoever the first was."""
        return bool(
            self._graphql.mutate(documents.ACK, {"itemId": item_id, "runId": run_id})["ackRunQueueItem"]["success"]
        )

    def known_queues(self, entity: str) -> frozenset[str]:
        """Return the names of an entity's queues."""
        return frozenset(self._queue_ids(entity))

    def _queue_ids(self, entity: str) -> dict[str, str]:
        project = self._graphql.query(documents.QUEUES, {"entity": entity, "projectName": QUEUE_PROJECT})["project"]
        return {queue["name"]: queue["id"] for queue in (project or {}).get("runQueues") or []}

    def register(self, entity: str, queues: Sequence[str], config: Mapping[str, Any]) -> str:
        """Register an agent; a lost answer leaves an agent without heartbeats on W&B's page, and is repeated."""
        known = self._queue_ids(entity)
        missing = [name for name in queues if name not in known]
        if missing:
            there = ", ".join(sorted(known)) or "none that this key may see"
            raise Reject("queues", f"{entity} has no queue named {', '.join(missing)}", f"Its queues: {there}.")
        variables = {
            "entity": entity,
            "project": QUEUE_PROJECT,
            "queues": [known[name] for name in queues],
            "hostname": "google-cloud-functions",
            "agentConfig": json.dumps(config),
            "version": VERSION,
        }
        return str(self._graphql.mutate(documents.REGISTER, variables)["createLaunchAgent"]["launchAgentId"])

    def heartbeat(self, agent_id: str, *, running: bool) -> bool | None:
        """Show the agent as active, then ask whether it should stop polling."""
        agent = self._graphql.query(documents.AGENT, {"agentId": agent_id})["launchAgent"]
        if not agent:
            return None
        status = "RUNNING" if running else "POLLING"
        self._graphql.query(documents.HEARTBEAT, {"agentId": agent_id, "agentStatus": status})
        return bool(agent["stopPolling"])

    def item_statuses(self, items: Sequence[tuple[Queue, str]]) -> Answers[str, ItemStatus]:
        """Return, by id, those of these items that exist."""
        found: dict[str, ItemStatus] = {}
        for page in _pages(items):
            for _, answer in self._ask(documents.ITEM, [_item_variables(queue, item) for queue, item in page]):
                item = ((answer or {}).get("runQueue") or {}).get("runQueueItem")
                if item:
                    found[item["id"]] = ItemStatus(str(item["state"]).upper(), item.get("associatedRunId") or "")
        return Answers(found)

    def run_statuses(self, runs: Sequence[RunPath]) -> Answers[RunPath, RunStatus]:
        """Return the state of those of these runs that exist: a query names up to a hundred runs, of any projects."""
        found: dict[RunPath, RunStatus] = {}
        for page in _pages([run for run in dict.fromkeys(runs) if run.entity and run.project]):
            asked = _by_project(page)
            while asked:  # once, unless W&B gives fewer at a time than were asked for
                more = []
                for variables, answer in self._ask(documents.RUNS, asked):
                    listing = (answer or {}).get("runs") or {}
                    for edge in listing.get("edges") or []:
                        node = edge["node"]
                        path = RunPath(variables["entityName"], variables["projectName"], node["name"])
                        found[path] = RunStatus(str(node["state"]).lower(), stopped=bool(node.get("stopped")))
                    info = listing.get("pageInfo") or {}
                    if info.get("hasNextPage") and info.get("endCursor") not in (None, variables.get("cursor")):
                        more.append({**variables, "cursor": info["endCursor"]})
                asked = more
        return Answers(found)

    def fail_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Show the item as FAILED; one that W&B no longer has, or shows as FAILED, has been told.

        Raises:
            Reject: W&B has the item and does not take the report.
        """
        if self._report(documents.FAIL, "failRunQueueItem", item_id, message, stage):
            return
        status = self.item_statuses([(queue, item_id)]).found.get(item_id)
        if status and status.state != "FAILED":
            raise Reject("item", f"{item_id} is {status.state} and W&B does not let it fail")

    def warn_item(self, queue: Queue, item_id: str, message: str, stage: str) -> None:
        """Show this warning at the item; where W&B does not take it the author misses a hint, no more."""
        if not self._report(documents.WARN, "updateRunQueueItemWarning", item_id, message, stage):
            log.warning("wandb.warning_not_taken", extra={"fields": {"item": item_id, "queue": queue.name}})

    def cancel_sweep(self, sweep: RunPath) -> None:
        """Set a sweep that is not over to CANCELED, as the agent does when its scheduler has failed."""
        where = {"entity": sweep.entity, "project": sweep.project, "sweep": sweep.run_id}
        try:
            answer = self._graphql.query(documents.SWEEP_TO_CANCEL, where)
            found = (answer.get("project") or {}).get("sweep") or {}
            if str(found.get("state")).upper() in SWEEP_GOES_ON:
                change = {"id": found["id"], "state": "CANCELED"}
                asked = {**change, "entityName": sweep.entity, "projectName": sweep.project}
                self._graphql.query(documents.CANCEL_SWEEP, asked)  # the same again changes nothing
        except NotAllowed as exc:
            problem = f"{sweep.run_id} of {sweep.entity}/{sweep.project} may not be cancelled with this key"
            raise Reject("sweep", problem, "Stop it in W&B.") from exc

    def _report(self, document: str, operation: str, item_id: str, message: str, stage: str) -> bool:
        variables = {"runQueueItemId": item_id, "message": message, "stage": stage}
        answer = self._graphql.query(document, variables)[operation]  # the same again is the same report
        return bool((answer or {}).get("success"))

    def _ask(
        self, field: str, asked: Sequence[Mapping[str, Any]]
    ) -> Iterator[tuple[Mapping[str, Any], dict[str, Any] | None]]:
        """Ask the same of several projects in one document, each under an alias of its own; of one, without."""
        if not asked:
            return
        marks = [str(number) for number in range(len(asked))] if len(asked) > 1 else [""]
        declared, fields, variables = [], [], {}
        for mark, values in zip(marks, asked, strict=True):
            declared += [f"${name}{mark}: {kind}" for name, kind in documents.TYPES.items() if f"${name}#" in field]
            fields.append((f"a{mark}: " if mark else "") + field.replace("#", mark))
            variables.update({f"{name}{mark}": value for name, value in values.items()})
        answer = self._graphql.query(f"query Statuses({', '.join(declared)}) {{ {' '.join(fields)} }}", variables)
        for mark, values in zip(marks, asked, strict=True):
            yield values, answer.get(f"a{mark}" if mark else "project")


def _object(spec: Any) -> dict[str, Any]:
    """Return a run spec, which W&B gives as an object, push as JSON text; anything else is left to be refused."""
    if isinstance(spec, str):
        try:
            spec = json.loads(spec)
        except (ValueError, RecursionError):
            log.warning("wandb.unreadable_run_spec")
    return spec if isinstance(spec, dict) else {"run_spec": spec}


def _pages(things: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(things), PAGE):
        yield things[start : start + PAGE]


def _by_project(runs: Sequence[RunPath]) -> list[dict[str, Any]]:
    """Return what to ask for these runs: one question per project."""
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run in runs:
        names[run.entity, run.project].append(run.run_id)
    return [
        {"entityName": e, "projectName": p, "filters": json.dumps({"name": {"$in": ids}}), "perPage": len(ids)}
        for (e, p), ids in names.items()
    ]


def _item_variables(queue: Queue, item_id: str) -> dict[str, str]:
    return {"entityName": queue.entity, "projectName": QUEUE_PROJECT, "runQueue": queue.name, "itemId": item_id}
