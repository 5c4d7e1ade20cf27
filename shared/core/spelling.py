"""Find the known name that a name means, in the spelling of any program."""

import difflib
import re
from collections.abc import Iterable

_LONGEST = 80  # characters of a name that is compared with known ones


def plain(name: str) -> str:
    """Return a name in Python's spelling: `--worker-pool-specs=…`, `workerPoolSpecs`, ` Run `."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:_LONGEST].partition("=")[0].strip())
    return re.sub(r"[-\s]+", "_", words.lstrip("-")).lower()


def same(name: str, known: Iterable[str]) -> str:
    """Return the known name with the same letters; empty if there is none."""
    letters = plain(name).replace("_", "")
    return next((each for each in known if plain(each).replace("_", "") == letters), "")


def holding(name: str, known: Iterable[str]) -> str:
    """Return the known name of which a name is one word: `image` of `image_uri`; or empty."""
    return next((each for each in known if plain(name) in plain(each).split("_")), "")


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """Return the known name in another spelling, or the nearest one; empty if no name is near."""
    spelt = {plain(each): each for each in known}
    found = difflib.get_close_matches(plain(name), list(spelt), n=1, cutoff=likeness)
    return spelt[found[0]] if found else ""
