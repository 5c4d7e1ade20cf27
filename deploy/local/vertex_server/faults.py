"""Make the next calls fail on purpose: refused, refused after having worked, or never answered."""

from collections import defaultdict, deque
from dataclasses import dataclass, field

from deploy.local.vertex_server.errors import ApiError


@dataclass(frozen=True)
class Fault:
    """Describe how one call fails: `error` None means that the connection is cut instead of an answer."""

    error: ApiError | None
    worked: bool


@dataclass
class Faults:
    """Hold the failures to come, in order, for each method (create, get, list, cancel, delete)."""

    _waiting: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))

    def refuse_next(
        self, http_status: int, code: str, message: str, times: int = 1, method: str = "create", *, worked: bool = False
    ) -> None:
        """Answer the next calls with an error such as (429, "RESOURCE_EXHAUSTED", …); `worked`: after doing them."""
        self._waiting[method].extend([Fault(ApiError(http_status, code, message), worked)] * times)

    def lose_next_answers(self, times: int = 1, method: str = "create") -> None:
        """Do what the next calls ask for, then cut the connection before the answer is whole."""
        self._waiting[method].extend([Fault(None, worked=True)] * times)

    def take(self, method: str) -> Fault | None:
        """Return the failure that this call must have, if any, and forget it."""
        waiting = self._waiting[method]
        return waiting.popleft() if waiting else None
