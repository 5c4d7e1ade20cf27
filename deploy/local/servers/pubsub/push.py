"""Push due messages to each subscription's endpoint; a slow endpoint delays no other."""

import logging
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import urllib3
from google.pubsub_v1 import types

from deploy.local.servers.pubsub.backlog import Delivery
from deploy.local.servers.pubsub.broker import Broker
from deploy.local.servers.pubsub.envelope import Shape, envelope
from deploy.local.servers.pubsub.rules import Refused

log = logging.getLogger(__name__)

IN_FLIGHT = 16  # concurrent pushes to one endpoint
# https://cloud.google.com/pubsub/docs/push#receive_push
_ACCEPTED = frozenset({102, 200, 201, 202, 204})
LATEST = 3.0  # seconds between a push and its duplicate, at most


@dataclass(frozen=True)
class Duplicates:
    """The share of pushes that are made twice, as Pub/Sub may; the seed draws their times."""

    share: float = 0.0
    seed: int = 0


NONE = Duplicates()


class Pusher:
    """One thread that leases due messages, and threads by subscription that push them."""

    def __init__(self, broker: Broker, shape: Shape, duplicates: Duplicates = NONE) -> None:
        self._broker = broker
        self._shape = shape
        self._duplicates = duplicates
        self._random = random.Random(duplicates.seed)  # noqa: S311 - no secret
        self._http = urllib3.PoolManager(num_pools=64, maxsize=IN_FLIGHT, retries=False)
        self._lock = threading.Lock()
        self._in_flight: Counter[str] = Counter()
        self._carriers: dict[str, ThreadPoolExecutor] = {}
        self._thread = threading.Thread(target=self._run, name="pusher", daemon=True)

    def start(self) -> None:
        """Start to push."""
        self._thread.start()

    def join(self) -> None:
        """Wait until no new push starts, once the broker is closed; running pushes may go on."""
        self._thread.join()
        for carriers in self._carriers.values():
            carriers.shutdown(wait=False, cancel_futures=True)

    def _room(self, subscription: str) -> int:
        return IN_FLIGHT - self._in_flight[subscription]

    def _run(self) -> None:
        while not self._broker.closed:
            for subscription, delivery in self._broker.pushable(self._room):
                name = subscription.name
                if name not in self._carriers:
                    self._carriers[name] = ThreadPoolExecutor(
                        IN_FLIGHT, thread_name_prefix=name.rsplit("/", 1)[-1]
                    )
                with self._lock:
                    self._in_flight[name] += 1
                self._carriers[name].submit(self._carry, subscription, delivery)
                if self._random.random() < self._duplicates.share:
                    self._repeat(subscription, delivery)

    def _carry(self, subscription: types.Subscription, delivery: Delivery) -> None:
        accepted = False
        try:
            accepted = self._push(subscription, delivery)
        finally:
            with self._lock:
                self._in_flight[subscription.name] -= 1
            try:
                self._broker.settle(
                    subscription.name,
                    [delivery.message.message_id],
                    extend=None if accepted else 0.0,
                )
            except Refused:
                log.info("%s was deleted while a message was pushed", subscription.name)

    def _repeat(self, subscription: types.Subscription, delivery: Delivery) -> None:
        """Push once more, at the same time or later; its outcome is ignored."""
        log.warning("push %s comes twice", delivery.message.message_id)
        again = threading.Timer(
            self._random.uniform(0, LATEST), self._push, (subscription, delivery)
        )
        again.daemon = True
        again.start()

    def _push(self, subscription: types.Subscription, delivery: Delivery) -> bool:
        headers, body = envelope(self._shape, subscription, delivery)
        endpoint = subscription.push_config.push_endpoint
        try:
            answer = self._http.request(
                "POST",
                endpoint,
                body=body,
                headers=headers,
                redirect=False,
                timeout=subscription.ack_deadline_seconds,
            )
        except urllib3.exceptions.HTTPError as exc:
            log.warning(
                "push %s to %s, attempt %d: %s",
                delivery.message.message_id,
                endpoint,
                delivery.attempt,
                exc,
            )
            return False
        if answer.status not in _ACCEPTED:
            reason = answer.data[:200].decode(errors="replace").strip()
            shown = (delivery.message.message_id, endpoint, delivery.attempt, answer.status, reason)
            log.warning("push %s to %s, attempt %d: HTTP %d %s", *shown)
        return answer.status in _ACCEPTED
