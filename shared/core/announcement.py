"""An event of a launch as other systems receive it: a CloudEvent in a Pub/Sub message.

It follows the binary mode of the CloudEvents binding for Pub/Sub: the data are the message's data,
and `ce-…` attributes are the CloudEvent's. Further attributes repeat what subscriptions filter by.
A repeated event is equal: it contains only facts of its own time, never later ones.

`python -m shared.core.announcement` prints docs/reference/event.schema.json; a test compares them.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.core.event import Event, EventType
from shared.core.launch import Launch
from shared.core.message import Queue, Reply
from shared.core.shortage import Shortage
from shared.core.states import Outcome

TYPE = "vertex-launch.launch.v1"  # of a CloudEvent, before the event's own name
REPLY = "reply_"  # before the names of a request's reply attributes


class Run(BaseModel):
    """The names by which W&B finds a run."""

    model_config = ConfigDict(defer_build=True)

    entity: str
    project: str
    run_id: str


class LaunchEvent(BaseModel):
    """One event of a launch. A field without a value is absent."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    version: Literal[1] = 1
    launch_key: str
    number: Annotated[int, Field(ge=1, description="counts the launch's events from 1")]
    event: EventType
    at: Annotated[datetime, Field(description="when it happened, in UTC")]
    attempt: Annotated[int, Field(ge=0, description="the create that it belongs to; 0: none yet")]
    source: Annotated[str, Field(description="wandb, or the name of the publishing system")]
    idempotency_key: Annotated[
        str | None, Field(description="of a request: the publisher's own id")
    ] = None
    queue: Annotated[Queue | None, Field(description="the W&B queue")] = None
    item_id: Annotated[str | None, Field(description="the item of the W&B queue")] = None
    run: Annotated[Run, Field(description="the run in W&B")]
    name: Annotated[str | None, Field(description="the launch's name")] = None
    author: str | None = None
    job: Annotated[
        str | None, Field(description="the CustomJob: projects/P/locations/L/customJobs/N")
    ] = None
    shortage: Annotated[
        Shortage | None, Field(description="waiting: the resource that Vertex AI lacks")
    ] = None
    outcome: Annotated[Outcome | None, Field(description="ended: how")] = None
    reason: Annotated[str | None, Field(description="for people, at most 500 bytes")] = None
    opened_at: Annotated[datetime, Field(description="the launch's first record")]
    submitted_at: Annotated[datetime | None, Field(description="of this job")] = None
    started_at: Annotated[datetime | None, Field(description="when this job first ran")] = None
    ended_at: Annotated[datetime | None, Field(description="the launch's end")] = None
    retries: Annotated[str | None, Field(description="the launch that this one repeats")] = None
    reply: Annotated[Reply | None, Field(description="of a request: as it was published")] = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """The attributes and the data of a Pub/Sub message."""

    attributes: Mapping[str, str]
    data: bytes = field(repr=False)


def content_of(launch: Launch, event: Event) -> LaunchEvent:
    """Return what an event of a launch says."""
    entry = launch.entry
    times = _times(launch, event)
    ended = event.type is EventType.ENDED
    return LaunchEvent(
        launch_key=launch.key,
        number=event.number,
        event=event.type,
        at=event.at,
        attempt=event.attempt,
        source=launch.source,
        idempotency_key=launch.idempotency_key or None,
        queue=entry.queue if entry.queue_name else None,
        item_id=entry.item_id or None,
        run=Run(entity=entry.run.entity, project=entry.run.project, run_id=entry.run.run_id),
        name=entry.name or None,
        author=entry.author or None,
        job=event.job or None,
        shortage=Shortage(event.why) if event.why in Shortage.__members__ else None,
        outcome=Outcome(event.why) if ended and event.why in Outcome.__members__ else None,
        reason=event.reason or None,
        opened_at=entry.opened_at,
        submitted_at=times.get(EventType.SUBMITTED),
        started_at=times.get(EventType.RUNNING),
        ended_at=event.at if ended else None,
        retries=entry.retries or None,
        reply=dict(launch.reply) or None,
    )


def announcement(launch: Launch, event: Event, origin: str) -> Announcement:
    """Return an event of a launch as a message; `origin` is the CloudEvent's source, a URI path."""
    content = content_of(launch, event)
    run = content.run
    attributes = {
        **{f"{REPLY}{name}": value for name, value in launch.reply.items()},
        "event": str(event.type),
        "number": str(event.number),
        "key": launch.key,
        "attempt": str(event.attempt),
        "source": launch.source,
        "idempotency_key": launch.idempotency_key,
        "entity": launch.entry.queue_entity,
        "queue": launch.entry.queue_name,
        "run": f"{run.entity}/{run.project}/{run.run_id}",
        "job": event.job,
        "shortage": str(content.shortage or ""),
        "outcome": str(content.outcome or ""),
        "ce-specversion": "1.0",
        "ce-id": f"{launch.key}/{event.number}",
        "ce-source": origin,
        "ce-type": f"{TYPE}.{event.type}",
        "ce-subject": launch.key,
        "ce-time": event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "Content-Type": "application/json",
    }
    data = content.model_dump_json(exclude_none=True).encode()
    return Announcement({name: value for name, value in attributes.items() if value}, data)


def _times(launch: Launch, event: Event) -> dict[EventType, datetime]:
    """Return when the job of this event was submitted and first ran, if it has one."""
    times: dict[EventType, datetime] = {}
    for each in launch.events:
        if each.number <= event.number and event.job and each.job == event.job:
            times[each.type] = each.at
    return times


def schema() -> str:
    """Return the data of an event as JSON Schema, as docs/reference/event.schema.json has it."""
    return json.dumps(LaunchEvent.model_json_schema(mode="serialization"), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema())
