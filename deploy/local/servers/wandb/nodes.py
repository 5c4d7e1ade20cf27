"""Entities and projects in an answer, and the pages of a long list."""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from deploy.local.servers.wandb.state import State, global_id

PAGE = 50  # nodes per page, by default


class EntityNode(NamedTuple):
    """An entity in an answer."""

    name: str
    is_team: bool

    @property
    def id(self) -> str:
        """Return its id, a function of its name."""
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
    """Return one page of nodes; the cursor is the number of earlier nodes."""
    start = int(after) if after else 0
    page = nodes[start : start + (PAGE if first is None else first)]
    end = start + len(page)
    return {
        "edges": [{"node": node, "cursor": str(start + n)} for n, node in enumerate(page, start=1)],
        "page_info": {"end_cursor": str(end), "has_next_page": end < len(nodes)},
    }


def project_node(state: State, entity: str | None, name: str | None) -> ProjectNode | None:
    """Return a project, or None."""
    path = (entity or state.entity, name or "")
    return ProjectNode(*path, state.projects[path]) if path in state.projects else None


def entity_node(state: State, name: str | None) -> EntityNode | None:
    """Return an entity, or None."""
    wanted = name or state.entity
    return EntityNode(wanted, is_team=wanted != state.entity) if state.has_entity(wanted) else None
