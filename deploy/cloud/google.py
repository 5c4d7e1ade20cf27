"""Read Google's REST APIs with the caller's credentials; errors become those of google.api_core."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import google.auth
from google.api_core import exceptions as google_errors
from google.auth.transport.requests import AuthorizedSession

from deploy.cloud.once import Once
from shared.core.redaction import redacted

TIMEOUT = 20  # seconds
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_REQUEST_LINE = re.compile(r"^[A-Z]+ https?://\S+: ")  # how REST errors begin


class Google:
    """Google's APIs. It loads the credentials on first use: checks of W&B need none."""

    def __init__(self) -> None:
        self._once = Once()

    def get(self, url: str, **query: str | int) -> Any:
        """Return the resource.

        Raises:
            GoogleAPICallError: for example NotFound or Forbidden.
        """
        return self._json("GET", url, params=query)

    def post(
        self,
        url: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int] | None = None,
        timeout: float = TIMEOUT,
    ) -> Any:
        """Send a POST; raises as `get` does."""
        return self._json("POST", url, json=body, params=query, timeout=timeout)

    def change(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> Any:
        """Send a POST, PUT, PATCH or DELETE that changes a resource; raises as `get` does."""
        return self._json(method, url, json=body, params=query)

    def listed(self, url: str, field: str, **query: str | int) -> Iterator[Any]:
        """Yield the members of a collection, page by page.

        Raises:
            GoogleAPICallError: also if a region does not answer; its members are not absent.
        """
        token = ""
        while True:
            page = self.get(url, **query, **({"pageToken": token} if token else {}))
            yield from page.get(field, ())
            if unreachable := page.get("unreachable"):
                raise google_errors.ServiceUnavailable(
                    f"no answer from {', '.join(map(str, unreachable))}: repeat later"
                )
            token = page.get("nextPageToken", "")
            if not token:
                return

    def _json(self, method: str, url: str, timeout: float = TIMEOUT, **content: Any) -> Any:
        response = self._once("session", _open).request(method, url, timeout=timeout, **content)
        if not response.ok:
            raise google_errors.from_http_response(response)
        return response.json()


def _open() -> AuthorizedSession:
    credentials, _ = google.auth.default(scopes=[SCOPE])
    session = AuthorizedSession(credentials)
    session.max_redirects = 0  # Google's APIs send none, and another server could read the token
    return session


def words(error: google_errors.GoogleAPICallError) -> str:
    """Return Google's own message, without the request that precedes it."""
    return redacted(_REQUEST_LINE.sub("", str(error.message)))
