"""Threads that work for one call."""

import contextvars
from concurrent.futures import ThreadPoolExecutor


def threads(count: int) -> ThreadPoolExecutor:
    """Return at most `count` threads; their log lines belong to the caller's trace.

    A thread begins without the caller's context variables.
    """
    known = contextvars.copy_context()

    def learn() -> None:
        for variable, value in known.items():
            variable.set(value)

    return ThreadPoolExecutor(count, initializer=learn)
