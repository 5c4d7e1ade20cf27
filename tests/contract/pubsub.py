"""Three Pub/Subs for the contract suite to publish to, and a function that receives the pushes."""

import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from google.cloud import pubsub_v1
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import PublisherClient as GapicPublisher
from google.pubsub_v1 import types
from werkzeug.serving import make_server

from deploy.local.processes import HOST, Processes, free_port
from deploy.local.servers.pubsub import PubSubServer
from deploy.local.servers.pubsub.emulator import emulator_command
from deploy.local.servers.pubsub.push import NONE, Duplicates
from tests.contract import push_target

PROJECT = "projects/contract"
QUICK = types.RetryPolicy(minimum_backoff=Duration(nanos=50_000_000), maximum_backoff=Duration(nanos=100_000_000))


def until(holds: Callable[[], Any], seconds: float = 20) -> Any:
    """Return what `holds` does once it is true, or fail."""
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)
    return value


@dataclass
class Place:
    """A Pub/Sub, with clients that speak to it."""

    kind: str
    host: str
    publisher: pubsub_v1.PublisherClient
    subscriber: pubsub_v1.SubscriberClient

    def topic(self) -> str:
        """Make a topic of this test's own."""
        return str(self.publisher.create_topic(name=f"{PROJECT}/topics/t-{uuid.uuid4().hex}").name)

    def subscribe(self, topic: str, **settings: Any) -> str:
        """Make a subscription of this test's own."""
        name = f"{PROJECT}/subscriptions/s-{uuid.uuid4().hex}"
        return str(self.subscriber.create_subscription(request={"name": name, "topic": topic, **settings}).name)

    def publish(self, topic: str, *data: bytes, **attributes: str) -> list[str]:
        """Publish messages, and return their ids."""
        messages = [types.PubsubMessage(data=each, attributes=attributes) for each in data]
        return list(GapicPublisher.publish(self.publisher, topic=topic, messages=messages).message_ids)

    def pull(self, subscription: str) -> list[types.ReceivedMessage]:
        """Take what is there, or nothing."""
        request = {"subscription": subscription, "max_messages": 10, "return_immediately": True}
        with pytest.warns(DeprecationWarning, match="return_immediately"):
            return list(self.subscriber.pull(request=request).received_messages)


@contextmanager
def ours(kind: str, shape: str, duplicates: Duplicates = NONE) -> Iterator[Place]:
    """Serve our stand-in in this process."""
    server = PubSubServer(shape=shape, duplicates=duplicates)
    server.start()
    try:
        with connected(kind, server.port) as place:
            yield place
    finally:
        server.stop()


@contextmanager
def googles(folder: Path) -> Iterator[Place]:
    """Run Google's emulator, or skip where it is not installed."""
    port = free_port()
    command = emulator_command(HOST, port)
    if command is None:
        pytest.skip("Google's Pub/Sub emulator or Java is not installed here")
    processes = Processes(folder)
    try:
        processes.start("pubsub", command)
        processes.await_port("pubsub", port, time.monotonic() + 30)
        with connected("google", port) as place:
            yield place
    finally:
        processes.stop()


@contextmanager
def connected(kind: str, port: int) -> Iterator[Place]:
    """Connect Google's clients as a developer does: by the environment variable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{port}")
        publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    with closing(publisher.transport), subscriber:
        yield Place(kind, f"127.0.0.1:{port}", publisher, subscriber)
        publisher.stop()


@dataclass
class Target:
    """The function of push_target.py as functions-framework serves it."""

    url: str
    module: Any

    def events(self, data: bytes) -> list[Any]:
        """Return every event that carried this data, in order."""
        return [event for event in list(self.module.received) if push_target.payload(event) == data]


@contextmanager
def serving() -> Iterator[Target]:
    """Serve the function in a thread."""
    app = functions_framework.create_app("record", push_target.__file__)  # type: ignore[no-untyped-call]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Target(f"http://127.0.0.1:{server.server_port}", sys.modules[Path(push_target.__file__).stem])
    finally:
        server.shutdown()
        thread.join()
