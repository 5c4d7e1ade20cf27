"""Start the stand-in for Pub/Sub: `python -m deploy.local.servers.pubsub --port 8085`."""

import argparse
import logging
import signal
import threading

from deploy.local.servers.pubsub import Duplicates, PubSubServer, Shape
from deploy.local.servers.pubsub.faults import PublishFaults


def main() -> None:
    """Serve until SIGTERM or SIGINT; print one line when ready."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local.servers.pubsub", description=__doc__
    )
    parser.add_argument(
        "--port", type=int, default=8085, help="port on 127.0.0.1; 0 lets the system choose"
    )
    parser.add_argument(
        "--shape", choices=list(Shape), default=Shape.EMULATOR, help="the form of a push"
    )
    parser.add_argument(
        "--duplicates",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of pushes that arrive twice",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of duplicates and faults")
    parser.add_argument(
        "--fault-rate",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of publishes that fail",
    )
    options = parser.parse_args()
    if not (0 <= options.duplicates <= 1 and 0 <= options.fault_rate <= 1):
        parser.error("--duplicates and --fault-rate must be from 0 to 1")
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    signal.signal(signal.SIGUSR1, lambda *_: setattr(faults, "rate", 0.0))  # chaos ends its faults
    faults = PublishFaults(options.fault_rate, options.seed)
    server = PubSubServer(
        options.port, options.shape, Duplicates(options.duplicates, options.seed), faults
    )
    server.start()
    print(f"Pub/Sub stand-in ready: export PUBSUB_EMULATOR_HOST={server.host}", flush=True)
    ended.wait()
    server.stop()


if __name__ == "__main__":
    main()
