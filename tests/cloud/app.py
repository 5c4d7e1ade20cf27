"""The server: it records every call, keeps the state and answers as Google's APIs do."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.cloud.calls import Answer, Call, Json, Refusal
from tests.cloud.names import claims
from tests.cloud.permissions import UnknownCallError, needed
from tests.cloud.state import State

TOKEN = "token-of:"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
Handler = Callable[[Call], Json | Answer]


@dataclass
class Fault:
    """A rule that makes the next matching calls fail, before or (`lost`) after their effect."""

    method: str
    path: re.Pattern[str]
    status: int
    times: int
    lost: bool
    message: str = "The service failed."
    name: str | None = None

    @property
    def refusal(self) -> Answer:
        """Return what the call gets."""
        return Refusal(self.status, self.message, self.name).answer()

    def strikes(self, call: Call) -> bool:
        """Return whether this call fails, and count it."""
        if self.times == 0 or call.method != self.method or not self.path.search(call.path):
            return False
        self.times -= 1
        return True


@dataclass
class Server:
    """Routes each call through faults and IAM to its API's handler, and records it."""

    state: State
    handlers: Mapping[str, Handler]
    calls: list[Call] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def app(self) -> Starlette:
        """Return the ASGI application, with one route for every path."""
        return Starlette(routes=[Route("/{path:path}", self._serve, methods=METHODS)])

    async def _serve(self, request: Request) -> Response:
        raw = await request.body()
        call = Call(
            method=request.method,
            host=request.headers["host"].partition(":")[0],
            path=request.scope["path"],
            query=dict(request.query_params),
            body=_parsed(raw),
            identity=identity_of(request.headers.get("authorization", "")),
            raw=raw,
            headers=dict(request.headers) | {"raw-path": request.scope["raw_path"].decode()},
        )
        # a function calls the cloud while it answers, so it must not block this thread
        answer = await run_in_threadpool(self.take, call) if call.service == "web" else self.take(call)
        return Response(answer.content, answer.status, dict(answer.headers), answer.media_type)

    def take(self, call: Call) -> Answer:
        """Answer a call, and record it."""
        answer = self.answer(call)
        self.calls.append(dataclasses.replace(call, status=answer.status))
        return answer

    def answer(self, call: Call) -> Answer:
        """Answer one call; a refusal is Google's JSON error."""
        fault = next((fault for fault in self.faults if fault.strikes(call)), None)
        if fault and not fault.lost:
            return fault.refusal
        try:
            self._authorize(call)
            answered = self._handler(call)(call)
        except UnknownCallError as unknown:
            self.unknown.append(str(unknown))
            return Refusal(400, str(unknown), "UNIMPLEMENTED").answer()  # not 501, which clients retry
        except Refusal as refusal:
            return refusal.answer()
        if fault:
            return fault.refusal
        return answered if isinstance(answered, Answer) else Answer(json.dumps(answered).encode())

    def _handler(self, call: Call) -> Handler:
        if call.service not in self.handlers:
            raise UnknownCallError(f"tests/cloud has no {call.host}")
        return self.handlers[call.service]

    def _authorize(self, call: Call) -> None:
        permissions = needed(call)
        if permissions and not call.identity:
            raise Refusal(401, "Request is missing required authentication credential.")
        for permission, resource in sorted(permissions):
            self.state.demand(call.identity, permission, resource)


def identity_of(authorization: str) -> str:
    """Return the identity in a header: of an access token of this cloud, or of an ID token."""
    token = authorization.removeprefix("Bearer ")
    if token.startswith(TOKEN):
        return token.removeprefix(TOKEN)
    if token.count(".") == 2:
        return str(claims(token)["email"])
    return ""


def _parsed(raw: bytes) -> Any:
    """Return the parsed JSON, or the raw bytes of other bodies."""
    try:
        return json.loads(raw)
    except ValueError:
        return raw
