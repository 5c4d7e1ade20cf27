"""Read the message of one HTTP request: Eventarc's CloudEvent, or a push of Pub/Sub.

Several requests arrive at once. A request is read within bounds before anything parses it.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import flask

from shared.core.bounded_json import one_at_a_time, parsed_bytes
from shared.core.errors import NotAMessage
from shared.core.message import MAX_BYTES, Request, Ticket, decode

# base64 takes 4 bytes for 3; attributes of a message have at most 130 kB
MOST = MAX_BYTES * 4 // 3 + 400_000
CHUNK = 1 << 16
ENVELOPE = "the request"


def received(request: flask.Request) -> Ticket | Request:
    """Return the message of a request.

    Raises:
        NotAMessage: it has none, or it exceeds a bound.
    """
    body = _body(request)
    with one_at_a_time(len(body)):
        envelope, flaw = parsed_bytes(body, whole=ENVELOPE, most=MOST)
        if content := _of(envelope, "data_base64"):  # of a structured CloudEvent
            envelope, flaw = parsed_bytes(_decoded(content, "data_base64"), whole=ENVELOPE)
        if flaw:
            raise NotAMessage(flaw)
        return decode(_decoded(_data(envelope), "message.data"))


def _body(request: flask.Request) -> bytes:
    """Read the whole request, so that its sender sees the answer; keep no more than MOST bytes."""
    request.max_content_length = None  # the framework's own limit would end without a reason
    kept, size = bytearray(), 0
    while piece := request.stream.read(CHUNK):
        size += len(piece)
        if size <= MOST:
            kept += piece
    if size > MOST:
        raise NotAMessage(f"{ENVELOPE}: has {size:,} bytes; the limit is {MOST:,}")
    return bytes(kept)


def _data(envelope: Any) -> str:
    """Return message.data of a push or a binary CloudEvent, a structured one, or a legacy event."""
    content = _of(envelope, "data")
    for message in (_of(envelope, "message"), _of(content, "message"), content):
        data = _of(message, "data")
        if isinstance(data, str):
            return data
    raise NotAMessage("the event has no message.data")


def _decoded(encoded: object, name: str) -> bytes:
    try:
        return base64.b64decode(str(encoded), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise NotAMessage(f"{name} is not base64") from exc


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None
