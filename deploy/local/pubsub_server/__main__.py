"""Serve the Pub/Sub stand-in: python -m deploy.local.pubsub_server --port 8085 [--shape emulator|cloudevent]."""

import argparse
import logging
import signal
import threading

from deploy.local.pubsub_server import PubSubServer, Shape


def main() -> None:
    """Serve until SIGTERM or SIGINT; print one line when ready."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.pubsub_server", description=__doc__)
    parser.add_argument("--port", type=int, default=8085, help="port on 127.0.0.1; 0 lets the system choose")
    parser.add_argument("--shape", choices=list(Shape), default=Shape.EMULATOR, help="the form of a push")
    options = parser.parse_args()
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server = PubSubServer(options.port, options.shape)
    server.start()
    print(f"Pub/Sub stand-in ready: export PUBSUB_EMULATOR_HOST={server.host}", flush=True)
    ended.wait()
    server.stop()


if __name__ == "__main__":
    main()
