"""Google's part of a deployment: Cloud Scheduler calls, Pub/Sub delivers, Cloud Run starts the functions."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from deploy.cloud.deployment import FUNCTIONS, Deployment
from tests.cloud.calls import Json, Refusal
from tests.cloud.messaging import PubSub
from tests.cloud.names import id_token
from tests.cloud.state import now
from tests.cloud.world import Cloud
from tests.deployment.containers import Containers

_TICK = 0.05  # seconds between two looks at what waits
_CODES = {401: 16, 403: 7, 404: 5, 503: 14}  # of google.rpc, by HTTP status; 13 (INTERNAL) for any other


class Platform:
    """Carries calls and messages in one cloud to its deployed functions, each by the account that was set for it."""

    def __init__(self, cloud: Cloud, deployment: Deployment, folder: Path) -> None:
        self._cloud = cloud
        self._agent = deployment.agent("gcp-sa-pubsub")
        self._environ = cloud.environ("nobody@example.com")
        self._attempts: Counter[str] = Counter()
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="platform")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="pub/sub", daemon=True)
        self.containers = Containers(cloud, folder)
        self.problems: list[str] = []
        for verb in FUNCTIONS:
            function = deployment.function(verb)
            cloud.answers[function] = partial(self.containers.call, function)
        cloud.state.call_target = lambda job: self._pool.submit(self._run, job)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)
        self.containers.stop()
        if kind is None and self.problems:
            raise AssertionError(f"the platform could not do its part: {self.problems}")

    def post(self, url: str, account: str, audience: str, body: Json | None = None) -> int:
        """Call an address with an ID token of `account`, and return the HTTP status."""
        answer = requests.post(
            url,
            json=body,
            headers={"Authorization": f"Bearer {id_token(account, audience)}"},
            proxies={"https": self._cloud.proxy},
            verify=self._environ["REQUESTS_CA_BUNDLE"],
            timeout=180,
        )
        return answer.status_code

    def _run(self, job: Json) -> None:
        """Carry out a Scheduler job, and write down how it went."""
        target = job["httpTarget"]
        token = target["oidcToken"]
        try:
            status = self.post(target["uri"], token["serviceAccountEmail"], token["audience"], {})
        except (requests.RequestException, KeyError) as exc:
            self.problems.append(f"{job['name']}: {exc!r}")
            status = 503
        code = 0 if 200 <= status < 300 else _CODES.get(status, 13)
        job |= {"lastAttemptTime": now(), "status": {"code": code, "message": f"HTTP {status}"} if code else {}}

    def _deliver(self) -> None:
        """Push what waits, one delivery of a message at a time, and install early what an upload requires."""
        while not self._ended.is_set():
            for name, archive in list(self._cloud.uploads.items()):
                if name.endswith(".zip"):
                    self.containers.prepare(archive)
            pushes = [
                (each, message)
                for full, each in list(self._cloud.resources.items())
                if full.startswith("pubsub.") and each.get("pushConfig", {}).get("pushEndpoint")
                for message in list(self._cloud.state.messages.get(each["name"], ()))
            ]
            list(self._pool.map(lambda push: self._push(*push), pushes))
            time.sleep(_TICK)

    def _push(self, subscription: Json, message: Json) -> None:
        """Deliver a message once; what is taken, or given up on, waits no more. There is no backoff here."""
        config, number = subscription["pushConfig"], message["messageId"]
        token = config["oidcToken"]
        pushed = {"message": {**message, "message_id": number}, "subscription": subscription["name"]}
        self._attempts[number] += 1
        try:
            status = self.post(config["pushEndpoint"], token["serviceAccountEmail"], token["audience"], pushed)
        except requests.RequestException as exc:
            self.problems.append(f"{subscription['name']}: {exc!r}")
            return
        policy = subscription.get("deadLetterPolicy", {})
        given_up = policy and self._attempts[number] >= policy["maxDeliveryAttempts"]
        if 200 <= status < 300 or (
            given_up and self._give_up(subscription["name"], policy["deadLetterTopic"], message)
        ):
            self._cloud.state.messages[subscription["name"]].remove(message)

    def _give_up(self, subscription: str, dead_letters: str, message: Json) -> bool:
        """Move a message to the dead letters, if Pub/Sub's own agent has been allowed to."""
        state = self._cloud.state
        try:
            state.demand(self._agent, "pubsub.subscriptions.consume", f"pubsub.googleapis.com/{subscription}")
            state.demand(self._agent, "pubsub.topics.publish", f"pubsub.googleapis.com/{dead_letters}")
        except Refusal:
            return False
        source = {
            "DeliveryCount": str(self._attempts[message["messageId"]]),
            "Subscription": subscription.rpartition("/")[2],
            "SubscriptionProject": self._cloud.project,
            "TopicPublishTime": message["publishTime"],
        }
        attributes = {f"CloudPubSubDeadLetterSource{name}": value for name, value in source.items()}
        dead = {"data": message["data"], "attributes": message.get("attributes", {}) | attributes}
        PubSub(state).publish(dead_letters, dead)
        return True
