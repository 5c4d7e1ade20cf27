"""Bound the total time of a call.

A client's timeouts bound each read of a socket, not the call: a slow server that sends a byte now
and then can keep a call open for hours.
"""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what the call returns, or raise what it raises.

    Raises:
        TimeoutError: the call takes longer. It continues in its own thread; its answer is ignored.
    """
    answers: queue.SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def work() -> None:
        try:
            result = call()
        except BaseException as exc:  # noqa: BLE001 - raised in the calling thread
            answers.put((None, exc))
        else:
            answers.put((result, None))

    threading.Thread(target=work, daemon=True).start()
    try:
        answer = answers.get(timeout=max(seconds, 0))
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:.3g} seconds") from None
    if answer[1] is not None:
        raise answer[1]
    return answer[0]
