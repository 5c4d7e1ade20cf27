"""Fail a share of a stand-in's calls, drawn from a seed. The tables of faults are in shapes.py.

A seed repeats the sequence of faults. Which call meets which fault depends on the order of arrival.
`/standin/faults` counts the faults and accepts another rate and other shapes. It can also hold the
next call of a kind: a test then kills or freezes the caller at the worst moment.
"""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

CONTROL = "/standin/faults"
FAULTLESS = {"X-Standin": "faultless"}  # a call with this header never fails: tests send it

HOLD_SECONDS = 3.0

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """One way to fail; status 0 cuts the connection.

    A call meets the fault only if the pattern `only` matches its method, path and body. In `body`,
    {field} stands for the group of that name. `partial`: the call has its effect, and its answer
    lacks one field and carries an error.
    """

    name: str
    status: int
    worked: bool  # whether the call has its effect
    weight: int
    late: float = 0.0  # delay of the answer in seconds, at most; with 200 the answer is right
    only: str = ""
    body: str = ""
    partial: bool = False

    def answer(self, call: str) -> Response:
        """Return the answer to a call."""
        if not self.body:
            error = {"code": self.status, "message": "This is an injected fault."}
            google_and_wandb = {"error": error, "errors": [error]}
            return JSONResponse(google_and_wandb, self.status)
        found = re.search(self.only, call)
        text = self.body
        for name, value in (found.groupdict() if found else {}).items():
            text = text.replace(f"{{{name}}}", value or "")
        kind = "application/json" if text.startswith("{") else "text/html"
        return Response(text, self.status, media_type=kind)


FAULTS = (
    Fault("429", 429, worked=False, weight=3),
    Fault("503", 503, worked=False, weight=3),
    Fault("503 after its effect", 503, worked=True, weight=3),
    Fault("401", 401, worked=False, weight=1),
    Fault("cut", 0, worked=False, weight=2),
    Fault("answer lost", 0, worked=True, weight=3),
    Fault("late", 200, worked=True, weight=4, late=3.0),
)


@dataclass(frozen=True)
class Hold:
    """Hold the next call whose method, path and body match this pattern."""

    pattern: str
    worked: bool  # True: hold it after its effect. False: before; a caller that leaves cancels it


def fault_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a stand-in's command these options."""
    rate = click.option(
        "--fault-rate",
        type=click.FloatRange(0, 1),
        default=0.0,
        show_default=True,
        help="The share of calls that fail, in every shape of the system's errors.",
    )
    seed = click.option(
        "--fault-seed", default=0, show_default=True, help="Seed of the random failures."
    )
    return rate(seed(command))


class Faulty:
    """Wrap an ASGI application. Only uvicorn can serve it: ASGI itself cannot cut a connection."""

    def __init__(
        self, app: App, path: str, rate: float, seed: int, faults: Sequence[Fault] = FAULTS
    ) -> None:
        self._app = app
        self._path = path
        self._all = self._faults = tuple(faults)
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self.rate = rate
        self.given: Counter[str] = Counter()
        self.hold: Hold | None = None
        self.held = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a call on, fail it or hold it."""
        if scope["type"] == "http" and scope["path"] == CONTROL:
            await self._control(scope, receive, send)
        elif self._may_fail(scope):
            await self._serve(await _body(receive), scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _may_fail(self, scope: Any) -> bool:
        if scope["type"] != "http" or not scope["path"].startswith(self._path):
            return False
        return (b"x-standin", b"faultless") not in scope["headers"]

    async def _serve(self, body: bytes, scope: Any, receive: Any, send: Any) -> None:
        asked = f"{scope['method']} {scope['path']}\n{body.decode(errors='replace')}"
        if (hold := self.hold) and re.search(hold.pattern, asked):
            self.hold, self.held = None, True
            await self._keep(hold, body, scope, receive, send)
        elif self._random.random() < self.rate and (fault := self._drawn(asked)):
            self.given[fault.name] += 1
            await self._fail(fault, asked, body, scope, receive, send)
        else:
            await self._app(scope, _again(body, receive), send)

    def _drawn(self, asked: str) -> Fault | None:
        """Draw one of the faults that this call can meet."""
        possible = [fault for fault in self._faults if re.search(fault.only, asked)]
        weights = [fault.weight for fault in possible]
        return self._random.choices(possible, weights)[0] if possible else None

    async def _fail(
        self, fault: Fault, asked: str, body: bytes, scope: Any, receive: Any, send: Any
    ) -> None:
        late = self._random.uniform(0, fault.late)  # drawn before any wait, to keep the sequence
        answer = await self._done(body, scope) if fault.worked or fault.partial else []
        await asyncio.sleep(late)
        if fault.partial:
            await _without_a_field(answer)(scope, receive, send)
        elif fault.status == 200 and not fault.body:
            for message in answer:
                await send(message)
        elif fault.status:
            await fault.answer(asked)(scope, receive, send)
        else:
            send.__self__.transport.abort()
            await asyncio.sleep(0)  # uvicorn notices the closed connection

    async def _keep(self, hold: Hold, body: bytes, scope: Any, receive: Any, send: Any) -> None:
        """Hold a call until its caller leaves, or for HOLD_SECONDS."""
        answer = await self._done(body, scope) if hold.worked else []
        try:
            await asyncio.wait_for(receive(), HOLD_SECONDS)  # the caller disconnects
        except TimeoutError:
            for message in answer or await self._done(body, scope):
                await send(message)
        finally:
            self.held = False

    async def _done(self, body: bytes, scope: Any) -> list[Any]:
        """Pass a call on, and return its answer instead of sending it."""
        answer: list[Any] = []

        async def keep(message: Any) -> None:
            answer.append(message)

        await self._app(scope, _again(body, _never), keep)
        return answer

    async def _control(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        if request.method == "POST":
            self._change(await request.json())
        shown = {"rate": self.rate, "given": dict(self.given), "held": self.held}
        await JSONResponse(shown)(scope, receive, send)

    def _change(self, asked: Mapping[str, Any]) -> None:
        """Set the rate, the shapes by name, and the hold; a missing hold ends the present one."""
        self.rate = float(asked.get("rate", self.rate))
        self.hold = Hold(**asked["hold"]) if asked.get("hold") else None
        if "shapes" in asked:
            self._faults = tuple(fault for fault in self._all if fault.name in asked["shapes"])


def _without_a_field(messages: Sequence[Any]) -> Response:
    """Return a GraphQL answer without its first field: null, and an error with its path."""
    text = b"".join(message.get("body", b"") for message in messages)
    answer = json.loads(text or b"{}")
    data = answer.get("data")
    if not isinstance(data, dict) or not data:
        return Response(
            text, messages[0]["status"] if messages else 200, media_type="application/json"
        )
    name = next(iter(data))
    error = {
        "message": "permission denied",
        "path": [name],
        "extensions": {"code": "PERMISSION_ERROR"},
    }
    return JSONResponse({"data": {**data, name: None}, "errors": [error]})


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        part = await receive()
        body += part.get("body", b"")
        more = part.get("more_body", False)
    return body


def _again(body: bytes, then: Any) -> Any:
    """Return a `receive` that repeats a body, and then waits for `then`."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return parts.pop() if parts else await then()

    return receive


async def _never() -> Any:
    await asyncio.Event().wait()
