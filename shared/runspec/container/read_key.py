"""Start a container whose CustomJob does not contain W&B's key: read the key, run the command.

The functions never run this program: its text goes into the container's command, `python3 -c TEXT
SECRET COMMAND…`. The image may contain only Python 3.7, so the program needs no package. SECRET
names a version in Secret Manager, which the job's service account reads.
"""

import base64
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request

METADATA = "http://{}/computeMetadata/v1/instance/service-accounts/default/{}"
API = "https://secretmanager.googleapis.com/"
ATTEMPTS = 7
ROLE = "roles/secretmanager.secretAccessor"


class Problem(Exception):
    """Why the key cannot be read; the log may show the text."""


def main() -> None:
    """Run the steps; on an error, print the reason and exit."""
    secret, command = sys.argv[1], sys.argv[2:]
    program = command[0].rpartition("/")[2]  # its arguments may contain secrets
    try:
        os.environ["WANDB_API_KEY"] = key(secret)
        os.execvp(command[0], command)  # noqa: S606 - no shell, on purpose
    except Problem as exc:
        reason = str(exc)
    except Exception as exc:  # noqa: BLE001 - its text could quote the key
        reason = type(exc).__name__ + (f": {exc.strerror}" if isinstance(exc, OSError) else "")
    sys.exit(f"vertex-launch: {program} cannot be started: {reason}")


def key(secret: str) -> str:
    """Return the content of a secret's version."""
    token = json.loads(metadata("token"))["access_token"]
    # gcloud's variable, for networks without internet access
    override = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", API)
    address = override.rstrip("/")
    try:
        answer = fetched(f"{address}/v1/{secret}:access", {"Authorization": f"Bearer {token}"})
    except urllib.error.HTTPError as exc:
        raise Problem(refusal(secret, exc)) from None
    held = base64.b64decode(json.loads(answer)["payload"]["data"]).decode().strip()
    if not held:
        raise Problem(f"{secret} is empty")
    return held


def refusal(secret: str, exc: urllib.error.HTTPError) -> str:
    """Return the reason why the secret cannot be read, and the fix."""
    problem = f"Secret Manager answers {exc.code} for {secret}"
    if exc.code != 403:
        return f"{problem}: LAUNCH_KEY_SECRET must name a secret with an enabled version"
    account = metadata("email").decode()
    return f"{problem}: the job runs as {account}, which needs {ROLE} on the secret"


def metadata(name: str) -> bytes:
    """Return a value of the job's service account from Google's metadata server."""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    try:
        return fetched(METADATA.format(host, name), {"Metadata-Flavor": "Google"})
    except urllib.error.HTTPError as exc:
        raise Problem(f"Google's metadata server answers {exc.code} for the {name}") from None


def fetched(address: str, headers: "dict[str, str]") -> bytes:
    """Return the content of an address; repeats temporary failures for half a minute.

    It follows no redirection: the headers contain a token, and neither server redirects.

    Raises:
        HTTPError: the server's last answer.
        Problem: there is no answer.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            request = urllib.request.Request(address, headers=headers)  # noqa: S310 - of Google
            with opener().open(request, timeout=20) as answer:
                return bytes(answer.read())
        except (OSError, http.client.HTTPException) as exc:
            code = getattr(exc, "code", 500)
            if attempt == ATTEMPTS or (code < 500 and code != 429):
                if isinstance(exc, urllib.error.HTTPError):
                    raise
                host = address.split("/")[2]
                raise Problem(f"{host} cannot be reached: {type(exc).__name__}") from None
            time.sleep(2**attempt / 4)
    raise AssertionError("not reached")


def opener() -> urllib.request.OpenerDirector:
    """Return an opener for HTTP and HTTPS only, which follows no redirection."""
    made = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        made.add_handler(handler())
    return made


if __name__ == "__main__":
    main()
