"""Wait for what comes about by itself."""

import time
from collections.abc import Callable
from typing import Any


def eventually(holds: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """Return what `holds` does once it is true; fail, naming what was waited for."""
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come about: {what}")
        time.sleep(0.1)
    return value
