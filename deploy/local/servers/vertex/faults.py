"""Planned faults of the next calls: refused, refused after their effect, or never answered."""

from collections import defaultdict, deque
from dataclasses import dataclass, field

from deploy.local.servers.vertex.errors import ApiError
from deploy.local.servers.vertex.refusals import REFUSALS


@dataclass(frozen=True)
class Fault:
    """One planned fault; without `error` and `late` it cuts the connection instead of an answer.

    A `late` call that has not `worked` has its effect that many seconds later, even if its caller
    has left.
    """

    error: ApiError | None
    worked: bool
    late: float = 0.0


@dataclass
class Faults:
    """The planned faults in order, by method (create, get, list, cancel, delete)."""

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
        """Answer the next calls with an error such as (429, "RESOURCE_EXHAUSTED", …).

        With `worked` the calls have their effect first.
        """
        self._waiting[method].extend([Fault(ApiError(http_status, code, message), worked)] * times)

    def refuse_next_as(
        self, name: str, times: int = 1, method: str = "create", **values: str
    ) -> None:
        """Answer the next calls with a refusal from the table in refusals.py."""
        self._waiting[method].extend([Fault(REFUSALS[name].error(**values), worked=False)] * times)

    def delay_next(self, seconds: float, method: str = "create", *, worked: bool = True) -> None:
        """Delay the answer of the next call, after its effect or together with it."""
        self._waiting[method].append(Fault(None, worked, seconds))

    def lose_next_answers(self, times: int = 1, method: str = "create") -> None:
        """Carry out the next calls, then cut the connection before the answer is complete."""
        self._waiting[method].extend([Fault(None, worked=True)] * times)

    def take(self, method: str) -> Fault | None:
        """Remove and return the planned fault of this call, if any."""
        waiting = self._waiting[method]
        return waiting.popleft() if waiting else None
