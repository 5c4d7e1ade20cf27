"""Calls of Cloud Build and Artifact Registry: their client, their time limit, their errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.adapters.google import code_of, meaning, reason, rest_client
from shared.core.building import Build
from shared.core.errors import Capacity, Retry
from shared.core.lazy import Lazy
from shared.core.shortage import Shortage

TIMEOUT = 30.0  # seconds a call
# A 400 or 404 names a missing account, bucket or region: an operator has to fix that as well.
_REFUSALS = range(400, 500)


def lazy_client(endpoint: str = "") -> Lazy[Any]:
    """Return a CloudBuildClient to be made, and its library imported, on first use."""
    return Lazy(lambda: _connect(endpoint))


def _connect(endpoint: str) -> Any:
    # takes 0.3 s, which only a deployment that builds has to pay
    from google.cloud.devtools.cloudbuild_v1.services.cloud_build import CloudBuildClient

    return rest_client(CloudBuildClient, endpoint)


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
    except Exception as exc:
        if code_of(exc) == 429:  # a quota of Cloud Build, not of Vertex AI's machines
            raise Capacity(f"Cloud Build: {reason(exc)}", Shortage.RATE) from exc
        if code_of(exc) == 409:  # ABORTED: Google asks to try again
            raise Retry(f"{call}: {reason(exc)}") from exc
        raise meaning(exc, call, needs, _REFUSALS) from exc
