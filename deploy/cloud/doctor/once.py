"""Ask once what several checks want to know."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Once:
    """Remembers the answer, or the error, to each question; whoever asks meanwhile waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, Future[Any]] = {}

    def __call__(self, question: str, ask: Callable[[], Any]) -> Any:
        """Ask, where nobody has asked before."""
        with self._lock:
            first = question not in self._answers
            future = self._answers.setdefault(question, Future())
        if first:
            try:
                future.set_result(ask())
            except BaseException as exc:  # noqa: BLE001 - it is raised below, to each who asks
                future.set_exception(exc)
        return future.result()
