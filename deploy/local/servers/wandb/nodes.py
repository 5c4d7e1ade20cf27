"""Entities and projects as they stand in an answer, and the pages of a long list."""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from deploy.local.servers.wandb.state import State, global_id

PAGE = 50  # where a client does not say how many


class EntityNode(NamedTuple):
    """An entity in an answer."""

    name: str
    is_team: bool

    @property
    def id(self) -> str:
        """Return its id: entities are told apart by name alone."""
        return global_id("Entity", zlib.crc32(self.name.encode()))


class ProjectNode(NamedTuple):
    """A project in an answer."""

    entity_name: str
    name: str
    number: int

    @property
    def id(self) -> str:
        """Return W&B's id of the project."""
        return global_id("Project", self.number)


def connection(
    nodes: Sequence[Any], first: int | None = None, after: str | None = None
) -> dict[str, Any]:
    """Cut a page out of many, with a cursor for the next: the number of those already seen."""
    start = int(after) if after else 0
    page = nodes[start : start + (PAGE if first is None else first)]
    end = start + len(page)
    return {
        "edges": [{"node": node, "cursor": str(start + n)} for n, node in enumerate(page, start=1)],
        "page_info": {"end_cursor": str(end), "has_next_page": end < len(nodes)},
    }


def project_node(state: State, entity: str | None, name: str | None) -> ProjectNode | None:
    """Find a project; None where there is none."""
    path = (entity or state.entity, name or "")
    return ProjectNode(*path, state.projects[path]) if path in state.projects else None


def entity_node(state: State, name: str | None) -> EntityNode | None:
    """Find an entity; None where there is none."""
    wanted = name or state.entity
    return EntityNode(wanted, is_team=wanted != state.entity) if state.has_entity(wanted) else None
