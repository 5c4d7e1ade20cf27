"""Know whether a request has left this process, for a call that must not be repeated blindly."""

from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import BaseAdapter

from shared.core.budget import Budget
from shared.core.within import within

CREATE_SECONDS = 70.0  # for a create: to connect, to send, and to get the answer
CONNECT_SHARE = 1 / 7  # of these seconds, to connect


class Sending:
    """Asks the budget before each request of a session, bounds the request, and notes its begin.

    It sees only the session's own calls: a refresh of credentials goes through another session.
    """

    def __init__(self, budget: Budget, seconds: float) -> None:
        self.begun = False
        self._budget = budget
        self._seconds = seconds
        connect = seconds * CONNECT_SHARE
        self._timeout = (connect, seconds - connect)

    def watch(self, session: requests.Session) -> None:
        """Wrap each adapter of a session."""
        for prefix, adapter in list(session.adapters.items()):
            session.mount(prefix, _Watched(adapter, self._bounded))

    def _bounded(self, send: Callable[[tuple[float, float]], requests.Response]) -> Any:
        """Send a request and read its whole answer within the seconds, however slowly it comes."""
        self._require()
        self.begun = True

        def exchange() -> requests.Response:
            self._require()  # this thread may have been frozen before its first step
            response = send(self._timeout)
            _ = response.content  # it keeps what it has read
            return response

        return within(self._seconds, exchange)

    def _require(self) -> None:
        self._budget.require("the create call")


class _Watched(BaseAdapter):
    def __init__(self, inner: BaseAdapter, bounded: Callable[[Any], Any]) -> None:
        super().__init__()
        self._inner = inner
        self._bounded = bounded

    def send(self, request: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Ask the budget, then send at once."""
        return self._bounded(
            lambda timeout: self._inner.send(request, **{**kwargs, "timeout": timeout})
        )

    def close(self) -> None:
        """Close the wrapped adapter."""
        self._inner.close()
