"""Read a request, or a run spec for one, from a file in JSON or YAML."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

from shared.config.yaml_file import parse_documents
from shared.core.bounded_json import parsed_bytes
from shared.core.errors import NotAMessage, Reject, SettingsError
from shared.core.intake import from_request
from shared.core.launch import State
from shared.core.message import MAX_BYTES, Request, decode
from shared.core.storable import storable

SOURCE = "vertex-launch"  # of a request that names no other


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line adds to a file; empty if it says nothing."""

    source: str = ""
    key: str = ""
    queue: str = ""  # ENTITY/NAME


def read_request(file: BinaryIO, name: str, given: Given) -> Request:
    """Return the request of a file: a whole one has `run_spec`, every other file is a run spec.

    A request without a key gets one from its content: the same content is the same launch.

    Raises:
        NotAMessage: naming the field that is wrong, and what to write.
    """
    value = _value(file.read(MAX_BYTES + 1), name)
    fields: dict[str, Any] = dict(value) if "run_spec" in value else {"run_spec": value}
    _add(fields, "source", given.source)
    _add(fields, "idempotency_key", given.key)
    if given.queue:
        entity, _, queue = given.queue.partition("/")
        _add(fields, "queue", {"entity": entity, "name": queue})
    fields.setdefault("source", SOURCE)
    if "idempotency_key" not in fields:
        fields["idempotency_key"] = _decoded({**fields, "idempotency_key": "none"}).digest[:32]
    request = _decoded(fields)
    launch = from_request(request, datetime.now(UTC))
    if launch.entry.state is State.ENDED:
        raise NotAMessage(launch.reason)
    return request


def _value(content: bytes, name: str) -> dict[str, Any]:
    if content.lstrip()[:1] == b"{":
        value, flaw = parsed_bytes(content, whole=name, most=MAX_BYTES)
        if flaw:
            raise NotAMessage(flaw)
    else:
        try:
            documents = parse_documents(content, name)
        except SettingsError as exc:
            raise NotAMessage(str(exc)) from exc
        value = documents[0] if len(documents) == 1 else None
    if not isinstance(value, dict) or not value:
        raise NotAMessage(f"{name}: write one object in JSON or YAML: a run spec, or a request")
    try:
        return storable(value, name)
    except Reject as exc:
        raise NotAMessage(str(exc)) from exc


def _add(fields: dict[str, Any], field: str, value: Any) -> None:
    """Add a value of the command line; a file that has another one contradicts it."""
    if value and fields.setdefault(field, value) != value:
        option = "--key" if field == "idempotency_key" else f"--{field}"
        raise NotAMessage(f"{field}: the file and {option} differ. Leave one of the two out")


def _decoded(fields: dict[str, Any]) -> Request:
    """Return a request as submit will read it."""
    message = decode(json.dumps({"version": 1, "kind": "request", **fields}).encode())
    if not isinstance(message, Request):
        raise NotAMessage("kind: is ticket, and only request can be published")
    return message
