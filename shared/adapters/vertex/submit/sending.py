"""Whether a request has left this process, and whether it still may: for a call that must not be repeated blindly."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import requests
from requests.adapters import BaseAdapter

from shared.core.budget import Budget
from shared.core.errors import Retry

CREATE_SECONDS = 70.0  # of a create: to connect, to send, and to be answered
CONNECT_SHARE = 1 / 7  # of them to connect
T = TypeVar("T")


class Sending:
    """Watches the requests of a session: it asks the budget before each, bounds it, and notes that one has begun.

    A session's own calls only: a refresh of its credentials goes through another session.
    """

    def __init__(self, budget: Budget, seconds: float) -> None:
        self.begun = False
        self._budget = budget
        connect = seconds * CONNECT_SHARE
        self._timeout = (connect, seconds - connect)

    def watch(self, session: requests.Session) -> None:
        """Put this before each adapter of a session."""
        for prefix, adapter in list(session.adapters.items()):
            session.mount(prefix, _Watched(adapter, self._before))

    def _before(self) -> tuple[float, float]:
        self._budget.require("the create call")
        self.begun = True
        return self._timeout


class _Watched(BaseAdapter):
    def __init__(self, inner: BaseAdapter, before: Callable[[], tuple[float, float]]) -> None:
        super().__init__()
        self._inner = inner
        self._before = before

    def send(self, request: Any, **kwargs: Any) -> Any:  # type: ignore[override] # all else is passed on
        """Ask, then send: nothing comes between."""
        timeout = self._before()
        return self._inner.send(request, **{**kwargs, "timeout": timeout})

    def close(self) -> None:
        """Close the adapter behind this one."""
        self._inner.close()


def within(seconds: float, action: Callable[[], T]) -> T:
    """Return what a harmless action returns, which has no timeout of its own; leave it behind after these seconds.

    Raises:
        Retry: it did not end in time; and whatever the action raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as exc:  # noqa: BLE001 - it is raised in the caller's thread
            errors.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(seconds, 0))
    if errors:
        raise errors[0]
    if not results:
        raise Retry(f"no answer within {seconds:.0f} seconds")
    return results[0]
