"""What a W&B run queue gives to each of its items."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """A queue's default configuration; `template_variables` are JSON schemas by the names of what they describe."""

    id: str  # the queue's own
    access: str = ""
    resource: str = ""  # gcp-vertex, kubernetes, …
    config: Mapping[str, Any] = field(
        default_factory=dict, repr=False
    )  # {"resource_args": {resource: {…}}}
    template_variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
