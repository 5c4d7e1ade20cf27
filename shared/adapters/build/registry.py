"""Artifact Registry: whether an image is there. One call of its REST API, which needs no library of its own."""

import threading
from urllib.parse import quote

import requests
from google.auth import default
from google.auth.transport.requests import AuthorizedSession

from shared.adapters.build.builds import TIMEOUT, error
from shared.core.building import repository_of
from shared.core.errors import Denied, Retry
from shared.core.within import within

ENDPOINT = "https://artifactregistry.googleapis.com"


class Registry:
    """Where images are pushed; an `endpoint` takes the place of Google's, without credentials."""

    def __init__(self, endpoint: str = "", timeout: float = TIMEOUT) -> None:
        self._endpoint = (endpoint or ENDPOINT).rstrip("/")
        self._open = bool(endpoint)
        self._timeout = timeout
        self._session: requests.Session | None = None
        self._lock = threading.Lock()

    def has(self, image: str) -> bool:
        """Tell whether REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG is there. Raises Retry, Denied."""
        name, _, tag = image.rpartition(":")
        repository, package = repository_of(name)
        url = f"{self._endpoint}/v1/{repository}/packages/{quote(package, safe='')}/tags/{tag}"
        try:
            session = self._connected()
            answer = within(self._timeout, lambda: session.get(url, timeout=self._timeout))
        except Exception as exc:
            raise error(exc, f"tags.get on {repository}") from exc
        if answer.status_code in (401, 403):
            raise Denied(f"{repository} may not be read: submit needs artifactregistry.tags.get")
        if answer.status_code not in (200, 404):
            raise Retry(f"Artifact Registry answers {answer.status_code} for {image}")
        return answer.status_code == 200

    def _connected(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                scope = "https://www.googleapis.com/auth/cloud-platform"
                self._session = (
                    requests.Session() if self._open else AuthorizedSession(default([scope])[0])
                )
            return self._session
