"""Google's Publisher and Subscriber services over gRPC, for the unmodified google-cloud-pubsub.

It serves the calls for set-up, publish, pull and push. gRPC itself answers UNIMPLEMENTED to others.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from deploy.local.servers.pubsub.backlog import Delivery
from deploy.local.servers.pubsub.broker import Broker
from deploy.local.servers.pubsub.rules import Refused, invalid

T = TypeVar("T")
_PULL_WAIT_MARGIN = 0.2  # seconds from an empty pull's answer to its caller's deadline


def services(broker: Broker) -> tuple[grpc.GenericRpcHandler, ...]:
    """Return the handlers with which a grpc.Server serves this broker."""
    return (
        _service("google.pubsub.v1.Publisher", _publisher(broker)),
        _service("google.pubsub.v1.Subscriber", _subscriber(broker)),
    )


# by method: the request type and its handler
Calls = dict[str, tuple[Any, Callable[[Any, grpc.ServicerContext], Any]]]


def _publisher(broker: Broker) -> Calls:
    def publish(request: types.PublishRequest, _: grpc.ServicerContext) -> types.PublishResponse:
        return types.PublishResponse(
            message_ids=broker.publish(request.topic, list(request.messages))
        )

    def list_topics(
        request: types.ListTopicsRequest, _: grpc.ServicerContext
    ) -> types.ListTopicsResponse:
        page, token = _page(broker.topics(request.project), request.page_size, request.page_token)
        return types.ListTopicsResponse(topics=page, next_page_token=token)

    return {
        "CreateTopic": (types.Topic, lambda topic, _: broker.create_topic(topic)),
        "GetTopic": (types.GetTopicRequest, lambda request, _: broker.topic(request.topic)),
        "ListTopics": (types.ListTopicsRequest, list_topics),
        "DeleteTopic": (
            types.DeleteTopicRequest,
            lambda request, _: broker.delete_topic(request.topic),
        ),
        "Publish": (types.PublishRequest, publish),
    }


def _subscriber(broker: Broker) -> Calls:
    def list_all(
        request: types.ListSubscriptionsRequest, _: grpc.ServicerContext
    ) -> types.ListSubscriptionsResponse:
        page, token = _page(
            broker.subscriptions(request.project), request.page_size, request.page_token
        )
        return types.ListSubscriptionsResponse(subscriptions=page, next_page_token=token)

    def pull(request: types.PullRequest, context: grpc.ServicerContext) -> types.PullResponse:
        def waits() -> bool:
            left = context.time_remaining()
            asked = not request.return_immediately and context.is_active()
            return asked and (left is None or left > _PULL_WAIT_MARGIN)

        taken = broker.pull(request.subscription, request.max_messages, waits)
        dead_letters = "dead_letter_policy" in broker.subscription(request.subscription)
        return types.PullResponse(
            received_messages=[_received(delivery, dead_letters) for delivery in taken]
        )

    def extend(request: types.ModifyAckDeadlineRequest, _: grpc.ServicerContext) -> None:
        if not 0 <= request.ack_deadline_seconds <= 600:
            raise invalid(
                f"ack_deadline_seconds is {request.ack_deadline_seconds}: it must be 0 to 600"
            )
        broker.settle(
            request.subscription, _message_ids(request), float(request.ack_deadline_seconds)
        )

    return {
        "CreateSubscription": (
            types.Subscription,
            lambda wanted, _: broker.create_subscription(wanted),
        ),
        "GetSubscription": (
            types.GetSubscriptionRequest,
            lambda request, _: broker.subscription(request.subscription),
        ),
        "UpdateSubscription": (
            types.UpdateSubscriptionRequest,
            lambda request, _: broker.update_subscription(
                request.subscription, request.update_mask
            ),
        ),
        "ListSubscriptions": (types.ListSubscriptionsRequest, list_all),
        "DeleteSubscription": (
            types.DeleteSubscriptionRequest,
            lambda request, _: broker.delete_subscription(request.subscription),
        ),
        "ModifyPushConfig": (
            types.ModifyPushConfigRequest,
            lambda request, _: broker.push_to(request.subscription, request.push_config),
        ),
        "Pull": (types.PullRequest, pull),
        "Acknowledge": (
            types.AcknowledgeRequest,
            lambda request, _: broker.settle(request.subscription, _message_ids(request)),
        ),
        "ModifyAckDeadline": (types.ModifyAckDeadlineRequest, extend),
    }


def _service(name: str, calls: Calls) -> grpc.GenericRpcHandler:
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            _answering(answer),
            request_deserializer=request.deserialize,
            response_serializer=_serialize,
        )
        for method, (request, answer) in calls.items()
    }
    return grpc.method_handlers_generic_handler(name, handlers)


def _answering(
    answer: Callable[[Any, grpc.ServicerContext], Any],
) -> Callable[[Any, grpc.ServicerContext], Any]:
    def call(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return answer(request, context)
        except Refused as refusal:
            return context.abort(refusal.code, str(refusal))

    return call


def _serialize(response: Any) -> bytes:
    return bytes(
        Empty().SerializeToString() if response is None else type(response).serialize(response)
    )


def _received(delivery: Delivery, dead_letters: bool) -> types.ReceivedMessage:
    return types.ReceivedMessage(
        ack_id=f"{delivery.message.message_id}:{delivery.attempt}",
        message=delivery.message,
        delivery_attempt=delivery.attempt if dead_letters else 0,
    )


def _message_ids(request: types.AcknowledgeRequest | types.ModifyAckDeadlineRequest) -> list[str]:
    if not request.ack_ids:
        raise invalid("No ack ids specified.")
    parted = [ack_id.partition(":") for ack_id in request.ack_ids]
    for message_id, _, attempt in parted:
        if not (message_id.isdecimal() and attempt.isdecimal()):
            raise invalid(f"Invalid ack id (ack_id={message_id}:{attempt}).")
    return [message_id for message_id, _, _ in parted]


def _page(everything: list[T], size: int, token: str) -> tuple[list[T], str]:
    """Return one page and the token of the next; a token is the index of a page's first element."""
    if size < 0 or (token and not token.isdecimal()):
        raise invalid(
            "page_size must not be negative, and page_token must come from an earlier page"
        )
    start = int(token or 0)
    end = start + (size or 1000)
    return everything[start:end], str(end) if end < len(everything) else ""
