"""Every HTTP call of the product has a timeout: a server that never answers would hold the function.

A fixture of every test looks at each call that goes through `requests`, also at those of Google's clients.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests.adapters

SDK = "google/cloud/aiplatform/"
PRODUCT = tuple(str(Path(__file__).parent.parent / name) for name in ("functions", "shared"))


@contextmanager
def compared() -> Iterator[None]:
    """Look at all calls of the block; raises AssertionError at its end."""
    endless: list[str] = []
    send = requests.adapters.HTTPAdapter.send

    def look(adapter: Any, request: Any, *args: Any, **named: Any) -> Any:
        timeout = named.get("timeout")
        bounds = timeout if isinstance(timeout, tuple) else (timeout,)
        if None in bounds and (where := _caller()):
            endless.append(f"{request.method} {request.url} in {where}")
        return send(adapter, request, *args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.adapters.HTTPAdapter, "send", look)
        yield
    assert not endless, f"calls without a timeout: {'; '.join(endless[:5])}"


def _caller() -> str:
    """Return the line of the product that calls; nothing if a test calls.

    The SDK's look-ups take no timeout: `within` bounds them.
    """
    frame, files = sys._getframe(2), list[str]()  # noqa: SLF001
    while frame := frame.f_back:  # type: ignore[assignment]
        files.append(frame.f_code.co_filename)
        if files[-1].startswith(PRODUCT):
            looks_up = any(SDK in file for file in files)
            return "" if looks_up else f"{files[-1]}:{frame.f_lineno}"
    return ""
