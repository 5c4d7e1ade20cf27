"""A stand-in for Pub/Sub without Google's emulator: gRPC in, HTTP pushes out, only pip packages."""

from deploy.local.servers.pubsub.envelope import Shape
from deploy.local.servers.pubsub.push import Duplicates
from deploy.local.servers.pubsub.server import PubSubServer

__all__ = ["Duplicates", "PubSubServer", "Shape"]
