"""Values that are made at their first use, once for all threads.

A client that exists before gunicorn forks would share its connections between processes.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Lazy(Generic[T]):
    """One value, made by the first thread that gets it. If `make` raises, the next get retries."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._values: LazyMap[None, T] = LazyMap(lambda _: make())

    def get(self) -> T:
        """Return the value."""
        return self._values.get(None)


class LazyMap(Generic[K, T]):
    """One value per key, each made like a `Lazy`."""

    def __init__(self, make: Callable[[K], T]) -> None:
        self._make = make
        self._values: dict[K, T] = {}
        self._lock = threading.Lock()

    def get(self, key: K) -> T:
        """Return the value of this key."""
        with self._lock:
            if key not in self._values:
                self._values[key] = self._make(key)
            return self._values[key]
