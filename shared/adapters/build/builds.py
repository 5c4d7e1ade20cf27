"""Builds as status sees them, one by one; and the connection, which is made, and its library imported, on first use."""

import threading
from typing import Any

from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.auth.credentials import AnonymousCredentials

from shared.core.building import GONE, Build
from shared.core.errors import Capacity, Denied, LaunchError, Retry
from shared.core.shortage import Shortage
from shared.core.within import within

TIMEOUT = 30.0  # seconds a call


class Connection:
    """One client for all threads; an `endpoint` (a URL) takes the place of Google's, without credentials."""

    def __init__(self, endpoint: str = "") -> None:
        self.endpoint = endpoint
        self._client: Any = None
        self._lock = threading.Lock()

    def client(self) -> Any:
        """Return a CloudBuildClient."""
        with self._lock:
            if self._client is None:
                # 0.3 s, which only a deployment that builds should pay
                from google.cloud.devtools.cloudbuild_v1.services.cloud_build import (
                    CloudBuildClient,
                )

                elsewhere: dict[str, Any] = {}
                if self.endpoint:
                    elsewhere = {
                        "client_options": {"api_endpoint": self.endpoint},
                        "credentials": AnonymousCredentials(),
                    }
                self._client = CloudBuildClient(transport="rest", **elsewhere)
            return self._client


class CloudBuilds:
    """Implements Builds."""

    def __init__(self, endpoint: str = "", timeout: float = TIMEOUT) -> None:
        self._connection = Connection(endpoint)
        self._timeout = timeout

    def get_build(self, name: str) -> Build:
        """Return what has become of a build."""
        try:
            client = self._connection.client()
            asked = {"request": {"name": name}, "timeout": self._timeout, "retry": None}
            return build_of(within(self._timeout, lambda: client.get_build(**asked)))
        except google_errors.NotFound:
            return Build(name, GONE)
        except Exception as exc:
            raise error(exc, f"builds.get on {name}") from exc


def build_of(message: Any) -> Build:
    """Read a Build message."""
    said = (
        (message.failure_info.detail, message.status_detail)
        if message.failure_info
        else (message.status_detail,)
    )
    detail = " ".join(dict.fromkeys(filter(None, said)))
    return Build(
        message.name, getattr(message.status, "name", str(message.status)), detail, message.log_url
    )


def error(exc: Exception, what: str) -> LaunchError:
    """Return what an exception of Google's clients means; a build that was begun all the same is found by its tag."""
    if isinstance(exc, LaunchError):
        return exc
    said = getattr(exc, "message", "") or str(exc) or type(exc).__name__
    if isinstance(exc, google_errors.TooManyRequests):
        return Capacity(
            f"Cloud Build: {said}", Shortage.RATE
        )  # which says nothing of Vertex AI's machines
    if isinstance(exc, google_errors.Conflict):  # ABORTED: Google asks to try again
        return Retry(f"{what}: {said}")
    # 400 and 404: an account, a bucket or a region that is not there; an operator has to mend that, too
    if isinstance(exc, google_errors.ClientError):
        return Denied(f"{what}: {said}")
    if isinstance(exc, auth_errors.GoogleAuthError) and not isinstance(
        exc, auth_errors.TransportError
    ):
        return Denied(f"no Google credentials: {said}")
    return Retry(f"{what}: {said}")
