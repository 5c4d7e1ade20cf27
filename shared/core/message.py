"""The contract of the topic, version 1: what may be published, and how it is read.

Two kinds. A *ticket* says "look at this launch": it carries a launch key and nothing else, so that a lost, late or
doubled one changes nothing. A *request* asks for a launch on behalf of another system. Unknown fields are ignored, so
that a publisher may be newer than we are; a newer `version` is refused, because its meaning is unknown.
`docs/reference/message.schema.json` is made from these models (`python -m shared.core.message`), and a test compares.
"""

import base64
import hashlib
import json
import sys
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from shared.core.errors import NotAMessage

MAX_BYTES = 1_000_000  # of a message; what it is read into can have thirty times that
_Name = Annotated[str, Field(min_length=1, max_length=256)]
_RUN_SPEC = "a W&B Launch run spec: entity, project, docker, …; for a queue's configuration, template_variables"
_QUEUE = "a W&B queue on whose behalf this runs; its configuration is taken where run_spec leaves resource_args out"


class Queue(BaseModel):
    """A W&B run queue: the entity that owns it and its name."""

    model_config = ConfigDict(frozen=True)

    entity: _Name
    name: _Name


class Ticket(BaseModel):
    """Somebody should look at this launch."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    kind: Literal["ticket"] = "ticket"
    launch_key: Annotated[str, Field(pattern=r"^[a-z][a-z2-7]{26}$")]


class Request(BaseModel):
    """Another system asks for a launch; the same `source` and `idempotency_key` are the same launch, for 30 days."""

    model_config = ConfigDict(
        frozen=True, ser_json_inf_nan="constants"
    )  # null would be another value

    version: Literal[1] = 1
    kind: Literal["request"] = "request"
    source: Annotated[_Name, Field(description="who asks: the publishing system's own name")]
    idempotency_key: Annotated[
        _Name, Field(description="the publisher's own identity of this request")
    ]
    run_spec: Annotated[dict[str, Any], Field(description=_RUN_SPEC)]
    queue: Annotated[Queue | None, Field(description=_QUEUE)] = None

    @property
    def launch_key(self) -> str:
        """Return the key of the launch that this asks for, however often it asks."""
        return launch_key(f"request:{self.source}", self.idempotency_key)

    @property
    def digest(self) -> str:
        """Return a hash of what is asked for; the order of keys does not count."""
        asked = self.model_dump(include={"run_spec", "queue"}, exclude_none=True)
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


Message = Annotated[Ticket | Request, Field(discriminator="kind")]
_MESSAGE: TypeAdapter[Ticket | Request] = TypeAdapter(Message)


def decode(data: bytes) -> Ticket | Request:
    """Read a message's bytes (JSON, UTF-8).

    Raises:
        NotAMessage: naming the fields that are wrong, never their values (a run spec can hold a key).
    """
    if len(data) > MAX_BYTES:
        raise NotAMessage(f"message: has {len(data):,} bytes, the most is {MAX_BYTES:,}")
    try:
        return _MESSAGE.validate_json(data)
    except ValidationError as exc:
        problems = [
            f"{'.'.join(map(str, e['loc'])) or 'message'}: {_said(e)}"
            for e in exc.errors(include_input=False)
        ]
        raise NotAMessage("; ".join(problems[:5])) from None


def _said(error: ErrorDetails) -> str:
    """Return pydantic's words; those of a wrong `kind` would quote it, whatever it holds and however long it is."""
    if error["type"] == "union_tag_invalid":
        return f"kind is none of {error['ctx']['expected_tags']}"
    return error["msg"]


def encode(message: Ticket | Request) -> bytes:
    """Write a message as it goes onto the topic."""
    return message.model_dump_json(exclude_none=True).encode()


def launch_key(source: str, identity: str) -> str:
    """Derive a launch's key from its request's identity: the W&B item id, or a publisher's own key with its source.

    27 characters, a lower-case letter first: valid as a label value, an object name and a log field.
    """
    digest = hashlib.sha256(json.dumps([source, identity]).encode()).digest()
    return "k" + base64.b32encode(digest).decode().lower()[:26]


def schema() -> str:
    """Return the contract as JSON Schema, as it is kept in the repository."""
    return json.dumps(_MESSAGE.json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema())
