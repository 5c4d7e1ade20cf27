"""A job's Google Cloud project and region, as Google writes them."""

import re

from shared.core.errors import Reject
from shared.core.shorten import quoted
from shared.runspec.fields import text

# an id, which a domain may precede, or a number
_PROJECT = re.compile(r"([a-z0-9][a-z0-9.-]*:)?[a-z]([a-z0-9-]{0,28}[a-z0-9])?|[1-9][0-9]{0,19}")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]{1,2}")
_ZONE = re.compile(r"([a-z]+-[a-z]+[0-9]{1,2})-[a-z]")


def project(value: object, path: str, default: str) -> str:
    """Return the project that a spec names, or the default. Raises Reject."""
    named = text(value, path, "").strip() or default
    if named == default or _PROJECT.fullmatch(named):
        return named
    parts = named.removeprefix("projects/").split("/")
    near = ""
    if parts[0] != named and _PROJECT.fullmatch(parts[0]):
        near = f"Did you mean {parts[0]}? "
    fix = f"{near}Write a project's id, such as my-project-123, or its number in digits."
    raise Reject(path, f"is {quoted(named)}, which is not a project", fix)


def location(value: object, path: str, default: str) -> str:
    """Return the region that a spec names, in lower case, or the default. Raises Reject."""
    named = text(value, path, "").strip() or default
    region = named.lower()
    if named == default or _REGION.fullmatch(region):
        return named if named == default else region
    if zone := _ZONE.fullmatch(region):
        raise Reject(path, f"is {quoted(named)}, which is a zone", f"Did you mean {zone[1]}?")
    fix = "Write a region such as us-central1; Vertex AI runs no job in global, us or eu."
    raise Reject(path, f"is {quoted(named)}, which is not a region", fix)
