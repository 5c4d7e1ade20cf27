"""The Pub/Sub stand-in as one object to start and stop."""

from concurrent.futures import ThreadPoolExecutor

import grpc

from deploy.local.servers.pubsub.broker import Broker
from deploy.local.servers.pubsub.envelope import Shape
from deploy.local.servers.pubsub.faults import PublishFaults
from deploy.local.servers.pubsub.push import NONE, Duplicates, Pusher
from deploy.local.servers.pubsub.service import services

_MAX_CALL_BYTES = (
    64 << 20
)  # over the limit of a message, so that too large a one is refused by name


class PubSubServer:
    """Pub/Sub on 127.0.0.1, plaintext, in memory: the place that PUBSUB_EMULATOR_HOST names.

    Port 0 lets the system choose; `port` says which one it is, from the beginning. A server starts and stops once.
    """

    def __init__(
        self,
        port: int = 0,
        shape: Shape | str = Shape.EMULATOR,
        duplicates: Duplicates = NONE,
        faults: PublishFaults | None = None,
    ) -> None:
        self._broker = Broker()
        self._pusher = Pusher(self._broker, Shape(shape), duplicates)
        sizes = [
            ("grpc.max_receive_message_length", _MAX_CALL_BYTES),
            ("grpc.max_send_message_length", _MAX_CALL_BYTES),
        ]
        # kept here: a grpc.Server that nobody refers to stops serving; a pull that waits holds a worker
        self._server = grpc.server(
            ThreadPoolExecutor(64),
            options=[*sizes, ("grpc.so_reuseport", 0)],
            interceptors=[faults] if faults else [],
        )
        self._server.add_generic_rpc_handlers(services(self._broker))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")

    @property
    def host(self) -> str:
        """Return the value for PUBSUB_EMULATOR_HOST."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to serve and to push."""
        self._server.start()
        self._pusher.start()

    def stop(self) -> None:
        """End waiting calls and pushing; whatever was not delivered is gone."""
        self._broker.close()
        self._server.stop(grace=1.0).wait()
        self._pusher.join()
