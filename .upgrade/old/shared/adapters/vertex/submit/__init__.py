"""Vertex AI for submit: the SDK's CustomJob, because a queue's keys are its arguments."""

from shared.adapters.vertex.submit.arguments import argument_names
from shared.adapters.vertex.submit.compute import CREATE_TIMEOUT, VertexCompute

__all__ = ["CREATE_TIMEOUT", "VertexCompute", "argument_names"]
