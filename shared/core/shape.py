"""What one argument of the SDK takes, as plain data: read by the adapter from the SDK's types, used by the renderer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["text", "flag", "whole", "number", "choice", "message", "any"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What one argument, or one field of a message, takes; `any` is left to the SDK itself."""

    kind: Kind = "any"
    repeated: bool = False
    choices: Mapping[str, int] = field(
        default_factory=dict
    )  # of an enum: its members' names and numbers
    fields: Mapping[str, "Shape"] = field(default_factory=dict)  # of a message
