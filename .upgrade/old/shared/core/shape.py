"""The type of one argument of the SDK, as plain data.

The adapter reads it from the SDK's own types; rendering uses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["text", "flag", "whole", "number", "choice", "message", "any"]


@dataclass(frozen=True, slots=True)
class Shape:
    """The type of an argument or of a field of a message; the SDK itself checks `any`."""

    kind: Kind = "any"
    repeated: bool = False
    # of an enum: the names and numbers of its members
    choices: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, "Shape"] = field(default_factory=dict)  # of a message
