"""The arguments of the installed SDK's CustomJob: their names, their shapes, and typed values."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import NoneType
from typing import Any, get_args, get_origin

import proto
from google.cloud import aiplatform
from google.cloud.aiplatform.constants import base as constants
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
    """Return the names of the arguments of CustomJob's constructor, run() and submit().

    `shapes` describes the value of each argument, as its annotation declares it. `locations` are
    the SDK's.
    """
    takers: dict[str, Any] = {
        "constructor": aiplatform.CustomJob,
        "run": aiplatform.CustomJob.run,
        "submit": aiplatform.CustomJob.submit,
    }
    parameters = {name: inspect.signature(taker).parameters for name, taker in takers.items()}
    shapes: dict[str, Shape] = {}
    for declared in parameters.values():
        for name, parameter in declared.items():
            shapes[name] = _shape(parameter.annotation)
    names = {taker: frozenset(declared) - {"self"} for taker, declared in parameters.items()}
    return {**names, "shapes": shapes, "locations": frozenset(constants.SUPPORTED_REGIONS)}


def _shape(annotation: Any) -> Shape:
    """Describe the values of an annotation such as Optional[int]; the SDK checks all others."""
    types = list(_types(annotation))
    for each in types:
        if issubclass(each, proto.Message):
            return replace(_message(each.pb(each()).DESCRIPTOR), repeated=list in types)
        if issubclass(each, proto.Enum):
            return Shape("choice", choices={member.name: int(member) for member in each})
    plain = [_SCALARS[each] for each in types if each in _SCALARS]
    return plain[0] if len(types) == len(plain) == 1 else Shape()


def _types(annotation: Any) -> Iterator[Any]:
    """Yield the classes in an annotation; none for a name in quotes."""
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and origin is not NoneType:
        yield origin
    for inner in get_args(annotation):
        yield from _types(inner)


def _message(message: Descriptor) -> Shape:
    return Shape("message", fields={each.name: _field(each) for each in message.fields})


def _field(field: FieldDescriptor) -> Shape:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        choices = {value.name: value.number for value in field.enum_type.values}
        shape = Shape("choice", choices=choices)
    elif field.message_type and _is_nested(field.message_type):
        shape = _message(field.message_type)
    else:
        shape = _FIELDS.get(kind, Shape())
    return replace(shape, repeated=field.is_repeated and shape.kind != "any")


def _is_nested(message: Descriptor) -> bool:
    """Tell whether JSON writes a message with its fields; maps and Google's own types differ."""
    is_googles = message.full_name.startswith("google.protobuf.")
    return not is_googles and not message.GetOptions().map_entry


def typed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data in the types that submit() declares: members of enums, messages."""
    declared = inspect.signature(aiplatform.CustomJob.submit).parameters
    typed = dict(arguments)
    for name, value in arguments.items():
        for each in _types(declared[name].annotation) if name in declared else ():
            if issubclass(each, proto.Enum) and isinstance(value, str):
                typed[name] = each[value]
            elif issubclass(each, proto.Message) and isinstance(value, Mapping):
                typed[name] = each(dict(value))
    return typed
