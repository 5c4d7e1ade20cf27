"""The answer of an outside system about many things at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.core.errors import LaunchError

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Answers(Generic[K, V]):
    """The things that exist, and why others could not be looked up. A missing answer is not a fact.

    `found` holds the things that exist. `failed` holds, for each thing that may or may not exist,
    the error of its look-up. `hidden` holds the runs that our key cannot see. A thing in none of
    the three does not exist.
    """

    found: Mapping[K, V] = field(default_factory=dict)
    failed: Mapping[K, LaunchError] = field(default_factory=dict)
    hidden: frozenset[K] = frozenset()
