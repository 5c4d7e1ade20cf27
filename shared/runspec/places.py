"""A job's Google Cloud project and region, as Google writes them."""

import re
from collections.abc import Collection
from difflib import get_close_matches

from shared.core.errors import Reject
from shared.core.shorten import quoted
from shared.runspec.fields import text

# an id, which a domain may precede, or a number
_PROJECT = re.compile(r"([a-z0-9][a-z0-9.-]*:)?[a-z]([a-z0-9-]{0,28}[a-z0-9])?|[1-9][0-9]{0,19}")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]{1,2}")
_LONGEST = 80  # characters of a name that is compared with regions
_ZONE = re.compile(r"([a-z]+-[a-z]+[0-9]{1,2})-[a-z]")


def project(value: object, path: str, default: str) -> str:
    """Return the project that a spec names, or the default. Raises Reject."""
    named = text(value, path, "").strip() or default
    if named == default or _PROJECT.fullmatch(named):
        return named
    first = named.removeprefix("projects/").partition("/")[0].lower().replace("_", "-")
    near = f"Did you mean {first}? " if _PROJECT.fullmatch(first) else ""
    fix = f"{near}Write a project's id, such as my-project-123, or its number in digits."
    raise Reject(path, f"is {quoted(named)}, which is not a project", fix)


def location(value: object, path: str, default: str, known: Collection[str] = ()) -> str:
    """Return the region that a spec names, in lower case, or the default.

    `known` are the SDK's locations; without them, any name in the form of a region is accepted.

    Raises:
        Reject: a zone, a multi-region, or a location in which the SDK creates no job.
    """
    named = text(value, path, "").strip() or default
    region = named.lower()
    regions = sorted(name for name in known if _REGION.fullmatch(name))
    if _REGION.fullmatch(region) and (region in regions or not regions):
        return region
    if named == default and not _REGION.fullmatch(region):  # the settings have checked it
        return named
    if zone := _ZONE.fullmatch(region):
        raise Reject(path, f"is {quoted(named)}, which is a zone", f"Did you mean {zone[1]}?")
    near = next(iter(get_close_matches(_plain(region), regions, n=1, cutoff=0.75)), "")
    fix = f"Did you mean {near}?" if near else f"Valid: {', '.join(regions)}."
    fix = fix if regions else "Write a region such as us-central1."
    raise Reject(path, f"is {quoted(named)}, which is not a region of Vertex AI", fix)


def _plain(region: str) -> str:
    """Return a region's name in Google's spelling; eu-west-1 is one of AWS."""
    plain = re.sub(r"[_ ]", "-", region.rpartition("/")[2][:_LONGEST])
    return re.sub(r"^eu-", "europe-", re.sub(r"-(\d+)$", r"\1", plain))
