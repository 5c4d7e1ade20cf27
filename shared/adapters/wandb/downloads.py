"""Download files from the addresses that W&B gives."""

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError

from shared.adapters.wandb.server import Server
from shared.adapters.wandb.transport import (
    CHUNK,
    Exchange,
    new_session,
    origin,
    place,
    untrusted,
    without_login,
)
from shared.core.budget import Budget
from shared.core.errors import Retry

HOPS = 5  # redirections


def chunks(server: Server, address: str, limit: int, seconds: float) -> Iterator[bytes]:
    """Yield a file piece by piece, at most `limit` bytes of it, within `seconds`.

    Only W&B itself gets our key: any other address, or redirection to one, is its own permission.
    Once a redirection has led to another origin, no later request has the key.

    Raises:
        SettingsError: a certificate is not trusted.
        Retry: the file does not arrive.
    """
    left, where = limit, place(address) if "://" in address else server.place
    with Exchange(Budget(seconds)) as exchange:
        try:
            with (
                new_session(1) as session,
                closing(_followed(server, exchange, session, address)) as response,
            ):
                if response.status_code != 200:
                    answer = f"{response.status_code} {response.reason}"
                    raise Retry(f"the file at {where} cannot be fetched: {answer}")
                for piece in response.iter_content(CHUNK):
                    if exchange.over or left <= 0:
                        break
                    yield piece[:left]
                    left -= len(piece)
        except (requests.RequestException, HTTPError, ValueError) as exc:
            if refused := untrusted(exc):
                raise server.untrusted(where, refused) from exc
            raise Retry(f"the file at {where} cannot be fetched: {type(exc).__name__}") from exc
        if exchange.over and left > 0:
            raise Retry(f"the file at {where} takes longer than {seconds:.0f} s")


def _followed(
    server: Server, exchange: Exchange, session: requests.Session, address: str
) -> requests.Response:
    """Request a file and follow redirections; another origin gets neither key nor `ca_file`."""
    own, url, trusted = origin(server.url), server.url, True
    address = server.below(address)
    for _ in range(HOPS):
        url = urljoin(url, address)
        is_own = origin(url) == own
        trusted = trusted and is_own
        auth = ("api", server.api_key) if trusted else without_login
        verify = server.verify if is_own else None
        response = exchange.send(session, "GET", url, auth=auth, verify=verify)
        if not response.is_redirect:
            return response
        address = session.get_redirect_target(response) or ""
        response.close()
    raise requests.TooManyRedirects(f"more than {HOPS}")
