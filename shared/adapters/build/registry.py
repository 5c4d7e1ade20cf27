"""Artifact Registry: the digest of an image. One call of its REST API needs no library."""

import re
from urllib.parse import quote

import requests

from shared.adapters.build.calls import TIMEOUT, translated
from shared.adapters.google import rest_session
from shared.core.asjson import as_mapping
from shared.core.building import repository_of
from shared.core.errors import Denied, Retry
from shared.core.lazy import Lazy
from shared.core.within import within

ENDPOINT = "https://artifactregistry.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
PERMISSION = "the permission artifactregistry.tags.get"
_VERSION = re.compile(r"projects/.+/versions/(sha256:[0-9a-f]{64})")


class Registry:
    """The registry of images. An `endpoint` (a URL) replaces Google's and needs no credentials."""

    def __init__(self, endpoint: str = "", timeout: float = TIMEOUT) -> None:
        self._url = f"{(endpoint or ENDPOINT).rstrip('/')}/v1"
        self._session = Lazy(lambda: rest_session(endpoint, SCOPE))
        self._timeout = timeout

    def by_digest(self, image: str) -> str:
        """Return REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG as IMAGE@sha256:DIGEST.

        The result is empty if no such image exists. A tag can move; a digest is the content.

        Raises:
            Retry, Denied: Artifact Registry does not answer, or this account may not ask.
        """
        name, _, tag = image.rpartition(":")
        repository, package = repository_of(name)
        url = f"{self._url}/{repository}/packages/{quote(package, safe='')}/tags/{tag}"
        call = f"tags.get on {repository}"
        with translated(call, PERMISSION):
            session = self._session.get()
            answer = within(self._timeout, lambda: session.get(url, timeout=self._timeout))
        if answer.status_code in (401, 403):
            raise Denied(f"{call}: {answer.status_code}. The function's account needs {PERMISSION}")
        if answer.status_code == 404:
            return ""
        if answer.status_code != 200:
            raise Retry(f"Artifact Registry answers {answer.status_code} for {image}")
        return f"{name}@{_digest(answer, image)}"


def _digest(answer: requests.Response, image: str) -> str:
    """Return the digest in an answer of tags.get; never a text of an unknown form."""
    try:
        found = _VERSION.fullmatch(str(as_mapping(answer.json()).get("version")))
    except (ValueError, RecursionError):
        found = None
    if found is None:
        raise Retry(f"Artifact Registry's answer for {image} has no digest")
    return found[1]
