"""The messages of the topic, version 1.

There are two kinds. A *ticket* says "look at this launch": it carries only a launch key, so a lost,
late or repeated ticket changes nothing. A *request* asks for a launch on behalf of another system.
A ticket's unknown fields are ignored, because another function may be newer than this version.
A request's are refused, as is a newer `version`: their meaning is unknown, and the dead-letter
topic keeps the message until a version knows them.

`python -m shared.core.message` prints docs/reference/message.schema.json; a test compares them.
"""

import base64
import hashlib
import json
import sys
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from shared.core.bounded_json import check_keys, check_values, one_at_a_time
from shared.core.errors import NotAMessage, Reject
from shared.core.lazy import Lazy
from shared.core.shorten import shown
from shared.core.spelling import nearest, same

MAX_BYTES = 1_000_000  # of a message; decoded, it can take thirty times as much memory
_Name = Annotated[str, Field(min_length=1, max_length=256)]
_RUN_SPEC = (
    "a W&B Launch run spec: entity, project, docker, …; "
    "template_variables fill in the queue's configuration"
)
REPLY_COUNT, REPLY_VALUE = 10, 256  # attributes; bytes of a value
_REPLY = (
    "attributes that each event of this launch carries, as reply_NAME: at most 10, each of at most "
    "256 bytes"
)
_QUEUE = (
    "the W&B queue on whose behalf this runs; "
    "its configuration applies if run_spec has no resource_args"
)


def _within(reply: dict[str, str]) -> dict[str, str]:
    """Refuse a reply that takes more room than its events have."""
    for name, value in reply.items():
        if len(value.encode()) > REPLY_VALUE:
            raise ValueError(f"{name} has more than {REPLY_VALUE} bytes in UTF-8")
    if len(reply) > REPLY_COUNT:
        raise ValueError(f"has {len(reply)} attributes; the limit is {REPLY_COUNT}")
    return reply


_ReplyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Reply = Annotated[dict[_ReplyName, str], AfterValidator(_within)]


class Queue(BaseModel):
    """A W&B run queue: the entity that owns it and its name."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    entity: _Name
    name: _Name


class Ticket(BaseModel):
    """Asks submit to look at this launch."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    version: Literal[1] = 1
    kind: Literal["ticket"] = "ticket"
    launch_key: Annotated[str, Field(pattern=r"^[a-z][a-z2-7]{26}$")]


class Request(BaseModel):
    """A launch that another system asks for.

    The same `source` and `idempotency_key` mean the same launch, for 30 days.
    """

    # NaN must not become null, which is another value
    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", ser_json_inf_nan="constants"
    )

    version: Literal[1] = 1
    kind: Literal["request"] = "request"
    source: Annotated[_Name, Field(description="the name of the publishing system")]
    idempotency_key: Annotated[_Name, Field(description="the publisher's own id of this request")]
    run_spec: Annotated[dict[str, Any], Field(description=_RUN_SPEC)]
    queue: Annotated[Queue | None, Field(description=_QUEUE)] = None
    reply: Annotated[Reply | None, Field(description=_REPLY)] = None

    @property
    def launch_key(self) -> str:
        """Return the key of the launch; a repeated request has the same key."""
        return launch_key(f"request:{self.source}", self.idempotency_key)

    @property
    def digest(self) -> str:
        """Return a hash of what the request asks for; the order of keys does not count."""
        content = self.model_dump(include={"run_spec", "queue", "reply"}, exclude_none=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


_FIELDS, _QUEUE_FIELDS = tuple(Request.model_fields), tuple(Queue.model_fields)
_IN_RUN_SPEC = ("docker", "entity", "job", "name", "overrides", "project", "resource_args")
Message = Annotated[Ticket | Request, Field(discriminator="kind")]
_MESSAGE: Lazy[TypeAdapter[Ticket | Request]] = Lazy(lambda: TypeAdapter(Message))


def decode(data: bytes) -> Ticket | Request:
    """Read a message's bytes (JSON, UTF-8).

    Raises:
        NotAMessage: naming the wrong fields, never their values (a run spec can contain a key).
    """
    if len(data) > MAX_BYTES:
        raise NotAMessage(f"message: has {len(data):,} bytes; the limit is {MAX_BYTES:,}")
    with one_at_a_time(len(data)):
        text = data.decode("utf-8", "replace")
        try:
            check_values(text, "message")
            check_keys(text, "message")
        except Reject as exc:
            raise NotAMessage(str(exc)) from None
        return _validated(data)


def _validated(data: bytes) -> Ticket | Request:
    try:
        return _MESSAGE.get().validate_json(data)
    except ValidationError as exc:
        problems = [
            f"{'.'.join(shown(str(step)) for step in e['loc']) or 'message'}: {_problem(e)}"
            for e in exc.errors(include_input=False)
        ]
        raise NotAMessage("; ".join(problems[:5])) from None


def _problem(error: ErrorDetails) -> str:
    """Return pydantic's text, which quotes no value; only its text for a wrong `kind` would."""
    if error["type"] == "extra_forbidden":
        *place, name = (str(part) for part in error["loc"])
        return f"is not known here. {_right_place(name, _QUEUE_FIELDS if place[1:] else _FIELDS)}"
    if error["type"] == "union_tag_invalid":
        return f"kind must be one of {error['ctx']['expected_tags']}"
    return error["msg"]


def _right_place(name: str, known: tuple[str, ...]) -> str:
    """Return what to write instead of an unknown field of a request."""
    if near := same(name, known):
        return f"Did you mean {near}?"
    if spelt := same(name, _IN_RUN_SPEC):
        return f"{spelt} belongs under run_spec."
    near = nearest(name, known)
    return f"Did you mean {near}?" if near else f"Known: {', '.join(known)}."


def encode(message: Ticket | Request) -> bytes:
    """Return the bytes of a message."""
    return message.model_dump_json(exclude_none=True).encode()


def launch_key(source: str, identity: str) -> str:
    """Derive a launch key from the W&B item id, or from a request's source and idempotency key.

    27 characters, the first a lower-case letter: valid as label value, object name and log field.
    """
    digest = hashlib.sha256(json.dumps([source, identity]).encode()).digest()
    return "k" + base64.b32encode(digest).decode().lower()[:26]


def schema() -> str:
    """Return the messages as JSON Schema, as docs/reference/message.schema.json contains it."""
    return json.dumps(_MESSAGE.get().json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema())
