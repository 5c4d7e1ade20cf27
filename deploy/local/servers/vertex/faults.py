"""Make the next calls fail on purpose: refused, refused after having worked, or never answered."""

from collections import defaultdict, deque
from dataclasses import dataclass, field

from deploy.local.servers.vertex.errors import ApiError
from deploy.local.servers.vertex.refusals import REFUSALS


@dataclass(frozen=True)
class Fault:
    """Describe how one call fails: without an `error` and not `late`, the connection is cut instead of an answer.

    A `late` call that has not `worked` has its effect that many seconds later, whether its caller still waits or not.
    """

    error: ApiError | None
    worked: bool
    late: float = 0.0


@dataclass
class Faults:
    """Hold the failures to come, in order, for each method (create, get, list, cancel, delete)."""

    _waiting: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))

    def refuse_next(
        self,
        http_status: int,
        code: str,
        message: str,
        times: int = 1,
        method: str = "create",
        *,
        worked: bool = False,
    ) -> None:
        """Answer the next calls with an error such as (429, "RESOURCE_EXHAUSTED", …); `worked`: after doing them."""
        self._waiting[method].extend([Fault(ApiError(http_status, code, message), worked)] * times)

    def refuse_next_as(
        self, name: str, times: int = 1, method: str = "create", **values: str
    ) -> None:
        """Answer the next calls with a refusal of the table in refusals.py."""
        self._waiting[method].extend([Fault(REFUSALS[name].error(**values), worked=False)] * times)

    def delay_next(self, seconds: float, method: str = "create", *, worked: bool = True) -> None:
        """Answer the next call late: after its effect, or with an effect that is as late as the answer."""
        self._waiting[method].append(Fault(None, worked, seconds))

    def lose_next_answers(self, times: int = 1, method: str = "create") -> None:
        """Do what the next calls ask for, then cut the connection before the answer is whole."""
        self._waiting[method].extend([Fault(None, worked=True)] * times)

    def take(self, method: str) -> Fault | None:
        """Return the failure that this call must have, if any, and forget it."""
        waiting = self._waiting[method]
        return waiting.popleft() if waiting else None
