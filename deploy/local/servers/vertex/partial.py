"""Google's parameter `fields`: an answer with some parts only, such as `a(b,c/d),token`."""

import re
from typing import Any

from deploy.local.servers.vertex.errors import invalid_argument

Tree = dict[str, "Tree"]  # empty: everything below
_TOKEN = re.compile(r"[A-Za-z_*][A-Za-z0-9_]*|[(),/]")


def parse_fields(text: str, descriptor: Any) -> Tree:
    """Parse the parameter for a message of this descriptor; `*` stands for every field.

    Raises:
        ApiError: (400) it is malformed, or the message has no such field.
    """
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != "".join(text.split()):
        raise _wrong(text)
    tree = _listed(tokens, descriptor)
    if tokens:
        raise _wrong(text)
    return tree


def part(value: Any, tree: Tree) -> Any:
    """Return a decoded JSON value with only the fields of a tree."""
    if not tree:
        return value
    if isinstance(value, list):
        return [part(each, tree) for each in value]
    return {name: part(value[name], below) for name, below in tree.items() if name in value}


def _listed(tokens: list[str], descriptor: Any) -> Tree:
    tree: Tree = {}
    while True:
        name = tokens.pop(0) if tokens else ""
        field = descriptor and descriptor.fields_by_camelcase_name.get(name)
        if not field and name != "*":
            raise _wrong(name)
        below = field.message_type if field else None
        tree[name] = _below(tokens, below)
        if not tokens or tokens[0] != ",":
            return {} if "*" in tree else tree
        tokens.pop(0)


def _below(tokens: list[str], descriptor: Any) -> Tree:
    if not tokens or tokens[0] not in "/(":
        return {}
    if tokens.pop(0) == "/":
        name = tokens[0] if tokens else ""
        field = descriptor and descriptor.fields_by_camelcase_name.get(name)
        if not field:
            raise _wrong(name)
        tokens.pop(0)
        return {name: _below(tokens, field.message_type)}
    tree = _listed(tokens, descriptor)
    if not tokens or tokens.pop(0) != ")":
        raise _wrong(")")
    return tree


def _wrong(path: str) -> Exception:
    problem = f"Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'."
    return invalid_argument(problem, {"fields": problem})
