"""Ask each question once, even if several checks need the answer."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Once:
    """Remembers the answer, or the error, of each question; concurrent callers wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, Future[Any]] = {}

    def __call__(self, question: str, ask: Callable[[], Any]) -> Any:
        """Return the answer; only the first caller asks."""
        with self._lock:
            first = question not in self._answers
            future = self._answers.setdefault(question, Future())
        if first:
            try:
                future.set_result(ask())
            except BaseException as exc:  # noqa: BLE001 - it is raised below, to every caller
                future.set_exception(exc)
        return future.result()
