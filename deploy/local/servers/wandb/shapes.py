"""The shapes in which W&B answers an error. Which one it takes when is not documented, so tests go through all of them.

`/standin/errors` and the option `--error-shape` set the shape of what W&B refuses by itself (an unknown project, queue,
item or agent; an item that cannot be acked), and name what is refused beyond that: operations and projects.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import DocumentNode, FieldNode, OperationDefinitionNode

SHAPES = ("usual", "errors", "400", "403", "404", "409", "null", "mixed")
# "usual": `success: false` or null where W&B's client handles it, 200 with errors elsewhere. "errors": 200 with errors
# that have a path, and the rest of the data. A number: that status, with errors and no data. "null": a null result, no
# errors. "mixed": drawn anew for each answer.

ITEM, AGENT = "run queue item not found", "agent not found"
SAID = {  # of what is missing, by its field
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
    """What is refused, and how that is answered."""

    shape: str = "usual"
    operations: set[str] = field(
        default_factory=set
    )  # root fields that are refused, whatever they are asked
    projects: set[str] = field(default_factory=set)  # entity/project that the key may not read
    given: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - no secret

    def change(self, given: Mapping[str, Any]) -> None:
        """Take what a test asks for; raises ValueError for a shape that is not known."""
        shape = str(given.get("shape", self.shape))
        if shape not in SHAPES:
            raise ValueError(f"shape is none of {', '.join(SHAPES)}")
        self.shape = shape
        self.operations = set(given.get("operations", self.operations))
        self.projects = set(given.get("projects", self.projects))

    def shown(self) -> dict[str, Any]:
        """Return it as `/standin/errors` answers."""
        return {
            "shape": self.shape,
            "operations": sorted(self.operations),
            "projects": sorted(self.projects),
            "given": self.given,
        }

    def refuses(self, tree: DocumentNode | None) -> dict[str, Any] | None:
        """Return the answer to an operation that is refused, so that it has no effect; None for all others."""
        refused = [node for node in _roots(tree) if node.name.value in self.operations]
        if not refused:
            return None
        told = {(node.alias or node.name).value: node.name.value in SUCCEEDING for node in refused}
        return {
            "data": {
                alias: {"success": False} if succeeding else None
                for alias, succeeding in told.items()
            }
        }

    def reshaped(
        self, tree: DocumentNode | None, variables: Mapping[str, Any], answer: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the answer in which an answer's refusals come."""
        data = answer.get("data")
        data = data if isinstance(data, dict) else {}
        refused = _refused(self, tree, variables, data)
        errors = list(answer.get("errors") or [])
        shape = self._random.choice(SHAPES[:-1]) if self.shape == "mixed" else self.shape
        if not refused and not errors:
            return 200, answer
        self.given += 1
        if shape.isdecimal():
            said = [{"message": f"{message} (<Response [{shape}]>)"} for _, message, _ in refused]
            return int(shape), {
                "errors": said or [{"message": error["message"]} for error in errors]
            }
        for path, message, forced in refused:
            if shape == "usual" and (not forced or _unsuccessful(data[path[0]])):
                continue
            _clear(data, path)
            code = next((code for text, code in CODES.items() if text in message), 400)
            errors.append({"message": f"{message} (<Response [{code}]>)", "path": path})
        if errors and shape != "null":
            return 200, {"errors": errors, "data": data or None}
        return 200, {"data": data or None}


Refusals = list[tuple[list[str], str, bool]]  # path, message, and whether it was asked for


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
            found.append(([alias], DENIED if name == "project" else SAID.get(name, DENIED), True))
        elif name not in SAID or alias not in data:
            continue
        elif value is None or _unsuccessful(value):
            found.append(([alias], SAID[name], False))
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
            return [(path, SAID[name], False)]
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
