"""Faults of a share of the publishes: refused, refused after their effect, or late."""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

log = logging.getLogger(__name__)

_PUBLISH = "/google.pubsub.v1.Publisher/Publish"


@dataclass(frozen=True)
class Fault:
    """One kind of fault; without a code the answer is `late`."""

    code: grpc.StatusCode | None
    worked: bool
    weight: int
    late: float = 0.0

    @property
    def name(self) -> str:
        """Return its name in the counts."""
        code = self.code.name if self.code else "late"
        return f"{code} after its effect" if self.worked and self.code else code


FAULTS = (
    Fault(grpc.StatusCode.UNAVAILABLE, worked=False, weight=3),
    Fault(grpc.StatusCode.UNAVAILABLE, worked=True, weight=3),
    Fault(grpc.StatusCode.DEADLINE_EXCEEDED, worked=True, weight=2),
    Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, worked=False, weight=2),
    Fault(grpc.StatusCode.ABORTED, worked=False, weight=1),
    Fault(grpc.StatusCode.INTERNAL, worked=False, weight=1),
    Fault(None, worked=True, weight=2, late=1.0),
)


class PublishFaults(grpc.ServerInterceptor):  # type: ignore[misc] # grpc has no types
    """An interceptor before the services; `rate` may change at any time."""

    def __init__(self, rate: float = 0.0, seed: int = 0) -> None:
        self.rate = rate
        self.given: Counter[str] = Counter()
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._lock = threading.Lock()

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Fail some publishes; pass other calls on."""
        handler = continuation(details)
        if details.method != _PUBLISH or handler is None:
            return handler

        def publish(request: Any, context: Any) -> Any:
            fault = self._drawn()
            if fault is None:
                return handler.unary_unary(request, context)
            answer = handler.unary_unary(request, context) if fault.worked else None
            if fault.code:
                context.abort(fault.code, "a requested fault")
            time.sleep(fault.late)
            return answer

        return grpc.unary_unary_rpc_method_handler(
            publish,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _drawn(self) -> Fault | None:
        with self._lock:
            if self._random.random() >= self.rate:
                return None
            [fault] = self._random.choices(FAULTS, [fault.weight for fault in FAULTS])
            self.given[fault.name] += 1
            log.warning("a publish meets %s", fault.name)
            return fault
