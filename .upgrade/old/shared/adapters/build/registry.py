"""Artifact Registry: whether an image exists. One call of its REST API needs no library."""

from urllib.parse import quote

from shared.adapters.build.builds import TIMEOUT, translated
from shared.adapters.google import rest_session
from shared.core.building import repository_of
from shared.core.errors import Denied, Retry
from shared.core.lazy import Lazy
from shared.core.within import within

ENDPOINT = "https://artifactregistry.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
PERMISSION = "the permission artifactregistry.tags.get"


class Registry:
    """The registry of images. An `endpoint` (a URL) replaces Google's and needs no credentials."""

    def __init__(self, endpoint: str = "", timeout: float = TIMEOUT) -> None:
        self._url = f"{(endpoint or ENDPOINT).rstrip('/')}/v1"
        self._session = Lazy(lambda: rest_session(endpoint, SCOPE))
        self._timeout = timeout

    def has(self, image: str) -> bool:
        """Tell whether REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG exists.

        Raises:
            Retry, Denied: Artifact Registry does not answer, or submit may not ask.
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
        if answer.status_code not in (200, 404):
            raise Retry(f"Artifact Registry answers {answer.status_code} for {image}")
        return answer.status_code == 200
