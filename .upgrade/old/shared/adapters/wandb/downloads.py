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

    Raises:
        SettingsError: a certificate is not trusted.
        Retry: the file does not arrive.
    """
    url, left = urljoin(server.url, address), limit
    where = place(url)
    with Exchange(Budget(seconds)) as exchange:
        try:
            with (
                new_session(1) as session,
                closing(_followed(server, exchange, session, url)) as response,
            ):
                if response.status_code != 200:
                    answer = f"{response.status_code} {response.reason}"
                    raise Retry(f"the file at {where} cannot be fetched: {answer}")
                for piece in response.iter_content(CHUNK):
                    if exchange.over or left <= 0:
                        break
                    yield piece[:left]
                    left -= len(piece)
        except (requests.RequestException, HTTPError) as exc:
            if refused := untrusted(exc):
                raise server.untrusted(where, refused) from exc
            raise Retry(f"the file at {where} cannot be fetched: {type(exc).__name__}") from exc
        if exchange.over and left > 0:
            raise Retry(f"the file at {where} takes longer than {seconds:.0f} s")


def _followed(
    server: Server, exchange: Exchange, session: requests.Session, url: str
) -> requests.Response:
    """Request a file and follow redirections; another origin gets neither key nor `ca_file`."""
    for _ in range(HOPS):
        if origin(url) == origin(server.url):
            auth, verify = ("api", server.api_key), server.verify
            response = exchange.send(session, "GET", url, auth=auth, verify=verify)
        else:
            response = exchange.send(session, "GET", url, auth=without_login, verify=None)
        if not response.is_redirect:
            return response
        url = urljoin(url, response.headers["location"])
        response.close()
    raise requests.TooManyRedirects(f"more than {HOPS}")
