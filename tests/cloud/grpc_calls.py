"""Pub/Sub's publish over gRPC: each call becomes the equivalent REST call."""

import json
from collections.abc import Callable
from pathlib import Path

import grpc
from google.protobuf import json_format
from google.pubsub_v1.types import PublishRequest, PublishResponse

from tests.cloud.app import identity_of
from tests.cloud.calls import Answer, Call
from tests.cloud.certificates import Certificates

PUBLISH = "/google.pubsub.v1.Publisher/Publish"
_CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    503: grpc.StatusCode.UNAVAILABLE,
}


class Publishing(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Passes publishes to `take`, the server of REST calls."""

    def __init__(self, take: Callable[[Call], Answer]) -> None:
        self._take = take

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of publish; other methods are UNIMPLEMENTED."""
        if handler_call_details.method != PUBLISH:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self._publish,
            request_deserializer=PublishRequest.deserialize,
            response_serializer=PublishResponse.serialize,
        )

    async def _publish(self, request: PublishRequest, context: grpc.aio.ServicerContext) -> PublishResponse:
        metadata = dict(context.invocation_metadata())
        body = json_format.MessageToDict(PublishRequest.pb(request))
        path = f"/v1/{request.topic}:publish"
        answer = self._take(
            Call("POST", "pubsub.googleapis.com", path, {}, body, identity_of(str(metadata.get("authorization", ""))))
        )
        message = json.loads(answer.content)
        if answer.status != 200:
            await context.abort(_CODES[answer.status], message["error"]["message"])
        return PublishResponse(message_ids=message["messageIds"])


async def serve_grpc(take: Callable[[Call], Answer], certificates: Certificates) -> tuple[grpc.aio.Server, int]:
    """Start the server in this event loop; return it and its port."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Publishing(take),))
    key, leaf = (Path(path).read_bytes() for path in (certificates.key, certificates.leaf))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, leaf)]))
    await server.start()
    return server, port
