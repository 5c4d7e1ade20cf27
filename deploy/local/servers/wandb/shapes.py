"""The shapes of W&B's errors. W&B does not document when it uses which, so tests use all of them.

`/standin/errors` and the option `--error-shape` set the shape of W&B's own refusals: an unknown
project, queue, item or agent, and a failed ack. `/standin/errors` also names further operations and
projects to refuse.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import DocumentNode, FieldNode, OperationDefinitionNode

SHAPES = ("usual", "errors", "400", "403", "404", "409", "null", "mixed")
# "usual": `success: false` or null if W&B's client handles it, else 200 with errors. "errors": 200
# with the paths of errors, and the rest of the data. A number: that status, with errors and without
# data. "null": a null result without errors. "mixed": a random shape for each answer.

ITEM, AGENT = "run queue item not found", "agent not found"
MESSAGES = {  # of a missing node, by its field
    "failRunQueueItem": ITEM,
    "updateRunQueueItemWarning": ITEM,
    "ackRunQueueItem": "item already claimed or not eligible",
    "updateLaunchAgent": AGENT,
    "launchAgent": AGENT,
    "project": "project not found",
    "runQueue": "run queue not found",
    "runQueueItem": ITEM,
}
CODES = {"not found": 404, "already claimed": 409, "permission denied": 403}
DENIED = "permission denied"
SUCCEEDING = (
    "failRunQueueItem",
    "updateRunQueueItemWarning",
    "ackRunQueueItem",
    "updateLaunchAgent",
)
NESTED = ("runQueue", "runQueueItem")


@dataclass
class Errors:
    """The refused operations and projects, and the shape of errors."""

    shape: str = "usual"
    operations: set[str] = field(default_factory=set)  # refused root fields
    projects: set[str] = field(default_factory=set)  # entity/project without read permission
    given: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - no secret

    def change(self, given: Mapping[str, Any]) -> None:
        """Apply the settings of a test; raise ValueError for an unknown shape."""
        shape = str(given.get("shape", self.shape))
        if shape not in SHAPES:
            raise ValueError(f"shape must be one of {', '.join(SHAPES)}")
        self.shape = shape
        self.operations = set(given.get("operations", self.operations))
        self.projects = set(given.get("projects", self.projects))

    def shown(self) -> dict[str, Any]:
        """Return the settings for `/standin/errors`."""
        return {
            "shape": self.shape,
            "operations": sorted(self.operations),
            "projects": sorted(self.projects),
            "given": self.given,
        }

    def refuses(self, tree: DocumentNode | None) -> dict[str, Any] | None:
        """Return the answer to a refused operation, without any effect; None for others."""
        refused = [node for node in _roots(tree) if node.name.value in self.operations]
        if not refused:
            return None
        data: dict[str, Any] = {}
        for node in refused:
            alias = (node.alias or node.name).value
            data[alias] = {"success": False} if node.name.value in SUCCEEDING else None
        return {"data": data}

    def reshaped(
        self, tree: DocumentNode | None, variables: Mapping[str, Any], answer: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the answer, with its refusals in the selected shape."""
        data = answer.get("data")
        data = data if isinstance(data, dict) else {}
        refused = _refused(self, tree, variables, data)
        errors = list(answer.get("errors") or [])
        shape = self._random.choice(SHAPES[:-1]) if self.shape == "mixed" else self.shape
        if not refused and not errors:
            return 200, answer
        self.given += 1
        if shape.isdecimal():
            messages = [f"{message} (<Response [{shape}]>)" for _, message, _ in refused]
            messages = messages or [error["message"] for error in errors]
            return int(shape), {"errors": [{"message": message} for message in messages]}
        for path, message, forced in refused:
            if shape == "usual" and (not forced or _unsuccessful(data[path[0]])):
                continue
            _clear(data, path)
            code = next((code for text, code in CODES.items() if text in message), 400)
            errors.append({"message": f"{message} (<Response [{code}]>)", "path": path})
        if errors and shape != "null":
            return 200, {"errors": errors, "data": data or None}
        return 200, {"data": data or None}


Refusals = list[tuple[list[str], str, bool]]  # path, message, and whether a test requested it


def _refused(
    errors: Errors, tree: DocumentNode | None, variables: Mapping[str, Any], data: dict[str, Any]
) -> Refusals:
    found: Refusals = []
    for node in _roots(tree):
        alias, name = (node.alias or node.name).value, node.name.value
        value = data.get(alias)
        if name in errors.operations or (
            name == "project" and _project(node, variables) in errors.projects
        ):
            found.append(
                ([alias], DENIED if name == "project" else MESSAGES.get(name, DENIED), True)
            )
        elif name not in MESSAGES or alias not in data:
            continue
        elif value is None or _unsuccessful(value):
            found.append(([alias], MESSAGES[name], False))
        else:
            found += _nested(alias, value)
    return found


def _unsuccessful(value: Any) -> bool:
    return isinstance(value, dict) and value.get("success") is False


def _nested(alias: str, value: Any) -> Refusals:
    path = [alias]
    for name in NESTED:
        if not isinstance(value, dict) or name not in value:
            return []
        path, value = [*path, name], value[name]
        if value is None:
            return [(path, MESSAGES[name], False)]
    return []


def _roots(tree: DocumentNode | None) -> list[FieldNode]:
    operations = tree.definitions if tree else ()
    return [
        node
        for definition in operations
        if isinstance(definition, OperationDefinitionNode)
        for node in definition.selection_set.selections
        if isinstance(node, FieldNode)
    ]


def _project(node: FieldNode, variables: Mapping[str, Any]) -> str:
    given = {}
    for argument in node.arguments or ():
        value: Any = argument.value
        given[argument.name.value] = (
            variables.get(value.name.value)
            if value.kind == "variable"
            else getattr(value, "value", None)
        )
    return f"{given.get('entityName')}/{given.get('name')}"


def _clear(data: dict[str, Any], path: list[str]) -> None:
    *outer, last = path
    for name in outer:
        data = data[name]
    data[last] = None
