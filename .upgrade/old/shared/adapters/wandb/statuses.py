"""Ask W&B the same of several projects in one query, and keep the answers apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import Answer, Refusal, Refused, path_of
from shared.adapters.wandb.graphql import Graphql
from shared.core.budget import Budget
from shared.core.errors import LaunchError


@dataclass
class ProjectAnswer:
    """The part of an answer under one alias, and the error that belongs to it.

    `whole` is False if the answer has errors without a place: then nothing is known to be missing.
    """

    project: Any
    error: LaunchError | None
    whole: bool


def ask_projects(
    graphql: Graphql, field: str, asked: Sequence[Mapping[str, Any]], budget: Budget
) -> tuple[list[ProjectAnswer], LaunchError | None]:
    """Query `field` once for each of these variables, in one document.

    Returns the answers in the same order, and the error that has no place in them.

    Raises:
        Refusal: there is no data at all.
    """
    marks = [str(number) for number in range(len(asked))] if len(asked) > 1 else [""]
    document, variables = _document(field, marks, asked)
    try:
        answer = Answer(200, graphql.query(document, variables, budget))
    except Refusal as exc:
        if not exc.answer.data:
            raise
        answer = exc.answer
    aliases = [_alias(mark) or "project" for mark in marks]
    placeless = [error for error in answer.errors if _first(error) not in aliases]
    general = graphql.error_of(Answer(200, None, placeless))
    answers = [_answer_under(graphql, answer, alias, whole=not general) for alias in aliases]
    return answers, general


def _document(
    field: str, marks: Sequence[str], asked: Sequence[Mapping[str, Any]]
) -> tuple[str, dict[str, Any]]:
    """Return a document with one field per mark, aliased unless the mark is empty."""
    used = {name: kind for name, kind in documents.TYPES.items() if f"${name}#" in field}
    declared: list[str] = []
    fields: list[str] = []
    variables: dict[str, Any] = {}
    for mark, values in zip(marks, asked, strict=True):
        declared += [f"${name}{mark}: {kind}" for name, kind in used.items()]
        prefix = f"{_alias(mark)}: " if mark else ""
        fields.append(prefix + field.replace("#", mark))
        variables |= {f"{name}{mark}": value for name, value in values.items()}
    return f"query Statuses({', '.join(declared)}) {{ {' '.join(fields)} }}", variables


def _answer_under(graphql: Graphql, answer: Answer, alias: str, *, whole: bool) -> ProjectAnswer:
    data = answer.data or {}
    project = data.get(alias)
    error = graphql.error_of(Answer(200, None, answer.of(alias)))
    odd = not isinstance(project, dict | None) or (whole and alias not in data)
    if odd and not error:
        error = Refused("W&B's answer lacks a part of the query")
    return ProjectAnswer(project, error, whole)


def _alias(mark: str) -> str:
    return f"a{mark}" if mark else ""


def _first(error: Any) -> Any:
    path = path_of(error)
    return path[0] if path else None
