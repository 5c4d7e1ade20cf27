"""Cloud Build for status, which reads builds one by one."""

import logging
from dataclasses import replace

from shared.adapters.build.calls import TIMEOUT, build_of, lazy_client, translated
from shared.adapters.build.registry import Registry
from shared.adapters.google import code_of
from shared.core.building import GONE, Build
from shared.core.errors import Denied
from shared.core.within import within

log = logging.getLogger(__name__)


class CloudBuilds:
    """Implements Builds. An `endpoint` (a URL) replaces Google's and needs no credentials."""

    def __init__(self, endpoint: str = "", timeout: float = TIMEOUT) -> None:
        self._client = lazy_client(endpoint)
        self._registry = Registry(endpoint, timeout)
        self._timeout = timeout

    def get_build(self, name: str) -> Build:
        """Return the state of a build; GONE if Cloud Build does not know it.

        A second build of the same content fails if the repository's tags are immutable: only a look
        at the registry tells whether the image exists.
        """
        request = {"request": {"name": name}, "timeout": self._timeout, "retry": None}
        with translated(f"builds.get on {name}", "the permission cloudbuild.builds.get"):
            try:
                client = self._client.get()
                message = within(self._timeout, lambda: client.get_build(**request))
            except Exception as exc:
                if code_of(exc) == 404:
                    return Build(name, GONE)
                raise
        build = build_of(message)
        return replace(build, has_image=build.failed and any(map(self._exists, message.images)))

    def _exists(self, image: str) -> bool:
        try:
            return bool(self._registry.by_digest(image))
        except Denied as exc:  # an older deployment: the build's own word counts
            fields = {"image": image, "problem": str(exc)}
            log.warning("status.image_not_visible", extra={"fields": fields})
            return False
