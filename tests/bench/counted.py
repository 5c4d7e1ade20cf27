"""An application whose requests are counted and delayed."""

import asyncio
from collections import Counter
from typing import Any


class Counted:
    """Serve an application; `calls` counts its requests, by method. `delays` has seconds by method."""

    def __init__(self, app: Any, delays: dict[str, float] | None = None) -> None:
        self._app = app
        self.delays = delays or {}
        self.calls: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, after its delay."""
        if scope["type"] == "http":
            self.calls[scope["method"]] += 1
            await asyncio.sleep(self.delays.get(scope["method"], 0.0))
        await self._app(scope, receive, send)
