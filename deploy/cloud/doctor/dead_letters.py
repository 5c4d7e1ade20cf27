"""The dead letters: the messages that submit could not accept."""

from collections.abc import Iterator
from functools import partial

import grpc
import requests
from google.api_core import exceptions as google_errors
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, warning

LOOKED_AT = 10  # dead letters
PULL_SECONDS = 10
ON_STACK_SECONDS = 3


def checks(case: Case) -> Iterator[Check]:
    """Yield the check of the dead letters."""
    needs = ("pubsub.subscriptions.consume",)
    yield Check("dead letters", partial(_dead_letters, case), needs, on_stack=True)


def _dead_letters(case: Case) -> Iterator[Finding]:
    """Look at the dead letters, and release each at once."""
    deployment = case.deployment
    subscription = f"projects/{deployment.project}/subscriptions/{deployment.dead_letters}"
    try:
        seen = _on_stack(case, subscription) if case.stack else _in_cloud(case, subscription)
    except google_errors.NotFound:
        message = f"{deployment.dead_letters} does not exist"
        yield failed("dead letters", message, case.command("provision"), subscription)
        return
    if not seen:
        yield ok("dead letters", "none")
        return
    count = f"{len(seen)}{' or more' if len(seen) == LOOKED_AT else ''}"
    oldest = min(seen)
    show = case.command("dead-letters")
    fix = f"{show}\n{show} --replay  # after you have fixed the cause"
    message = f"{count} that submit could not accept, the oldest from {oldest}"
    yield warning("dead letters", message, fix)


def _in_cloud(case: Case, subscription: str) -> list[str]:
    """Return when each was published; raises Google's errors."""
    url = f"https://pubsub.googleapis.com/v1/{subscription}"
    try:
        answer = case.google.post(f"{url}:pull", {"maxMessages": LOOKED_AT}, timeout=PULL_SECONDS)
    except requests.Timeout:  # Pub/Sub answers an empty subscription late
        answer = {}
    if seen := answer.get("receivedMessages", []):
        back = {"ackIds": [one["ackId"] for one in seen], "ackDeadlineSeconds": 0}
        case.google.post(f"{url}:modifyAckDeadline", back)
    return [one["message"].get("publishTime", "") for one in seen]


def _on_stack(case: Case, subscription: str) -> list[str]:
    channel = grpc.insecure_channel(case.stack["PUBSUB_EMULATOR_HOST"])
    client = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
    asked = {"subscription": subscription, "max_messages": LOOKED_AT}
    try:
        seen = client.pull(asked, retry=None, timeout=ON_STACK_SECONDS).received_messages
    except google_errors.DeadlineExceeded:
        return []
    if seen:
        ids = [one.ack_id for one in seen]
        back = {"subscription": subscription, "ack_ids": ids, "ack_deadline_seconds": 0}
        client.modify_ack_deadline(back)
    return [one.message.publish_time.isoformat() for one in seen]
