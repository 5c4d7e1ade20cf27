"""The board as a web application: read-only, for browsers on this machine only."""

import re

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.operate.board.detail import detail_of
from deploy.operate.board.listings import Listings
from deploy.operate.board.page import SCRIPT, STYLE, Pages
from deploy.operate.board.view import MOST_ROWS, ROWS, Choice
from deploy.operate.fleet.target import Target

LONGEST_SEARCH = 300  # characters
# a page of another site whose name resolves to 127.0.0.1 sends that name (DNS rebinding)
_OURS = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
REFUSED = (
    "This board answers only to the names 127.0.0.1, localhost and [::1]. "
    "Open http://127.0.0.1 with the same port.\n"
)
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def create_app(target: Target, listings: Listings | None = None) -> ASGIApp:
    """Return the board of a deployment."""
    listings, pages = listings or Listings(target), Pages(target)

    def board(request: Request) -> Response:
        look = listings.look()
        html = pages.board(look, choice_of(request.query_params), listings.seconds)
        return HTMLResponse(html, 200 if look.fleet else 503)

    def launch(request: Request) -> Response:
        look = listings.look()
        if look.fleet is None:
            return HTMLResponse(pages.board(look, Choice(), listings.seconds), 503)
        key = request.path_params["key"]
        found = [entry for entry in look.fleet.all if entry.key == key]
        if not found:
            return HTMLResponse(pages.missing(look, key, listings.seconds), 404)
        detail = detail_of(target, look.fleet, found[0])
        return HTMLResponse(pages.launch(look, detail, listings.seconds))

    def style(_: Request) -> Response:
        return Response(STYLE, media_type="text/css")

    def script(_: Request) -> Response:
        return Response(SCRIPT, media_type="text/javascript")

    routes = [
        Route("/", board),
        Route("/launches/{key}", launch),
        Route("/board.css", style),
        Route("/board.js", script),
    ]
    return OnlyOurs(Starlette(routes=routes))  # around its answers to errors too


def choice_of(query: QueryParams) -> Choice:
    """Return what the address asks for; a value that makes no sense is the default."""
    rows = query.get("rows", "")
    return Choice(
        window=query.get("window", ""),
        search=query.get("q", "")[:LONGEST_SEARCH],
        rows=min(max(int(rows), 1), MOST_ROWS) if re.fullmatch(r"[0-9]{1,6}", rows) else ROWS,
    )


class OnlyOurs:
    """Refuses requests for another host, and adds the headers of HEADERS to each answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        hosts = Headers(scope=scope).getlist("host") if scope["type"] == "http" else []
        if scope["type"] == "http" and not (len(hosts) == 1 and _OURS.fullmatch(hosts[0])):
            await PlainTextResponse(REFUSED, 421)(scope, receive, protected)
            return
        await self._app(scope, receive, protected)
