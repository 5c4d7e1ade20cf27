"""Execute GraphQL documents against the schema; each distinct document is parsed once."""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)

from deploy.local.servers.wandb.state import State

REMEMBERED = 1000  # documents; clients send a few dozen
Resolvers = Mapping[str, Mapping[str, Callable[..., Any]]]


@dataclass(frozen=True)
class Asked:
    """The context of a resolver: the state, and the URL by which the client reached us."""

    state: State
    base_url: str


Info: TypeAlias = "GraphQLResolveInfo[Asked]"


@dataclass(frozen=True)
class Document:
    """A parsed document with its validation errors."""

    name: str
    tree: DocumentNode | None
    errors: tuple[GraphQLError, ...] = ()


class Executor:
    """Executes documents with resolvers by type and field; other fields are attributes."""

    def __init__(self, resolvers: Resolvers) -> None:
        self._schema = build_schema((Path(__file__).parent / "schema.graphql").read_text())
        _name_arguments_in_snake_case(self._schema)
        for type_name, fields in resolvers.items():
            for field_name, resolve in fields.items():
                found = self._schema.type_map[type_name]
                assert isinstance(found, GraphQLObjectType)  # noqa: S101 - only objects have resolvers
                found.fields[field_name].resolve = resolve
        self._documents: OrderedDict[str, Document] = OrderedDict()

    def read(self, text: str) -> Document:
        """Parse and validate a document, or return it from the cache."""
        if text not in self._documents:
            self._documents[text] = self._read(text)
            if len(self._documents) > REMEMBERED:
                self._documents.popitem(last=False)
        return self._documents[text]

    def run(
        self, document: Document, variables: Mapping[str, Any], operation: str | None, asked: Asked
    ) -> ExecutionResult:
        """Execute a valid document under State's lock; its mutations run in order."""
        if document.tree is None or document.errors:
            return ExecutionResult(None, list(document.errors))
        with asked.state.lock:
            return execute_sync(
                self._schema,
                document.tree,
                context_value=asked,
                variable_values=dict(variables),
                operation_name=operation,
                field_resolver=_attribute,
            )

    def _read(self, text: str) -> Document:
        try:
            tree = parse(text, no_location=True)
        except GraphQLSyntaxError as exc:
            return Document("(unreadable)", None, (exc,))
        return Document(_name(tree), tree, tuple(validate(self._schema, tree)))


def _attribute(source: Any, info: Info, **_: Any) -> Any:
    name = snake_case(info.field_name)
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name)


@cache
def snake_case(name: str) -> str:
    """Write a GraphQL name as Python does: `runQueueItemId` is `run_queue_item_id`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _name_arguments_in_snake_case(schema: GraphQLSchema) -> None:
    for found in schema.type_map.values():
        if isinstance(found, GraphQLInputObjectType):
            for name, field in found.fields.items():
                field.out_name = snake_case(name)
        elif isinstance(
            found, GraphQLObjectType | GraphQLInterfaceType
        ) and not found.name.startswith("__"):
            for field in found.fields.values():
                for name, argument in field.args.items():
                    argument.out_name = snake_case(name)


def _name(tree: DocumentNode) -> str:
    """Return the operation's name, or the name of its first field."""
    for definition in tree.definitions:
        if isinstance(definition, OperationDefinitionNode):
            if definition.name:
                return definition.name.value
            first = definition.selection_set.selections[0]
            return first.name.value if isinstance(first, FieldNode) else "(fragment)"
    return "(none)"
