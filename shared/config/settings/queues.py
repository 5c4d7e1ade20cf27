"""The settings of the functions that know the deployment's queues: poll and submit."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from shared.config.names import or_file
from shared.config.settings.base import Names, Settings
from shared.core.intake import MAX_NAME

T = TypeVar("T", str, tuple[str, ...])


def _short(value: T) -> T:
    """Refuse a name, or one of several, that does not fit into the metadata of the ledger."""
    for name in [value] if isinstance(value, str) else value:
        if len(name.encode()) > MAX_NAME:
            raise ValueError(
                f"has more than {MAX_NAME} bytes in UTF-8. W&B's own names are shorter"
            )
    return value


class QueueSettings(Settings):
    """The queues: poll pops them, and a request may name them."""

    entity: Annotated[
        str,
        AfterValidator(_short),
        Field(
            min_length=1,
            validation_alias=or_file("LAUNCH_ENTITY", "entity"),
            description="the W&B entity that owns the queues",
        ),
    ]
    queues: Annotated[
        Names,
        AfterValidator(_short),
        Field(
            min_length=1,
            validation_alias=or_file("LAUNCH_QUEUES", "queues"),
            description="the queues' names, separated by commas",
            examples=["vertex-small, vertex-large"],
        ),
    ]
