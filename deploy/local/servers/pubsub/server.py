"""The Pub/Sub stand-in as one object to start and stop."""

from concurrent.futures import ThreadPoolExecutor

import grpc

from deploy.local.servers.pubsub.broker import Broker
from deploy.local.servers.pubsub.envelope import Shape
from deploy.local.servers.pubsub.faults import PublishFaults
from deploy.local.servers.pubsub.push import NONE, Duplicates, Pusher
from deploy.local.servers.pubsub.service import services

_MAX_CALL_BYTES = 64 << 20  # above a message's limit, so that rules.py refuses large messages


class PubSubServer:
    """Pub/Sub on 127.0.0.1, plaintext, in memory, for PUBSUB_EMULATOR_HOST.

    With port 0 the system chooses; `port` is the chosen one. A server starts and stops once.
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
        # kept here: an unreferenced grpc.Server stops serving; each waiting pull holds a worker
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
        """Start to serve and to push."""
        self._server.start()
        self._pusher.start()

    def stop(self) -> None:
        """End waiting calls and pushes; undelivered messages are lost."""
        self._broker.close()
        self._server.stop(grace=1.0).wait()
        self._pusher.join()
