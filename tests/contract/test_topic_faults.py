"""The failures that the topic's stand-in gives on purpose, as Google's own publisher meets them."""

from collections.abc import Iterator

import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1

from deploy.local.servers.pubsub import PubSubServer
from deploy.local.servers.pubsub.faults import FAULTS, Fault, PublishFaults

TOPIC = "projects/p/topics/topic"


@pytest.fixture
def publishing(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PublishFaults, pubsub_v1.PublisherClient]]:
    """Serve a topic; return what fails its publishes, and a client that repeats nothing."""
    faults = PublishFaults()
    server = PubSubServer(faults=faults)
    server.start()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.host)
    client = pubsub_v1.PublisherClient()
    client.create_topic(name=TOPIC)
    subscriber = pubsub_v1.SubscriberClient()
    subscriber.create_subscription(name="projects/p/subscriptions/sub", topic=TOPIC)
    yield faults, client
    subscriber.close()
    server.stop()


def delivered() -> int:
    """Return how many messages arrived."""
    with pubsub_v1.SubscriberClient() as subscriber:
        request = {"subscription": "projects/p/subscriptions/sub", "max_messages": 10, "return_immediately": True}
        return len(subscriber.pull(request=request).received_messages)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.name))
def test_a_publish_fails_as_it_is_called(
    publishing: tuple[PublishFaults, pubsub_v1.PublisherClient], monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """With its code, before or after its effect; a late one works."""
    faults, client = publishing
    monkeypatch.setattr("deploy.local.servers.pubsub.faults.FAULTS", (fault,))
    faults.rate = 1.0
    if fault.code:
        with pytest.raises(exceptions.GoogleAPICallError) as raised:
            client.api.publish(topic=TOPIC, messages=[{"data": b"x"}], retry=None)
        assert raised.value.grpc_status_code == fault.code
    else:
        client.api.publish(topic=TOPIC, messages=[{"data": b"x"}], retry=None)
    faults.rate = 0.0
    assert delivered() == int(fault.worked)
    assert faults.given == {fault.name: 1}


def test_googles_publisher_survives_a_share_of_failures(
    publishing: tuple[PublishFaults, pubsub_v1.PublisherClient],
) -> None:
    """It repeats what may pass: every message arrives, some more than once."""
    faults, client = publishing
    faults.rate = 0.3
    for _ in range(10):
        client.publish(TOPIC, b"x").result(timeout=30)
    assert faults.given.total() > 0
