"""The publisher of tickets against the stand-in of Pub/Sub: answers that are lost, late, refused, or partly there."""

from collections import Counter
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.cloud import pubsub_v1

from deploy.local.servers.pubsub import PubSubServer
from deploy.local.servers.pubsub.faults import Fault, PublishFaults
from shared.adapters.pubsub import ROLE, PubsubPublisher
from shared.core.errors import Denied, Retry
from shared.core.message import Ticket, decode, launch_key
from tests.waiting import eventually

TOPIC = "projects/p/topics/topic"
SUBSCRIPTION = "projects/p/subscriptions/sub"
BATCH = 100  # messages of a request of Google's publisher
KEYS = [launch_key("wandb", str(number)) for number in range(2 * BATCH + BATCH // 2)]


class InOrder(PublishFaults):
    """Gives these faults to the first publishes, one to each."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__()
        self._left = list(faults)

    def _drawn(self) -> Fault | None:
        with self._lock:
            return self._left.pop(0) if self._left else None


Topic = Callable[..., None]


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Topic]:
    """Return a function that serves a topic with a subscription, whose first publishes meet these faults."""
    servers: list[PubSubServer] = []

    def serve(*faults: Fault) -> None:
        server = PubSubServer(faults=InOrder(*faults))
        servers.append(server)
        server.start()
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.host)
        pubsub_v1.PublisherClient().create_topic(name=TOPIC)
        with pubsub_v1.SubscriberClient() as subscriber:
            subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)

    yield serve
    for server in servers:
        server.stop()


def arrived(at_least: int) -> Counter[str]:
    """Return how often each launch key arrived, once there are this many messages."""
    seen: Counter[str] = Counter()

    def pulled() -> bool:
        request = {"subscription": SUBSCRIPTION, "max_messages": 1000, "return_immediately": True}
        received = subscriber.pull(request=request).received_messages
        for each in received:
            message = decode(each.message.data)
            assert isinstance(message, Ticket)
            seen[message.launch_key] += 1
        ids = [each.ack_id for each in received]
        if ids:
            subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=ids)
        return seen.total() >= at_least

    with pubsub_v1.SubscriberClient() as subscriber:
        eventually(pulled, f"{at_least} messages")
    return seen


@pytest.mark.parametrize("number", [1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 1, len(KEYS)])
def test_each_of_many_tickets_arrives_once(topic: Topic, number: int) -> None:
    """Also those beyond a full request of the client."""
    topic()
    PubsubPublisher(TOPIC).publish(KEYS[:number])
    assert arrived(number) == Counter(KEYS[:number])


def test_a_publish_whose_answer_was_lost_is_sent_again(topic: Topic) -> None:
    """It worked, and Google's client repeats it: its tickets arrive twice, which changes nothing."""
    topic(Fault(grpc.StatusCode.UNAVAILABLE, worked=True, weight=1))
    PubsubPublisher(TOPIC).publish(KEYS[:3])
    assert arrived(6) == Counter(KEYS[:3] * 2)


def test_one_refused_request_of_several_is_an_error(topic: Topic) -> None:
    """The caller reads of it, and the tickets of the other requests arrive."""
    topic(Fault(grpc.StatusCode.PERMISSION_DENIED, worked=False, weight=1))
    with pytest.raises(Denied, match=ROLE):
        PubsubPublisher(TOPIC).publish(KEYS)
    seen = arrived(len(KEYS) - BATCH)
    assert len(KEYS) - BATCH <= len(seen) < len(KEYS)


def test_a_refused_last_request_is_an_error_too(topic: Topic) -> None:
    """Every answer is awaited, not only the first."""
    fine = Fault(None, worked=True, weight=1)
    topic(fine, fine, Fault(grpc.StatusCode.PERMISSION_DENIED, worked=False, weight=1))
    with pytest.raises(Denied, match=ROLE):
        PubsubPublisher(TOPIC).publish(KEYS)


def test_a_missing_topic_is_a_denial(topic: Topic) -> None:
    """An operator must create it, or grant the role: the message names both."""
    topic()
    with pytest.raises(Denied, match=f"cannot publish to projects/p/topics/other.*{ROLE}"):
        PubsubPublisher("projects/p/topics/other").publish(KEYS[:1])


def test_answers_that_come_too_late_are_not_awaited(topic: Topic) -> None:
    """The tickets may be out all the same: status publishes what is due once more."""
    topic(Fault(None, worked=True, weight=1, late=2.0))
    with pytest.raises(Retry, match=r"no answer within 0\.2 seconds"):
        PubsubPublisher(TOPIC, timeout=0.2).publish(KEYS[:1])
    assert arrived(1) == Counter(KEYS[:1])
