"""One question to W&B about several projects: its document, its variables, and which answer and error each gets."""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.adapters.wandb.answers import Answer, Refusal, Refused
from shared.adapters.wandb.configs import read_config
from shared.adapters.wandb.graphql import Graphql
from shared.adapters.wandb.statuses import ProjectAnswer, ask_projects
from shared.core.budget import Budget
from shared.core.errors import LaunchError, Reject
from tests.unit.test_wandb_requests import Answering

FIELD = "project(name: $projectName#, entityName: $entityName#) { x(id: $itemId#) }"
CATS = {"projectName": "cats", "entityName": "team", "itemId": "1"}
DOGS = {"projectName": "dogs", "entityName": "team", "itemId": "2"}
BUDGET = Budget(60)


class Wandb(Graphql):
    """W&B, with this answer."""

    def __init__(self, answer: Mapping[str, Any] | LaunchError) -> None:
        super().__init__("https://api.wandb.test", "k" * 40)
        self.answer = answer
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def query(self, document: str, variables: Mapping[str, Any], budget: Budget | None = None) -> dict[str, Any]:
        """Note the request, and answer."""
        assert budget is BUDGET
        self.asked.append((document, variables))
        if isinstance(self.answer, LaunchError):
            raise self.answer
        return dict(self.answer)


def test_one_project_has_a_plain_document() -> None:
    """As W&B's own clients send it."""
    wandb = Wandb({"project": {"x": 1}})
    assert ask_projects(wandb, FIELD, [CATS], BUDGET) == ([ProjectAnswer({"x": 1}, None, True)], None)
    declared = "$entityName: String!, $projectName: String!, $itemId: ID!"
    field = "project(name: $projectName, entityName: $entityName) { x(id: $itemId) }"
    assert wandb.asked == [(f"query Statuses({declared}) {{ {field} }}", CATS)]


def test_several_projects_have_aliases() -> None:
    """Each with its own variables, in the order of the questions."""
    wandb = Wandb({"a1": {"x": 2}, "a0": {"x": 1}})
    expected = [ProjectAnswer({"x": 1}, None, True), ProjectAnswer({"x": 2}, None, True)]
    assert ask_projects(wandb, FIELD, [CATS, DOGS], BUDGET) == (expected, None)
    declared = ", ".join(
        f"$entityName{number}: String!, $projectName{number}: String!, $itemId{number}: ID!" for number in (0, 1)
    )
    fields = " ".join(
        f"a{number}: project(name: $projectName{number}, entityName: $entityName{number}) {{ x(id: $itemId{number}) }}"
        for number in (0, 1)
    )
    variables = {f"{name}0": value for name, value in CATS.items()}
    variables |= {f"{name}1": value for name, value in DOGS.items()}
    assert wandb.asked == [(f"query Statuses({declared}) {{ {fields} }}", variables)]


LACKS = "W&B's answer lacks a part of the query"


def errors(*given: tuple[str, list[str]], data: Any) -> Refused:
    """Return an answer with these errors at these places."""
    return Refused("x", Answer(200, data, [{"message": message, "path": path} for message, path in given]))


@pytest.mark.parametrize(
    ("answer", "found", "general"),
    [
        ({"a0": {}, "a1": None}, [({}, "", True), (None, "", True)], ""),
        ({"a0": {}}, [({}, "", True), (None, LACKS, True)], ""),
        ({"a0": 5, "a1": []}, [(5, LACKS, True), ([], LACKS, True)], ""),
        (
            errors(("no", ["a0"]), data={"a0": None, "a1": {}}),
            [(None, "W&B refuses: no", True), ({}, "", True)],
            "",
        ),
        (
            errors(("no", ["a1", "x"]), ("nor", ["a1"]), data={"a0": {}}),
            [({}, "", True), (None, "W&B refuses: no; nor", True)],
            "",
        ),
        (
            errors(("later", []), ("no", ["a0"]), data={"a1": {}}),
            [(None, "W&B refuses: no", False), ({}, "", False)],
            "W&B refuses: later",
        ),
        (
            errors(("later", ["viewer"]), data={"a1": 7}),
            [(None, "", False), (7, LACKS, False)],
            "W&B refuses: later",
        ),
    ],
    ids=range(7),
)
def test_each_project_gets_its_own_answer_and_error(answer: Any, found: list[Any], general: str) -> None:
    """An error without a place leaves what is missing unknown."""
    answers, error = ask_projects(Wandb(answer), FIELD, [CATS, DOGS], BUDGET)
    assert [(each.project, str(each.error or ""), each.whole) for each in answers] == found
    assert str(error or "") == general


@pytest.mark.parametrize("data", [None, {}])
def test_without_any_data_the_refusal_is_raised(data: Any) -> None:
    """It concerns all projects."""
    refused = errors(("no", ["a0"]), data=data)
    with pytest.raises(Refusal) as raised:
        ask_projects(Wandb(refused), FIELD, [CATS, DOGS], BUDGET)
    assert raised.value is refused


# --- the configuration of a queue

QUEUE = {"project": {"runQueue": {"id": 7, "access": None, "defaultResourceConfigID": "c1"}}}


def configured(**default: Any) -> Any:
    """Return a queue's configuration with these values."""
    return read_config(Answering(QUEUE, {"entity": {"defaultResourceConfig": default}}).graphql, "team", "vertex")


def test_a_configuration_lacks_nothing_but_what_wandb_leaves_out() -> None:
    """Its id is text, and everything else has an empty form."""
    found = configured(resource=None, config=None, templateVariables=None)
    assert (found.id, found.access, found.resource, found.config, found.template_variables) == ("7", "", "", {}, {})
    odd = configured(templateVariables=["x", {"name": 5, "schema": [1]}, {"name": "", "schema": {}}])
    assert odd.template_variables == {"5": {}}


@pytest.mark.parametrize(
    ("default", "words"),
    [
        ({"config": '{"a": 1, "a": 2}'}, "a: appears twice"),
        ({"config": f"[{'0,' * 200_000}0]"}, "queue: has more than 100,000 keys and values"),
        (
            {"templateVariables": [{"name": "v" * 100, "schema": f"[{'0,' * 200_000}0]"}]},
            f"queue.template_variables.{'v' * 40}…{'v' * 40}: has more than 100,000 keys and values",
        ),
    ],
    ids=range(3),
)
def test_a_configuration_beyond_all_bounds_is_refused(default: dict[str, Any], words: str) -> None:
    """The place is named, of a bounded length."""
    with pytest.raises(Reject) as raised:
        configured(**default)
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize("text", ["{", "[" * 50_000])
def test_a_configuration_that_is_no_json_is_empty(text: str) -> None:
    """W&B checks what it stores."""
    assert configured(config=text).config == {}
