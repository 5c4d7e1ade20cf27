"""The states of W&B's runs, of any projects, in one query."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import Refusal, Refused, at, hides
from shared.adapters.wandb.batches import Part
from shared.adapters.wandb.graphql import Graphql
from shared.adapters.wandb.statuses import ProjectAnswer, ask_projects
from shared.core.budget import Budget
from shared.core.errors import LaunchError
from shared.core.launch import RunPath
from shared.core.ports import RunStatus

MOST_PAGES = 100  # of one project's runs
RunPart = Part[RunPath, RunStatus]


def ask_runs(graphql: Graphql, runs: Sequence[RunPath], budget: Budget) -> RunPart:
    """Query the states of these runs; read further pages if W&B returns fewer."""
    part: RunPart = Part()
    groups = _by_project(runs)
    asked = [_variables(project, group) for project, group in groups]
    try:
        answers, general = _ask(graphql, asked, budget)
    except Refusal as exc:
        if len(groups) == 1 and hides(exc):
            return Part(hidden=set(runs))
        raise
    vague: list[RunPath] = []
    for (_, group), variables, answer in zip(groups, asked, answers, strict=True):
        error = _read_project(graphql, part, group, variables, answer, budget)
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


def _ask(
    graphql: Graphql, asked: Sequence[Mapping[str, Any]], budget: Budget
) -> tuple[list[ProjectAnswer], LaunchError | None]:
    """Query W&B; ask again if it hides a project: it answers "not found" during an outage too."""
    try:
        return ask_projects(graphql, documents.RUNS, asked, budget)
    except Refusal as exc:
        if len(asked) > 1 or not hides(exc):
            raise
        return ask_projects(graphql, documents.RUNS, asked, budget)


def _read_project(
    graphql: Graphql,
    part: RunPart,
    group: list[RunPath],
    variables: Mapping[str, Any],
    answer: ProjectAnswer,
    budget: Budget,
) -> LaunchError | None:
    """Note the runs of one project, page by page; return why the list is incomplete."""
    if answer.project is None and answer.whole and not answer.error:
        # W&B answers null for an absent project, and for a hidden one
        part.hidden |= set(group)
        return None
    wanted = {run.run_id: run for run in group}
    problem = answer.error
    for _ in range(MOST_PAGES):
        listing = at(answer.project, "runs")
        unread = _read_page(part, listing, wanted)
        problem = problem or unread
        page = at(listing, "pageInfo")
        is_last = page.get("hasNextPage") is False
        if problem or not answer.whole or is_last or all(run in part.found for run in group):
            return problem
        cursor = page.get("endCursor")
        if not cursor or cursor == variables.get("cursor"):
            break
        variables = {**variables, "cursor": cursor}
        try:
            ((answer,), general) = ask_projects(graphql, documents.RUNS, [variables], budget)
        except LaunchError as exc:
            return exc
        problem = answer.error or general
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


def _by_project(runs: Sequence[RunPath]) -> list[tuple[tuple[str, str], list[RunPath]]]:
    groups: dict[tuple[str, str], list[RunPath]] = defaultdict(list)
    for run in runs:
        groups[run.entity, run.project].append(run)
    return list(groups.items())


def _variables(project: tuple[str, str], runs: Sequence[RunPath]) -> dict[str, Any]:
    filters = json.dumps({"name": {"$in": [run.run_id for run in runs]}})
    return {
        "entityName": project[0],
        "projectName": project[1],
        "filters": filters,
        "perPage": len(runs),
    }
