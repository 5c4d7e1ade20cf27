"""The two forms of a pushed message: the emulator's and Eventarc's.

Shape `emulator` is the plain push body; functions-framework reads the topic from the endpoint's
path, `/projects/P/topics/T`. Shape `cloudevent` is a binary CloudEvent, as second-generation
functions receive it in the cloud.
"""

import json
from base64 import b64encode
from enum import StrEnum

from google.pubsub_v1 import types

from deploy.local.servers.pubsub.backlog import Delivery


class Shape(StrEnum):
    """The forms of a push."""

    EMULATOR = "emulator"
    CLOUDEVENT = "cloudevent"


def envelope(
    shape: Shape, subscription: types.Subscription, delivery: Delivery
) -> tuple[dict[str, str], bytes]:
    """Return headers and JSON body of one push."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "APIs-Google",
        "Connection": "close",
    }
    published = _rfc3339(delivery.message)
    message: dict[str, object] = {
        "data": b64encode(delivery.message.data).decode(),
        "attributes": dict(delivery.message.attributes),
        "messageId": delivery.message.message_id,
        "message_id": delivery.message.message_id,
        "publishTime": published,
        "publish_time": published,
    }
    if delivery.message.ordering_key:
        message["orderingKey"] = delivery.message.ordering_key
    body: dict[str, object] = {"message": message, "subscription": subscription.name}
    if shape is Shape.CLOUDEVENT:
        if "dead_letter_policy" in subscription:
            body["deliveryAttempt"] = delivery.attempt
        headers |= {
            "ce-id": delivery.message.message_id,
            "ce-source": f"//pubsub.googleapis.com/{subscription.topic}",
            "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
            "ce-specversion": "1.0",
            "ce-time": published,
        }
    return headers, json.dumps(body).encode()


def _rfc3339(message: types.PubsubMessage) -> str:
    return str(message.publish_time.rfc3339())
