"""The settings of poll and submit that name the deployment's queues."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from shared.config.names import or_file
from shared.config.settings.base import Names
from shared.core.intake import MAX_NAME

T = TypeVar("T", str, tuple[str, ...])


def _short(value: T) -> T:
    """Refuse a name, or one of several, that does not fit into the metadata of the ledger."""
    if not isinstance(value, str) and not all(name.strip() for name in value):
        raise ValueError("has an empty name. Write each queue's name, or remove the entry")
    for name in [value] if isinstance(value, str) else value:
        if len(name.encode()) > MAX_NAME:
            raise ValueError(
                f"has more than {MAX_NAME} bytes in UTF-8. W&B's own names are shorter"
            )
    return value


Entity = Annotated[
    str,
    AfterValidator(_short),
    Field(
        validation_alias=or_file("LAUNCH_ENTITY", "entity"),
        description="the W&B entity that owns the queues",
    ),
]
QueueNames = Annotated[
    Names,
    AfterValidator(_short),
    Field(
        validation_alias=or_file("LAUNCH_QUEUES", "queues"),
        description="the queues' names, separated by commas; names with commas as a JSON list",
        examples=["vertex-small, vertex-large", '["small, cheap", "large"]'],
    ),
]
