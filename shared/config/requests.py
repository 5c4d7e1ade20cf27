"""The model of `requests` in the launch-config: what other systems may ask for."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from shared.core.intake import MAX_NAME
from shared.core.message import Queue
from shared.core.shorten import quoted

_SHOWN = 200  # characters of a value that a refusal quotes


def _listed(value: object) -> object:
    if value is None:
        raise ValueError("Input should be the allowed values; remove the key for its default")
    return value


def _name(value: str) -> str:
    if not value or value != value.strip() or len(value.encode()) > MAX_NAME:
        raise ValueError(f"is {quoted(value, _SHOWN)}: write a name as W&B shows it")
    return value


def _without_path(value: str) -> str:
    if "/" in value:
        raise ValueError(f"is {quoted(value, _SHOWN)}: write only the name, without /")
    return _name(value)


def _queue(value: str) -> str:
    entity, slash, name = value.partition("/")
    if not (slash and entity == entity.strip() and entity and name.strip()):
        raise ValueError(f"is {quoted(value, _SHOWN)}: write ENTITY/QUEUE")
    return value


_Listed = BeforeValidator(_listed)
_Name = Annotated[str, AfterValidator(_name)]
_Single = Annotated[str, AfterValidator(_without_path)]
_QueuePath = Annotated[str, AfterValidator(_queue)]


class RequestLimits(BaseModel):
    """The limits of other systems' requests. A key that is present allows only its values.

    The defaults of queues and entities are those of the deployment, which `within` fills in;
    without it, no queue is allowed. docs/how-to/launch-from-another-system.md is
    generated from the fields.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    sources: Annotated[
        tuple[_Name, ...] | None,
        _Listed,
        Field(
            description="`source`, as the publisher writes it; `[]` refuses every request. By "
            "default any",
            examples=["[nightly-pipeline]"],
        ),
    ] = None
    queues: Annotated[
        tuple[_QueuePath, ...] | None,
        _Listed,
        Field(
            description="the queues that a request may name; `[]`: none. By default those that "
            "this deployment serves (`entity`, `queues`)",
            examples=["[team/vertex, research/gpus]"],
        ),
    ] = None
    entities: Annotated[
        tuple[_Single, ...] | None,
        _Listed,
        Field(
            min_length=1,
            description="the W&B entities of a request's run and job. By default `entity`",
            examples=["[team]"],
        ),
    ] = None
    projects: Annotated[
        tuple[_Single, ...] | None,
        _Listed,
        Field(
            min_length=1,
            description="the W&B projects of a request's run and job. By default any of those "
            "entities",
            examples=["[cats]"],
        ),
    ] = None

    def within(self, entity: str, queues: Sequence[str]) -> Self:
        """Return these limits with the deployment's own entity and queues as the defaults."""
        own: dict[str, tuple[str, ...]] = {"queues": tuple(f"{entity}/{name}" for name in queues)}
        if entity:
            own["entities"] = (entity,)
        missing = {key: value for key, value in own.items() if getattr(self, key) is None}
        return self.model_copy(update=missing)

    def allows_queue(self, queue: Queue) -> bool:
        """Tell whether a request may name this queue, letter by letter."""
        paths = [path.partition("/") for path in self.queues or ()]
        return (queue.entity, queue.name) in {(entity, name) for entity, _, name in paths}
