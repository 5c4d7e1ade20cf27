"""What W&B shows of runs and of queue items: many at a query, each told apart from its neighbours."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import (
    Answer,
    NotAllowed,
    Refusal,
    Refused,
    at,
    hides,
    misses,
    path_of,
    refusal,
)
from shared.adapters.wandb.batches import Part
from shared.adapters.wandb.graphql import Graphql
from shared.core.budget import Budget
from shared.core.errors import LaunchError
from shared.core.launch import RunPath
from shared.core.message import Queue
from shared.core.ports import ItemStatus, RunStatus

QUEUE_PROJECT = "model-registry"  # where W&B keeps the launch queues of an entity
MOST_PAGES = 100  # of one project's runs

Item = tuple[Queue, str]
Names = Callable[
    [str, Budget], frozenset[str] | None
]  # of an entity's queues; None: its project is not visible
RunPart = Part[RunPath, RunStatus]
ItemPart = Part[Item, ItemStatus]


def ask_runs(graphql: Graphql, runs: Sequence[RunPath], budget: Budget) -> RunPart:
    """Ask once for the states of these runs, of any projects; goes on where W&B gives fewer than were asked for."""
    part: RunPart = Part()
    groups = _by_project(runs)
    asked = [_run_variables(project, group) for project, group in groups]
    try:
        answers, general = _ask(graphql, documents.RUNS, asked, budget)
    except Refusal as exc:
        if len(groups) == 1 and hides(exc):
            return Part(hidden=set(runs))
        raise
    vague: list[RunPath] = []
    for (_, group), variables, one in zip(groups, asked, answers, strict=True):
        error = _read_project(graphql, part, group, variables, one, budget)
        missing = [run for run in group if run not in part.found and run not in part.hidden]
        if error and hides(error):
            part.hidden |= set(missing)
        elif error and missing:
            part.doubts.append((missing, error))
        elif general:
            vague += missing
        else:
            part.absent |= set(missing)
    if general and vague:
        part.doubts.append((vague, general))
    return part


def ask_items(graphql: Graphql, items: Sequence[Item], names: Names, budget: Budget) -> ItemPart:
    """Ask once for the states of these items. Only a visible queue without an item says that the item is gone."""
    part: ItemPart = Part()
    try:
        answers, general = _ask(
            graphql, documents.ITEM, [_item_variables(item) for item in items], budget
        )
    except Refusal as exc:
        if len(items) == 1 and misses(exc):
            _look_for_queue(part, items[0], names, exc, budget)
            return part
        raise
    vague: list[Item] = []
    for item, one in zip(items, answers, strict=True):
        if status := _item_status(one.project):
            part.found[item] = status
        elif one.error and misses(one.error):
            _look_for_queue(part, item, names, one.error, budget)
        elif one.error:
            part.failed[item] = one.error
        elif general:
            vague.append(item)
        else:
            _explain(part, item, one.project, names, budget)
    if general and vague:
        part.doubts.append((vague, general))
    return part


@dataclass
class _One:
    """What an answer has under one alias, and the error that belongs there.

    `whole` is False if the answer has errors that do not say where they belong: nothing is known to be missing then.
    """

    project: Any
    error: LaunchError | None
    whole: bool


def _ask(
    graphql: Graphql, field: str, asked: Sequence[Mapping[str, Any]], budget: Budget
) -> tuple[list[_One], LaunchError | None]:
    """Ask the same of several projects in one document, each under an alias of its own; of one, without.

    Returns what came for each, and the error that does not say where it belongs.

    Raises:
        Refusal: there is no data at all.
    """
    marks = [str(number) for number in range(len(asked))] if len(asked) > 1 else [""]
    declared, fields, variables = [], [], {}
    for mark, values in zip(marks, asked, strict=True):
        declared += [
            f"${name}{mark}: {kind}"
            for name, kind in documents.TYPES.items()
            if f"${name}#" in field
        ]
        fields.append((f"a{mark}: " if mark else "") + field.replace("#", mark))
        variables.update({f"{name}{mark}": value for name, value in values.items()})
    document = f"query Statuses({', '.join(declared)}) {{ {' '.join(fields)} }}"
    try:
        answer = Answer(200, graphql.query(document, variables, budget))
    except Refusal as exc:
        if not exc.answer.data:
            raise
        answer = exc.answer
    aliases = [f"a{mark}" if mark else "project" for mark in marks]
    general = _error(
        graphql, [e for e in answer.errors if (path_of(e) or [None])[0] not in aliases]
    )
    data = answer.data or {}
    ones = [
        _One(data.get(alias), _error(graphql, answer.of(alias)), whole=not general)
        for alias in aliases
    ]
    for alias, one in zip(aliases, ones, strict=True):
        if not isinstance(one.project, dict | None) or (alias not in data and one.whole):
            one.error = one.error or Refused("W&B's answer lacks a part of what it was asked for")
    return ones, general


def _error(graphql: Graphql, errors: list[Any]) -> LaunchError | None:
    answer = Answer(200, None, errors)
    return refusal(f"W&B refuses: {graphql.reason(answer)}", answer) if errors else None


def _read_project(
    graphql: Graphql,
    part: RunPart,
    group: list[RunPath],
    variables: Mapping[str, Any],
    one: _One,
    budget: Budget,
) -> LaunchError | None:
    """Note the runs of one project, page by page; returns why the listing is not whole."""
    if one.project is None and one.whole and not one.error:
        part.hidden |= set(
            group
        )  # W&B answers null for a project that it does not have, and for a hidden one
        return None
    wanted = {run.run_id: run for run in group}
    problem = one.error
    for _ in range(MOST_PAGES):
        listing = at(one.project, "runs")
        unread = _read_page(part, listing, wanted)
        problem = problem or unread
        info = at(listing, "pageInfo")
        if (
            problem
            or not one.whole
            or info.get("hasNextPage") is False
            or all(run in part.found for run in group)
        ):
            return problem
        cursor = info.get("endCursor")
        if not cursor or cursor == variables.get("cursor"):
            break
        variables = {**variables, "cursor": cursor}
        try:
            ((one,), general) = _ask(graphql, documents.RUNS, [variables], budget)
        except LaunchError as exc:
            return exc
        problem = one.error or general
    return Refused("W&B's list of runs does not end")


def _read_page(
    part: RunPart, listing: Mapping[str, Any], wanted: Mapping[str, RunPath]
) -> LaunchError | None:
    if not isinstance(listing.get("edges"), list):
        return Refused("W&B's answer lacks the list of runs")
    problem = None
    for edge in listing["edges"]:
        node = at(edge, "node")
        name, state = node.get("name"), node.get("state")
        if not isinstance(name, str) or not isinstance(state, str) or not state:
            problem = Refused("W&B's answer has a run without a name or a state")
        elif name in wanted:
            part.found[wanted[name]] = RunStatus(state.lower(), stopped=bool(node.get("stopped")))
    return problem


def _item_status(project: Any) -> ItemStatus | None:
    item = at(project, "runQueue", "runQueueItem")
    state, run = item.get("state"), item.get("associatedRunId")
    if not isinstance(state, str) or not state:
        return None
    return ItemStatus(state.upper(), run if isinstance(run, str) else "")


def _explain(part: ItemPart, item: Item, project: Any, names: Names, budget: Budget) -> None:
    """Say why an answer without errors shows no item."""
    queue = item[0]
    where = f"{QUEUE_PROJECT} of {queue.entity}"
    if project is None:
        part.failed[item] = NotAllowed(f"W&B does not show this key the queues in {where}")
    elif project.get("runQueue", item) is None:
        why = NotAllowed(f"W&B does not show this key the queue {queue.name} in {where}")
        _look_for_queue(part, item, names, why, budget)
    elif at(project, "runQueue").get("runQueueItem", item) is None:
        part.absent.add(item)
    else:
        part.failed[item] = Refused(f"W&B's answer lacks the state of item {item[1]}")


def _look_for_queue(
    part: ItemPart, item: Item, names: Names, why: LaunchError, budget: Budget
) -> None:
    """Take an item for gone if W&B shows us its entity's queues, and its own is not among them any more.

    Also if its queue is there, and W&B says in words that the item is not.
    """
    try:
        known = names(item[0].entity, budget)
    except Refusal as exc:
        part.failed[item] = exc
    except LaunchError as exc:
        part.doubts.append(([item], exc))
    else:
        if known is not None and (item[0].name not in known or misses(why) == "item"):
            part.absent.add(item)
        else:
            part.failed[item] = why


def _by_project(runs: Sequence[RunPath]) -> list[tuple[tuple[str, str], list[RunPath]]]:
    groups: dict[tuple[str, str], list[RunPath]] = defaultdict(list)
    for run in runs:
        groups[run.entity, run.project].append(run)
    return list(groups.items())


def _run_variables(project: tuple[str, str], runs: Sequence[RunPath]) -> dict[str, Any]:
    filters = json.dumps({"name": {"$in": [run.run_id for run in runs]}})
    return {
        "entityName": project[0],
        "projectName": project[1],
        "filters": filters,
        "perPage": len(runs),
    }


def _item_variables(item: Item) -> dict[str, str]:
    queue, item_id = item
    return {
        "entityName": queue.entity,
        "projectName": QUEUE_PROJECT,
        "runQueue": queue.name,
        "itemId": item_id,
    }
