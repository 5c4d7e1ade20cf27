"""A function that the Pub/Sub contract suite pushes to: it remembers events, and fails or waits on request."""

import threading
from base64 import b64decode
from collections import Counter

import functions_framework
from cloudevents.http import CloudEvent

received: list[CloudEvent] = []
failures: Counter[bytes] = Counter()  # message data: how many more times to fail on it
gates: dict[bytes, threading.Barrier] = {}  # message data: what to wait at before answering


def payload(event: CloudEvent) -> bytes:
    """Return the data of the message that an event carries."""
    return b64decode(event.data["message"]["data"])


@functions_framework.cloud_event
def record(event: CloudEvent) -> None:
    """Take in one event."""
    received.append(event)
    data = payload(event)
    if failures[data]:
        failures[data] -= 1
        raise RuntimeError(f"told to fail on {data!r}")
    if gate := gates.get(data):
        gate.wait(timeout=8)
