"""The subscription that calls poll when status has published a wake-up.

Pub/Sub's push counts as internal traffic; a direct call of another Cloud Run service does not. It
presents the scheduler's account, which may call poll already.
"""

from collections.abc import Iterator
from typing import Any

from google.api_core import exceptions as google_errors
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.types import ExpirationPolicy, PushConfig, RetryPolicy, Subscription

from deploy.cloud.deployment import Deployment
from deploy.cloud.marks import LABEL
from deploy.cloud.provision.parts import CREATED, DELETED, Change
from deploy.cloud.provision.trigger import differences
from shared.core.cadence import WAKE_UP

ACK_DEADLINE = 130  # seconds: a call lasts up to poll's timeout, 120
KEEP = 600  # seconds, Pub/Sub's minimum: Cloud Scheduler's next call replaces a lost wake-up
BACKOFF = (5, 60)  # seconds between deliveries while poll is working: it has one instance


class WakeUps:
    """A push subscription of the topic NAME-wake-up."""

    def __init__(self, deployment: Deployment, client: Any) -> None:
        self._client = client
        self._label = deployment.name
        url = deployment.url("poll")
        shortest, longest = BACKOFF
        self.wanted = Subscription(
            name=f"projects/{deployment.project}/subscriptions/{deployment.wake_up}",
            topic=f"projects/{deployment.project}/topics/{deployment.wake_up}",
            labels={LABEL: deployment.name},
            push_config=PushConfig(
                push_endpoint=url + WAKE_UP,
                oidc_token=PushConfig.OidcToken(
                    service_account_email=deployment.account("scheduler"), audience=url
                ),
            ),
            ack_deadline_seconds=ACK_DEADLINE,
            message_retention_duration=Duration(seconds=KEEP),
            retry_policy=RetryPolicy(
                minimum_backoff=Duration(seconds=shortest),
                maximum_backoff=Duration(seconds=longest),
            ),
            expiration_policy=ExpirationPolicy(),  # never, even if no launch ends for a month
        )

    def changes(self) -> Iterator[Change]:
        """Yield its creation, or its differences."""
        wanted, there = self.wanted, self._there()
        if there is None:
            create = self._client.create_subscription
            yield Change(wanted.name, CREATED, lambda: create(request=wanted))
            return
        fields = (
            "push_config",
            "labels",
            "ack_deadline_seconds",
            "message_retention_duration",
            "retry_policy",
            "expiration_policy",
            "dead_letter_policy",
        )
        yield from differences(self._client, there, wanted, fields)

    def removal(self) -> Change | None:
        """Delete the subscription if it carries our label."""
        there = self._there()
        if there is None or there.labels.get(LABEL) != self._label:
            return None
        name, delete = self.wanted.name, self._client.delete_subscription
        return Change(name, DELETED, lambda: delete(subscription=name))

    def _there(self) -> Any:
        try:
            return self._client.get_subscription(subscription=self.wanted.name)
        except google_errors.NotFound:
            return None
