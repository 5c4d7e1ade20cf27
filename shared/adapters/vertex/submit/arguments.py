"""What the installed SDK's CustomJob takes by name, and plain data as the types that it declares."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import NoneType
from typing import Any, get_args, get_origin

import proto
from google.cloud import aiplatform
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from shared.core.shape import Shape

_SCALARS = {bool: Shape("flag"), int: Shape("whole"), float: Shape("number"), str: Shape("text")}
_FIELDS = {
    FieldDescriptor.CPPTYPE_BOOL: Shape("flag"),
    FieldDescriptor.CPPTYPE_INT32: Shape("whole"),
    FieldDescriptor.CPPTYPE_INT64: Shape("whole"),
    FieldDescriptor.CPPTYPE_DOUBLE: Shape("number"),
    FieldDescriptor.CPPTYPE_FLOAT: Shape("number"),
    FieldDescriptor.CPPTYPE_STRING: Shape("text"),
}


def argument_names() -> dict[str, Any]:
    """Return what the installed SDK's CustomJob takes by name: in its constructor, in run() and in submit().

    And under `shapes` what each of these is, read from the annotations.
    """
    takers: dict[str, Any] = {
        "constructor": aiplatform.CustomJob,
        "run": aiplatform.CustomJob.run,
        "submit": aiplatform.CustomJob.submit,
    }
    parameters = {name: inspect.signature(taker).parameters for name, taker in takers.items()}
    shapes = {
        name: _shape(one.annotation) for those in parameters.values() for name, one in those.items()
    }
    return {name: frozenset(those) - {"self"} for name, those in parameters.items()} | {
        "shapes": shapes
    }


def _shape(annotation: Any) -> Shape:
    """Describe what an annotation such as Optional[int] takes; what cannot be told of it is left to the SDK."""
    for each in (types := list(_types(annotation))):
        if issubclass(each, proto.Message):
            return replace(_message(each.pb(each()).DESCRIPTOR), repeated=list in types)
        if issubclass(each, proto.Enum):
            return Shape("choice", choices={member.name: int(member) for member in each})
    plain = [_SCALARS[each] for each in types if each in _SCALARS]
    return plain[0] if len(types) == len(plain) == 1 else Shape()


def _types(annotation: Any) -> Iterator[Any]:
    """Yield the classes that an annotation is made of; of a name in quotes, nothing."""
    if isinstance(origin := get_origin(annotation) or annotation, type) and origin is not NoneType:
        yield origin
    for inner in get_args(annotation):
        yield from _types(inner)


def _message(message: Descriptor) -> Shape:
    return Shape("message", fields={each.name: _field(each) for each in message.fields})


def _field(described: FieldDescriptor) -> Shape:
    kind, inner = described.cpp_type, described.message_type
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        shape = Shape(
            "choice", choices={value.name: value.number for value in described.enum_type.values}
        )
    elif (
        inner
        and not inner.full_name.startswith("google.protobuf.")
        and not inner.GetOptions().map_entry
    ):
        shape = _message(inner)
    else:
        shape = _FIELDS.get(kind, Shape())
    return replace(shape, repeated=described.is_repeated and shape.kind != "any")


def typed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data as the types that submit declares: a member of an enum, a message."""
    declared = inspect.signature(aiplatform.CustomJob.submit).parameters
    typed = dict(arguments)
    for name, value in arguments.items():
        for each in _types(declared[name].annotation) if name in declared else ():
            if issubclass(each, proto.Enum) and isinstance(value, str):
                typed[name] = each[value]
            elif issubclass(each, proto.Message) and isinstance(value, Mapping):
                typed[name] = each(dict(value))
    return typed
