"""A deployment in this process for clients of its topics: the real submit and status, and Google's Pub/Sub emulator."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from google.cloud import pubsub_v1

from deploy.local.project import DEAD_LETTERS, EVENTS, TOPIC
from functions.status.reconcile import Status
from shared.adapters.pubsub import PubsubEvents, PubsubPublisher
from shared.core.budget import Budget
from shared.core.launch import State
from shared.core.message import decode
from shared.core.ports import RunStatus
from tests.contract.pubsub import googles
from tests.fakes import FakeWandb
from tests.fakes.clock import PLENTY
from tests.unit.submitting import Scene

PROJECT = "local-project"
PARENT = f"projects/{PROJECT}/locations/us-central1"
FAILS = "fails"  # the W&B project whose launches fail


class SmallDeployment:
    """Launches what is published, lets each job end at once, and publishes the events."""

    def __init__(self, host: str) -> None:
        self.environment = {
            "PUBSUB_EMULATOR_HOST": host,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"http://{host}/",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "true",
            "CLOUDSDK_CORE_PROJECT": "another-project",
        }
        self.scene, self.wandb = Scene(), FakeWandb()
        self.problems: list[BaseException] = []
        with patch.dict(os.environ, self.environment):
            self.publisher, self.subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
            for topic in (TOPIC, EVENTS, DEAD_LETTERS):
                self.publisher.create_topic(name=f"projects/{PROJECT}/topics/{topic}")
            self._requests = f"projects/{PROJECT}/subscriptions/submit"
            self.subscriber.create_subscription(name=self._requests, topic=f"projects/{PROJECT}/topics/{TOPIC}")
            topics: tuple[Any, ...] = (
                PubsubPublisher(f"projects/{PROJECT}/topics/{TOPIC}"),
                PubsubEvents(f"projects/{PROJECT}/topics/{EVENTS}", "/projects/local-project/launch/launch"),
            )
            for each in topics:
                each._client.get()  # noqa: SLF001 - connects while the variable is set
        scene = self.scene
        self._status = Status(
            *(scene.ledger, scene.vertex, self.wandb, topics[0], scene.clock, scene.builds),
            parents=(PARENT,),
            connections=1,
            events=topics[1],
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        while not self._over.wait(0.1):
            try:
                self._round()
            except BaseException as exc:  # noqa: BLE001 - the test reports it
                self.problems.append(exc)
                return

    def _round(self) -> None:
        request = {"subscription": self._requests, "max_messages": 10, "return_immediately": True}
        for each in self.subscriber.pull(request=request).received_messages:
            self.scene.submit.launch(decode(each.message.data), PLENTY)
            self.subscriber.acknowledge(subscription=self._requests, ack_ids=[each.ack_id])
        self._status.run(Budget(45))
        for launch in list(self.scene.ledger.open.values()):
            if launch.entry.state is State.SUBMITTED:
                fails = launch.entry.run.project == FAILS
                self.wandb.runs[launch.entry.run] = RunStatus("failed" if fails else "finished", False)
                state = "JOB_STATE_FAILED" if fails else "JOB_STATE_SUCCEEDED"
                self.scene.vertex.put(launch.entry.job_name, state, "it crashed" if fails else "")

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and disconnect."""
        self._over.set()
        self._thread.join()
        self.subscriber.close()


@contextmanager
def small_deployment(folder: Path) -> Iterator[SmallDeployment]:
    """Run one; skips where Google's emulator is not installed."""
    with googles(folder) as place:
        deployment = SmallDeployment(place.host)
        deployment.start()
        try:
            yield deployment
            assert deployment.problems == []
        finally:
            deployment.stop()
