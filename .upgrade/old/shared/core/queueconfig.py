"""The configuration of a W&B run queue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """A queue's default configuration; `template_variables` are JSON schemas by variable name."""

    id: str  # of the queue
    access: str = ""
    resource: str = ""  # gcp-vertex, kubernetes, …
    # {"resource_args": {resource: {…}}}
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    template_variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
