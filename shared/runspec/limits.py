"""How the rules of the policy read a value of a CustomJob, and how they compare it with a limit."""

import re
from collections.abc import Callable
from fnmatch import fnmatchcase

from shared.core.image import Image
from shared.runspec.fields import mapping, text, wrong
from shared.runspec.shapes import whole

_DEFAULT_DISK_GB = 100  # Vertex AI's
_NO_ACCELERATOR = "ACCELERATOR_TYPE_UNSPECIFIED"
_RESOURCE_NAME = re.compile(r"(?:projects/)?([A-Za-z0-9.:_-]+)((?:/[A-Za-z0-9._~-]+)+)")
_ELSEWHERE = frozenset({".", "..", "projects"})  # parts that could lead to another project


def optional(value: object, path: str) -> str | None:
    """Return a text; None if it is missing or empty, which asks for nothing."""
    return text(value, path, "") or None


def required(value: object, path: str) -> str:
    """Return a text; empty if it is missing, which no rule allows."""
    return text(value, path, "")


def accelerator(value: object, path: str) -> str | None:
    """Return an accelerator type; None for no accelerator."""
    named = optional(value, path)
    return None if named == _NO_ACCELERATOR else named


def joined(*names: str) -> Callable[[object, str], str]:
    """Return a reader of objects: the texts of these fields, with colons between them."""

    def read(value: object, path: str) -> str:
        given = mapping(value, path)
        return ":".join(text(given.get(name), f"{path}.{name}", "") for name in names)

    return read


def gigabytes(value: object, path: str) -> int:
    """Return a disk's size, by default Vertex AI's."""
    return whole(value or _DEFAULT_DISK_GB, path)


def flag(value: object, _: str) -> bool | None:
    """Return a flag; any value but false counts as true."""
    return None if value is None else value is not False


def replicas(value: object, path: str) -> int:
    """Return a pool's replicas; 0 is no count in Vertex AI's message, so it counts as one."""
    count = whole(1 if value in (None, "") else value, path)
    if count < 0:
        raise wrong(path, "a whole number", value)
    return count or 1


def is_listed(value: str, limit: tuple[str, ...]) -> bool:
    """Tell whether a limit lists a value."""
    return value in limit


def begins_with(value: str, limit: tuple[str, ...]) -> bool:
    """Tell whether a value is the name of an image that one of these prefixes covers."""
    try:
        image = Image.parse(value)
    except ValueError:
        return False
    return any(Image.prefix(prefix).covers(image) for prefix in limit)


def matches(value: str, limit: tuple[str, ...]) -> bool:
    """Tell whether a name matches one of these patterns."""
    return any(fnmatchcase(value, pattern) for pattern in limit)


def is_inside(value: str, limit: tuple[str, ...]) -> bool:
    """Tell whether a place is in one of these buckets or folders."""
    if ".." in value.split("/"):
        return False
    return any(f"{value}/".startswith(f"{folder.rstrip('/')}/") for folder in limit)


def is_of_project(value: str, limit: tuple[str, ...]) -> bool:
    """Tell whether a resource name is of an allowed project; an id alone is of the job's own.

    A volume handle begins with its project, without `projects/`.
    """
    if "/" not in value:
        return True
    name = _RESOURCE_NAME.fullmatch(value)
    if name is None:
        return False
    return name[1] in limit and _ELSEWHERE.isdisjoint(name[2].split("/"))


def is_at_most(value: int, limit: int) -> bool:
    """Tell whether a number is within its limit."""
    return value <= limit


def may_be_on(value: bool, limit: bool) -> bool:
    """Tell whether a limit allows a flag."""
    return limit or not value
