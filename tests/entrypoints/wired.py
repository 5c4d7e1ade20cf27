"""What a function is made of: each value in its wired parts, by its path."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from types import FunctionType, MethodType
from typing import Any

OURS = ("functions.", "shared.")


def leaves(part: object, path: str, seen: set[int] | None = None) -> Iterator[tuple[str, object]]:
    """Yield each value that a part holds, at any depth, with its path; times as seconds."""
    seen = set() if seen is None else seen
    match part:
        case str() | int() | float() | None:
            yield path, part
            return
        case timedelta():
            yield path, part.total_seconds()
            return
    if id(part) in seen:
        return
    seen.add(id(part))
    for name, value in _inside(part):
        yield from leaves(value, f"{path}.{name}" if path else name, seen)


def _inside(part: object) -> Iterator[tuple[str, Any]]:
    match part:
        case Mapping():
            yield from ((str(name), value) for name, value in part.items())
        case tuple() | list() | set() | frozenset():
            yield from ((str(number), value) for number, value in enumerate(part))
        case MethodType():
            yield "self", part.__self__
        case FunctionType() if part.__closure__:
            yield from zip(part.__code__.co_freevars, (cell.cell_contents for cell in part.__closure__), strict=True)
        case _ if is_dataclass(part):
            yield from ((each.name, getattr(part, each.name)) for each in fields(part))
        case _ if type(part).__module__.startswith(OURS):
            names = [name for kind in type(part).__mro__ for name in getattr(kind, "__slots__", ())]
            yield from ((name, getattr(part, name)) for name in names if hasattr(part, name))
            yield from getattr(part, "__dict__", {}).items()
