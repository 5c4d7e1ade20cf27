"""What the adapters of Google's services share: credentials, clients, and the meaning of errors.

It imports little at first, so that poll starts fast: google.api_core would import gRPC, and an
authorized session cryptography.
"""

import os
import re
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any, TypeVar

import google.auth
import requests
from google.auth import exceptions as auth_errors

from shared.core.errors import Denied, LaunchError, Retry
from shared.core.redaction import redacted
from shared.core.shorten import shown

if TYPE_CHECKING:
    from google.cloud import storage

Client = TypeVar("Client")

REFUSALS = (401, 403)  # HTTP status
LONGEST = 1000  # characters of a reason
OWNER_TIMEOUT = 10  # seconds
OWNER_NEEDS = "the permission storage.buckets.get on this bucket: run `vertex-launch bootstrap`"
_REQUEST_LINE = re.compile(r"^[A-Z]+ https?://\S+: ")  # REST errors begin with it
# Storage's client would read the bucket's own record for traces: one more call and permission.
_NO_SIDE_CALL = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"


def without_redirections(session: requests.Session) -> requests.Session:
    """Let a session follow no redirection.

    Google's APIs send none. Another server could read a request's token or the keys in its body,
    and its answer would count as Google's.
    """
    session.max_redirects = 0
    return session


def session_of(client: Any) -> requests.Session:
    """Return the session of a generated REST client; no public attribute has it."""
    session: requests.Session = client.transport._session  # noqa: SLF001
    return session


def rest_client(kind: Callable[..., Client], endpoint: str = "", regional: str = "") -> Client:
    """Return a generated client that speaks REST.

    An `endpoint` (a URL) replaces Google's and needs no credentials; `regional` is Google's host.
    """
    host = endpoint or regional
    arguments: dict[str, Any] = {"client_options": {"api_endpoint": host}} if host else {}
    if endpoint:
        from google.auth.credentials import AnonymousCredentials

        arguments["credentials"] = AnonymousCredentials()
    client = kind(transport="rest", **arguments)
    without_redirections(session_of(client))
    return client


def rest_session(endpoint: str, scope: str) -> requests.Session:
    """Return a session for calls without a client; with an `endpoint`, one without credentials."""
    session = requests.Session()
    if not endpoint:
        from google.auth.transport.requests import AuthorizedSession

        credentials, _ = google.auth.default(scopes=[scope])
        session = AuthorizedSession(credentials)
    return without_redirections(session)


def storage_client() -> "storage.Client":
    """Return a client of GCS; it reads STORAGE_EMULATOR_HOST itself."""
    from google.cloud import storage

    os.environ.setdefault(_NO_SIDE_CALL, "true")
    client = storage.Client()
    without_redirections(client._http)  # noqa: SLF001 - no public attribute has its session
    return client


def require_owner(bucket: str, project_number: str, owner: Callable[[], object]) -> None:
    """Require that a project owns a bucket; without a number, make no call.

    Names of buckets are predictable: somebody else can have created this one, to receive what we
    write (the class of CVE-2026-2473). Therefore a bucket that we may not read counts as theirs.
    `owner` asks for the number of the project that owns it.

    Raises:
        Denied: another project owns the bucket, or the function may not see whose it is.
        Retry: the answer does not say it.
        Any other error of `owner`.
    """
    if not project_number:
        return
    try:
        found = owner()
    except Exception as exc:
        if code_of(exc) == 403:
            raise meaning(exc, f"gs://{bucket}: read whose it is", OWNER_NEEDS) from exc
        raise
    if found is None:
        raise Retry(f"gs://{bucket}: the answer does not say whose it is")
    if str(found) != project_number:
        raise Denied(
            f"gs://{bucket} belongs to the project number {found}, not to {project_number}: this "
            "function neither reads nor writes it. Bootstrap and deploy under another --name"
        )


def code_of(exc: Exception) -> int:
    """Return the HTTP status of an error of Google's clients, or of a Refusal; 0 for any other."""
    code = getattr(exc, "code", None)
    return int(code) if isinstance(code, int) else 0


def meaning(
    exc: Exception,
    call: str,
    needs: str,
    refusals: Container[int] = REFUSALS,
) -> LaunchError:
    """Return what an exception of Google's libraries means; a LaunchError means itself.

    `call` names the call and its resource; `needs` names the permission or role that it requires.
    `refusals` are the HTTP statuses that say it is missing.
    """
    if isinstance(exc, LaunchError):
        return exc
    if error := credentials_error(exc):
        return error
    if code_of(exc) in refusals:
        return Denied(f"{call}: {reason(exc)}. The function's account needs {needs}")
    return Retry(f"{call}: {reason(exc)}")


def credentials_error(exc: Exception) -> LaunchError | None:
    """Return what an error of google.auth means; None for any other."""
    if isinstance(exc, auth_errors.TransportError):
        return Retry(f"Google's token service cannot be reached: {reason(exc)}")
    if isinstance(exc, auth_errors.GoogleAuthError):
        return Denied(f"no Google credentials: {reason(exc)}")
    return None


def reason(exc: Exception) -> str:
    """Return an error's message on one line; its class if it has none."""
    try:
        message = str(getattr(exc, "message", "") or exc)
    except ValueError:  # it quotes an integer with more digits than Python prints
        message = ""
    text = " ".join(_REQUEST_LINE.sub("", message).split())
    if text.startswith("<"):  # a page of Google's front end
        text = f"HTTP {getattr(exc, 'code', '')} without a reason"
    return shown(redacted(text), LONGEST).rstrip(".") or type(exc).__name__
