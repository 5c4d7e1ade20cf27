"""Cloud Build for status, which reads builds one by one; and what both adapters of builds share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from google.api_core import exceptions as google_errors

from shared.adapters.google import meaning, reason, rest_client
from shared.core.building import GONE, Build
from shared.core.errors import Capacity, Retry
from shared.core.lazy import Lazy
from shared.core.shortage import Shortage
from shared.core.within import within

TIMEOUT = 30.0  # seconds a call
# A 400 or 404 names a missing account, bucket or region: an operator has to fix that as well.
_REFUSALS = (google_errors.ClientError,)


def lazy_client(endpoint: str = "") -> Lazy[Any]:
    """Return a CloudBuildClient to be made, and its library imported, on first use."""
    return Lazy(lambda: _connect(endpoint))


def _connect(endpoint: str) -> Any:
    # takes 0.3 s, which only a deployment that builds has to pay
    from google.cloud.devtools.cloudbuild_v1.services.cloud_build import CloudBuildClient

    return rest_client(CloudBuildClient, endpoint)


class CloudBuilds:
    """Implements Builds. An `endpoint` (a URL) replaces Google's and needs no credentials."""

    def __init__(self, endpoint: str = "", timeout: float = TIMEOUT) -> None:
        self._client = lazy_client(endpoint)
        self._timeout = timeout

    def get_build(self, name: str) -> Build:
        """Return the state of a build; GONE if Cloud Build does not know it."""
        request = {"request": {"name": name}, "timeout": self._timeout, "retry": None}
        with translated(f"builds.get on {name}", "the permission cloudbuild.builds.get"):
            try:
                client = self._client.get()
                message = within(self._timeout, lambda: client.get_build(**request))
            except google_errors.NotFound:
                return Build(name, GONE)
            return build_of(message)


def build_of(message: Any) -> Build:
    """Read a Build message."""
    texts = [message.failure_info.detail] if message.failure_info else []
    texts.append(message.status_detail)
    detail = " ".join(dict.fromkeys(text for text in texts if text))
    status = getattr(message.status, "name", str(message.status))
    return Build(message.name, status, detail, message.log_url)


@contextmanager
def translated(call: str, needs: str) -> Iterator[None]:
    """Raise what an exception of Google's libraries means; arguments as in `google.meaning`.

    A build that began in spite of the exception is found by its tag.
    """
    try:
        yield
    except google_errors.TooManyRequests as exc:
        # a quota of Cloud Build, not of Vertex AI's machines
        raise Capacity(f"Cloud Build: {reason(exc)}", Shortage.RATE) from exc
    except google_errors.Conflict as exc:  # ABORTED: Google asks to try again
        raise Retry(f"{call}: {reason(exc)}") from exc
    except Exception as exc:
        raise meaning(exc, call, needs, _REFUSALS) from exc
