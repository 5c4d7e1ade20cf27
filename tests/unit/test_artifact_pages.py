"""The list of an artifact's files: each query of its pages, and answers that W&B should not give."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import Refused
from shared.adapters.wandb.graphql import Graphql
from shared.adapters.wandb.jobs import LIST_SECONDS, WandbFiles
from shared.core.budget import Budget
from shared.core.building import ArtifactFile
from shared.core.errors import Reject

VERSION = "team/cats/code:v3"
WHERE = {"entity": "team", "project": "cats", "collection": "code", "alias": "v3", "perPage": 200}


def page(*files: tuple[str, object], after: object = None) -> dict[str, Any]:
    """Return an answer with these files, and the cursor of the next page."""
    edges = [{"node": {"name": name, "sizeBytes": size, "directUrl": f"https://h/{name}"}} for name, size in files]
    info = {"hasNextPage": after is not None, "endCursor": after or None}
    membership = {"files": {"edges": edges, "pageInfo": info}}
    return {"project": {"artifactCollection": {"artifactMembership": membership}}}


class Pages:
    """W&B, with these answers one after another; the last one again and again."""

    def __init__(self, *answers: Mapping[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def query(self, document: str, variables: Mapping[str, Any], budget: Budget) -> Mapping[str, Any]:
        """Note the variables, and answer."""
        assert document is documents.FILES
        assert LIST_SECONDS - 5 < budget.left <= LIST_SECONDS
        self.asked.append(dict(variables))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def chunks(self, address: str, most: int) -> list[bytes]:
        """Return what was asked for."""
        return [f"{address} {most}".encode()]


def files(pages: Pages) -> list[ArtifactFile]:
    """Return the files of an artifact that has these pages."""
    return list(WandbFiles(cast(Graphql, pages)).files_of(VERSION))


def test_each_page_is_asked_for_with_the_cursor_of_the_last() -> None:
    """Nothing else changes from page to page."""
    pages = Pages(page(("a", "1"), ("b", 20), after="c1"), page(("c", "0"), after="c2"), page())
    assert files(pages) == [
        ArtifactFile("a", 1, "https://h/a"),
        ArtifactFile("b", 20, "https://h/b"),
        ArtifactFile("c", 0, "https://h/c"),
    ]
    assert pages.asked == [WHERE, {**WHERE, "cursor": "c1"}, {**WHERE, "cursor": "c2"}]


@pytest.mark.parametrize("cursor", ["", "c1"])
def test_a_cursor_that_does_not_move_ends_the_list(cursor: str) -> None:
    """Otherwise the same page would come for ever; an incomplete list is never used."""
    pages = Pages(page(("a", "1"), after=cursor))
    with pytest.raises(Refused, match=f"W&B's list of the files of {VERSION} does not end"):
        files(pages)
    assert len(pages.asked) == (2 if cursor else 1)


@pytest.mark.parametrize("size", [None, "", "-1", "1.5", "many"])
def test_a_file_without_a_size_is_refused(size: object) -> None:
    """The size bounds the download."""
    with pytest.raises(Refused, match=f"W&B's answer lacks the size of a of {VERSION}"):
        files(Pages(page(("a", size))))


@pytest.mark.parametrize("answer", [{}, {"project": None}, {"project": {"artifactCollection": None}}])
def test_an_artifact_that_is_gone_is_its_authors_problem(answer: dict[str, Any]) -> None:
    """It was deleted after the launch began, or the key cannot see its project."""
    with pytest.raises(Reject, match=f"job: {VERSION} was not found in W&B"):
        files(Pages(answer))


def test_a_file_is_read_one_byte_beyond_its_size() -> None:
    """So that a longer one is noticed."""
    place = WandbFiles(cast(Graphql, Pages({})))
    assert list(place.content(ArtifactFile("a", 20, "https://h/a"))) == [b"https://h/a 21"]
