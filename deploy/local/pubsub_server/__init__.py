"""A Pub/Sub stand-in for laptops without Google's emulator: gRPC in, HTTP pushes out, nothing but pip packages."""

from deploy.local.pubsub_server.envelope import Shape
from deploy.local.pubsub_server.push import Duplicates
from deploy.local.pubsub_server.server import PubSubServer

__all__ = ["Duplicates", "PubSubServer", "Shape"]
